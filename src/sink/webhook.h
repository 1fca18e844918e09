/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "conf/config.h"
#include "model/event.h"
#include "net/http.h"

/* One request to a webhook and what its answer means (doc/webhooks.md, "Delivery"). */

#define WEBHOOK_ID_SIZE 48 /* of `webhook-id`, with its NUL */

typedef struct WebhookRequest {
        const char *id; /* `webhook-id`: the same for a request that is repeated */
        const char *content_type;
        const char *body; /* valid until the call has ended */
        size_t len;
} WebhookRequest;

/* Starts a POST, signed if the webhook has secrets; now is wall clock, ms.  All but the body is copied.
 * on_done and *ret as for http_start(). */
int webhook_post(Http *http, const WebhookConfig *config, const WebhookRequest *req, int64_t now,
                 HttpDone on_done, void *userdata, HttpCall **ret, Error *err);

typedef enum WebhookVerdict {
        WEBHOOK_TAKEN,   /* 2xx */
        WEBHOOK_RETRY,   /* 408, 425, 429, 5xx, a redirect, or no answer at all: later again */
        WEBHOOK_REFUSED, /* any other 4xx: never again */
        WEBHOOK_GONE,    /* 410: nothing more until somebody has looked at the configuration */
} WebhookVerdict;

typedef struct WebhookAnswer {
        WebhookVerdict verdict;
        uint64_t
                retry_after; /* microseconds that the receiver asked for, at most an hour; 0: none */
        char reason[256];    /* a clause for people unless WEBHOOK_TAKEN; clean, no secret */
} WebhookAnswer;

/* Valid during on_done.  What the receiver says is quoted, cut and cleaned, unless it repeats a
 * secret of the configuration. */
void webhook_judge(const WebhookConfig *config, const HttpResult *res, int64_t now,
                   WebhookAnswer *ret);

/* Microseconds until the next attempt after so many failed ones in a row (>= 1): 1 s doubling to
 * 10 min, of which up to half is taken off at random; but not sooner than the receiver asked for. */
uint64_t webhook_backoff(int64_t failures, uint64_t retry_after);

/* The event kinds that the globs of `events` name. */
EventMask webhook_event_mask(const WebhookConfig *config);

/* "https://hooks.example.com": what may be shown of a URL, for the rest is a secret.  Returns out. */
char *webhook_host(const char *url, char *out, size_t size);

/* Makes the id of a request from the events that it tells: that of the only one, else "batch_" and a
 * hash of all, so that the same events always have the same id and others never.  All zero is none
 * yet. */
typedef struct WebhookIdMaker {
        struct evp_md_ctx_st *hash;
        size_t n;
        char first[EVENT_ID_SIZE];
} WebhookIdMaker;

/* -ENOMEM: nothing was added. */
int webhook_id_add(WebhookIdMaker *m, const Event *e);
/* Writes the id of what was added (at least one event), which may go on. */
int webhook_id_write(const WebhookIdMaker *m, char out[static WEBHOOK_ID_SIZE]);
void webhook_id_clear(WebhookIdMaker *m);
