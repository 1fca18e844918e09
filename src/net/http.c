/* SPDX-License-Identifier: Apache-2.0 */
/* One call: how it is set up, what comes of it, its end.  curl and the loop are http-loop.c's. */
#include "net/http.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/timespan.h"
#include "net/http-internal.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#else
#define PACKAGE_VERSION "dev"
#endif

#define HTTP_HEADERS_MAX (256u << 10)
#define HTTP_BODY_FIRST (16u << 10)  /* the first allocation; doubled as need be */
#define HTTP_BODY_BELIEVED (1 << 20) /* that many bytes are got at once if they are announced */
#define HTTP_RECEIVE_SIZE (128L << 10)
/* Seconds that an address is kept, for calls that start together.  Connections are kept, so names are
 * looked up seldom; but when one has moved, the next attempt must find where to. */
#define HTTP_NAME_AGE 1L

/* ---- one call ---- */

void http_call_detach(HttpCall *c) {
        c->late = sd_event_source_disable_unref(c->late);
        if (!c->http)
                return;
        (void) curl_multi_remove_handle(c->http->multi, c->easy);
        if (c->next)
                c->next->prev = c->prev;
        if (c->prev)
                c->prev->next = c->next;
        else
                c->http->calls = c->next;
        c->http = NULL;
}

void http_call_free(HttpCall *c) {
        http_call_detach(c);
        if (c->easy)
                curl_easy_cleanup(c->easy);
        for (struct curl_slist *h = c->headers; h; h = h->next)
                explicit_bzero(h->data, strlen(h->data));
        curl_slist_free_all(c->headers);
        if (c->body)
                explicit_bzero(c->body, c->body_len); /* it may have brought keys */
        free(c->body);
        free(c);
}
/* How much room to begin with: as much as was announced, which is not to be believed blindly. */
static size_t body_first(const HttpCall *c) {
        curl_off_t announced = -1;

        (void) curl_easy_getinfo(c->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
        return announced > 0 && announced < HTTP_BODY_BELIEVED ? (size_t) announced + 1
                                                               : HTTP_BODY_FIRST;
}

/* Room for need bytes and a NUL. */
static bool body_reserve(HttpCall *c, size_t need) {
        size_t size = c->body_size ? c->body_size : body_first(c);
        char *bigger;

        if (need < c->body_size)
                return true;
        while (size <= need)
                size *= 2;
        bigger = realloc(c->body, size);
        if (!bigger)
                return false;
        c->body = bigger;
        c->body_size = size;
        return true;
}

/* Returning less than was given ends the transfer with CURLE_WRITE_ERROR. */
static size_t on_body(char *data, size_t size, size_t n, void *userdata) {
        HttpCall *c = userdata;

        assert(size == 1); /* documented by libcurl */
        if (n > c->max_body - c->body_len) {
                c->stop = HTTP_STOP_BODY;
                return 0;
        }
        if (!body_reserve(c, c->body_len + n)) {
                c->stop = HTTP_STOP_MEMORY;
                return 0;
        }
        memcpy(c->body + c->body_len, data, n);
        c->body_len += n;
        c->body[c->body_len] = '\0';
        return n;
}

/* curl keeps the headers for http_header(); this bounds them, and sees whether their end came: curl
 * takes a head that was cut for whole.  An interim answer such as 100 has a head of its own. */
static size_t on_header(char *data, size_t size, size_t n, void *userdata) {
        HttpCall *c = userdata;
        long status = 0;

        assert(size == 1);
        if (n > 5 && memcmp(data, "HTTP/", 5) == 0)
                c->head_whole = false;
        else if (n > 0 && (*data == '\r' || *data == '\n'))
                c->head_whole = true;
        if (c->head_whole && c->status_suffices &&
            curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
            status >= 200)
                http_call_hasten(c);
        c->headers_len += n;
        if (c->headers_len > HTTP_HEADERS_MAX) {
                c->stop = HTTP_STOP_HEADERS;
                return 0;
        }
        return n;
}

char *http_take_body(const HttpResult *res) {
        return take_ptr(res->call->body);
}

const char *http_header(const HttpResult *res, const char *name) {
        struct curl_header *h = NULL;

        if (curl_easy_header(res->call->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
                return NULL;
        /* libcurl 7.88 leaves the line's end in an empty value */
        return *h->value == '\r' || *h->value == '\n' ? "" : h->value;
}

HttpResult http_call_result(HttpCall *c, CURLcode code, char reason[static HTTP_REASON_SIZE]) {
        HttpResult res = { .body = c->body ? c->body : "", .body_len = c->body_len, .call = c };
        long status = 0;

        (void) curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
        res.failure = http_failure(c->easy, code, c->stop, c->max_body, c->error, reason);
        if (c->status_suffices && c->head_whole && status >= 200)
                res.failure = HTTP_ANSWERED;
        if (res.failure == HTTP_ANSWERED && !c->head_whole) {
                res.failure = HTTP_BROKEN;
                (void) snprintf(reason, HTTP_REASON_SIZE, "the answer was cut in its headers");
        }
        if (res.failure == HTTP_ANSWERED)
                res.status = status;
        else
                res.reason = reason;
        return res;
}

/* ---- starting a call ---- */

/* Microseconds to curl's milliseconds, rounded up: 0 would be "no limit". */
static long milliseconds(uint64_t usec) {
        uint64_t ms = usec / USEC_PER_MSEC + (usec % USEC_PER_MSEC > 0);

        return ms == 0 ? 1 : ms > INT_MAX ? INT_MAX : (long) ms;
}

/* Whether text can stand in a header: a line break would begin another one. */
static bool fits_header(const char *text) {
        for (; *text; text++)
                if ((unsigned char) *text < 0x21 || (unsigned char) *text == 0x7f)
                        return false;
        return true;
}

/* curl reads at most 64 bytes up to the next colon. */
static bool fits_scope(const char *text) {
        size_t len = strlen(text);

        return len > 0 && len <= 64 && fits_header(text) && !strchr(text, ':');
}

static int add_header(HttpCall *c, const char *line, Error *err) {
        struct curl_slist *longer = curl_slist_append(c->headers, line);

        if (!longer)
                return error_set(err, -ENOMEM, "out of memory");
        c->headers = longer;
        return 0;
}

static int set_signing(HttpCall *c, const HttpSigning *s, Error *err) {
        static const char name[] = "X-Amz-Security-Token: ";
        char *header, scope[160];
        size_t size;
        int r;

        if (!fits_scope(s->region) || !fits_scope(s->service))
                return error_set(err, -EINVAL, "cannot sign for this region: check region");
        if (!fits_header(s->access_key_id))
                return error_set(err, -EINVAL, "access_key_id holds white space");
        if (s->session_token && !fits_header(s->session_token))
                return error_set(err, -EINVAL, "session_token holds white space");

        (void) snprintf(scope, sizeof scope, "aws:amz:%s:%s", s->region, s->service);
        /* not CURLOPT_USERPWD: it would cut at a colon */
        if (curl_easy_setopt(c->easy, CURLOPT_AWS_SIGV4, scope) != CURLE_OK ||
            curl_easy_setopt(c->easy, CURLOPT_USERNAME, s->access_key_id) != CURLE_OK ||
            curl_easy_setopt(c->easy, CURLOPT_PASSWORD, s->secret_access_key) != CURLE_OK)
                return error_set(err, -ENOMEM, "out of memory");

        if (!s->session_token || !*s->session_token)
                return 0;
        size = sizeof name + strlen(s->session_token);
        header = malloc(size);
        if (!header)
                return error_set(err, -ENOMEM, "out of memory");
        (void) snprintf(header, size, "%s%s", name, s->session_token);
        r = add_header(c, header, err);
        explicit_bzero(header, size);
        free(header);
        return r;
}

#define SET(option, value) (curl_easy_setopt(c->easy, CURLOPT_##option, (value)) == CURLE_OK)

static bool set_method(HttpCall *c, const HttpRequest *req) {
        const char *body = req->body ? req->body : "";

        if (req->method == HTTP_GET)
                return SET(HTTPGET, 1L);
        return SET(POST, 1L) && SET(POSTFIELDSIZE_LARGE, (curl_off_t) req->body_len) &&
               (req->body_stays ? SET(POSTFIELDS, body) : SET(COPYPOSTFIELDS, body)) &&
               (req->method == HTTP_POST || SET(CUSTOMREQUEST, "PUT"));
}

static bool set_request(HttpCall *c, const HttpRequest *req) {
        return set_method(c, req) && SET(URL, req->url) && SET(PATH_AS_IS, 1L) &&
               SET(PROTOCOLS_STR, "http,https") && SET(FOLLOWLOCATION, 0L) &&
               SET(HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1) && SET(ACCEPT_ENCODING, "gzip") &&
               SET(USERAGENT, "rosterd/" PACKAGE_VERSION) &&
               SET(NETRC, (long) CURL_NETRC_IGNORED) &&
               /* time */
               SET(CONNECTTIMEOUT_MS, milliseconds(req->connect_timeout)) &&
               SET(TIMEOUT_MS, milliseconds(req->timeout)) && SET(NOSIGNAL, 1L) &&
               SET(TCP_KEEPALIVE, 1L) && SET(DNS_CACHE_TIMEOUT, HTTP_NAME_AGE) &&
               /* a resolver thread that hangs is left to end by itself, never waited for */
               SET(QUICK_EXIT, 1L);
}

static bool set_trust(HttpCall *c, const HttpRequest *req) {
        if (!SET(SSL_VERIFYPEER, 1L) || !SET(SSL_VERIFYHOST, 2L) ||
            !SET(SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2))
                return false;
        /* in place of the system's certificates, not beside them; and else what the file has said up
         * to a day ago, which is good enough for the system's, that take long to be read */
        if (req->ca_file &&
            (!SET(CAINFO, req->ca_file) || !SET(CAPATH, NULL) || !SET(CA_CACHE_TIMEOUT, 0L)))
                return false;
        /* a proxy that was asked for is used, whatever the environment's no_proxy says */
        return !req->proxy || (SET(PROXY, req->proxy) && SET(NOPROXY, ""));
}

static bool set_answer(HttpCall *c) {
        return SET(PRIVATE, c) && SET(ERRORBUFFER, c->error) && SET(WRITEFUNCTION, on_body) &&
               SET(WRITEDATA, c) && SET(HEADERFUNCTION, on_header) && SET(HEADERDATA, c) &&
               SET(BUFFERSIZE, HTTP_RECEIVE_SIZE) &&
               (c->status_suffices || SET(MAXFILESIZE_LARGE, (curl_off_t) c->max_body));
}

static int set_headers(HttpCall *c, const HttpRequest *req, Error *err) {
        int r = 0;

        /* What curl adds to a body by itself: a type that is not ours to claim, and above 1 MiB a
         * wait of a second for a "100 Continue" that many servers never send.  Not in a signed
         * request, for curl would sign the header that it leaves out. */
        if (req->method != HTTP_GET && !req->signing)
                r = add_header(c, "Expect:", err);
        for (size_t i = 0; i < req->n_headers && r >= 0; i++)
                r = strpbrk(req->headers[i], "\r\n")
                            ? error_set(err, -EINVAL, "a header holds a line break")
                            : add_header(c, req->headers[i], err);
        if (r >= 0 && req->signing)
                r = set_signing(c, req->signing, err);
        if (r >= 0 && c->headers &&
            curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers) != CURLE_OK)
                r = error_set(err, -ENOMEM, "out of memory");
        return r;
}

int http_start(Http *h, const HttpRequest *req, HttpDone on_done, void *userdata, HttpCall **ret,
               Error *err) {
        CLEANUP(http_call_freep) HttpCall *c = NULL;
        int r;

        assert(on_done);
        assert(req->max_body > 0 && req->max_body < SIZE_MAX / 4);

        c = calloc(1, sizeof *c);
        if (!c)
                return error_set(err, -ENOMEM, "out of memory");
        c->on_done = on_done;
        c->userdata = userdata;
        c->max_body = req->max_body;
        c->status_suffices = req->status_suffices;
        c->easy = curl_easy_init();
        if (!c->easy || !set_request(c, req) || !set_trust(c, req) || !set_answer(c))
                return error_set(err, -ENOMEM, "cannot prepare a request: out of memory");
        r = set_headers(c, req, err);
        if (r < 0)
                return r;
        if (curl_multi_add_handle(h->multi, c->easy) != CURLM_OK)
                return error_set(err, -EIO, "cannot start a request");

        c->http = h;
        c->next = h->calls;
        if (c->next)
                c->next->prev = c;
        h->calls = c;
        if (ret)
                *ret = c;
        (void) take_ptr(c);
        return 0;
}

void http_cancel(HttpCall *call) {
        assert(call->http); /* else it has been handed to on_done */
        http_call_free(call);
}
