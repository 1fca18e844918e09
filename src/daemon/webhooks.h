/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "conf/config.h"
#include "net/http.h"
#include "store/store.h"

/* All webhooks: each reads the event log from its own cursor and has one request in flight at a
 * time (daemon/hook.h).  A failing or slow one delays neither another nor a sync. */
typedef struct Webhooks Webhooks;

/* Run from the event loop, or from within webhooks_poke(). */
typedef void (*WebhooksAtRest)(void *userdata);
typedef void (*WebhooksChanged)(void *userdata); /* figures may have changed */

/* once: the process ends when what is due was tried. */
int webhooks_new(sd_event *event, Http *http, Store *store, bool once, WebhooksChanged on_changed,
                 void *userdata, Webhooks **ret, Error *err);
/* Requests in flight are given up; their events are sent again at the next start. */
void webhooks_free(Webhooks *w);
DEFINE_CLEANUP(Webhooks *, webhooks_free)

/* Writes down how far each has got, as happens by itself a moment after it got on.  Returns whether
 * that worked; if not, it was said, and is tried again. */
bool webhooks_save(Webhooks *w);

/* Takes a configuration into use, the first or a new one; keys[i] is the store's key of
 * config->accounts[i].  Known webhooks go on from where they are, at once, also those that were
 * waiting or stopped; new ones begin where their replay_from says; the cursor of one that is gone is
 * kept for 30 days.  On failure nothing has changed. */
int webhooks_apply(Webhooks *w, Config *config, const int64_t *keys, Error *err);

/* There may be new events, or a transaction has ended. */
void webhooks_poke(Webhooks *w);

/* Events were deleted: what was read of them is not told, unless it is under way. */
void webhooks_reread(Webhooks *w);

/* Calls at_rest once no webhook has anything that it could send now: all is delivered, given up, or
 * waits for its next attempt. */
void webhooks_finish(Webhooks *w, WebhooksAtRest at_rest);

/* Whether every webhook has finished with all events that there are; if not, it is said in one line
 * which have not, and how many events wait for each. */
bool webhooks_all_told(const Webhooks *w);

/* Goes back so that seq is the next event told; its dead letters from there on are forgotten.
 * -ENOENT: there is no such webhook. */
int webhooks_replay(Webhooks *w, const char *name, int64_t seq, Error *err);

/* For metrics and status; borrowed until the loop goes on. */
typedef struct WebhookFigures {
        const char *name, *sink; /* its own, and its cursor's */
        const SinkState *state;
        bool stopped; /* by a 410 */
} WebhookFigures;
size_t webhooks_count(const Webhooks *w);
WebhookFigures webhooks_figures(const Webhooks *w, size_t i);
