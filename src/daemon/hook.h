/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "conf/config.h"
#include "net/http.h"
#include "store/store.h"

/* One webhook: in the order of the log, at least once, one request in flight (doc/webhooks.md). */
typedef struct Hook Hook;

/* What all webhooks share.  Callbacks run from the event loop or from within calls here. */
typedef struct HookWorld {
        sd_event *event;
        Http *http;
        Store *store;
        const Config *config;               /* the one in use */
        const int64_t *keys;                /* of its accounts */
        bool once;                          /* it is told once what is due */
        void (*on_changed)(void *userdata); /* a hook has something to save */
        void (*on_rest)(void *userdata);    /* a hook has nothing more to do for now */
        void *userdata;
} HookWorld;

/* A hook for config; its state is read from the store, or begins there, and its first attempt is due
 * when the state says. */
int hook_new(const HookWorld *world, const WebhookConfig *config, bool minimal, Hook **ret,
             Error *err);
/* What is not saved is lost. */
void hook_free(Hook *h);
DEFINE_CLEANUP(Hook *, hook_free)

/* Another version of its section, or the same one moved; what waits or was stopped tries at once. */
void hook_configure(Hook *h, const WebhookConfig *config, bool minimal);

/* There may be something to do. */
void hook_poke(Hook *h);

/* A transaction has ended: likewise; and what waits for that is done before the next one begins. */
void hook_committed(Hook *h);

/* Events were deleted: what was read, but is in no request under way, is read anew. */
void hook_reread(Hook *h);

const char *hook_name(const Hook *h); /* of the webhook */
const char *hook_sink(const Hook *h); /* of its cursor in the store */
const SinkState *hook_state(const Hook *h);
bool hook_is_stopped(const Hook *h);
bool hook_is_at_rest(const Hook *h);

/* Writes the state to the store, if it has changed since it was saved; that it is, the hook knows
 * once it is told that the transaction is committed. */
int hook_save(Hook *h, Error *err);
void hook_saved(Hook *h);

/* Moves the cursor back, so that seq is the next event told.  -ERANGE: it was not told yet. */
int hook_replay(Hook *h, int64_t seq, Error *err);
