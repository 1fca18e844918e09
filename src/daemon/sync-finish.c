/* SPDX-License-Identifier: Apache-2.0 */
/* How a run ends in the database. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/jsontext.h"
#include "base/timefmt.h"
#include "base/timespan.h"
#include "daemon/sync-internal.h"

#define RETRY_FIRST (30 * USEC_PER_SEC)
#define TELL_AGAIN INT64_C(86400000) /* ms: a failure that lasts is told once a day */

uint64_t sync_next_delay(uint64_t interval, uint64_t elapsed, int64_t failures) {
        uint64_t delay = interval;

        if (failures == 0)
                return elapsed < interval ? interval - elapsed : 0;
        if (failures < 32 && RETRY_FIRST << (failures - 1) < interval)
                delay = RETRY_FIRST << (failures - 1);
        return delay - random_below(delay / 4 + 1);
}

static void schedule_next(Sync *s) {
        uint64_t elapsed = clock_usec(CLOCK_BOOTTIME) - s->started_mono;

        s->result.next_run = sync_next_delay(s->account->interval, elapsed, s->state.failures);
        s->state.next_run_at = time_now_ms() + (int64_t) (s->result.next_run / USEC_PER_MSEC);
}

static int tell_detail(Sync *s, EventKind kind, JsonText *detail, Error *err) {
        CLEANUP_FREE char *text = NULL;

        jsontext_close(detail, '}');
        if (jsontext_finish(detail, &text) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        return sync_tell(s, kind, text, err);
}

static bool is(const char *value, const char *word) {
        return value && strcmp(value, word) == 0;
}

/* Who is on the listing, by status: what is the matter already when watching begins. */
static int tell_baseline(Sync *s, Error *err) {
        StatusCount *counts = NULL;
        size_t n = 0;
        int64_t users = 0, suspended = 0, pending = 0, failed = 0;
        CLEANUP(jsontext_clear) JsonText detail = { 0 };
        int r = store_status_counts(s->world->store, s->key, &counts, &n, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                users += counts[i].users;
                if (is(counts[i].registration, "Suspended"))
                        suspended += counts[i].users;
                if (is(counts[i].invitation, "Pending"))
                        pending += counts[i].users;
                if (is(counts[i].invitation, "Failed"))
                        failed += counts[i].users;
        }
        status_counts_free(counts, n);

        jsontext_open(&detail, NULL, '{');
        jsontext_number(&detail, "users", users);
        jsontext_number(&detail, "suspended", suspended);
        jsontext_number(&detail, "pending_invitations", pending);
        jsontext_number(&detail, "failed_invitations", failed);
        jsontext_raw(&detail, "rescoped", s->rescoped ? "true" : "false");
        return tell_detail(s, EVENT_SYNC_BASELINE, &detail, err);
}

static int tell_failures(Sync *s, EventKind kind, const char *error, Error *err) {
        CLEANUP(jsontext_clear) JsonText detail = { 0 };

        jsontext_open(&detail, NULL, '{');
        if (error)
                jsontext_string(&detail, "error", error);
        jsontext_number(&detail, "failures", s->state.failures);
        jsontext_time(&detail, "since", s->state.failing_since);
        return tell_detail(s, kind, &detail, err);
}

static int replace_text(char **slot, const char *text, Error *err) {
        char *copy = text ? strdup(text) : NULL;

        if (text && !copy)
                return error_set(err, -ENOMEM, "out of memory");
        free(*slot);
        *slot = copy;
        return 0;
}

int sync_record_complete(Sync *s, Error *err) {
        int64_t now = time_now_ms();
        int r = batch_write(s->world->batch, err);

        if (r < 0)
                return r;
        if (s->baseline) {
                r = tell_baseline(s, err);
                if (r >= 0)
                        r = replace_text(&s->state.scope, s->scope, err);
                if (r < 0)
                        return r;
                s->state.baseline_at = now;
        }
        if (s->state.failure_told_at != TIME_NONE) {
                r = tell_failures(s, EVENT_SYNC_RECOVERED, NULL, err);
                if (r < 0)
                        return r;
        }
        s->state.failures = 0;
        s->state.failing_since = s->state.failure_told_at = TIME_NONE;
        s->state.last_complete_at = now;
        r = replace_text(&s->state.last_error, NULL, err);
        if (r < 0)
                return r;
        schedule_next(s);
        r = store_account_put(s->world->store, s->key, &s->state, err);
        if (r >= 0)
                r = store_run_close(s->world->store, s->run, &s->counters, RUN_COMPLETE, NULL, now,
                                    err);
        return r;
}

int sync_record_failure(Sync *s, const Error *why, Error *err) {
        int64_t now = time_now_ms();
        int r = batch_write(s->world->batch, err);

        if (r < 0)
                return r;
        /* What the end of this run had already put there may have been lost with its transaction. */
        account_state_clear(&s->state);
        r = store_account_get(s->world->store, s->key, &s->state, err);
        if (r < 0)
                return r;
        s->state.failures++;
        if (s->state.failing_since == TIME_NONE)
                s->state.failing_since = now;
        if (s->state.failure_told_at == TIME_NONE || now - s->state.failure_told_at >= TELL_AGAIN ||
            now < s->state.failure_told_at /* the clock was set back */) {
                r = tell_failures(s, EVENT_SYNC_FAILED, why->msg, err);
                if (r < 0)
                        return r;
                s->state.failure_told_at = now;
        }
        r = replace_text(&s->state.last_error, why->msg, err);
        if (r < 0)
                return r;
        schedule_next(s);
        r = store_account_put(s->world->store, s->key, &s->state, err);
        if (r >= 0)
                r = store_run_close(s->world->store, s->run, &s->counters, RUN_FAILED, why->msg,
                                    now, err);
        return r < 0 ? r : batch_flush(s->world->batch, err);
}
