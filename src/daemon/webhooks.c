/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/webhooks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/timefmt.h"
#include "base/timespan.h"
#include "daemon/hook.h"
#include "daemon/log.h"
#include "daemon/retention.h"

/* How far webhooks have got is written down so long after the first has got on: a commit for each
 * event would cost more than to tell the last few again after a crash. */
#define SAVE_DELAY (100 * USEC_PER_MSEC)
#define SAVE_RETRY_MOST (60 * USEC_PER_SEC)
#define NAMED_MOST 4
#define NAME_MAX_BYTES 64 /* the configuration allows no longer one */

struct Webhooks {
        HookWorld world;
        Config *config; /* a reference */
        int64_t *keys;
        Hook **hooks; /* hooks[i] is of config->webhooks[i] */
        size_t n;
        sd_event_source *save, *finish;
        bool save_armed, save_overdue; /* overdue: when the transaction of the runs ends */
        unsigned save_failures;        /* in a row */
        WebhooksAtRest at_rest;        /* NULL: nobody waits */
        WebhooksChanged on_figures;
        void *userdata; /* of both */
};

/* ---- saving ---- */

static void arm_save(Webhooks *w, uint64_t delay) {
        if (w->save_armed)
                return;
        w->save_armed = true;
        (void) sd_event_source_set_time_relative(w->save, delay);
        (void) sd_event_source_set_enabled(w->save, SD_EVENT_ONESHOT);
}

static int save_all(Webhooks *w, Error *err) {
        int r = store_begin(w->world.store, err);

        for (size_t i = 0; i < w->n && r >= 0; i++)
                r = hook_save(w->hooks[i], err);
        if (r >= 0)
                r = store_commit(w->world.store, err);
        else
                store_rollback(w->world.store);
        for (size_t i = 0; i < w->n && r >= 0; i++)
                hook_saved(w->hooks[i]);
        return r;
}

static bool save_now(Webhooks *w) {
        Error err = { 0 };

        w->save_overdue = false;
        if (save_all(w, &err) >= 0) {
                if (w->save_failures > 0)
                        log_line(LOG_NOTICE, LOG_ID_STORE_RECOVERED, NULL,
                                 "how far webhooks have got can be written down again");
                w->save_failures = 0;
                w->on_figures(w->userdata);
                return true;
        }
        if (w->save_failures++ == 0)
                log_line(LOG_ERR, LOG_ID_STORE_FAILED, NULL,
                         "how far webhooks have got cannot be written down for now; after a crash "
                         "they would tell some events again: %s",
                         err.msg);
        arm_save(w, backoff_full_jitter(USEC_PER_SEC, SAVE_RETRY_MOST, w->save_failures));
        return false;
}

bool webhooks_save(Webhooks *w) {
        return !store_in_transaction(w->world.store) && save_now(w);
}

static int on_save(sd_event_source *source, uint64_t usec, void *userdata) {
        Webhooks *w = userdata;

        (void) source;
        (void) usec;
        w->save_armed = false;
        if (store_in_transaction(w->world.store)) /* of the runs: it may yet be undone */
                w->save_overdue = true;
        else
                (void) save_now(w);
        return 0;
}

static void on_changed(void *userdata) {
        arm_save(userdata, SAVE_DELAY);
}

/* ---- at rest ---- */

static int on_finish(sd_event_source *source, void *userdata) {
        Webhooks *w = userdata;
        WebhooksAtRest at_rest = w->at_rest;

        (void) source;
        for (size_t i = 0; i < w->n; i++)
                if (!hook_is_at_rest(w->hooks[i]))
                        return 0; /* it comes back by on_rest() */
        w->at_rest = NULL;
        if (at_rest)
                at_rest(w->userdata);
        return 0;
}

static void on_rest(void *userdata) {
        Webhooks *w = userdata;

        if (w->at_rest)
                (void) sd_event_source_set_enabled(w->finish, SD_EVENT_ONESHOT);
}

void webhooks_finish(Webhooks *w, WebhooksAtRest at_rest) {
        w->at_rest = at_rest;
        webhooks_poke(w);
        (void) sd_event_source_set_enabled(w->finish, SD_EVENT_ONESHOT);
}

/* The first few by name, the others as a number. */
static int name_waiting(const Webhooks *w, char *text, size_t size, size_t *ret_n, Error *err) {
        size_t at = 0;

        *ret_n = 0;
        for (size_t i = 0; i < w->n; i++) {
                int64_t left = 0;
                int r = store_events_pending(w->world.store, hook_state(w->hooks[i])->cursor, &left,
                                             err);

                if (r < 0)
                        return r;
                if (left == 0 || ++*ret_n > NAMED_MOST)
                        continue;
                at += (size_t) snprintf(text + at, size - at, "%s%s (%" PRId64 " %s)",
                                        at ? ", " : "", hook_name(w->hooks[i]), left,
                                        left == 1 ? "event" : "events");
        }
        if (*ret_n > NAMED_MOST)
                (void) snprintf(text + at, size - at, " and %zu more", *ret_n - NAMED_MOST);
        return 0;
}

bool webhooks_all_told(const Webhooks *w) {
        char waiting[NAMED_MOST * (NAME_MAX_BYTES + 40) + 40];
        Error err = { 0 };
        size_t n;

        if (name_waiting(w, waiting, sizeof waiting, &n, &err) < 0) {
                log_line(LOG_ERR, LOG_ID_STORE_FAILED, NULL,
                         "whether webhooks have been told everything is not known: %s", err.msg);
                return false;
        }
        if (n > 0)
                log_line(LOG_WARNING, LOG_ID_WEBHOOKS_WAIT, NULL,
                         "%s yet to take events: %s; the next run goes on with them",
                         n == 1 ? "a webhook has" : "webhooks have", waiting);
        return n == 0;
}

/* ---- setting up ---- */

int webhooks_new(sd_event *event, Http *http, Store *store, bool once, WebhooksChanged on_figures,
                 void *userdata, Webhooks **ret, Error *err) {
        CLEANUP(webhooks_freep) Webhooks *w = calloc(1, sizeof *w);
        int r;

        if (!w)
                return error_set(err, -ENOMEM, "out of memory");
        w->on_figures = on_figures;
        w->userdata = userdata;
        w->world = (HookWorld){ .event = event,
                                .http = http,
                                .store = store,
                                .once = once,
                                .on_changed = on_changed,
                                .on_rest = on_rest,
                                .userdata = w };
        r = sd_event_add_time_relative(event, &w->save, CLOCK_MONOTONIC, 0, 0, on_save, w);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->save, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(event, &w->finish, on_finish, w);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->finish, SD_EVENT_OFF);
        if (r < 0)
                return error_set(err, r, "cannot set up webhooks: %s", strerror(-r));
        (void) sd_event_source_set_exit_on_failure(w->save, true);
        (void) sd_event_source_set_exit_on_failure(w->finish, true);
        (void) sd_event_source_set_description(w->save, "webhooks-save");
        (void) sd_event_source_set_description(w->finish, "webhooks-finish");
        *ret = take_ptr(w);
        return 0;
}

void webhooks_free(Webhooks *w) {
        if (!w)
                return;
        for (size_t i = 0; i < w->n; i++)
                hook_free(w->hooks[i]);
        free(w->hooks);
        (void) sd_event_source_disable_unref(w->save);
        (void) sd_event_source_disable_unref(w->finish);
        config_unref(w->config);
        free(w->keys);
        free(w);
}

static Hook *find(const Webhooks *w, const char *name) {
        for (size_t i = 0; i < w->n; i++)
                if (strcmp(hook_name(w->hooks[i]), name) == 0)
                        return w->hooks[i];
        return NULL;
}

static int retire(const Webhooks *w, const char *sink, Error *err) {
        const char *name = sink + strlen(SINK_WEBHOOK);
        int64_t cursor = 0, left = 0;
        int r = store_cursor_open(w->world.store, sink, 0, &cursor, err);

        if (r >= 0)
                r = store_events_pending(w->world.store, cursor, &left, err);
        if (r >= 0)
                r = store_sink_retire(w->world.store, sink, time_now_ms(), err);
        if (r >= 0 && left > 0)
                log_webhook(LOG_WARNING, LOG_ID_WEBHOOK_REMOVED, name,
                            "webhook %s is configured no more: up to %" PRId64
                            " event%s from seq %" PRId64 " on will not be delivered to it, unless "
                            "its section comes back within %d days",
                            name, left, text_plural(left), cursor + 1, RETENTION_SINK_DAYS);
        return r;
}

/* Those of the store that config does not name; also those of an earlier life of the process. */
static void retire_others(Webhooks *w) {
        char **sinks = NULL;
        size_t n = 0;
        Error err = { 0 };
        int r = store_sinks_active(w->world.store, SINK_WEBHOOK, &sinks, &n, &err);

        for (size_t i = 0; i < n && r >= 0; i++)
                if (!find(w, sinks[i] + strlen(SINK_WEBHOOK)))
                        r = retire(w, sinks[i], &err);
        names_free(sinks, n);
        if (r < 0)
                log_line(LOG_WARNING, LOG_ID_STORE_FAILED, NULL,
                         "cursors of removed webhooks stay for now: %s", err.msg);
}

/* Fills fresh[i] for each webhook that is not known yet; their cursors are one transaction. */
static int open_new(Webhooks *w, const Config *config, Hook **fresh, Error *err) {
        bool minimal = config->personal_data == PERSONAL_DATA_MINIMAL;
        int r = store_begin(w->world.store, err);

        for (size_t i = 0; i < config->n_webhooks && r >= 0; i++)
                if (!find(w, config->webhooks[i].name))
                        r = hook_new(&w->world, &config->webhooks[i], minimal, &fresh[i], err);
        if (r >= 0)
                r = store_commit(w->world.store, err);
        else
                store_rollback(w->world.store);
        for (size_t i = 0; i < config->n_webhooks && r < 0; i++)
                hook_free(take_ptr(fresh[i]));
        return r;
}

/* The hooks of the new configuration, in its order; what is left in w->hooks is of no use to it. */
static void take_over(Webhooks *w, const Config *config, Hook **fresh) {
        bool minimal = config->personal_data == PERSONAL_DATA_MINIMAL;

        for (size_t k = 0; k < w->n; k++)
                for (size_t i = 0; i < config->n_webhooks; i++) {
                        if (strcmp(hook_name(w->hooks[k]), config->webhooks[i].name) != 0)
                                continue;
                        fresh[i] = take_ptr(w->hooks[k]);
                        hook_configure(fresh[i], &config->webhooks[i], minimal);
                        break;
                }
        for (size_t k = 0; k < w->n; k++)
                hook_free(w->hooks[k]);
        free(w->hooks);
}

int webhooks_apply(Webhooks *w, Config *config, const int64_t *keys, Error *err) {
        CLEANUP_FREE Hook **fresh = calloc(config->n_webhooks + 1, sizeof(Hook *));
        CLEANUP_FREE int64_t *copy = calloc(config->n_accounts + 1, sizeof *copy);
        int r;

        if (!fresh || !copy)
                return error_set(err, -ENOMEM, "out of memory");
        r = open_new(w, config, fresh, err);
        if (r < 0)
                return r;
        if (w->n > 0)
                (void) save_now(w);
        memcpy(copy, keys, config->n_accounts * sizeof *copy);
        free(w->keys);
        w->world.keys = w->keys = take_ptr(copy);
        w->world.config = config;
        take_over(w, config, fresh);
        w->hooks = take_ptr(fresh);
        w->n = config->n_webhooks;
        config_unref(w->config); /* the hooks borrowed from it until now */
        w->config = config_ref(config);
        retire_others(w);
        return 0;
}

void webhooks_poke(Webhooks *w) {
        if (w->save_overdue && !store_in_transaction(w->world.store))
                (void) save_now(w);
        for (size_t i = 0; i < w->n; i++)
                hook_committed(w->hooks[i]);
}

void webhooks_reread(Webhooks *w) {
        for (size_t i = 0; i < w->n; i++)
                hook_reread(w->hooks[i]);
}

int webhooks_replay(Webhooks *w, const char *name, int64_t seq, Error *err) {
        Hook *h = find(w, name);

        if (!h)
                return error_set(err, -ENOENT, "there is no [webhook %s]", name);
        return hook_replay(h, seq, err);
}

size_t webhooks_count(const Webhooks *w) {
        return w->n;
}

WebhookFigures webhooks_figures(const Webhooks *w, size_t i) {
        const Hook *h = w->hooks[i];

        return (WebhookFigures){ hook_name(h), hook_sink(h), hook_state(h), hook_is_stopped(h) };
}
