/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/timefmt.h"
#include "store/store-internal.h"

int store_event_append(Store *s, int64_t account, Event *e, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_EVENT_APPEND, &st, err);

        if (r < 0)
                return r;
        if (store_bind_text(st, 1, e->id) | store_bind_time(st, 2, e->time) |
            store_bind_text(st, 3, event_types[e->kind].name) | sqlite3_bind_int64(st, 4, account) |
            store_bind_text(st, 5, e->user_id) | store_bind_text(st, 6, e->primary_email) |
            store_bind_text(st, 7, e->field) | store_bind_text(st, 8, e->old_value) |
            store_bind_text(st, 9, e->new_value) |
            (e->run ? sqlite3_bind_int64(st, 10, e->run) : SQLITE_OK) |
            store_bind_text(st, 11, e->changes) | store_bind_text(st, 12, e->detail) |
            store_bind_text(st, 13, e->user))
                return store_error(s, err, "adding an event");
        r = store_write(s, st, "adding an event", err);
        if (r >= 0)
                e->seq = sqlite3_last_insert_rowid(s->db);
        return r;
}

/* *ret stays NULL for a type that only a later version knows. */
static int read_event(Store *s, sqlite3_stmt *st, Event **ret, Error *err) {
        CLEANUP(event_freep) Event *e = NULL;
        const char *type = (const char *) sqlite3_column_text(st, 3);
        EventKind kind = type ? event_kind_from_name(type) : EVENT_KIND_COUNT;
        char **texts[10];
        int r = 0;

        if (kind == EVENT_KIND_COUNT)
                return 0;
        e = calloc(1, sizeof *e);
        if (!e)
                return error_set(err, -ENOMEM, "out of memory");
        e->seq = sqlite3_column_int64(st, 0);
        e->kind = kind;
        e->run = sqlite3_column_int64(st, 4);
        if (sqlite3_column_bytes(st, 1) < EVENT_ID_SIZE)
                memcpy(e->id, sqlite3_column_text(st, 1), (size_t) sqlite3_column_bytes(st, 1));
        r = store_column_time(s, st, 2, &e->time, err);
        memcpy(texts,
               (char **[]){ &e->account, &e->account_id, &e->user_id, &e->primary_email, &e->field,
                            &e->old_value, &e->new_value, &e->changes, &e->detail, &e->user },
               sizeof texts);
        for (int i = 0; i < 10 && r >= 0; i++)
                r = store_column_text(s, st, 5 + i, texts[i], err);
        if (r < 0)
                return r;
        *ret = take_ptr(e);
        return 0;
}

void events_free(Event **events, size_t n) {
        for (size_t i = 0; i < n; i++)
                event_free(events[i]);
        free(events);
}

/* There is no LIMIT, so that events of unknown types do not look like the end of the log. */
static int read_events(Store *s, sqlite3_stmt *st, size_t max, Event **events, size_t *n,
                       Error *err) {
        while (*n < max) {
                Event *e = NULL;
                int r = store_step(s, st, "reading events", err);

                if (r != STMT_ROW)
                        return r;
                r = read_event(s, st, &e, err);
                if (r < 0)
                        return r;
                if (e)
                        events[(*n)++] = e;
        }
        return 0;
}

int store_events_after(Store *s, int64_t after, size_t max, Event ***ret, size_t *ret_n,
                       Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        Event **events = NULL;
        size_t n = 0;
        int r = store_stmt(s, STMT_EVENTS_AFTER, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, after))
                return store_error(s, err, "reading events");
        events = calloc(max + 1, sizeof *events);
        if (!events)
                return error_set(err, -ENOMEM, "out of memory");
        r = read_events(s, st, max, events, &n, err);
        if (r < 0) {
                events_free(events, n);
                return r;
        }
        *ret = events;
        *ret_n = n;
        return 0;
}

int store_event_last_seq(Store *s, int64_t *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_EVENT_LAST_SEQ, &st, err);

        if (r >= 0)
                r = store_step(s, st, "reading events", err);
        if (r < 0)
                return r;
        *ret = r == STMT_ROW ? sqlite3_column_int64(st, 0) : 0;
        return 0;
}

/* ---- cursors ---- */

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
