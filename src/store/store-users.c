/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "base/timefmt.h"
#include "store/store-internal.h"

#define WIPE_ROWS 10000  /* in one transaction */
#define COUNT_ROWS 16384 /* in one portion */

void stored_user_clear(StoredUser *u) {
        user_clear(&u->user);
        *u = (StoredUser){ 0 };
}

static int bind_field(sqlite3_stmt *st, int pos, unsigned field, const char *text) {
        switch (user_fields[field].type) {
        case FIELD_TEXT:
        case FIELD_TIME:
        case FIELD_JSON:
                return store_bind_text(st, pos, text);
        case FIELD_BOOL:
                return text ? sqlite3_bind_int(st, pos, *text == '1') : sqlite3_bind_null(st, pos);
        }
        return SQLITE_MISUSE;
}

int store_bind_fields(sqlite3_stmt *st, int pos, const User *u, FieldMask fields) {
        int rc = SQLITE_OK;

        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if (fields & FIELD_BIT(i))
                        rc |= bind_field(st, pos++, i, u->value[i]);
        return rc;
}

/* An INTEGER column reads as the text "0" or "1" that FIELD_BOOL wants. */
static int read_user(Store *s, sqlite3_stmt *st, StoredUser *u, Error *err) {
        int r;

        u->row = sqlite3_column_int64(st, 0);
        r = store_column_time(s, st, 1, &u->dates.first_seen_at, err);
        if (r >= 0)
                r = store_column_time(s, st, 2, &u->dates.last_changed_at, err);
        if (r >= 0)
                r = store_column_time(s, st, 3, &u->dates.removed_at, err);
        u->missing = (unsigned) sqlite3_column_int64(st, 4);
        for (int i = 0; i < USER_FIELD_COUNT && r >= 0; i++)
                r = store_column_text(s, st, USER_AT + i, &u->user.value[i], err);
        return r;
}

/* The row of a bound statement, as a StoreLookup. */
static int look_up(Store *s, sqlite3_stmt *st, StoredUser *ret, Error *err) {
        CLEANUP(stored_user_clear) StoredUser u = { 0 };
        int r = store_step(s, st, "looking up a user", err);

        if (r < 0)
                return r;
        if (r == STMT_DONE)
                return STORE_ABSENT;
        r = read_user(s, st, &u, err);
        if (r < 0)
                return r;
        stored_user_clear(ret);
        *ret = u;
        u = (StoredUser){ 0 };
        return ret->dates.removed_at == TIME_NONE ? STORE_LISTED : STORE_FORMER;
}

static int find(Store *s, StmtId id, int64_t account, const char *user_id, int64_t row,
                StoredUser *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, id, &st, err);

        if (r < 0)
                return r;
        if (store_bind_text(st, 1, user_id) | sqlite3_bind_int64(st, 2, account) |
            (row ? sqlite3_bind_int64(st, 3, row) : SQLITE_OK))
                return store_error(s, err, "looking up a user");
        return look_up(s, st, ret, err);
}

int store_user_find(Store *s, int64_t account, const char *user_id, int64_t likely_row,
                    StoredUser *ret, Error *err) {
        int r = STORE_ABSENT;

        if (likely_row)
                r = find(s, STMT_USER_AT_ROW, account, user_id, likely_row, ret, err);
        return r == STORE_ABSENT ? find(s, STMT_USER_FIND, account, user_id, 0, ret, err) : r;
}

int store_user_by_row(Store *s, int64_t row, StoredUser *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_USER_BY_ROW, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, row))
                return store_error(s, err, "looking up a user");
        return look_up(s, st, ret, err);
}

static int insert(Store *s, int64_t account, const User *u, const UserDates *dates, RecordMark mark,
                  int64_t *ret_row, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_USER_INSERT, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, account) | store_bind_time(st, 2, dates->first_seen_at) |
            store_bind_time(st, 3, dates->last_changed_at) |
            store_bind_time(st, 4, dates->removed_at) |
            store_bind_fields(st, USER_AT, u, FIELDS_ALL))
                return store_error(s, err, "adding a user");
        r = store_write(s, st, "adding a user", err);
        if (r < 0)
                return r;
        *ret_row = sqlite3_last_insert_rowid(s->db);
        store_cache_added(s);
        return store_user_mark(s, account, *ret_row, mark, err);
}

int store_user_insert(Store *s, int64_t account, const User *u, const UserDates *dates,
                      RecordMark mark, int64_t *ret_row, Error *err) {
        bool own = false;
        int64_t row = 0;
        int r = store_begin_own(s, &own, err);

        if (r >= 0)
                r = store_end_own(s, own, insert(s, account, u, dates, mark, &row, err), err);
        if (r >= 0)
                *ret_row = row;
        return r;
}

int store_write_row(Store *s, sqlite3_stmt *st, int64_t row, Error *err) {
        int r = store_write(s, st, "updating a user", err);

        if (r >= 0 && sqlite3_changes(s->db) == 0)
                return error_set(err, -ENOENT, "the database %s has no user row %" PRId64, s->path,
                                 row);
        return r;
}

static int update(Store *s, const StoredUser *u, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_USER_UPDATE, &st, err);

        if (r < 0)
                return r;
        if (store_bind_time(st, 1, u->dates.first_seen_at) |
            store_bind_time(st, 2, u->dates.last_changed_at) |
            store_bind_time(st, 3, u->dates.removed_at) | sqlite3_bind_int64(st, 4, u->missing) |
            store_bind_fields(st, USER_AT, &u->user, FIELDS_UPDATED) |
            sqlite3_bind_int64(st, USER_AT + __builtin_popcount(FIELDS_UPDATED), u->row))
                return store_error(s, err, "updating a user");
        return store_write_row(s, st, u->row, err);
}

/* The row's mark, after all of what was written of it. */
static int mark_written(Store *s, bool own, int r, int64_t account, int64_t row, bool present,
                        RecordMark mark, Error *err) {
        static const RecordMark none = { 0 };

        if (r >= 0)
                r = store_user_mark(s, account, row, present ? mark : none, err);
        return store_end_own(s, own, r, err);
}

int store_user_update(Store *s, int64_t account, const StoredUser *u, RecordMark mark, Error *err) {
        bool own = false;
        int r = store_begin_own(s, &own, err);

        return r < 0 ? r
                     : mark_written(s, own, update(s, u, err), account, u->row,
                                    u->dates.removed_at == TIME_NONE && u->missing == 0, mark, err);
}

static int set_missing(Store *s, int64_t row, unsigned missing, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_USER_SET_MISSING, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, missing) | sqlite3_bind_int64(st, 2, row))
                return store_error(s, err, "updating a user");
        return store_write_row(s, st, row, err);
}

int store_user_set_missing(Store *s, int64_t account, int64_t row, unsigned missing,
                           RecordMark mark, Error *err) {
        bool own = false;
        int r = store_begin_own(s, &own, err);

        return r < 0 ? r
                     : mark_written(s, own, set_missing(s, row, missing, err), account, row,
                                    missing == 0, mark, err);
}

int store_users_listed(Store *s, int64_t account, int64_t after, ListedRow *rows, size_t max,
                       size_t *ret_n, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        size_t n = 0;
        int r = store_stmt(s, STMT_USERS_LISTED, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, account) | sqlite3_bind_int64(st, 2, after) |
            sqlite3_bind_int64(st, 3, (int64_t) max))
                return store_error(s, err, "reading the users");
        while (n < max && (r = store_step(s, st, "reading the users", err)) == STMT_ROW)
                rows[n++] = (ListedRow){ .row = sqlite3_column_int64(st, 0),
                                         .missing = (unsigned) sqlite3_column_int64(st, 1) };
        if (r < 0)
                return r;
        *ret_n = n;
        return 0;
}

/* The row that is n behind after; 0: there are not so many. */
static int skip_users(Store *s, int64_t account, int64_t after, int64_t n, int64_t *ret,
                      Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_USERS_SKIP, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, account) | sqlite3_bind_int64(st, 2, after) |
            sqlite3_bind_int64(st, 3, n))
                return store_error(s, err, "counting the users");
        r = store_step(s, st, "counting the users", err);
        if (r >= 0)
                *ret = r == STMT_ROW ? sqlite3_column_int64(st, 0) : 0;
        return r;
}

static int count_users(Store *s, int64_t account, int64_t after, int64_t *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_USERS_COUNT, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, account) | sqlite3_bind_int64(st, 2, after))
                return store_error(s, err, "counting the users");
        r = store_step(s, st, "counting the users", err);
        if (r >= 0)
                *ret = sqlite3_column_int64(st, 0);
        return r;
}

int store_users_count_some(Store *s, int64_t account, int64_t *after, int64_t *count, Error *err) {
        int64_t row = 0, rest = 0;
        int r = skip_users(s, account, *after, COUNT_ROWS, &row, err);

        if (r >= 0 && !row)
                r = count_users(s, account, *after, &rest, err);
        if (r < 0)
                return r;
        *after = row ? row : INT64_MAX;
        *count += row ? COUNT_ROWS : rest;
        store_release_pages(s); /* they are not looked at again */
        return row ? STORE_COUNT_MORE : STORE_COUNT_DONE;
}

int store_users_count(Store *s, int64_t account, int64_t *ret, Error *err) {
        int64_t after = 0, count = 0;
        int r;

        do
                r = store_users_count_some(s, account, &after, &count, err);
        while (r == STORE_COUNT_MORE);
        if (r >= 0)
                *ret = count;
        return r;
}

/* ---- counts by status ---- */

typedef struct StatusCounts {
        StatusCount *lines;
        size_t n, room;
} StatusCounts;

void status_counts_free(StatusCount *c, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free(c[i].account);
                free(c[i].registration);
                free(c[i].invitation);
        }
        free(c);
}

static void status_counts_clear(StatusCounts *c) {
        status_counts_free(c->lines, c->n);
}

static int read_line(Store *s, sqlite3_stmt *st, StatusCounts *all, Error *err) {
        StatusCount *line;
        int r;

        if (all->n == all->room) {
                size_t room = all->room ? all->room * 2 : 16;
                StatusCount *bigger = reallocarray(all->lines, room, sizeof *bigger);

                if (!bigger)
                        return error_set(err, -ENOMEM, "out of memory");
                all->lines = bigger;
                all->room = room;
        }
        line = &all->lines[all->n++];
        *line = (StatusCount){ .users = sqlite3_column_int64(st, 3) };
        r = store_column_text(s, st, 0, &line->account, err);
        if (r >= 0)
                r = store_column_text(s, st, 1, &line->registration, err);
        if (r >= 0)
                r = store_column_text(s, st, 2, &line->invitation, err);
        return r;
}

int store_status_counts(Store *s, int64_t account, StatusCount **ret, size_t *ret_n, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        CLEANUP(status_counts_clear) StatusCounts all = { 0 };
        int r = store_stmt(s, STMT_STATUS_COUNTS, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, account) |
            sqlite3_bind_int64(st, 2, account ? account : INT64_MAX))
                return store_error(s, err, "counting the users");
        while ((r = store_step(s, st, "counting the users", err)) == STMT_ROW) {
                r = read_line(s, st, &all, err);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        *ret = take_ptr(all.lines);
        *ret_n = all.n;
        all.n = 0;
        return 0;
}

/* ---- PINs ---- */

/* The marks would vouch for the PINs, should these be stored again. */
static int wipe_some(Store *s, int *ret_wiped, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_PINS_WIPE, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int(st, 1, WIPE_ROWS))
                return store_error(s, err, "wiping PINs");
        r = store_write(s, st, "wiping PINs", err);
        if (r < 0)
                return r;
        *ret_wiped = sqlite3_changes(s->db);
        return *ret_wiped ? store_marks_forget(s, 0, err) : 0;
}

int store_wipe_pins(Store *s, Error *err) {
        int wiped = 0, total = 0, r;

        do {
                bool own = false;

                r = store_begin_own(s, &own, err);
                if (r >= 0)
                        r = store_end_own(s, own, wipe_some(s, &wiped, err), err);
                if (r < 0)
                        return r;
                total += wiped;
        } while (wiped == WIPE_ROWS);
        if (total > 0 && !store_in_transaction(s))
                store_checkpoint(s); /* nor may they stay in the WAL */
        return 0;
}

/* ---- who is suspended ---- */

void suspended_users_free(SuspendedUser *u, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free(u[i].account);
                free(u[i].account_id);
                free(u[i].user_id);
                free(u[i].primary_email);
        }
        free(u);
}

static int read_suspended(Store *s, sqlite3_stmt *st, SuspendedUser *u, Error *err) {
        char **const texts[] = { &u->account, &u->account_id, &u->user_id, &u->primary_email };
        int r = 0;

        u->row = sqlite3_column_int64(st, 0);
        u->account_key = sqlite3_column_int64(st, 6);
        for (int i = 0; i < 4 && r >= 0; i++)
                r = store_column_text(s, st, 1 + i, texts[i], err);
        return r < 0 ? r : store_column_time(s, st, 5, &u->since, err);
}

int store_users_suspended(Store *s, int64_t after, size_t max, SuspendedUser **ret, size_t *ret_n,
                          Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        SuspendedUser *list = NULL;
        size_t n = 0;
        int r = store_stmt(s, STMT_USERS_SUSPENDED, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, after) | sqlite3_bind_int64(st, 2, (int64_t) max))
                return store_error(s, err, "reading who is suspended");
        list = calloc(max + 1, sizeof *list);
        if (!list)
                return error_set(err, -ENOMEM, "out of memory");
        while (r >= 0 && n < max &&
               (r = store_step(s, st, "reading who is suspended", err)) == STMT_ROW)
                r = read_suspended(s, st, &list[n++], err);
        if (r < 0) {
                suspended_users_free(list, n);
                return r;
        }
        *ret = list;
        *ret_n = n;
        return 0;
}
