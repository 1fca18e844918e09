/* SPDX-License-Identifier: Apache-2.0 */
/* What curl's error codes mean to us, and how to say it without a secret. */
#include "net/http-internal.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* How the clause for people comes about. */
typedef enum Wording {
        WORD_OWN,  /* what only; curl's text may hold the URL or the proxy's password */
        WORD_CURL, /* what, and curl's text */
        WORD_HOST, /* what, host:port, and curl's text */
} Wording;

typedef struct Meaning {
        CURLcode code;
        HttpFailure failure;
        Wording wording;
        const char *what;
} Meaning;

static const Meaning meanings[] = {
        { CURLE_COULDNT_RESOLVE_PROXY, HTTP_DNS, WORD_OWN, "the proxy's name cannot be resolved" },
        { CURLE_PROXY, HTTP_CONNECT, WORD_OWN, "the proxy does not let us through" },
        { CURLE_OPERATION_TIMEDOUT, HTTP_TIMEOUT, WORD_HOST, "no answer in time from" },
        { CURLE_PARTIAL_FILE, HTTP_BROKEN, WORD_CURL, "the answer was cut" },
        { CURLE_GOT_NOTHING, HTTP_BROKEN, WORD_CURL, "there was no answer" },
        { CURLE_RECV_ERROR, HTTP_BROKEN, WORD_CURL, "the answer broke off" },
        { CURLE_SEND_ERROR, HTTP_BROKEN, WORD_CURL, "the request could not be sent" },
        { CURLE_SEND_FAIL_REWIND, HTTP_BROKEN, WORD_CURL, "the request could not be sent" },
        { CURLE_BAD_CONTENT_ENCODING, HTTP_BROKEN, WORD_CURL, "the answer cannot be unpacked" },
        { CURLE_WEIRD_SERVER_REPLY, HTTP_BROKEN, WORD_CURL, "the answer is no HTTP" },
        { CURLE_HTTP2, HTTP_BROKEN, WORD_CURL, "the answer is no HTTP" },
        { CURLE_SSL_CONNECT_ERROR, HTTP_TLS, WORD_HOST, "no TLS with" },
        { CURLE_PEER_FAILED_VERIFICATION, HTTP_TLS, WORD_HOST, "no TLS with" },
        { CURLE_SSL_INVALIDCERTSTATUS, HTTP_TLS, WORD_HOST, "no TLS with" },
        { CURLE_SSL_PINNEDPUBKEYNOTMATCH, HTTP_TLS, WORD_HOST, "no TLS with" },
        { CURLE_SSL_ISSUER_ERROR, HTTP_TLS, WORD_HOST, "no TLS with" },
        { CURLE_SSL_CIPHER, HTTP_TLS, WORD_HOST, "no TLS with" },
        { CURLE_SSL_CERTPROBLEM, HTTP_TLS, WORD_HOST, "no TLS with" },
        { CURLE_SSL_CLIENTCERT, HTTP_TLS, WORD_HOST, "no TLS with" },
        { CURLE_USE_SSL_FAILED, HTTP_TLS, WORD_HOST, "no TLS with" },
        { CURLE_SSL_CACERT_BADFILE, HTTP_TLS, WORD_CURL,
          "the certificates to trust cannot be read" },
        { CURLE_SSL_CRL_BADFILE, HTTP_TLS, WORD_CURL, "the certificates to trust cannot be read" },
        { CURLE_OUT_OF_MEMORY, HTTP_LOCAL, WORD_OWN, "out of memory" },
        { CURLE_URL_MALFORMAT, HTTP_LOCAL, WORD_OWN, "the URL is malformed" },
};

/* The host of the URL that was asked for, and its port: never the path, query or user. */
static void host_of(CURL *easy, bool with_port, char *out, size_t size) {
        char *url = NULL, *host = NULL, *port = NULL;
        CURLU *parts = curl_url();

        (void) snprintf(out, size, "the host");
        if (curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && url && parts &&
            curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
            curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
            curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
                (void) snprintf(out, size, "%s%s%s", host, with_port ? ":" : "",
                                with_port ? port : "");
        curl_free(host);
        curl_free(port);
        curl_url_cleanup(parts);
}

static long info(CURL *easy, CURLINFO which) {
        long value = 0;

        (void) curl_easy_getinfo(easy, which, &value);
        return value;
}

static void say(char *reason, const char *what, const char *detail) {
        char line[2 * HTTP_REASON_SIZE];

        (void) snprintf(line, sizeof line, "%s%s%s", what, *detail ? ": " : "", detail);
        (void) text_clean(reason, HTTP_REASON_SIZE, line, strlen(line));
}

/* A handshake that the network broke off, as opposed to one that the two ends could not agree on:
 * curl's OpenSSL backend says so only in words. */
static bool handshake_broke_off(CURLcode code, const char *text) {
        static const char *const words[] = { "SSL_connect:", "unexpected eof", "Recv failure",
                                             "Send failure" };

        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
                if (code == CURLE_SSL_CONNECT_ERROR && strstr(text, words[i]))
                        return true;
        return false;
}

/* Whether it is the proxy's TLS that has failed, not that of the URL's host: curl says nothing else of
 * it, and sets the result as soon as it begins. */
static bool is_proxys_tls(CURL *easy) {
        return info(easy, CURLINFO_PROXY_SSL_VERIFYRESULT) != X509_V_OK;
}

/* What is wrong with a certificate.  curl's buffer keeps the first that went wrong, which may be that a
 * kept connection was dead: then another one was tried. */
static void say_certificate(CURL *easy, const char *text, char *out, size_t size) {
        long result = info(easy, is_proxys_tls(easy) ? CURLINFO_PROXY_SSL_VERIFYRESULT
                                                     : CURLINFO_SSL_VERIFYRESULT);

        /* curl begins with the unspecified error, and leaves that where a name does not fit */
        if (result == X509_V_OK || result == X509_V_ERR_UNSPECIFIED)
                (void) snprintf(out, size, "%s", text);
        else
                (void) snprintf(out, size, "SSL certificate problem: %s",
                                X509_verify_cert_error_string(result));
}

static HttpFailure stopped(HttpStop stop, size_t max_body, char *reason) {
        switch (stop) {
        case HTTP_STOP_NONE:
                break;
        case HTTP_STOP_BODY:
                (void) snprintf(reason, HTTP_REASON_SIZE, "the answer is longer than %zu bytes",
                                max_body);
                return HTTP_TOO_LARGE;
        case HTTP_STOP_HEADERS:
                (void) snprintf(reason, HTTP_REASON_SIZE, "the answer's headers do not end");
                return HTTP_BROKEN;
        case HTTP_STOP_MEMORY:
                (void) snprintf(reason, HTTP_REASON_SIZE, "out of memory");
                return HTTP_LOCAL;
        }
        (void) snprintf(reason, HTTP_REASON_SIZE, "the answer broke off");
        return HTTP_BROKEN;
}

/* Whether it was not the URL's host that could not be reached: curl names whom it tried. */
static bool tried_another(CURL *easy, const char *text) {
        char host[160], *name = host;

        host_of(easy, false, host, sizeof host);
        if (*name == '[') { /* curl leaves out the brackets of IPv6 */
                name++;
                name[strcspn(name, "]")] = '\0';
        }
        return strncmp(text, "Failed to connect to ", 21) == 0 && !strstr(text, name);
}

/* Codes of which the meaning depends on when they came. */
static bool by_circumstance(CURL *easy, CURLcode code, const char *text, char *reason,
                            HttpFailure *ret) {
        long connect_code = info(easy, CURLINFO_HTTP_CONNECTCODE);
        char host[160], what[240];

        host_of(easy, code != CURLE_COULDNT_RESOLVE_HOST, host, sizeof host);
        if (code == CURLE_COULDNT_RESOLVE_HOST) {
                (void) snprintf(what, sizeof what, "the name %s cannot be resolved", host);
                *ret = HTTP_DNS;
                say(reason, what, "");
        } else if (code == CURLE_COULDNT_CONNECT) {
                long number = info(easy, CURLINFO_OS_ERRNO);

                (void) snprintf(what, sizeof what, "no connection to %s",
                                tried_another(easy, text) ? "the proxy" : host);
                *ret = HTTP_CONNECT;
                say(reason, what, number > 0 ? strerror((int) number) : "");
        } else if (connect_code != 0 && connect_code / 100 != 2) {
                (void) snprintf(what, sizeof what, "the proxy gives no way to %s: it answered %ld",
                                host, connect_code);
                *ret = HTTP_CONNECT;
                say(reason, what, "");
        } else if (handshake_broke_off(code, text)) {
                (void) snprintf(what, sizeof what, "the connection to %s broke off within TLS",
                                is_proxys_tls(easy) ? "the proxy" : host);
                *ret = HTTP_BROKEN;
                say(reason, what, "");
        } else if (code == CURLE_UNSUPPORTED_PROTOCOL && info(easy, CURLINFO_REQUEST_SIZE) > 0) {
                *ret = HTTP_BROKEN; /* HTTP/0.9, which is to say anything at all */
                say(reason, "the answer is no HTTP", "");
        } else
                return false;
        return true;
}

HttpFailure http_failure(CURL *easy, CURLcode code, HttpStop stop, size_t max_body,
                         const char *text, char reason[static HTTP_REASON_SIZE]) {
        HttpFailure failure;
        char what[240], detail[CURL_ERROR_SIZE];

        reason[0] = '\0';
        if (code == CURLE_OK)
                return HTTP_ANSWERED;
        if (code == CURLE_FILESIZE_EXCEEDED)
                return stopped(HTTP_STOP_BODY, max_body, reason);
        if (code == CURLE_WRITE_ERROR)
                return stopped(stop, max_body, reason);
        if (by_circumstance(easy, code, text, reason, &failure))
                return failure;

        (void) snprintf(detail, sizeof detail, "%s", text);
        if (code == CURLE_PEER_FAILED_VERIFICATION)
                say_certificate(easy, text, detail, sizeof detail);
        for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
                const Meaning *m = &meanings[i];
                char host[160];

                if (m->code != code)
                        continue;
                failure = m->failure;
                host_of(easy, true, host, sizeof host);
                if (failure == HTTP_TLS && is_proxys_tls(easy)) {
                        failure = HTTP_CONNECT;
                        (void) snprintf(host, sizeof host, "the proxy");
                }
                (void) snprintf(what, sizeof what, "%s%s%s", m->what,
                                m->wording == WORD_HOST ? " " : "",
                                m->wording == WORD_HOST ? host : "");
                say(reason, what, m->wording == WORD_OWN ? "" : detail);
                return failure;
        }
        say(reason, "the request failed", curl_easy_strerror(code));
        return HTTP_LOCAL;
}
