/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/webhook.h"

#include <assert.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/timespan.h"
#include "sink/signature.h"

#define ANSWER_MAX 4096 /* bytes of the answer's body that are looked at */
#define CONNECT_MOST (10 * USEC_PER_SEC)
#define BACKOFF_FIRST USEC_PER_SEC
#define BACKOFF_MOST (10 * USEC_PER_MINUTE)
#define SECRET_PART 6 /* letters; fewer may be an accident, and say little */
#define OWN_HEADERS 4
#define HEADERS_MAX (OWN_HEADERS + 32) /* 32: the most that the configuration takes */

/* ---- the request ---- */

int webhook_post(Http *http, const WebhookConfig *config, const WebhookRequest *req, int64_t now,
                 HttpDone on_done, void *userdata, HttpCall **ret, Error *err) {
        char type[96], id[WEBHOOK_ID_SIZE + 16], timestamp[48], signature_line[512];
        const char *headers[HEADERS_MAX] = { type, id, timestamp };
        CLEANUP_FREE char *signature = NULL;
        size_t n = 3;

        (void) snprintf(type, sizeof type, "Content-Type: %s", req->content_type);
        (void) snprintf(id, sizeof id, "webhook-id: %s", req->id);
        (void) snprintf(timestamp, sizeof timestamp, "webhook-timestamp: %" PRId64, now / 1000);
        if (config->secrets.count > 0) {
                int r = signature_make(&config->secrets, req->id, now / 1000, req->body, req->len,
                                       &signature, err);

                if (r < 0)
                        return r;
                (void) snprintf(signature_line, sizeof signature_line, "webhook-signature: %s",
                                signature);
                headers[n++] = signature_line;
        }
        for (size_t i = 0; i < config->headers.count && n < HEADERS_MAX; i++)
                headers[n++] = config->headers.items[i];

        return http_start(http,
                          &(HttpRequest){
                                  .method = HTTP_POST,
                                  .url = config->url,
                                  .headers = headers,
                                  .n_headers = n,
                                  .body = req->body,
                                  .body_len = req->len,
                                  .body_stays = true,
                                  .ca_file = config->ca_file,
                                  .proxy = config->proxy,
                                  .connect_timeout = config->timeout < CONNECT_MOST
                                                             ? config->timeout
                                                             : CONNECT_MOST,
                                  .timeout = config->timeout,
                                  .max_body = ANSWER_MAX,
                                  .status_suffices = true,
                          },
                          on_done, userdata, ret, err);
}

/* ---- its id ---- */

void webhook_id_clear(WebhookIdMaker *m) {
        EVP_MD_CTX_free(m->hash);
        *m = (WebhookIdMaker){ 0 };
}

int webhook_id_add(WebhookIdMaker *m, const Event *e) {
        if (!m->hash) {
                m->hash = EVP_MD_CTX_new();
                if (!m->hash || EVP_DigestInit_ex(m->hash, EVP_sha256(), NULL) != 1) {
                        webhook_id_clear(m);
                        return -ENOMEM;
                }
        }
        if (EVP_DigestUpdate(m->hash, e->id, strlen(e->id) + 1) != 1)
                return -ENOMEM;
        if (m->n++ == 0)
                (void) snprintf(m->first, sizeof m->first, "%s", e->id);
        return 0;
}

static void write_hex(const unsigned char *bytes, size_t n, char *out) {
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < n; i++) {
                *out++ = digits[bytes[i] >> 4];
                *out++ = digits[bytes[i] & 15];
        }
        *out = '\0';
}

int webhook_id_write(const WebhookIdMaker *m, char out[static WEBHOOK_ID_SIZE]) {
        unsigned char hash[EVP_MAX_MD_SIZE];
        EVP_MD_CTX *copy;
        int at, ok;

        assert(m->n > 0);
        if (m->n == 1) {
                (void) snprintf(out, WEBHOOK_ID_SIZE, "%s", m->first);
                return 0;
        }
        copy = EVP_MD_CTX_new();
        ok = copy && EVP_MD_CTX_copy_ex(copy, m->hash) == 1 &&
             EVP_DigestFinal_ex(copy, hash, NULL) == 1;
        EVP_MD_CTX_free(copy);
        if (!ok)
                return -ENOMEM;
        at = snprintf(out, WEBHOOK_ID_SIZE, "batch_");
        write_hex(hash, 16, out + at);
        return 0;
}

/* ---- the answer ---- */

static WebhookVerdict verdict_of(long status) {
        if (status >= 200 && status < 300)
                return WEBHOOK_TAKEN;
        if (status == 410)
                return WEBHOOK_GONE;
        if (status == 408 || status == 425 || status == 429)
                return WEBHOOK_RETRY;
        return status >= 400 && status < 500 ? WEBHOOK_REFUSED : WEBHOOK_RETRY;
}

/* Whether text holds so many letters in a row of one of the words of secret (what stands between
 * separators): a service may cut short what it quotes.  To be wrong costs a quotation. */
static bool holds_a_part(const char *text, size_t len, const char *secret) {
        static const char separators[] = "/?&=:;,% \t";

        for (const char *p = secret; *(p += strspn(p, separators));) {
                const char *end = p + strcspn(p, separators);

                for (; end - p >= SECRET_PART; p++)
                        if (memmem(text, len, p, SECRET_PART))
                                return true;
                p = end;
        }
        return false;
}

/* Whether what came repeats a part of the URL's path or of a header's value: services like to quote
 * what they do not know, and both may be secrets.  */
static bool tells_a_secret(const WebhookConfig *config, const char *text, size_t len) {
        const char *host = strstr(config->url, "://"),
                   *path = host ? strpbrk(host + 3, "/?") : NULL;

        if (path && holds_a_part(text, len, path))
                return true;
        for (size_t i = 0; i < config->headers.count; i++)
                if (holds_a_part(text, len, strchr(config->headers.items[i], ':')))
                        return true;
        return config->routing_key && holds_a_part(text, len, config->routing_key);
}

/* Its new place's host; nothing that may be a secret. */
static const char *redirected_to(const WebhookConfig *config, const char *location, char *out,
                                 size_t size) {
        if (*location == '/')
                return "another path";
        (void) webhook_host(location, out, size);
        return tells_a_secret(config, out, strlen(out)) ? "another place" : out;
}

/* "answered 503: try later"; of a redirect, where to. */
static void say_answer(const WebhookConfig *config, const HttpResult *res, char *out, size_t size) {
        const char *location = http_header(res, "Location");
        char quoted[160], host[128];

        if (res->status >= 300 && res->status < 400 && location && *location)
                (void) snprintf(out, size,
                                "answered %ld, a redirect to %s, which is not followed: if it has "
                                "moved for good, put its new address into url",
                                res->status, redirected_to(config, location, host, sizeof host));
        else if (res->body_len > 0 && !tells_a_secret(config, res->body, res->body_len))
                (void) snprintf(out, size, "answered %ld: %s", res->status,
                                text_clean(quoted, sizeof quoted, res->body, res->body_len));
        else
                (void) snprintf(out, size, "answered %ld", res->status);
}

void webhook_judge(const WebhookConfig *config, const HttpResult *res, int64_t now,
                   WebhookAnswer *ret) {
        *ret = (WebhookAnswer){ .verdict = WEBHOOK_RETRY };
        if (res->failure != HTTP_ANSWERED) {
                (void) snprintf(ret->reason, sizeof ret->reason, "%s", res->reason);
                return;
        }
        ret->verdict = verdict_of(res->status);
        if (ret->verdict == WEBHOOK_TAKEN)
                return;
        if (ret->verdict == WEBHOOK_RETRY)
                ret->retry_after = http_retry_after(res, now);
        say_answer(config, res, ret->reason, sizeof ret->reason);
}

uint64_t webhook_backoff(int64_t failures, uint64_t retry_after) {
        uint64_t delay = BACKOFF_FIRST;

        while (--failures > 0 && delay < BACKOFF_MOST)
                delay *= 2;
        if (delay > BACKOFF_MOST)
                delay = BACKOFF_MOST;
        if (retry_after >= delay)
                return retry_after + random_below(retry_after / 10 + 1);
        delay -= random_below(delay / 2);
        return delay > retry_after ? delay : retry_after;
}

/* ---- what the configuration says ---- */

EventMask webhook_event_mask(const WebhookConfig *config) {
        EventMask mask = 0;

        for (unsigned kind = 0; kind < EVENT_KIND_COUNT; kind++)
                for (size_t i = 0; i < config->events.count; i++)
                        if (fnmatch(config->events.items[i], event_types[kind].name, 0) == 0)
                                mask |= EVENT_BIT(kind);
        return mask;
}

char *webhook_host(const char *url, char *out, size_t size) {
        const char *host = strstr(url, "://"), *at;
        char text[320];
        size_t len;

        if (!host)
                return text_clean(out, size, "(no URL)", 8);
        host += 3;
        len = strcspn(host, "/?#\\");
        at = memrchr(host, '@', len);
        if (at) { /* a redirect may name a user */
                len -= (size_t) (at + 1 - host);
                host = at + 1;
        }
        (void) snprintf(text, sizeof text, "%.*s://%.*s", (int) strcspn(url, ":"), url, (int) len,
                        host);
        return text_clean(out, size, text, strlen(text));
}
