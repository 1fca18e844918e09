/* SPDX-License-Identifier: Apache-2.0 */
/* What has changed of a user is written, and nothing besides. */
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "store/store-internal.h"

#define T0 INT64_C(1767225600000) /* 2026-01-01T00:00:00.000Z */
#define N(array) (sizeof(array) / sizeof(array)[0])

typedef struct Fixture {
        char dir[40];
        Store *store;
        int64_t account, row;
} Fixture;

static const char *sample(unsigned field, bool other) {
        switch (user_fields[field].type) {
        case FIELD_BOOL:
                return other ? "0" : "1";
        case FIELD_JSON:
                return other ? "{\"Shoe\":43}" : "{\"Shoe\":42}";
        case FIELD_TIME:
                return other ? "2026-01-03T03:04:05.000Z" : "2026-01-02T03:04:05.000Z";
        case FIELD_TEXT:
                break;
        }
        return other ? "other" : user_fields[field].column;
}

static int setup(void **state) {
        static const AccountIdentity acme = { "acme", "chime", "https://e", "id-1" };
        static Fixture f;
        CLEANUP(user_clear) User u = { 0 };
        UserDates dates = { .first_seen_at = T0, .last_changed_at = T0 };
        char path[64];
        Error err = { 0 };

        f = (Fixture){ .dir = "/tmp/test-amend-XXXXXX" };
        assert_non_null(mkdtemp(f.dir));
        (void) snprintf(path, sizeof path, "%s/roster.db", f.dir);
        assert_ok(store_open(path, &f.store, &err), err);
        assert_ok(store_accounts_apply(f.store, &acme, 1, &f.account, &err), err);
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                assert_int_equal(user_set(&u, i, sample(i, false)), 0);
        assert_ok(store_user_insert(f.store, f.account, &u, &dates, (RecordMark){ .len = 1 },
                                    &f.row, &err),
                  err);
        *state = &f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;
        char command[64];

        store_close(f->store);
        (void) snprintf(command, sizeof command, "rm -r %s", f->dir);
        return system(command) == 0 ? 0 : -1;
}

/* The mark of the only user: the last entry of a short log. */
static uint32_t last_mark(Fixture *f) {
        MarkedRow log[STORE_SEGMENT];
        int64_t after = 0;
        uint32_t last = 0;
        size_t n = 0;
        Error err = { 0 };
        int r;

        do {
                assert_ok(r = store_marks_read(f->store, f->account, STORE_LOG, &after, log, N(log),
                                               &n, &err),
                          err);
                for (size_t i = 0; i < n; i++) {
                        assert_int_equal(log[i].row, f->row);
                        last = log[i].mark.len;
                }
        } while (r == STORE_MARKS_MORE);
        return last;
}

/* Amends the user, who is then as was asked for, mark and all. */
static void amend(Fixture *f, const StoredUser *old, const StoredUser *fresh, uint32_t mark) {
        CLEANUP(stored_user_clear) StoredUser now = { 0 };
        Error err = { 0 };

        assert_ok(store_user_amend(f->store, f->account, old, fresh, (RecordMark){ .len = mark },
                                   &err),
                  err);
        assert_ok(store_user_by_row(f->store, f->row, &now, &err), err);
        assert_int_equal(user_diff(&now.user, &fresh->user), 0);
        assert_string_equal(user_get(&now.user, USER_FIELD_USER_ID),
                            user_get(&old->user, USER_FIELD_USER_ID));
        assert_memory_equal(&now.dates, &fresh->dates, sizeof now.dates);
        assert_int_equal(now.missing, fresh->missing);
        assert_int_equal(last_mark(f), mark);
}

static void copy_user(const User *from, User *to) {
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                assert_int_equal(user_set(to, i, from->value[i]), 0);
}

/* Each field alone gets another value, loses it, and has it again. */
static void test_each_field(void **state) {
        Fixture *f = *state;
        Error err = { 0 };

        for (unsigned i = 0; i < USER_FIELD_COUNT * 3; i++) {
                CLEANUP(stored_user_clear) StoredUser old = { 0 }, fresh = { 0 };
                unsigned field = i / 3;

                if (user_fields[field].flags & FIELD_KEY)
                        continue;
                assert_ok(store_user_by_row(f->store, f->row, &old, &err), err);
                copy_user(&old.user, &fresh.user);
                assert_int_equal(user_set(&fresh.user, field,
                                          i % 3 == 1 ? NULL : sample(field, i % 3 == 0)),
                                 0);
                fresh.row = f->row;
                fresh.dates = old.dates;
                fresh.dates.last_changed_at += 1000;
                amend(f, &old, &fresh, i + 2);
        }
}

/* Nor is it lost who left, returned, was missing, or was seen first at another time. */
static void test_dates_and_missing(void **state) {
        Fixture *f = *state;
        static const struct {
                int64_t first_seen_at, removed_at;
                unsigned missing;
                uint32_t mark;
        } steps[] = {
                { T0, T0 + 5, 0, 0 },    { T0, TIME_NONE, 0, 2 },     { T0, TIME_NONE, 2, 0 },
                { T0, TIME_NONE, 0, 3 }, { T0 + 1, TIME_NONE, 0, 4 },
        };
        Error err = { 0 };

        for (size_t i = 0; i < N(steps); i++) {
                CLEANUP(stored_user_clear) StoredUser old = { 0 }, fresh = { 0 };

                assert_ok(store_user_by_row(f->store, f->row, &old, &err), err);
                copy_user(&old.user, &fresh.user);
                fresh.row = f->row;
                fresh.dates = (UserDates){ .first_seen_at = steps[i].first_seen_at,
                                           .last_changed_at = T0 + 10 + (int64_t) i,
                                           .removed_at = steps[i].removed_at };
                fresh.missing = steps[i].missing;
                amend(f, &old, &fresh, steps[i].mark);
                if (!steps[i].mark) { /* nor has anybody one who is not there */
                        fresh.dates.last_changed_at++;
                        assert_ok(store_user_update(f->store, f->account, &fresh,
                                                    (RecordMark){ .len = 99 }, &err),
                                  err);
                        assert_int_equal(last_mark(f), 0);
                }
        }
}

static void test_unknown_row(void **state) {
        Fixture *f = *state;
        CLEANUP(stored_user_clear) StoredUser old = { 0 }, fresh = { 0 };
        Error err = { 0 };

        assert_ok(store_user_by_row(f->store, f->row, &old, &err), err);
        copy_user(&old.user, &fresh.user);
        fresh.row = 4711;
        fresh.dates = old.dates;
        assert_int_equal(store_user_amend(f->store, f->account, &old, &fresh,
                                          (RecordMark){ 1, { 0 } }, &err),
                         -ENOENT);
        assert_int_equal(last_mark(f), 1); /* of the row that there is */
}

/* Which indexes of user_data a statement writes, in order of name. */
static void written_indexes(Store *s, StmtId id, char *out, size_t size) {
        CLEANUP(stmt_finalizep) sqlite3_stmt *st = NULL, *name = NULL;
        char text[2048];
        bool written[256] = { 0 };
        size_t at = 0;

        (void) snprintf(text, sizeof text, "EXPLAIN %s", store_stmt_sql(id));
        assert_int_equal(sqlite3_prepare_v2(s->db, text, -1, &st, NULL), SQLITE_OK);
        while (sqlite3_step(st) == SQLITE_ROW)
                if (strcmp((const char *) sqlite3_column_text(st, 1), "OpenWrite") == 0) {
                        assert_in_range(sqlite3_column_int(st, 3), 1, N(written) - 1);
                        written[sqlite3_column_int(st, 3)] = true;
                }
        assert_int_equal(sqlite3_prepare_v2(s->db,
                                            "SELECT rootpage, name FROM sqlite_schema WHERE type ="
                                            " 'index' AND tbl_name = 'user_data' ORDER BY name",
                                            -1, &name, NULL),
                         SQLITE_OK);
        out[0] = '\0';
        while (sqlite3_step(name) == SQLITE_ROW)
                if (written[sqlite3_column_int(name, 0)])
                        at += (size_t) snprintf(out + at, size - at, " %s",
                                                (const char *) sqlite3_column_text(name, 1));
}

static void test_indexes(void **state) {
        Fixture *f = *state;
        static const struct {
                StmtId id;
                const char *indexes;
        } cases[] = {
                { STMT_USER_AMEND_DETAILS, "" },
                { STMT_USER_AMEND_STATUS, " user_failed user_pending user_status user_suspended" },
                { STMT_USER_UPDATE, " user_email user_failed user_former user_listed user_pending"
                                    " user_pin user_status user_suspended" },
        };
        char text[512];

        for (size_t i = 0; i < N(cases); i++) {
                written_indexes(f->store, cases[i].id, text, sizeof text);
                assert_string_equal(text, cases[i].indexes);
        }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_each_field),
                T(test_dates_and_missing),
                T(test_unknown_row),
                T(test_indexes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
