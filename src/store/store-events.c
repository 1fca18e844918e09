/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/timefmt.h"
#include "store/store-internal.h"

#define PENDING_COUNTED 1000

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
        if (r < 0)
                return r;
        e->seq = sqlite3_last_insert_rowid(s->db);
        if (s->first_appended == 0)
                s->first_appended = e->seq;
        return 0;
}

#define TEXTS 10 /* the columns from 5 on */

/* A fresh event with the texts of the row behind it, in one block. */
static int read_texts(Store *s, sqlite3_stmt *st, Event **ret, Error *err) {
        const char *from[TEXTS];
        size_t len[TEXTS], bytes = 0;
        Event *e;
        char *to;

        for (int i = 0; i < TEXTS; i++) {
                from[i] = (const char *) sqlite3_column_text(st, 5 + i);
                if (!from[i] && sqlite3_column_type(st, 5 + i) != SQLITE_NULL)
                        return store_error(s, err, "reading a text");
                len[i] = from[i] ? (size_t) sqlite3_column_bytes(st, 5 + i) + 1 : 0;
                bytes += len[i];
        }
        e = malloc(sizeof *e + bytes + 1);
        if (!e)
                return error_set(err, -ENOMEM, "out of memory");
        *e = (Event){ .packed = bytes + 1 };
        to = (char *) (e + 1);

        char **const texts[TEXTS] = { &e->account, &e->account_id, &e->user_id,   &e->primary_email,
                                      &e->field,   &e->old_value,  &e->new_value, &e->changes,
                                      &e->detail,  &e->user };

        for (int i = 0; i < TEXTS; i++) {
                if (!from[i])
                        continue;
                memcpy(to, from[i], len[i]);
                *texts[i] = to;
                to += len[i];
        }
        *ret = e;
        return 0;
}

/* Of a row whose type is known. */
static int read_event(Store *s, sqlite3_stmt *st, EventKind kind, Event **ret, Error *err) {
        CLEANUP(event_freep) Event *e = NULL;
        const unsigned char *id = sqlite3_column_text(st, 1);
        int r = read_texts(s, st, &e, err);

        if (r < 0)
                return r;
        e->seq = sqlite3_column_int64(st, 0);
        e->kind = kind;
        e->run = sqlite3_column_int64(st, 4);
        if (id && sqlite3_column_bytes(st, 1) < EVENT_ID_SIZE)
                memcpy(e->id, id, (size_t) sqlite3_column_bytes(st, 1));
        r = store_column_time(s, st, 2, &e->time, err);
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

/* The kind of the row at hand if it matches, else EVENT_KIND_COUNT; that is also what a type is that
 * only a later version knows. */
static EventKind row_matches(sqlite3_stmt *st, const EventQuery *q) {
        const char *type = (const char *) sqlite3_column_text(st, 3);
        EventKind kind = type ? event_kind_from_name(type) : EVENT_KIND_COUNT;
        int64_t account = sqlite3_column_int64(st, 15);

        if (kind == EVENT_KIND_COUNT || !(q->kinds & EVENT_BIT(kind)))
                return EVENT_KIND_COUNT;
        if (q->n_accounts == 0)
                return kind;
        for (size_t i = 0; i < q->n_accounts; i++)
                if (q->accounts[i] == account)
                        return kind;
        return EVENT_KIND_COUNT;
}

/* There is no LIMIT, so that events that do not match, or whose type only a later version knows, do
 * not look like the end of the log. */
static int read_events(Store *s, sqlite3_stmt *st, const EventQuery *q, EventPage *page,
                       Error *err) {
        for (size_t scanned = 0; page->n < q->max; scanned++) {
                Event *e = NULL;
                EventKind kind;
                int r;

                if ((q->max_bytes && page->bytes >= q->max_bytes) ||
                    (q->max_scan && scanned >= q->max_scan))
                        return 0;
                r = store_step(s, st, "reading events", err);
                if (r < 0)
                        return r;
                if (r == STMT_DONE) {
                        page->end = true;
                        return 0;
                }
                kind = row_matches(st, q);
                if (kind != EVENT_KIND_COUNT) {
                        r = read_event(s, st, kind, &e, err);
                        if (r < 0)
                                return r;
                        page->bytes += e->packed;
                        page->events[page->n++] = e;
                }
                page->upto = sqlite3_column_int64(st, 0);
        }
        return 0;
}

/* What the open transaction has appended may yet be undone. */
static int64_t last_to_tell(const Store *s, const EventQuery *q) {
        int64_t last =
                store_in_transaction(s) && s->first_appended ? s->first_appended - 1 : INT64_MAX;

        return q->upto && q->upto < last ? q->upto : last;
}

int store_events_read(Store *s, const EventQuery *q, EventPage *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        EventPage page = { .upto = q->after };
        int r = store_stmt(s, STMT_EVENTS_AFTER, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, q->after) | sqlite3_bind_int64(st, 2, last_to_tell(s, q)))
                return store_error(s, err, "reading events");
        page.events = calloc(q->max + 1, sizeof *page.events);
        if (!page.events)
                return error_set(err, -ENOMEM, "out of memory");
        r = read_events(s, st, q, &page, err);
        if (r < 0) {
                events_free(page.events, page.n);
                return r;
        }
        *ret = page;
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

int store_events_pending(Store *s, int64_t after, int64_t *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int64_t n = 0, last = 0;
        int r = store_stmt(s, STMT_EVENTS_PENDING, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, after) | sqlite3_bind_int64(st, 2, PENDING_COUNTED + 1))
                return store_error(s, err, "counting events");
        while ((r = store_step(s, st, "counting events", err)) == STMT_ROW)
                n++;
        if (r >= 0 && n > PENDING_COUNTED)
                r = store_event_last_seq(s, &last, err);
        if (r < 0)
                return r;
        *ret = last ? last - after : n;
        return 0;
}
