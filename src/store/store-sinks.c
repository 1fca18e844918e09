/* SPDX-License-Identifier: Apache-2.0 */
/* Who reads the event log, and how far each has got. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "store/store-internal.h"

static int put_cursor(Store *s, StmtId id, const char *sink, int64_t seq, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, id, &st, err);

        if (r < 0)
                return r;
        if (store_bind_text(st, 1, sink) | sqlite3_bind_int64(st, 2, seq))
                return store_error(s, err, "moving a cursor");
        return store_write(s, st, "moving a cursor", err);
}

static int get_cursor(Store *s, const char *sink, int64_t *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_CURSOR_GET, &st, err);

        if (r < 0)
                return r;
        if (store_bind_text(st, 1, sink))
                return store_error(s, err, "reading a cursor");
        r = store_step(s, st, "reading a cursor", err);
        if (r == STMT_ROW)
                *ret = sqlite3_column_int64(st, 0);
        return r;
}

int store_cursor_open(Store *s, const char *sink, int64_t start_at, int64_t *ret, Error *err) {
        int r = get_cursor(s, sink, ret, err);

        if (r != STMT_DONE)
                return r < 0 ? r : 0;
        r = put_cursor(s, STMT_CURSOR_ADD, sink, start_at, err);
        if (r >= 0)
                *ret = start_at;
        return r;
}

int store_cursor_move(Store *s, const char *sink, int64_t seq, Error *err) {
        return put_cursor(s, STMT_CURSOR_MOVE, sink, seq, err);
}

/* ---- sinks that may fail ---- */

void sink_state_clear(SinkState *state) {
        free(state->last_error);
        *state = (SinkState){ 0 };
}

static int read_state(Store *s, sqlite3_stmt *st, SinkState *state, Error *err) {
        int64_t *const times[] = { &state->last_success_at, &state->failing_since,
                                   &state->next_attempt_at };
        int r = 0;

        state->cursor = sqlite3_column_int64(st, 0);
        state->attempts = sqlite3_column_int64(st, 1);
        for (int i = 0; i < 3 && r >= 0; i++)
                r = store_column_time(s, st, 2 + i, times[i], err);
        return r < 0 ? r : store_column_text(s, st, 5, &state->last_error, err);
}

static int get_state(Store *s, const char *sink, SinkState *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        CLEANUP(sink_state_clear) SinkState state = { 0 };
        int r = store_stmt(s, STMT_SINK_GET, &st, err);

        if (r < 0)
                return r;
        if (store_bind_text(st, 1, sink))
                return store_error(s, err, "reading a cursor");
        r = store_step(s, st, "reading a cursor", err);
        if (r == STMT_ROW)
                r = read_state(s, st, &state, err);
        if (r < 0)
                return r;
        *ret = state;
        state = (SinkState){ 0 };
        return 0;
}

static int open_sink(Store *s, const char *sink, int64_t start_at, SinkState *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = put_cursor(s, STMT_CURSOR_ADD, sink, start_at, err);

        if (r >= 0)
                r = store_stmt(s, STMT_SINK_UNRETIRE, &st, err);
        if (r < 0)
                return r;
        if (store_bind_text(st, 1, sink))
                return store_error(s, err, "opening a cursor");
        r = store_write(s, st, "opening a cursor", err);
        return r < 0 ? r : get_state(s, sink, ret, err);
}

int store_sink_open(Store *s, const char *sink, int64_t start_at, SinkState *ret, Error *err) {
        bool own = false;
        int r = store_begin_own(s, &own, err);

        return r < 0 ? r : store_end_own(s, own, open_sink(s, sink, start_at, ret, err), err);
}

int store_sink_put(Store *s, const char *sink, const SinkState *state, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_SINK_PUT, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, state->cursor) | sqlite3_bind_int64(st, 2, state->attempts) |
            store_bind_time(st, 3, state->last_success_at) |
            store_bind_time(st, 4, state->failing_since) |
            store_bind_time(st, 5, state->next_attempt_at) |
            store_bind_text(st, 6, state->last_error) | store_bind_text(st, 7, sink))
                return store_error(s, err, "moving a cursor");
        return store_write(s, st, "moving a cursor", err);
}

/* A statement about one sink (or NULL) and one time. */
static int write_sink_time(Store *s, StmtId id, const char *sink, int64_t time, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, id, &st, err);

        if (r < 0)
                return r;
        if (store_bind_time(st, 1, time) | (sink ? store_bind_text(st, 2, sink) : SQLITE_OK))
                return store_error(s, err, "retiring a cursor");
        return store_write(s, st, "retiring a cursor", err);
}

int store_sink_retire(Store *s, const char *sink, int64_t now, Error *err) {
        return write_sink_time(s, STMT_SINK_RETIRE, sink, now, err);
}

int store_sinks_forget(Store *s, int64_t before, Error *err) {
        bool own = false;
        int r = store_begin_own(s, &own, err);

        if (r < 0)
                return r;
        r = write_sink_time(s, STMT_DEAD_LETTERS_FORGET, NULL, before, err);
        if (r >= 0)
                r = write_sink_time(s, STMT_SINKS_FORGET, NULL, before, err);
        return store_end_own(s, own, r, err);
}

int store_sinks_active(Store *s, const char *prefix, char ***ret, size_t *ret_n, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        char **names = NULL;
        size_t n = 0;
        int r = store_stmt(s, STMT_SINKS_ACTIVE, &st, err);

        while (r >= 0 && (r = store_step(s, st, "reading cursors", err)) == STMT_ROW) {
                const char *name = (const char *) sqlite3_column_text(st, 0);
                char **longer = reallocarray(names, n + 1, sizeof *names);

                if (longer)
                        names = longer;
                if (!name || !longer || strncmp(name, prefix, strlen(prefix)) != 0)
                        r = longer ? 0 : error_set(err, -ENOMEM, "out of memory");
                else if ((r = store_column_text(s, st, 0, &names[n], err)) >= 0)
                        n++;
        }
        if (r < 0) {
                names_free(names, n);
                return r;
        }
        *ret = names;
        *ret_n = n;
        return 0;
}

void names_free(char **names, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(names[i]);
        free(names);
}

/* ---- dead letters ---- */

int store_dead_letter_add(Store *s, const char *sink, int64_t seq, const char *error, int64_t now,
                          Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_DEAD_LETTER_ADD, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, seq) | store_bind_text(st, 2, sink) |
            store_bind_time(st, 3, now) | store_bind_text(st, 4, error))
                return store_error(s, err, "keeping a dead letter");
        return store_write(s, st, "keeping a dead letter", err);
}

int store_dead_letters_count(Store *s, const char *sink, int64_t *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_DEAD_LETTERS_COUNT, &st, err);

        if (r < 0)
                return r;
        if (store_bind_text(st, 1, sink))
                return store_error(s, err, "counting dead letters");
        r = store_step(s, st, "counting dead letters", err);
        if (r < 0)
                return r;
        *ret = sqlite3_column_int64(st, 0);
        return 0;
}

static int replay(Store *s, const char *sink, int64_t from, Error *err) {
        int r = put_cursor(s, STMT_DEAD_LETTERS_TAKE_BACK, sink, from, err);

        return r < 0 ? r : put_cursor(s, STMT_SINK_REPLAY, sink, from - 1, err);
}

int store_sink_replay(Store *s, const char *sink, int64_t from, int64_t *ret_next, Error *err) {
        int64_t cursor = 0;
        bool own = false;
        int r = get_cursor(s, sink, &cursor, err);

        if (r < 0)
                return r;
        if (r == STMT_DONE)
                return error_set(err, -ENOENT, "there is no such sink");
        *ret_next = cursor + 1;
        if (from > cursor + 1)
                return error_set(err, -ERANGE, "that event was not told yet");
        r = store_begin_own(s, &own, err);
        return r < 0 ? r : store_end_own(s, own, replay(s, sink, from, err), err);
}
