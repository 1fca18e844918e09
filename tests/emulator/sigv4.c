/* SPDX-License-Identifier: Apache-2.0 */
#include "sigv4.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REGION "us-east-1"
#define SERVICE "chime"
#define MAX_SKEW 300
#define MAX_SIGNED 64
#define MAX_PARAMS 64

void sha256(const void *data, size_t n, unsigned char ret[32]) {
        (void) EVP_Digest(data ? data : "", n, ret, NULL, EVP_sha256(), NULL);
}

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t n,
                 unsigned char ret[32]) {
        (void) HMAC(EVP_sha256(), key, (int) key_len, data, n, ret, NULL);
}

const char *header_get(const Header *headers, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (strcasecmp(headers[i].name, name) == 0)
                        return headers[i].value;
        return NULL;
}

__attribute__((format(printf, 3, 4))) static bool refuse(SigError *err, const char *exception,
                                                         const char *fmt, ...) {
        va_list ap;

        err->exception = exception;
        va_start(ap, fmt);
        (void) vsnprintf(err->message, sizeof err->message, fmt, ap);
        va_end(ap);
        return false;
}

/* The parts of the Authorization header, each NUL-terminated within `text`. */
typedef struct Authorization {
        char *text;
        char *access_key, *date, *region, *service, *terminator;
        char *signed_headers, *signature;
} Authorization;

static bool split_credential(Authorization *a, char *credential) {
        char **parts[] = { &a->terminator, &a->service, &a->region, &a->date };

        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
                char *slash = strrchr(credential, '/');

                if (!slash)
                        return false;
                *slash = '\0';
                *parts[i] = slash + 1;
        }
        a->access_key = credential;
        return *credential != '\0';
}

static bool parse_authorization(const char *header, Authorization *a, SigError *err) {
        static const char algorithm[] = "AWS4-HMAC-SHA256 ";
        char *credential = NULL, *save = NULL;

        if (strncmp(header, algorithm, strlen(algorithm)) != 0)
                return refuse(err, "IncompleteSignatureException",
                              "Unsupported AWS 'algorithm' in Authorization header.");
        a->text = xstrdup(header + strlen(algorithm));
        for (char *p = strtok_r(a->text, ", ", &save); p; p = strtok_r(NULL, ", ", &save)) {
                if (strncmp(p, "Credential=", 11) == 0)
                        credential = p + 11;
                else if (strncmp(p, "SignedHeaders=", 14) == 0)
                        a->signed_headers = p + 14;
                else if (strncmp(p, "Signature=", 10) == 0)
                        a->signature = p + 10;
        }
        if (!credential || !a->signed_headers || !a->signature)
                return refuse(err, "IncompleteSignatureException",
                              "Authorization header requires 'Credential', 'SignedHeaders' and "
                              "'Signature' parameters.");
        if (!split_credential(a, credential))
                return refuse(err, "IncompleteSignatureException",
                              "Credential must have exactly 5 slash-delimited elements.");
        return true;
}

/* "20260102T030405Z", or the Date header's RFC 1123 form. */
static bool request_time(const SignedRequest *r, char stamp[17], time_t *ret) {
        const char *text = header_get(r->headers, r->n_headers, "X-Amz-Date");
        struct tm tm = { 0 };
        const char *end;

        if (text)
                end = strptime(text, "%Y%m%dT%H%M%SZ", &tm);
        else {
                text = header_get(r->headers, r->n_headers, "Date");
                end = text ? strptime(text, "%a, %d %b %Y %H:%M:%S ", &tm) : NULL;
                if (end && (strcmp(end, "GMT") == 0 || strcmp(end, "-0000") == 0))
                        end = "";
        }
        if (!end || *end)
                return false;
        *ret = timegm(&tm);
        return strftime(stamp, 17, "%Y%m%dT%H%M%SZ", &tm) == 16;
}

static void stamp_of(time_t t, char stamp[17]) {
        struct tm tm;

        (void) gmtime_r(&t, &tm);
        (void) strftime(stamp, 17, "%Y%m%dT%H%M%SZ", &tm);
}

static bool check_time(time_t when, const char *stamp, time_t now, SigError *err) {
        char now_text[17], limit[17];

        stamp_of(now, now_text);
        if (when < now - MAX_SKEW) {
                stamp_of(now - MAX_SKEW, limit);
                return refuse(err, "InvalidSignatureException",
                              "Signature expired: %s is now earlier than %s (%s - 5 min.)", stamp,
                              limit, now_text);
        }
        if (when > now + MAX_SKEW) {
                stamp_of(now + MAX_SKEW, limit);
                return refuse(err, "InvalidSignatureException",
                              "Signature not yet current: %s is still later than %s (%s + 5 min.)",
                              stamp, limit, now_text);
        }
        return true;
}

/* Dot segments removed, repeated slashes merged, then encoded once more: all services but S3. */
static void add_canonical_path(Buf *out, const char *path) {
        Buf clean = { 0 };
        const char *p = path;

        while (*p) {
                size_t n;

                p += strspn(p, "/");
                n = strcspn(p, "/");
                if (n == 2 && p[0] == '.' && p[1] == '.') {
                        while (clean.len > 0 && clean.data[--clean.len] != '/')
                                ;
                } else if (n > 0 && !(n == 1 && *p == '.')) {
                        buf_putc(&clean, '/');
                        buf_add(&clean, p, n);
                }
                p += n;
        }
        if (clean.len == 0 || (path[0] && path[strlen(path) - 1] == '/'))
                buf_putc(&clean, '/');
        buf_add_encoded(out, clean.data, clean.len, "/");
        buf_free(&clean);
}

static int compare_strings(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Decodes every parameter and encodes it anew.  0x01 stands between name and value while sorting,
 * for it is less than any character that may occur there. */
static bool add_canonical_query(Buf *out, const char *query) {
        char *params[MAX_PARAMS];
        size_t n = 0;
        bool ok = true;

        for (const char *p = query; ok && *p;) {
                size_t len = strcspn(p, "&"), name_len = strcspn(p, "=&");
                Buf plain = { 0 }, coded = { 0 };

                ok = n < MAX_PARAMS && percent_decode(p, name_len, true, &plain);
                if (ok) {
                        buf_add_encoded(&coded, plain.data, plain.len, "");
                        buf_putc(&coded, '\1');
                        plain.len = 0;
                        if (name_len < len)
                                ok = percent_decode(p + name_len + 1, len - name_len - 1, true,
                                                    &plain);
                        buf_add_encoded(&coded, plain.data, plain.len, "");
                        if (len > 0)
                                params[n++] = buf_steal(&coded);
                }
                buf_free(&plain);
                buf_free(&coded);
                p += len + (p[len] == '&');
        }
        qsort(params, n, sizeof *params, compare_strings);
        for (size_t i = 0; i < n; i++) {
                *strchr(params[i], '\1') = '=';
                buf_puts(out, i > 0 ? "&" : "");
                buf_puts(out, params[i]);
                free(params[i]);
        }
        return ok;
}

static void add_trimmed(Buf *out, const char *value) {
        bool gap = false, any = false;

        for (; *value; value++) {
                if (*value == ' ' || *value == '\t') {
                        gap = true;
                        continue;
                }
                if (gap && any)
                        buf_putc(out, ' ');
                buf_putc(out, *value);
                gap = false;
                any = true;
        }
}

static void add_canonical_header(Buf *out, const SignedRequest *r, const char *name) {
        bool first = true;

        buf_puts(out, name);
        buf_putc(out, ':');
        for (size_t i = 0; i < r->n_headers; i++) {
                if (strcasecmp(r->headers[i].name, name) != 0)
                        continue;
                if (!first)
                        buf_putc(out, ',');
                add_trimmed(out, r->headers[i].value);
                first = false;
        }
        buf_putc(out, '\n');
}

static bool list_has(const char *list, const char *name) {
        size_t n = strlen(name);

        for (const char *p = list; *p;) {
                size_t len = strcspn(p, ";");

                if (len == n && strncasecmp(p, name, n) == 0)
                        return true;
                p += len + (p[len] == ';');
        }
        return false;
}

/* Host and everything that begins with X-Amz- must be signed. */
static bool check_signed_headers(const SignedRequest *r, const char *list, SigError *err) {
        if (!list_has(list, "host"))
                return refuse(err, "InvalidSignatureException",
                              "'Host' must be a 'SignedHeader' in the AWS Authorization.");
        for (size_t i = 0; i < r->n_headers; i++)
                if (strncasecmp(r->headers[i].name, "x-amz-", 6) == 0 &&
                    !list_has(list, r->headers[i].name))
                        return refuse(err, "InvalidSignatureException",
                                      "'%s' must be a 'SignedHeader' in the AWS Authorization.",
                                      r->headers[i].name);
        return true;
}

static bool add_payload_hash(Buf *out, const SignedRequest *r, SigError *err) {
        const char *given = header_get(r->headers, r->n_headers, "X-Amz-Content-SHA256");
        unsigned char digest[32];
        Buf hex = { 0 };
        bool ok = true;

        sha256(r->body, r->body_len, digest);
        buf_add_hex(&hex, digest, sizeof digest);
        if (given && strcmp(given, "UNSIGNED-PAYLOAD") != 0 && strcmp(given, hex.data) != 0)
                ok = refuse(err, "InvalidSignatureException",
                            "The provided 'x-amz-content-sha256' header does not match what was "
                            "computed.");
        buf_puts(out, given ? given : hex.data);
        buf_free(&hex);
        return ok;
}

static bool add_canonical_request(Buf *out, const SignedRequest *r, const char *signed_headers,
                                  SigError *err) {
        char *list = xstrdup(signed_headers), *save = NULL;

        buf_printf(out, "%s\n", r->method);
        add_canonical_path(out, r->path);
        buf_putc(out, '\n');
        if (!add_canonical_query(out, r->query)) {
                free(list);
                return refuse(err, "InvalidSignatureException", "Malformed query string.");
        }
        buf_putc(out, '\n');
        for (char *p = strtok_r(list, ";", &save); p; p = strtok_r(NULL, ";", &save))
                add_canonical_header(out, r, p);
        free(list);
        buf_printf(out, "\n%s\n", signed_headers);
        return add_payload_hash(out, r, err);
}

static void compute_signature(const Authorization *a, const char *secret, const char *stamp,
                              const Buf *canonical, Buf *hex) {
        const char *const steps[] = { a->date, a->region, a->service, "aws4_request" };
        unsigned char key[32], digest[32];
        Buf text = { 0 };

        buf_printf(&text, "AWS4%s", secret);
        hmac_sha256(text.data, text.len, steps[0], strlen(steps[0]), key);
        for (size_t i = 1; i < sizeof steps / sizeof *steps; i++) {
                hmac_sha256(key, sizeof key, steps[i], strlen(steps[i]), digest);
                memcpy(key, digest, sizeof key);
        }
        text.len = 0;
        buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n", stamp, a->date,
                   a->region, a->service);
        sha256(canonical->data, canonical->len, digest);
        buf_add_hex(&text, digest, sizeof digest);
        hmac_sha256(key, sizeof key, text.data, text.len, digest);
        buf_add_hex(hex, digest, sizeof digest);
        buf_free(&text);
}

static bool check_scope(const Authorization *a, const char *stamp, SigError *err) {
        if (strcmp(a->region, REGION) != 0)
                return refuse(err, "InvalidSignatureException",
                              "Credential should be scoped to a valid region, not '%s'.",
                              a->region);
        if (strcmp(a->service, SERVICE) != 0)
                return refuse(err, "InvalidSignatureException",
                              "Credential should be scoped to correct service: '%s'.", SERVICE);
        if (strcmp(a->terminator, "aws4_request") != 0)
                return refuse(err, "InvalidSignatureException",
                              "Credential should be scoped with a valid terminator: "
                              "'aws4_request', not '%s'.",
                              a->terminator);
        if (strlen(a->date) != 8 || strncmp(a->date, stamp, 8) != 0)
                return refuse(err, "InvalidSignatureException",
                              "Date in Credential scope does not match YYYYMMDD from ISO-8601 "
                              "version of date from HTTP: '%s' != '%.8s'.",
                              a->date, stamp);
        return true;
}

static const Credential *find_credential(const SignedRequest *r, const Authorization *a,
                                         const Credential *c, size_t n, SigError *err) {
        const char *token = header_get(r->headers, r->n_headers, "X-Amz-Security-Token");

        for (size_t i = 0; i < n; i++) {
                if (strcmp(c[i].access_key, a->access_key) != 0)
                        continue;
                if (token && *c[i].old_token && strcmp(token, c[i].old_token) == 0) {
                        (void) refuse(err, "ExpiredTokenException",
                                      "The security token included in the request is expired");
                        return NULL;
                }
                if (strcmp(token ? token : "", c[i].session_token) == 0)
                        return &c[i];
        }
        (void) refuse(err, "UnrecognizedClientException",
                      "The security token included in the request is invalid.");
        return NULL;
}

static bool check_parsed(const SignedRequest *r, const Authorization *a, const Credential *all,
                         size_t n, time_t now, SigError *err) {
        const Credential *credential;
        Buf canonical = { 0 }, expected = { 0 };
        char stamp[17];
        time_t when;
        bool ok;

        if (!request_time(r, stamp, &when))
                return refuse(err, "IncompleteSignatureException",
                              "Authorization header requires existence of either a 'X-Amz-Date' or "
                              "a 'Date' header.");
        credential = find_credential(r, a, all, n, err);
        if (!credential || !check_scope(a, stamp, err) || !check_time(when, stamp, now, err) ||
            !check_signed_headers(r, a->signed_headers, err))
                return false;
        ok = add_canonical_request(&canonical, r, a->signed_headers, err);
        if (ok) {
                compute_signature(a, credential->secret_key, stamp, &canonical, &expected);
                ok = strcmp(expected.data, a->signature) == 0 ||
                     refuse(err, "InvalidSignatureException",
                            "The request signature we calculated does not match the signature you "
                            "provided. Check your AWS Secret Access Key and signing method. "
                            "Consult the service documentation for details.");
        }
        buf_free(&canonical);
        buf_free(&expected);
        return ok;
}

bool sigv4_check(const SignedRequest *r, const Credential *credentials, size_t n_credentials,
                 time_t now, SigError *err) {
        const char *header = header_get(r->headers, r->n_headers, "Authorization");
        Authorization a = { 0 };
        bool ok;

        if (!header)
                return refuse(err, "MissingAuthenticationTokenException",
                              "Missing Authentication Token");
        ok = parse_authorization(header, &a, err);
        assert(!ok || (a.signed_headers && a.access_key && a.date && a.region && a.service &&
                       a.terminator));
        ok = ok && check_parsed(r, &a, credentials, n_credentials, now, err);
        free(a.text);
        return ok;
}
