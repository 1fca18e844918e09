/* SPDX-License-Identifier: Apache-2.0 */
/* One run from its start to its end; its requests are in sync-pages.c.  Every way through it ends in
 * finish(), which records the outcome and calls on_done, or in sync_interrupt(). */
#include "daemon/sync.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/timefmt.h"
#include "base/timespan.h"
#include "daemon/sync-internal.h"

#define UNCONFIRMED_MOST 63 /* runs */

SyncProgress sync_progress(const Sync *s) {
        return (SyncProgress){ s->run, s->expected, clock_usec(CLOCK_BOOTTIME) - s->started_mono,
                               s->counters };
}

void sync_accept_removals(Sync *s, int64_t held) {
        s->state.removals_accepted = held;
}

void sync_free(Sync *s) {
        if (!s)
                return;
        if (s->call)
                http_cancel(s->call);
        if (s->asked)
                credentials_cancel(s->asked);
        aws_keys_clear(&s->keys);
        (void) sd_event_source_disable_unref(s->timer);
        portion_disarm(&s->step);
        sync_drop_pages(s);
        sync_drop_deferred(s);
        known_clear(&s->known);
        account_state_clear(&s->state);
        idset_clear(&s->tokens);
        idset_clear(&s->seen);
        idset_clear(&s->contested);
        idset_clear(&s->brought);
        free(s->gone.rows);
        free(s->continuation);
        free(s->scope);
        config_unref(s->config);
        free(s);
}

/* The outcome is told in a later turn, so that no caller is surprised by its own run's end. */
void sync_fail(Sync *s, const Error *why) {
        if (s->finished)
                return;
        s->finished = true;
        s->waits = false;
        s->result.outcome = RUN_FAILED;
        s->result.error.code = why->code;
        /* it may be cut within a character, and goes into columns and events */
        (void) text_clean(s->result.error.msg, sizeof s->result.error.msg, why->msg,
                          strlen(why->msg));
        if (s->call)
                http_cancel(take_ptr(s->call));
        if (s->asked)
                credentials_cancel(take_ptr(s->asked));
        (void) sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        portion_arm(&s->step);
}

/* With a write that failed goes the transaction that all runs share, and batch_lose() comes back to
 * this run, too, by sync_lost(). */
void sync_fail_store(Sync *s, const Error *why) {
        batch_lose(s->world->batch, why);
        assert(s->finished);
}

void sync_lost(Sync *s, const Error *why) {
        s->result.store_failed = true;
        sync_fail(s, why);
}

bool sync_waits(const Sync *s) {
        return s->waits || s->recorded;
}

/* ---- the end ---- */

/* Records a failure, as far as the database takes it, and tells the schedule. */
static void finish(Sync *s, const Error *why) {
        Error err = { 0 };

        if (why && sync_record_failure(s, why, &err) < 0) {
                /* What could not be recorded stays as it was: the next run, or the next start,
                 * closes this one. */
                s->result.store_failed = true;
                s->result.next_run = sync_next_delay(s->account->interval, 0, 1);
                batch_lose(s->world->batch, &err); /* others may have written, too */
        }
        s->result.counters = s->counters;
        s->result.skipped = s->skipped;
        if (s->skipped && s->skipped != s->memory->skipped)
                s->result.skipped_why = s->skipped_why;
        s->memory->skipped = s->skipped;
        s->on_done(s, &s->result, s->userdata);
}

/* A service whose records come with other bytes each time would have every user written at each run:
 * marks that are not found again are renewed ever less often. */
static void remember_use(Sync *s) {
        SyncMemory *m = s->memory;

        if (!s->confirms)
                m->unconfirmed--;
        else if (s->confirmed <= s->recognised)
                m->unconfirmed_next = 0;
        else {
                m->unconfirmed_next = m->unconfirmed_next < UNCONFIRMED_MOST
                                              ? m->unconfirmed_next * 2 + 1
                                              : UNCONFIRMED_MOST;
                m->unconfirmed = m->unconfirmed_next;
        }
}

static void complete(Sync *s) {
        Error err = { 0 };

        if (s->finished)
                return;
        if (sync_record_complete(s, &err) < 0) {
                sync_fail_store(s, &err);
                return;
        }
        s->recorded = true;
        s->on_waits(s->userdata); /* the next run, whose beginning is committed along with this */
        (void) batch_flush(s->world->batch, NULL);
        if (s->finished) /* it was lost */
                return;
        s->finished = true;
        s->result.outcome = RUN_COMPLETE;
        s->memory->users = s->gone.listed - s->counters.removed;
        remember_use(s);
        idset_clear(&s->memory->contested);
        s->memory->contested = s->contested;
        s->contested = (IdSet){ 0 };
        finish(s, NULL);
}

/* The listing is whole: one portion of what then remains to be done. */
static int end_step(Sync *s, Error *err) {
        int r = sync_apply_deferred(s, err);

        if (r >= 0)
                r = sync_gone_step(s, err);
        if (r == SYNC_DONE)
                complete(s);
        return r;
}

/* One portion of whatever there is to do. */
static int on_step(void *userdata) {
        Sync *s = userdata;
        Error err = { 0 };
        int r;

        if (s->finished) {
                finish(s, &s->result.error);
                return 0;
        }
        r = s->whole ? end_step(s, &err) : sync_pages_step(s, &err);
        if (r < 0)
                sync_fail_store(s, &err);
        else if (r == SYNC_MORE)
                portion_arm(&s->step);
        return 0;
}

void sync_interrupt(Sync *s, const char *reason) {
        Error err = { 0 };

        /* Best effort: what cannot be written now, the next start closes as interrupted. */
        if (s->finished) {
                if (sync_record_failure(s, &s->result.error, &err) < 0)
                        batch_lose(s->world->batch, &err);
        } else if (batch_write(s->world->batch, &err) >= 0) {
                if (store_run_close(s->world->store, s->run, &s->counters, RUN_INTERRUPTED, reason,
                                    time_now_ms(), &err) < 0)
                        batch_lose(s->world->batch, &err);
                else
                        (void) batch_flush(s->world->batch, NULL);
        }
        sync_free(s);
}

/* ---- the start ---- */

static int make_timer(Sync *s, Error *err) {
        int r = sd_event_add_time_relative(s->world->event, &s->timer, CLOCK_BOOTTIME, 0,
                                           USEC_PER_MSEC, sync_on_timer, s);

        if (r >= 0)
                r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        if (r < 0)
                return error_set(err, r, "cannot set up the run: %s", strerror(-r));
        (void) sd_event_source_set_exit_on_failure(s->timer, true);
        (void) sd_event_source_set_description(s->timer, "sync-timer");
        return 0;
}

/* Opens the row of the run, and closes what an earlier one left open. */
static int open_run(Sync *s, Error *err) {
        Store *store = s->world->store;
        int r = store_account_get(store, s->key, &s->state, err);

        if (r < 0)
                return r;
        s->rescoped = s->state.baseline_at != TIME_NONE && s->state.scope &&
                      strcmp(s->state.scope, s->scope) != 0;
        s->baseline = s->state.baseline_at == TIME_NONE || s->rescoped;
        s->state.last_attempt_at = s->started;

        r = batch_write(s->world->batch, err);
        if (r >= 0)
                r = store_runs_interrupt(store, s->key, "its end could not be recorded", s->started,
                                         err);
        if (r >= 0)
                r = store_run_size(store, s->key, &s->expected, err);
        if (r >= 0)
                r = store_run_open(store, s->key, s->started, &s->run, err);
        if (r >= 0)
                r = store_account_put(store, s->key, &s->state, err);
        return r < 0 ? r : batch_flush(s->world->batch, err);
}

int sync_start(const SyncWorld *world, Config *config, const AccountConfig *account, int64_t key,
               SyncMemory *memory, SyncDone on_done, SyncWaits on_waits, void *userdata, Sync **ret,
               Error *err) {
        CLEANUP(sync_freep) Sync *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return error_set(err, -ENOMEM, "out of memory");
        *s = (Sync){ .world = world,
                     .config = config_ref(config),
                     .account = account,
                     .key = key,
                     .memory = memory,
                     .on_done = on_done,
                     .on_waits = on_waits,
                     .userdata = userdata,
                     .source = source_find(account->source),
                     .started = time_now_ms(),
                     .started_mono = clock_usec(CLOCK_BOOTTIME),
                     .token_seed = random_u64(),
                     .confirms = memory->unconfirmed == 0,
                     .page = 1 };
        assert(s->source); /* the configuration was checked */
        s->step = (PortionSource){ .event = world->event,
                                   .on_portion = on_step,
                                   .userdata = s,
                                   .description = "sync-step" };
        memory->users = -1;
        r = make_timer(s, err);
        if (r >= 0)
                r = s->source->scope(account, &s->scope, err);
        if (r < 0)
                return r;
        r = open_run(s, err);
        if (r < 0)
                return r;

        sync_get_keys(s, NULL);
        *ret = take_ptr(s);
        return 0;
}
