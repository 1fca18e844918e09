/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "store/store-internal.h"

static const char *const outcome_names[] = {
        [RUN_RUNNING] = "running",
        [RUN_COMPLETE] = "complete",
        [RUN_FAILED] = "failed",
        [RUN_INTERRUPTED] = "interrupted",
};
#define OUTCOMES (sizeof outcome_names / sizeof outcome_names[0])

int store_run_open(Store *s, int64_t account, int64_t now, int64_t *ret_run, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_RUN_OPEN, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, account) | store_bind_time(st, 2, now))
                return store_error(s, err, "opening a run");
        r = store_write(s, st, "opening a run", err);
        if (r >= 0)
                *ret_run = sqlite3_last_insert_rowid(s->db);
        return r;
}

static int bind_counters(sqlite3_stmt *st, const RunCounters *c, int64_t run) {
        return sqlite3_bind_int64(st, 1, c->pages) | sqlite3_bind_int64(st, 2, c->users) |
               sqlite3_bind_int64(st, 3, c->added) | sqlite3_bind_int64(st, 4, c->changed) |
               sqlite3_bind_int64(st, 5, c->removed) | sqlite3_bind_int64(st, 6, c->retries) |
               sqlite3_bind_int64(st, 7, c->throttled) | sqlite3_bind_int64(st, 8, run);
}

static int write_run(Store *s, sqlite3_stmt *st, int64_t run, Error *err) {
        int r = store_write(s, st, "updating a run", err);

        if (r >= 0 && sqlite3_changes(s->db) == 0)
                return error_set(err, -ENOENT, "the database %s has no run %" PRId64, s->path, run);
        return r;
}

int store_run_count(Store *s, int64_t run, const RunCounters *c, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_RUN_COUNT, &st, err);

        if (r < 0)
                return r;
        if (bind_counters(st, c, run))
                return store_error(s, err, "updating a run");
        return write_run(s, st, run, err);
}

int store_run_close(Store *s, int64_t run, const RunCounters *c, RunOutcome outcome,
                    const char *error, int64_t now, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_RUN_CLOSE, &st, err);

        if (r < 0)
                return r;
        if (bind_counters(st, c, run) | store_bind_text(st, 9, outcome_names[outcome]) |
            store_bind_text(st, 10, error) | store_bind_time(st, 11, now))
                return store_error(s, err, "updating a run");
        r = write_run(s, st, run, err);
        if (r >= 0)
                store_cache_run_ended(s);
        return r;
}

int store_runs_interrupt(Store *s, int64_t account, const char *error, int64_t now, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_RUNS_INTERRUPT, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, account) |
            sqlite3_bind_int64(st, 2, account ? account : INT64_MAX) |
            store_bind_text(st, 3, error) | store_bind_time(st, 4, now))
                return store_error(s, err, "closing runs");
        return store_write(s, st, "closing runs", err);
}

static int read_outcome(Store *s, sqlite3_stmt *st, int col, RunOutcome *ret, Error *err) {
        const char *name = (const char *) sqlite3_column_text(st, col);
        size_t i = 0;

        while (i < OUTCOMES && (!name || strcmp(outcome_names[i], name) != 0))
                i++;
        if (i == OUTCOMES)
                return error_set(err, -EUCLEAN,
                                 "the database %s is damaged: a run has an unknown outcome; restore"
                                 " a backup",
                                 s->path);
        *ret = (RunOutcome) i;
        return 0;
}

int store_run_last(Store *s, int64_t account, RunSummary *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        RunSummary run = { 0 };
        int64_t *const counters[] = { &run.counters.pages,    &run.counters.users,
                                      &run.counters.added,    &run.counters.changed,
                                      &run.counters.removed,  &run.counters.retries,
                                      &run.counters.throttled };
        int r = store_stmt(s, STMT_RUN_LAST, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, account))
                return store_error(s, err, "reading a run");
        r = store_step(s, st, "reading a run", err);
        if (r == STMT_ROW) {
                run.run = sqlite3_column_int64(st, 0);
                r = store_column_time(s, st, 1, &run.started_at, err);
                if (r >= 0)
                        r = store_column_time(s, st, 2, &run.finished_at, err);
                if (r >= 0)
                        r = read_outcome(s, st, 3, &run.outcome, err);
                for (int i = 0; i < 7; i++)
                        *counters[i] = sqlite3_column_int64(st, 4 + i);
        }
        if (r < 0)
                return r;
        *ret = run;
        return 0;
}

int store_run_size(Store *s, int64_t account, int64_t *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_RUN_SIZE, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, account))
                return store_error(s, err, "reading a run");
        r = store_step(s, st, "reading a run", err);
        if (r < 0)
                return r;
        *ret = r == STMT_ROW ? sqlite3_column_int64(st, 0) : 0;
        return 0;
}

int store_run_is_running(Store *s, int64_t first, int64_t last, bool *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_RUN_RUNNING, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, first) | sqlite3_bind_int64(st, 2, last))
                return store_error(s, err, "reading the runs");
        r = store_step(s, st, "reading the runs", err);
        if (r >= 0)
                *ret = r == STMT_ROW;
        return r < 0 ? r : 0;
}
