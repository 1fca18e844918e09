/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "store/store-read-internal.h"

#define T0 INT64_C(1767225600000) /* 2026-01-01T00:00:00.000Z */
#define HOUR INT64_C(3600000)
#define N(array) (sizeof(array) / sizeof(array)[0])

typedef struct Fixture {
        char dir[40], path[64];
        Store *store;
        int64_t account;
} Fixture;

static const AccountIdentity acme = { "acme", "chime", "https://e", "id-1" };

static int setup(void **state) {
        static Fixture f;
        Error err = { 0 };

        f = (Fixture){ .dir = "/tmp/test-store-XXXXXX" };
        assert_non_null(mkdtemp(f.dir));
        (void) snprintf(f.path, sizeof f.path, "%s/roster.db", f.dir);
        assert_ok(store_open(f.path, &f.store, &err), err);
        assert_ok(store_accounts_apply(f.store, &acme, 1, &f.account, &err), err);
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

/* ---- small helpers ---- */

/* What a query answers: columns by '|', rows by '\n'. */
static char *ask(Store *s, const char *sql) {
        CLEANUP(stmt_finalizep) sqlite3_stmt *st = NULL;
        static char out[8192];
        size_t at = 0;

        out[0] = '\0';
        if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
                fail_msg("%s: %s", sql, sqlite3_errmsg(s->db));
        while (sqlite3_step(st) == SQLITE_ROW) {
                for (int i = 0; i < sqlite3_column_count(st); i++) {
                        const char *text = (const char *) sqlite3_column_text(st, i);

                        at += (size_t) snprintf(out + at, sizeof out - at, "%s%s",
                                                i    ? "|"
                                                : at ? "\n"
                                                     : "",
                                                text ? text : "-");
                        assert_true(at < sizeof out);
                }
        }
        return out;
}

static const char *sample_text(unsigned field) {
        switch (user_fields[field].type) {
        case FIELD_BOOL:
                return "1";
        case FIELD_JSON:
                return "{\"Shoe\":42}";
        case FIELD_TIME:
                return "2026-01-02T03:04:05.000Z";
        case FIELD_TEXT:
                break;
        }
        return user_fields[field].column;
}

static void fill(User *u) {
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                assert_int_equal(user_set(u, i, sample_text(i)), 0);
}

static int64_t add(Fixture *f, const char *id, const char *registration, int64_t now) {
        CLEANUP(user_clear) User u = { 0 };
        UserDates dates = { .first_seen_at = now, .last_changed_at = now };
        Error err = { 0 };
        int64_t row = 0;

        fill(&u);
        assert_int_equal(user_set(&u, USER_FIELD_USER_ID, id), 0);
        assert_int_equal(user_set(&u, USER_FIELD_USER_REGISTRATION_STATUS, registration), 0);
        assert_int_equal(user_set(&u, USER_FIELD_USER_INVITATION_STATUS, "Accepted"), 0);
        assert_ok(store_user_insert(f->store, f->account, &u, &dates, (RecordMark){ 0 }, &row,
                                    &err),
                  err);
        return row;
}

/* Changes a user's registration (NULL: as it was) and whether it is listed. */
static void change(Fixture *f, int64_t row, const char *registration, int64_t now, bool gone) {
        CLEANUP(stored_user_clear) StoredUser u = { 0 };
        Error err = { 0 };

        assert_ok(store_user_by_row(f->store, row, &u, &err), err);
        if (registration)
                assert_int_equal(user_set(&u.user, USER_FIELD_USER_REGISTRATION_STATUS,
                                          registration),
                                 0);
        u.dates.removed_at = gone ? now : TIME_NONE;
        if (!gone)
                u.dates.last_changed_at = now;
        assert_ok(store_user_update(f->store, f->account, &u, (RecordMark){ 0 }, &err), err);
}

static int64_t tell(Fixture *f, EventKind kind, const char *user_id, const char *old,
                    const char *new, int64_t run, int64_t now) {
        Event e = { .kind = kind, .time = now, .run = run };
        bool status = old || new;
        Error err = { 0 };

        random_event_id(e.id);
        e.user_id = (char *) (uintptr_t) user_id;
        e.field = status ? (char[]){ "user_registration_status" } : NULL;
        e.old_value = (char *) (uintptr_t) old;
        e.new_value = (char *) (uintptr_t) new;
        assert_ok(store_event_append(f->store, f->account, &e, &err), err);
        assert_true(e.seq > 0);
        return e.seq;
}

/* ---- the schema ---- */

#define COLUMN_NAME(id, json, parent, column, type, flags) #column "\n"
#define USER_COLUMNS "account\n" USER_FIELDS(COLUMN_NAME) "first_seen_at\nlast_changed_at"

static const struct {
        const char *view, *columns;
} pinned[] = {
        { "users", USER_COLUMNS },
        { "former_users", USER_COLUMNS "\nremoved_at" },
        { "suspended_users", USER_COLUMNS },
        { "pending_invitations", USER_COLUMNS },
        { "failed_invitations", USER_COLUMNS },
        { "events", "seq\nid\ntime\ntype\naccount\nuser_id\nprimary_email\nfield\nold_value\n"
                    "new_value\nrun_id\nchanges\ndetail" },
        { "runs",
          "run_id\naccount\nstarted_at\nfinished_at\noutcome\npages\nusers\nadded\nchanged\n"
          "removed\nretries\nthrottled\nerror" },
        { "accounts", "account\naccount_id\nsource\nactive\nbaseline_at\nlast_complete_at\n"
                      "last_error\nnext_run_at\nheld_removals" },
        { "webhooks", "webhook\ncursor\npending\nlast_success_at\nlast_error\nattempts\n"
                      "next_attempt_at" },
        { "dead_letters", "webhook\nseq\ntime\nerror" },
        { "status_counts", "account\nuser_registration_status\nuser_invitation_status\nusers" },
        { "user_history", "account\nuser_id\nprimary_email\nfield\nvalue\nfrom_time\nto_time" },
};

static void test_pinned_columns(void **state) {
        Fixture *f = *state;
        char sql[128];

        for (size_t i = 0; i < N(pinned); i++) {
                (void) snprintf(sql, sizeof sql, "SELECT name FROM pragma_table_info('%s')",
                                pinned[i].view);
                assert_string_equal(ask(f->store, sql), pinned[i].columns);
        }
        assert_string_equal(ask(f->store, "SELECT count(*) FROM sqlite_schema WHERE type IN"
                                          " ('table', 'view') AND name NOT LIKE '%\\_data' ESCAPE"
                                          " '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"),
                            "12");
}

static void test_settings(void **state) {
        Fixture *f = *state;

        assert_string_equal(ask(f->store, "PRAGMA application_id"), "1380930388"); /* ROST */
        assert_string_equal(ask(f->store, "PRAGMA user_version"), "6");
        assert_string_equal(ask(f->store, "PRAGMA journal_mode"), "wal");
        assert_string_equal(ask(f->store, "PRAGMA synchronous"), "2");
        assert_string_equal(ask(f->store, "PRAGMA foreign_keys"), "1");
        assert_string_equal(ask(f->store, "PRAGMA trusted_schema"), "0");
        assert_string_equal(ask(f->store, "PRAGMA cell_size_check"), "1");
        assert_string_equal(ask(f->store, "PRAGMA temp_store"), "2");
        assert_string_equal(ask(f->store, "PRAGMA mmap_size"), "0");
        assert_string_equal(ask(f->store, "PRAGMA auto_vacuum"), "2");
}

static char *read_source(const char *name) {
        const char *srcdir = getenv("srcdir");
        static char text[65536];
        char path[512];
        FILE *file;

        (void) snprintf(path, sizeof path, "%s/%s", srcdir ? srcdir : ".", name);
        file = fopen(path, "re");
        if (!file)
                fail_msg("%s: %s", path, strerror(errno));
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        (void) fclose(file);
        return text;
}

/* Puts the words of a line that stand in backquotes into *out, "name\n" each; only the first of a
 * table's row. */
static void quoted(const char *line, const char *suffix, FILE *out) {
        bool row = *line == '|';

        for (const char *p = strchr(line, '`'); p && *p; p = strchr(p + 1, '`')) {
                const char *end = strchr(p + 1, '`');

                if (!end)
                        return;
                fprintf(out, "%s%.*s\n", suffix, (int) (end - p - 1), p + 1);
                if (row)
                        return;
                p = end;
        }
}

typedef struct Section {
        char *names, *columns; /* a line each */
} Section;

/* The sections of the document that are about tables: headings with names in backquotes. */
static size_t read_sections(char *text, Section *sections, size_t max) {
        size_t n = 0, size;
        FILE *columns = NULL;
        char *rest = NULL;

        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
                if (strncmp(line, "## ", 3) == 0) {
                        FILE *names;

                        if (columns)
                                (void) fclose(columns);
                        columns = NULL;
                        if (!strchr(line, '`'))
                                continue;
                        assert_true(n < max);
                        names = open_memstream(&sections[n].names, &size);
                        quoted(line, "", names);
                        (void) fclose(names);
                        columns = open_memstream(&sections[n++].columns, &size);
                } else if (columns && strncmp(line, "Columns of `users`", 18) == 0)
                        fputs(sections[0].columns, columns);
                else if (columns && strncmp(line, "| `", 3) == 0) {
                        quoted(line, "", columns);
                        (void) fflush(columns);
                }
        }
        if (columns)
                (void) fclose(columns);
        return n;
}

/* Every public view and column is in doc/schema.md in the right order, and nothing else is. */
static void test_document(void **state) {
        Section sections[20] = { 0 };
        size_t n = read_sections(read_source("doc/schema.md"), sections, N(sections)), views = 0;

        (void) state;
        for (size_t i = 0; i < n; i++) {
                char *rest = NULL;

                for (char *name = strtok_r(sections[i].names, "\n", &rest); name;
                     name = strtok_r(NULL, "\n", &rest), views++) {
                        char want[1024];
                        size_t p = 0;

                        while (p < N(pinned) && strcmp(pinned[p].view, name) != 0)
                                p++;
                        if (p == N(pinned))
                                fail_msg("the document has %s, the database does not", name);
                        (void) snprintf(want, sizeof want, "%s\n", pinned[p].columns);
                        assert_string_equal(sections[i].columns, want);
                }
                free(sections[i].names);
                free(sections[i].columns);
        }
        assert_int_equal(views, N(pinned));
}

/* The queries that the document recommends run, and answer from the right columns. */
static void test_document_queries(void **state) {
        Fixture *f = *state;
        char *text = read_source("doc/schema.md"), *end = text;
        int n = 0;

        (void) add(f, "u", "Suspended", T0);
        for (char *p; (p = strstr(end, "```sql\n")); n++) {
                p += 7;
                end = strstr(p, "```");
                assert_non_null(end);
                *end++ = '\0';
                if (n == 0) /* it finds whom it should */
                        assert_string_equal(ask(f->store, p), "acme|primary_email|display_name|"
                                                              "2026-01-01T00:00:00.000Z");
                else
                        (void) ask(f->store, p);
        }
        assert_int_equal(n, 6);
}

/* ---- no statement reads a whole table ---- */

static void check_plan(Store *s, const char *sql, const char *const *allowed) {
        CLEANUP(stmt_finalizep) sqlite3_stmt *st = NULL;
        char text[4096];

        (void) snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", sql);
        if (sqlite3_prepare_v2(s->db, text, -1, &st, NULL) != SQLITE_OK)
                fail_msg("%s: %s", sql, sqlite3_errmsg(s->db));
        while (sqlite3_step(st) == SQLITE_ROW) {
                const char *step = (const char *) sqlite3_column_text(st, 3);
                bool ok = strncmp(step, "SCAN", 4) != 0 && !strstr(step, "TEMP B-TREE");

                for (size_t i = 0; allowed[i] && !ok; i++)
                        ok = strcmp(step, allowed[i]) == 0;
                if (!ok)
                        fail_msg("%s\n  %s", sql, step);
        }
}

static void test_statements_use_indexes(void **state) {
        /* few rows: the accounts, the sinks, SQLite's own counters */
        static const char *const allowed[] = {
                "SCAN account_data",    "SCAN sink_data",
                "SCAN sqlite_sequence", "USE TEMP B-TREE FOR ORDER BY",
                "SCAN CONSTANT ROW",    NULL
        };
        static const char *const fields[] = { "SCAN f", "SCAN CONSTANT ROW", NULL };
        static const StmtId few[] = { STMT_ACCOUNT_BY_IDENTITY, STMT_ACCOUNTS_RETIRE,
                                      STMT_EVENT_LAST_SEQ,      STMT_SINKS_ACTIVE,
                                      STMT_SINKS_FORGET,        STMT_DEAD_LETTERS_FORGET };
        Fixture *f = *state;
        Error err = { 0 };

        for (StmtId id = 0; id < STMT_COUNT; id++) {
                bool small = false;

                /* it is run like that, see store-forget.c */
                assert_ok(store_exec_sql(f->store,
                                         id == STMT_FORGET_ACCOUNT ? "PRAGMA foreign_keys = OFF"
                                                                   : "PRAGMA foreign_keys = ON",
                                         "x", &err),
                          err);
                for (size_t i = 0; i < sizeof few / sizeof few[0]; i++)
                        small = small || few[i] == id;
                check_plan(f->store, store_stmt_sql(id),
                           id == STMT_PRUNE_NOTE ? fields
                           : small               ? allowed
                                                 : allowed + 4);
        }
}

/* Nor do the questions that people ask. */
static void test_queries_use_indexes(void **state) {
        static const char *const history[] = { "SCAN f", "SCAN CONSTANT ROW", "SCAN period_data",
                                               NULL };
        static const char *const newest[] = { "SCAN e", "SCAN r", NULL };
        static const char *const plain[] = {
                "SELECT * FROM users WHERE primary_email = 'Ana@Example.com'",
                "SELECT * FROM users WHERE primary_email LIKE 'ana@%'",
                "SELECT * FROM users WHERE user_id = 'u'",
                "SELECT * FROM users WHERE account = 'acme'",
                "SELECT * FROM suspended_users",
                "SELECT * FROM pending_invitations",
                "SELECT * FROM failed_invitations",
                "SELECT * FROM suspended_users WHERE account = 'acme'",
                "SELECT * FROM former_users WHERE removed_at > '2026'",
                "SELECT * FROM former_users WHERE primary_email = 'ana@example.com'",
                "SELECT * FROM events WHERE user_id = 'u'",
                "SELECT * FROM events WHERE primary_email = 'ana@example.com'",
                "SELECT * FROM events WHERE type = 'user.suspended' AND seq > 5",
                "SELECT * FROM events WHERE time > '2026'",
                "SELECT * FROM events WHERE run_id = 5",
                "SELECT * FROM runs WHERE account = 'acme'",
                "SELECT * FROM webhooks",
                "SELECT * FROM dead_letters WHERE seq = 5",
        };
        Fixture *f = *state;

        for (size_t i = 0; i < N(plain); i++)
                check_plan(f->store, plain[i], (const char *const[]){ NULL });
        check_plan(f->store, "SELECT * FROM user_history WHERE user_id = 'u'", history);
        check_plan(f->store, "SELECT * FROM user_history WHERE primary_email = 'a@b'", history);
        check_plan(f->store, "SELECT * FROM events ORDER BY seq DESC LIMIT 10", newest);
        check_plan(f->store, "SELECT * FROM runs ORDER BY run_id DESC LIMIT 10", newest);
}

/* ---- users ---- */

static void assert_same_user(const User *a, const User *b) {
        assert_int_equal(user_diff(a, b), 0);
        assert_string_equal(user_get(a, USER_FIELD_USER_ID), user_get(b, USER_FIELD_USER_ID));
}

/* With every field, and with each field missing in turn. */
static void test_user_round_trip(void **state) {
        Fixture *f = *state;
        Error err = { 0 };

        for (unsigned i = 0; i <= USER_FIELD_COUNT; i++) {
                CLEANUP(user_clear) User in = { 0 };
                CLEANUP(stored_user_clear) StoredUser out = { 0 };
                UserDates dates = { .first_seen_at = T0 + i,
                                    .last_changed_at = T0 + INT64_C(2) * i };
                char id[16];
                int64_t row = 0;

                fill(&in);
                (void) snprintf(id, sizeof id, "user-%u", i);
                if (i < USER_FIELD_COUNT)
                        assert_int_equal(user_set(&in, i, NULL), 0);
                assert_int_equal(user_set(&in, USER_FIELD_USER_ID, id), 0);
                assert_int_equal(store_user_find(f->store, f->account, id, 0, &out, &err),
                                 STORE_ABSENT);
                assert_ok(store_user_insert(f->store, f->account, &in, &dates, (RecordMark){ 0 },
                                            &row, &err),
                          err);
                assert_int_equal(store_user_find(f->store, f->account, id, 0, &out, &err),
                                 STORE_LISTED);
                assert_same_user(&in, &out.user);
                assert_int_equal(out.row, row);
                assert_int_equal(out.missing, 0);
                assert_memory_equal(&out.dates, &dates, sizeof dates);
                assert_int_equal(store_user_find(f->store, f->account + 1, id, 0, &out, &err),
                                 STORE_ABSENT);
        }
        assert_string_equal(ask(f->store, "SELECT typeof(alexa_for_business_enabled), count(*)"
                                          " FROM users GROUP BY 1"),
                            "integer|15\nnull|1");
}

/* Who adds many users has more memory for it, until the end of the run is committed. */
static void test_cache_while_many_come(void **state) {
        const RunCounters c = { 0 };
        Fixture *f = *state;
        Error err = { 0 };
        int64_t run = 0;
        char id[16];

        for (int turn = 0; turn < 2; turn++) {
                assert_ok(store_begin(f->store, &err), err);
                assert_ok(store_run_open(f->store, f->account, T0, &run, &err), err);
                for (int i = 0; i < (turn == 0 ? 5000 : 1); i++) {
                        assert_string_equal(ask(f->store, "PRAGMA cache_size"),
                                            i < 4096 ? "-12288" : "-24576");
                        (void) snprintf(id, sizeof id, "%d-%d", turn, i);
                        (void) add(f, id, "Registered", T0);
                }
                assert_ok(store_run_close(f->store, run, &c, RUN_COMPLETE, NULL, T0, &err), err);
                assert_ok(store_commit(f->store, &err), err);
                assert_string_equal(ask(f->store, "PRAGMA cache_size"), "-12288");
        }
}

/* A likely row is no more than that. */
static void test_user_is_found_wherever(void **state) {
        Fixture *f = *state;
        CLEANUP(stored_user_clear) StoredUser u = { 0 };
        Error err = { 0 };
        int64_t a = add(f, "a", "Registered", T0), b = add(f, "b", "Registered", T0);
        const int64_t likely[] = { 0, a, b, b + 1, -1, INT64_MAX };

        for (size_t i = 0; i < sizeof likely / sizeof likely[0]; i++) {
                assert_int_equal(store_user_find(f->store, f->account, "b", likely[i], &u, &err),
                                 STORE_LISTED);
                assert_int_equal(u.row, b);
                assert_int_equal(store_user_find(f->store, f->account + 1, "b", likely[i], &u,
                                                 &err),
                                 STORE_ABSENT);
                assert_int_equal(store_user_find(f->store, f->account, "c", likely[i], &u, &err),
                                 STORE_ABSENT);
        }
}

static void test_user_leaves_and_returns(void **state) {
        Fixture *f = *state;
        CLEANUP(stored_user_clear) StoredUser u = { 0 };
        Error err = { 0 };
        int64_t row = add(f, "u", "Registered", T0), n = 0;

        change(f, row, NULL, T0 + HOUR, true);
        assert_int_equal(store_user_by_row(f->store, row, &u, &err), STORE_FORMER);
        assert_int_equal(u.dates.removed_at, T0 + HOUR);
        assert_string_equal(ask(f->store, "SELECT user_id, first_seen_at, removed_at"
                                          " FROM former_users"),
                            "u|2026-01-01T00:00:00.000Z|2026-01-01T01:00:00.000Z");
        assert_string_equal(ask(f->store, "SELECT * FROM users"), "");
        assert_ok(store_users_count(f->store, f->account, &n, &err), err);
        assert_int_equal(n, 0);

        change(f, row, "Suspended", T0 + 2 * HOUR, false);
        assert_int_equal(store_user_find(f->store, f->account, "u", 0, &u, &err), STORE_LISTED);
        assert_int_equal(u.row, row);
        assert_string_equal(ask(f->store, "SELECT user_id, first_seen_at FROM suspended_users"),
                            "u|2026-01-01T00:00:00.000Z");
        assert_string_equal(ask(f->store, "SELECT * FROM former_users"), "");

        u.row = 4711;
        assert_int_equal(store_user_update(f->store, f->account, &u, (RecordMark){ 0 }, &err),
                         -ENOENT);
        assert_int_equal(store_user_by_row(f->store, 4711, &u, &err), STORE_ABSENT);
        assert_int_equal(u.row, 4711); /* untouched */
}

static void test_email_ignores_case(void **state) {
        Fixture *f = *state;

        (void) add(f, "u", "Registered", T0);
        assert_string_equal(ask(f->store, "SELECT user_id FROM users"
                                          " WHERE primary_email = 'PRIMARY_email'"),
                            "u");
}

static void test_listed_rows(void **state) {
        Fixture *f = *state;
        ListedRow rows[4] = { 0 };
        Error err = { 0 };
        int64_t row[6];
        char id[2] = "a";
        size_t n = 99;

        for (size_t i = 0; i < N(row); i++, id[0]++)
                row[i] = add(f, id, "Registered", T0);
        change(f, row[1], NULL, T0, true);
        assert_ok(store_user_set_missing(f->store, f->account, row[2], 3, (RecordMark){ 0 }, &err),
                  err);

        assert_ok(store_users_listed(f->store, f->account, -1, rows, 4, &n, &err), err);
        assert_int_equal(n, 4);
        assert_int_equal(rows[0].row, row[0]);
        assert_int_equal(rows[1].row, row[2]);
        assert_int_equal(rows[1].missing, 3);
        assert_int_equal(rows[3].row, row[4]);
        assert_ok(store_users_listed(f->store, f->account, rows[3].row, rows, 4, &n, &err), err);
        assert_int_equal(n, 1);
        assert_ok(store_users_listed(f->store, f->account, row[5], rows, 4, &n, &err), err);
        assert_int_equal(n, 0);
        assert_int_equal(store_user_set_missing(f->store, f->account, 4711, 1, (RecordMark){ 0 },
                                                &err),
                         -ENOENT);
}

static void test_status_counts(void **state) {
        Fixture *f = *state;
        const AccountIdentity list[] = { acme, { "beta", "chime", "https://e", "id-2" } };
        StatusCount *counts = NULL;
        int64_t keys[2];
        Error err = { 0 };
        size_t n = 0;

        (void) add(f, "a", "Suspended", T0);
        (void) add(f, "b", "Suspended", T0);
        (void) add(f, "c", NULL, T0);
        change(f, add(f, "d", "Registered", T0), NULL, T0, true);
        assert_ok(store_accounts_apply(f->store, list, 2, keys, &err), err);
        f->account = keys[1];
        (void) add(f, "a", "Registered", T0);

        assert_ok(store_status_counts(f->store, 0, &counts, &n, &err), err);
        assert_int_equal(n, 3);
        assert_null(counts[0].registration);
        assert_string_equal(counts[1].registration, "Suspended");
        assert_int_equal(counts[1].users, 2);
        assert_string_equal(counts[2].account, "beta");
        status_counts_free(counts, n);
        assert_string_equal(ask(f->store, "SELECT * FROM status_counts"),
                            "acme|-|Accepted|1\nacme|Suspended|Accepted|2\n"
                            "beta|Registered|Accepted|1");

        assert_ok(store_status_counts(f->store, keys[1], &counts, &n, &err), err);
        assert_int_equal(n, 1);
        status_counts_free(counts, n);
        assert_ok(store_accounts_apply(f->store, list, 1, keys, &err), err);
        assert_ok(store_status_counts(f->store, 0, &counts, &n, &err), err);
        assert_int_equal(n, 2); /* beta is no longer configured */
        status_counts_free(counts, n);
}

static bool file_holds(const char *path, const char *word) {
        char command[128];

        (void) snprintf(command, sizeof command, "grep -qa '%s' %s*", word, path);
        return system(command) == 0;
}

static void test_wiped_pins_are_gone(void **state) {
        Fixture *f = *state;
        CLEANUP(stored_user_clear) StoredUser u = { 0 };
        Error err = { 0 };
        int64_t row = add(f, "u", "Registered", T0);

        assert_ok(store_user_by_row(f->store, row, &u, &err), err);
        assert_int_equal(user_set(&u.user, USER_FIELD_PERSONAL_PIN, "4711-secret-0815"), 0);
        assert_ok(store_user_update(f->store, f->account, &u, (RecordMark){ 0 }, &err), err);
        assert_true(file_holds(f->path, "4711-secret-0815"));
        assert_ok(store_wipe_pins(f->store, &err), err);
        assert_false(file_holds(f->path, "4711-secret-0815"));
        assert_string_equal(ask(f->store, "SELECT personal_pin, display_name FROM users"),
                            "-|display_name");
        assert_ok(store_wipe_pins(f->store, &err), err);
}

/* Nor does anything of a deleted row stay in the file. */
static void test_deleted_rows_are_gone(void **state) {
        Fixture *f = *state;
        Error err = { 0 };

        (void) add(f, "forgotten-user", "Registered", T0);
        (void) add(f, "neighbour", "Registered", T0);
        assert_ok(store_exec_sql(f->store, "DELETE FROM user_data WHERE user_id = 'forgotten-user'",
                                 "x", &err),
                  err);
        store_checkpoint(f->store);
        assert_true(file_holds(f->path, "neighbour"));
        assert_false(file_holds(f->path, "forgotten-user"));
}

/* ---- accounts ---- */

static void test_accounts_apply(void **state) {
        Fixture *f = *state;
        const AccountIdentity both[] = { { "beta", "chime", "https://e", "id-2" }, acme };
        const AccountIdentity renamed[] = { { "beta", "chime", "https://e", "id-2" },
                                            { "corp", "chime", "https://e", "id-1" } };
        const AccountIdentity moved[] = { { "beta", "chime", "https://f", "id-2" },
                                          { "beta2", "chime", "https://e", "id-2" } };
        const AccountIdentity twice[] = { acme, { "copy", "chime", "https://e", "id-1" } };
        int64_t keys[2] = { 0 }, beta, again[2] = { 0 };
        Error err = { 0 };

        (void) add(f, "u", "Registered", T0);
        assert_ok(store_accounts_apply(f->store, both, 2, keys, &err), err);
        assert_int_equal(keys[1], f->account);
        beta = keys[0];
        assert_int_not_equal(beta, f->account);

        /* a new name for a known account takes its users and history along */
        assert_ok(store_accounts_apply(f->store, renamed, 2, keys, &err), err);
        assert_int_equal(keys[0], beta);
        assert_int_equal(keys[1], f->account);
        assert_string_equal(ask(f->store, "SELECT account FROM users"), "corp");

        /* taken out: its rows stay, and it can come back under yet another name */
        assert_ok(store_accounts_apply(f->store, both, 1, keys, &err), err);
        assert_string_equal(ask(f->store, "SELECT account, active FROM accounts ORDER BY 1"),
                            "beta|1\ncorp|0");
        assert_string_equal(ask(f->store, "SELECT account FROM users"), "corp");
        assert_ok(store_accounts_apply(f->store, &acme, 1, keys, &err), err);
        assert_int_equal(keys[0], f->account);
        assert_string_equal(ask(f->store, "SELECT account, active FROM accounts ORDER BY 1"),
                            "acme|1\nbeta|0");

        /* a known name keeps its key whatever else changes */
        assert_ok(store_accounts_apply(f->store, moved, 1, again, &err), err);
        assert_int_equal(again[0], beta);
        assert_ok(store_accounts_apply(f->store, both, 1, again, &err), err);
        assert_int_equal(again[0], beta);
        /* unless another one has what it was */
        assert_ok(store_accounts_apply(f->store, moved, 2, again, &err), err);
        assert_int_equal(again[1], beta);
        assert_true(again[0] != beta && again[0] != f->account);
        assert_string_equal(ask(f->store, "SELECT count(*) FROM accounts"), "3");

        /* nor does a new name take anything from one that is in use */
        assert_ok(store_accounts_apply(f->store, twice, 2, again, &err), err);
        assert_int_equal(again[0], f->account);
        assert_int_not_equal(again[1], f->account);
}

static void test_accounts_change_names(void **state) {
        Fixture *f = *state;
        const AccountIdentity both[] = { { "beta", "chime", "https://e", "id-2" }, acme };
        const AccountIdentity swapped[] = { { "beta", "chime", "https://e", "id-1" },
                                            { "acme", "chime", "https://e", "id-2" } };
        int64_t keys[2] = { 0 }, again[2] = { 0 };
        char left[32];
        Error err = { 0 };

        (void) add(f, "u", "Registered", T0);
        assert_ok(store_accounts_apply(f->store, both, 2, keys, &err), err);
        assert_ok(store_accounts_apply(f->store, swapped, 2, again, &err), err);
        assert_int_equal(again[0], f->account);
        assert_int_equal(again[1], keys[0]);
        assert_string_equal(ask(f->store, "SELECT account FROM users"), "beta");

        /* one takes the name of another, which is nowhere any more, and then comes back */
        assert_ok(store_accounts_apply(f->store, &acme, 1, again, &err), err);
        assert_int_equal(again[0], f->account);
        (void) snprintf(left, sizeof left, "acme~%" PRId64 "|0", keys[0]);
        assert_string_equal(ask(f->store, "SELECT account, active FROM accounts"
                                          " WHERE account_id = 'id-2'"),
                            left);
        assert_ok(store_accounts_apply(f->store, both, 2, again, &err), err);
        assert_int_equal(again[0], keys[0]);
}

static void test_account_state(void **state) {
        Fixture *f = *state;
        AccountState in = { .scope = (char[]){ "scope" },
                            .baseline_at = T0,
                            .last_attempt_at = T0 + 1,
                            .last_complete_at = T0 + 2,
                            .next_run_at = T0 + 3,
                            .last_error = (char[]){ "it broke" },
                            .failing_since = T0 + 4,
                            .failure_told_at = T0 + 5,
                            .failures = 6,
                            .held_removals = 7,
                            .removals_accepted = 60 };
        CLEANUP(account_state_clear) AccountState out = { 0 };
        AccountState none = { 0 };
        Error err = { 0 };

        assert_ok(store_account_get(f->store, f->account, &out, &err), err);
        assert_null(out.scope);
        assert_int_equal(out.baseline_at, TIME_NONE);
        assert_ok(store_account_put(f->store, f->account, &in, &err), err);
        assert_ok(store_account_get(f->store, f->account, &out, &err), err);
        assert_string_equal(out.scope, "scope");
        assert_string_equal(out.last_error, "it broke");
        assert_int_equal(out.baseline_at, T0);
        assert_int_equal(out.last_attempt_at, T0 + 1);
        assert_int_equal(out.last_complete_at, T0 + 2);
        assert_int_equal(out.next_run_at, T0 + 3);
        assert_int_equal(out.failing_since, T0 + 4);
        assert_int_equal(out.failure_told_at, T0 + 5);
        assert_int_equal(out.failures, 6);
        assert_int_equal(out.held_removals, 7);
        assert_int_equal(out.removals_accepted, 60);
        assert_string_equal(ask(f->store, "SELECT * FROM accounts"),
                            "acme|id-1|chime|1|2026-01-01T00:00:00.000Z|2026-01-01T00:00:00.002Z|"
                            "it broke|2026-01-01T00:00:00.003Z|7");

        assert_ok(store_account_put(f->store, f->account, &none, &err), err);
        assert_string_equal(ask(f->store, "SELECT last_error, held_removals FROM accounts"), "-|0");
        assert_int_equal(store_account_put(f->store, 99, &in, &err), -ENOENT);
        assert_int_equal(store_account_get(f->store, 99, &out, &err), -ENOENT);
}

/* ---- runs ---- */

static void test_runs(void **state) {
        Fixture *f = *state;
        RunCounters c = { 1, 2, 3, 4, 5, 6, 7 };
        RunSummary last = { .run = 99 };
        int64_t run[3];
        Error err = { 0 };

        assert_ok(store_run_last(f->store, f->account, &last, &err), err);
        assert_int_equal(last.run, 0);
        for (int i = 0; i < 3; i++)
                assert_ok(store_run_open(f->store, f->account, T0 + i * HOUR, &run[i], &err), err);
        assert_ok(store_run_count(f->store, run[0], &c, &err), err);
        assert_ok(store_run_close(f->store, run[0], &c, RUN_COMPLETE, NULL, T0 + 1, &err), err);
        assert_ok(store_run_close(f->store, run[1], &c, RUN_FAILED, "no", T0 + 2 * HOUR, &err),
                  err);
        assert_ok(store_run_last(f->store, f->account, &last, &err), err);
        assert_int_equal(last.run, run[1]);
        assert_int_equal(last.outcome, RUN_FAILED);
        assert_int_equal(last.started_at, T0 + HOUR);
        assert_int_equal(last.finished_at, T0 + 2 * HOUR);
        assert_memory_equal(&last.counters, &c, sizeof c);

        /* the clock was set back, and the run's last event is later than its start */
        (void) tell(f, EVENT_USER_SUSPENDED, "u", "Registered", "Suspended", run[2], T0 + 3 * HOUR);
        assert_ok(store_runs_interrupt(f->store, f->account + 1, "no", T0, &err), err);
        assert_string_equal(ask(f->store, "SELECT count(*) FROM runs WHERE outcome = 'running'"),
                            "1");
        assert_ok(store_runs_interrupt(f->store, 0, "killed", T0, &err), err);
        assert_string_equal(ask(f->store, "SELECT * FROM runs"),
                            "1|acme|2026-01-01T00:00:00.000Z|2026-01-01T00:00:00.001Z|complete|1|2|"
                            "3|4|5|6|7|-\n"
                            "2|acme|2026-01-01T01:00:00.000Z|2026-01-01T02:00:00.000Z|failed|1|2|3|"
                            "4|5|6|7|no\n"
                            "3|acme|2026-01-01T02:00:00.000Z|2026-01-01T03:00:00.000Z|interrupted|"
                            "0|0|0|0|0|0|0|killed");
        assert_int_equal(store_run_count(f->store, 99, &c, &err), -ENOENT);
        assert_ok(store_run_close(f->store, run[2], &c, RUN_COMPLETE, NULL, T0, &err), err);
        assert_ok(store_run_last(f->store, f->account, &last, &err), err);
        assert_int_equal(last.finished_at, last.started_at); /* not before */
}

/* ---- events ---- */

/* Up to max events of any kind; *ret_n of them in *ret. */
static int read_after(Fixture *f, int64_t after, size_t max, Event ***ret, size_t *ret_n,
                      Error *err) {
        const EventQuery q = { .after = after, .kinds = EVENT_MASK_ALL, .max = max };
        EventPage page = { 0 };
        int r = store_events_read(f->store, &q, &page, err);

        *ret = page.events;
        *ret_n = page.n;
        return r;
}

static void test_event_round_trip(void **state) {
        Fixture *f = *state;
        Event e = { .kind = EVENT_USER_UPDATED,
                    .time = T0,
                    .id = "evt_1",
                    .user_id = (char[]){ "u" },
                    .primary_email = (char[]){ "a@b.example" },
                    .field = (char[]){ "display_name" },
                    .old_value = (char[]){ "old" },
                    .new_value = (char[]){ "new" },
                    .changes = (char[]){ "[]" },
                    .user = (char[]){ "{\"user_id\":\"u\"}" } };
        Event **all = NULL, *got;
        Error err = { 0 };
        size_t n = 0;

        assert_ok(store_run_open(f->store, f->account, T0, &e.run, &err), err);
        assert_ok(store_event_append(f->store, f->account, &e, &err), err);
        assert_int_equal(store_event_append(f->store, f->account, &e, &err), -EINVAL); /* same id */
        (void) tell(f, EVENT_SYNC_FAILED, NULL, NULL, NULL, 0, T0 + 1);

        assert_ok(read_after(f, 0, 10, &all, &n, &err), err);
        assert_int_equal(n, 2);
        got = all[0];
        assert_int_equal(got->seq, e.seq);
        assert_int_equal(got->time, T0);
        assert_int_equal(got->kind, EVENT_USER_UPDATED);
        assert_int_equal(got->run, e.run);
        assert_string_equal(got->id, "evt_1");
        assert_string_equal(got->account, "acme");
        assert_string_equal(got->account_id, "id-1");
        assert_string_equal(got->user_id, e.user_id);
        assert_string_equal(got->primary_email, e.primary_email);
        assert_string_equal(got->field, e.field);
        assert_string_equal(got->old_value, "old");
        assert_string_equal(got->new_value, "new");
        assert_string_equal(got->changes, e.changes);
        assert_string_equal(got->user, e.user);
        assert_null(got->detail);
        assert_int_equal(all[1]->run, 0);
        assert_null(all[1]->user_id);
        events_free(all, n);
}

/* What a transaction has appended is read once it is committed, and not if it is undone. */
static void test_events_uncommitted(void **state) {
        Fixture *f = *state;
        Event **all = NULL;
        Error err = { 0 };
        size_t n = 0;

        (void) tell(f, EVENT_USER_ADDED, "u", NULL, NULL, 0, T0);
        for (int commits = 0; commits < 2; commits++) {
                assert_ok(store_begin(f->store, &err), err);
                (void) tell(f, EVENT_USER_ADDED, "v", NULL, NULL, 0, T0);
                assert_ok(store_begin(f->store, &err), err); /* joins */
                (void) tell(f, EVENT_USER_ADDED, "w", NULL, NULL, 0, T0);
                assert_ok(read_after(f, 0, 10, &all, &n, &err), err);
                assert_int_equal(n, 1);
                events_free(all, n);
                if (commits)
                        assert_ok(store_commit(f->store, &err), err);
                else
                        store_rollback(f->store);
                assert_ok(read_after(f, 0, 10, &all, &n, &err), err);
                assert_int_equal(n, commits ? 3 : 1);
                events_free(all, n);
        }
}

/* A type of a later version is passed over, and does not end the log. */
static void test_event_order(void **state) {
        Fixture *f = *state;
        Event **all = NULL;
        Error err = { 0 };
        int64_t last = 99, seq = 0;
        size_t n = 0, total = 0;

        assert_ok(store_event_last_seq(f->store, &last, &err), err);
        assert_int_equal(last, 0);
        for (int i = 0; i < 10; i++)
                last = tell(f, EVENT_USER_ADDED, "u", NULL, NULL, 0, T0);
        assert_ok(store_exec_sql(f->store, "UPDATE event_data SET type = 'user.sang' WHERE seq < 4",
                                 "x", &err),
                  err);
        do {
                assert_ok(read_after(f, seq, 3, &all, &n, &err), err);
                for (size_t i = 0; i < n; i++, total++) {
                        assert_true(all[i]->seq > seq);
                        seq = all[i]->seq;
                }
                events_free(all, n);
        } while (n > 0);
        assert_int_equal(total, 7);
        assert_ok(store_exec_sql(f->store, "DELETE FROM event_data", "x", &err), err);
        assert_ok(store_event_last_seq(f->store, &seq, &err), err);
        assert_int_equal(seq, last);
        assert_int_equal(tell(f, EVENT_USER_ADDED, "u", NULL, NULL, 0, T0), last + 1);
}

/* Gaps of deleted events do not count, unless there are many events. */
static void test_pending(void **state) {
        Fixture *f = *state;
        int64_t pending = -1;
        Error err = { 0 };

        assert_ok(store_events_pending(f->store, 0, &pending, &err), err);
        assert_int_equal(pending, 0);
        for (int i = 0; i < 1010; i++)
                (void) tell(f, EVENT_USER_ADDED, "u", NULL, NULL, 0, T0);
        assert_ok(store_exec_sql(f->store, "DELETE FROM event_data WHERE seq IN (2, 3, 1009, 1010)",
                                 "x", &err),
                  err);
        assert_ok(store_events_pending(f->store, 0, &pending, &err), err);
        assert_int_equal(pending, 1010); /* at most */
        assert_ok(store_events_pending(f->store, 8, &pending, &err), err);
        assert_int_equal(pending, 1000);
        assert_ok(store_events_pending(f->store, 1008, &pending, &err), err);
        assert_int_equal(pending, 0);
}

static void test_cursors(void **state) {
        Fixture *f = *state;
        int64_t at = 0;
        Error err = { 0 };

        (void) tell(f, EVENT_USER_ADDED, "u", NULL, NULL, 0, T0);
        (void) tell(f, EVENT_USER_ADDED, "v", NULL, NULL, 0, T0);
        assert_ok(store_cursor_open(f->store, "journal", 0, &at, &err), err);
        assert_ok(store_cursor_open(f->store, "webhook:ops", 1, &at, &err), err);
        assert_int_equal(at, 1);
        assert_string_equal(ask(f->store, "SELECT * FROM webhooks"), "ops|1|1|-|-|0|-");
        assert_ok(store_cursor_move(f->store, "webhook:ops", 2, &err), err);
        assert_ok(store_cursor_open(f->store, "webhook:ops", 0, &at, &err), err);
        assert_int_equal(at, 2);
        assert_string_equal(ask(f->store, "SELECT webhook, pending FROM webhooks"), "ops|0");
}

/* ---- retention ---- */

static void test_prune(void **state) {
        Fixture *f = *state;
        const RunCounters c = { 0 };
        int64_t run[6], at;
        bool more = false;
        Error err = { 0 };

        for (int i = 0; i < 6; i++) {
                assert_ok(store_run_open(f->store, f->account, T0 + i * HOUR, &run[i], &err), err);
                if (i < 5)
                        assert_ok(store_run_close(f->store, run[i], &c, RUN_COMPLETE, NULL,
                                                  T0 + i * HOUR, &err),
                                  err);
                (void) tell(f, EVENT_USER_ADDED, "u", NULL, NULL, run[i], T0 + i * HOUR);
        }
        assert_ok(store_cursor_open(f->store, "journal", 4, &at, &err), err);
        assert_ok(store_cursor_open(f->store, "webhook:slow", 3, &at, &err), err);

        /* in steps: events first, then the runs that nobody names any more */
        assert_ok(store_prune(f->store, T0 + 2 * HOUR, 1, &more, &err), err);
        assert_true(more);
        assert_string_equal(ask(f->store, "SELECT min(seq) FROM events"), "2");
        assert_ok(store_prune(f->store, T0 + 2 * HOUR, 10, &more, &err), err);
        assert_false(more);
        assert_string_equal(ask(f->store, "SELECT min(seq) FROM events"), "3");
        assert_string_equal(ask(f->store, "SELECT min(run_id) FROM runs"), "3");

        /* all is old: what a sink has yet to tell stays, with its runs */
        assert_ok(store_prune(f->store, T0 + 99 * HOUR, 10, &more, &err), err);
        assert_string_equal(ask(f->store, "SELECT min(seq), count(*) FROM events"), "4|3");
        assert_string_equal(ask(f->store, "SELECT min(run_id), count(*) FROM runs"), "4|3");

        /* the last run that ended stays, and the running one */
        assert_ok(store_cursor_move(f->store, "journal", 6, &err), err);
        assert_ok(store_cursor_move(f->store, "webhook:slow", 6, &err), err);
        assert_ok(store_prune(f->store, T0 + 99 * HOUR, 10, &more, &err), err);
        assert_string_equal(ask(f->store, "SELECT count(*) FROM events"), "0");
        assert_string_equal(ask(f->store, "SELECT min(run_id), count(*) FROM runs"), "5|2");
}

/* What a storm of events took is given back once it is gone. */
static void test_prune_gives_space_back(void **state) {
        Fixture *f = *state;
        bool more = true;
        int64_t pages = 0;
        Error err = { 0 };

        assert_ok(store_exec_sql(f->store,
                                 "INSERT INTO event_data (id, time, type, account_key, detail)"
                                 " WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c"
                                 " WHERE i < 8000) SELECT 'e' || i, '2020', 'user.added', 1,"
                                 " hex(zeroblob(2000)) FROM c",
                                 "x", &err),
                  err);
        assert_ok(store_number(f->store, "PRAGMA page_count", &pages, &err), err);
        assert_true(pages > 8000);
        for (int i = 0; more && i < 100; i++)
                assert_ok(store_prune(f->store, T0, 1000, &more, &err), err);
        assert_false(more);
        assert_ok(store_number(f->store, "PRAGMA page_count", &pages, &err), err);
        assert_true(pages < 5500);
}

/* ---- history ---- */

#define HISTORY                                                                         \
        "SELECT value, substr(from_time, 12, 2), substr(to_time, 12, 2)"                \
        " FROM user_history WHERE user_id = 'u' AND field = 'user_registration_status'" \
        " ORDER BY from_time"

/* All that may happen to a user. */
static void live_a_story(Fixture *f) {
        int64_t row = add(f, "u", "Registered", T0);

        (void) add(f, "other", "Suspended", T0 + 9 * HOUR);
        (void) tell(f, EVENT_USER_SUSPENDED, "other", "Registered", "Suspended", 0, T0 + 9 * HOUR);
        assert_string_equal(ask(f->store, HISTORY), "Registered|00|-");

        change(f, row, "Suspended", T0 + HOUR, false);
        (void) tell(f, EVENT_USER_SUSPENDED, "u", "Registered", "Suspended", 0, T0 + HOUR);
        assert_string_equal(ask(f->store, HISTORY), "Registered|00|01\nSuspended|01|-");

        change(f, row, NULL, T0 + 2 * HOUR, true);
        (void) tell(f, EVENT_USER_REMOVED, "u", NULL, NULL, 0, T0 + 2 * HOUR);
        assert_string_equal(ask(f->store, HISTORY), "Registered|00|01\nSuspended|01|02");

        /* comes back as suspended as before, which is told again */
        change(f, row, NULL, T0 + 3 * HOUR, false);
        (void) tell(f, EVENT_USER_RETURNED, "u", NULL, NULL, 0, T0 + 3 * HOUR);
        (void) tell(f, EVENT_USER_SUSPENDED, "u", "Suspended", "Suspended", 0, T0 + 3 * HOUR);
        assert_string_equal(ask(f->store, HISTORY),
                            "Registered|00|01\nSuspended|01|02\nSuspended|03|-");

        change(f, row, "Registered", T0 + 4 * HOUR, false);
        (void) tell(f, EVENT_USER_REINSTATED, "u", "Suspended", "Registered", 0, T0 + 4 * HOUR);
        change(f, row, NULL, T0 + 5 * HOUR, true);
        (void) tell(f, EVENT_USER_REMOVED, "u", NULL, NULL, 0, T0 + 5 * HOUR);
        assert_string_equal(ask(f->store, HISTORY), "Registered|00|01\nSuspended|01|02\n"
                                                    "Suspended|03|04\nRegistered|04|05");

        /* comes back without an event, with another status; then changes */
        change(f, row, "Unregistered", T0 + 6 * HOUR, false);
        assert_string_equal(ask(f->store, HISTORY),
                            "Registered|00|01\nSuspended|01|02\nSuspended|03|04\n"
                            "Registered|04|05\nUnregistered|06|-");
}

static void test_history(void **state) {
        Fixture *f = *state;

        live_a_story(f);
        assert_string_equal(ask(f->store, "SELECT count(*), max(to_time) FROM user_history"
                                          " WHERE user_id = 'u'"
                                          " AND field = 'user_invitation_status'"),
                            "3|2026-01-01T05:00:00.000Z");
}

/* Arrives suspended: user.added and user.suspended at the same instant.  Then goes without an event. */
static void test_history_of_arrival(void **state) {
        Fixture *f = *state;
        int64_t row = add(f, "u", "Suspended", T0);

        (void) tell(f, EVENT_USER_ADDED, "u", NULL, NULL, 0, T0);
        (void) tell(f, EVENT_USER_SUSPENDED, "u", NULL, "Suspended", 0, T0);
        assert_string_equal(ask(f->store, HISTORY), "Suspended|00|-");
        change(f, row, NULL, T0 + HOUR, true);
        assert_string_equal(ask(f->store, HISTORY), "Suspended|00|01");
}

/* What rosterctl shows as SINCE. */
static char *since(Fixture *f, const char *id) {
        CLEANUP(store_closep) Store *reader = NULL;
        CLEANUP(rows_freep) Rows *rows = NULL;
        const Cell *cells = NULL;
        static char out[64];
        Error err = { 0 };

        (void) snprintf(out, sizeof out, "-");
        assert_ok(store_open_reader(f->store->path, &reader, &err), err);
        assert_ok(store_read_users(reader, &(UserFilter){ 0 }, true, &rows, &err), err);
        while (rows_next(rows, &cells, &err) == ROWS_ROW)
                if (strcmp(cells[2].text, id) == 0)
                        (void) snprintf(out, sizeof out, "%s", cells[rows_columns(rows) - 1].text);
        return out;
}

/* Whatever old events are deleted: what is left of the history is as it was, and begins when it did. */
static void test_history_after_retention(void **state) {
        static const char differs[] =
                "SELECT count(*) FROM (SELECT * FROM (SELECT * FROM user_history EXCEPT"
                " SELECT * FROM whole) UNION ALL SELECT * FROM (SELECT * FROM whole"
                " WHERE to_time IS NULL OR to_time >= '2026-01-01T%02d:00:00.000Z' EXCEPT"
                " SELECT * FROM user_history))";
        Fixture *f = *state;
        char sql[sizeof differs + 8];
        Error err = { 0 };

        assert_ok(store_cursor_open(f->store, "journal", 99, &(int64_t){ 0 }, &err), err);
        live_a_story(f);
        assert_ok(store_exec_sql(f->store, "CREATE TABLE whole AS SELECT * FROM user_history", "x",
                                 &err),
                  err);
        for (int hour = 0; hour < 12; hour++)
                for (bool more = true; more;) {
                        assert_ok(store_prune(f->store, T0 + hour * HOUR, 1, &more, &err), err);
                        if (more)
                                continue;
                        (void) snprintf(sql, sizeof sql, differs, hour);
                        assert_string_equal(ask(f->store, sql), "0");
                }
        assert_string_equal(ask(f->store, "SELECT count(*) FROM event_data"), "0");
}

/* The clock was set back between two events. */
static void test_retention_keeps_the_order(void **state) {
        Fixture *f = *state;
        int64_t row = add(f, "u", "Registered", T0);
        bool more = false;
        Error err = { 0 };

        change(f, row, "Suspended", T0 + 3 * HOUR, false);
        (void) tell(f, EVENT_USER_SUSPENDED, "u", "Registered", "Suspended", 0, T0 + 3 * HOUR);
        change(f, row, "Registered", T0 + 2 * HOUR, false);
        (void) tell(f, EVENT_USER_REINSTATED, "u", "Suspended", "Registered", 0, T0 + 2 * HOUR);
        (void) tell(f, EVENT_USER_REMOVED, "other", NULL, NULL, 0, T0 + 2 * HOUR);
        assert_ok(store_prune(f->store, T0 + 5 * HOUR / 2, 10, &more, &err), err);
        assert_string_equal(ask(f->store, "SELECT seq, user_id FROM events"), "1|u\n2|u");
        assert_ok(store_prune(f->store, T0 + 4 * HOUR, 10, &more, &err), err);
        assert_string_equal(ask(f->store, "SELECT count(*) FROM events"), "0");
        assert_string_equal(ask(f->store, HISTORY), "Registered|02|-");
}

/* Since when somebody is suspended, too, for rosterctl and for alerts. */
static void test_since_after_retention(void **state) {
        Fixture *f = *state;
        int64_t row = add(f, "u", "Registered", T0), back = add(f, "back", "Suspended", T0);
        SuspendedUser *list = NULL;
        bool more = false;
        Error err = { 0 };
        size_t n = 0;

        change(f, row, "Suspended", T0 + HOUR, false);
        (void) tell(f, EVENT_USER_SUSPENDED, "u", "Registered", "Suspended", 0, T0 + HOUR);
        (void) tell(f, EVENT_USER_REMOVED, "back", NULL, NULL, 0, T0 + HOUR);
        change(f, back, NULL, T0 + 2 * HOUR, false); /* without an event */
        assert_string_equal(since(f, "u"), "2026-01-01T01:00:00.000Z");
        assert_string_equal(since(f, "back"), "2026-01-01T02:00:00.000Z");
        assert_ok(store_prune(f->store, T0 + 9 * HOUR, 10, &more, &err), err);
        assert_string_equal(ask(f->store, "SELECT count(*) FROM events"), "0");
        assert_string_equal(since(f, "u"), "2026-01-01T01:00:00.000Z");
        assert_string_equal(since(f, "back"), "2026-01-01T02:00:00.000Z");
        assert_ok(store_users_suspended(f->store, 0, 10, &list, &n, &err), err);
        assert_int_equal(n, 2);
        assert_int_equal(list[0].since, T0 + HOUR);
        suspended_users_free(list, n);
        /* and what was told later */
        change(f, row, "Registered", T0 + 3 * HOUR, false);
        (void) tell(f, EVENT_USER_REINSTATED, "u", "Suspended", "Registered", 0, T0 + 3 * HOUR);
        assert_string_equal(since(f, "u"), "2026-01-01T03:00:00.000Z");
        assert_string_equal(ask(f->store, HISTORY), "Suspended|01|03\nRegistered|03|-");
}

/* ---- transactions and failures ---- */

static void test_rollback_forgets(void **state) {
        Fixture *f = *state;
        CLEANUP(stored_user_clear) StoredUser u = { 0 };
        Error err = { 0 };

        assert_false(store_in_transaction(f->store));
        assert_ok(store_begin(f->store, &err), err);
        assert_ok(store_begin(f->store, &err), err); /* joins */
        assert_true(store_in_transaction(f->store));
        (void) add(f, "u", "Registered", T0);
        store_rollback(f->store);
        store_rollback(f->store); /* a second one is harmless */
        assert_false(store_in_transaction(f->store));
        assert_int_equal(store_user_find(f->store, f->account, "u", 0, &u, &err), STORE_ABSENT);
        assert_int_equal(store_commit(f->store, &err), -EIO);
}

static int deny_rollback(void *userdata, int action, const char *a, const char *b, const char *c,
                         const char *d) {
        (void) userdata;
        (void) b;
        (void) c;
        (void) d;
        return action == SQLITE_TRANSACTION && strcmp(a, "ROLLBACK") == 0 ? SQLITE_DENY : SQLITE_OK;
}

/* What could not be undone is not committed with what comes later. */
static void test_rollback_that_fails(void **state) {
        Fixture *f = *state;
        CLEANUP(stored_user_clear) StoredUser u = { 0 };
        Error err = { 0 };
        int64_t row;

        assert_ok(store_begin(f->store, &err), err);
        assert_non_null(f->store->stmts[STMT_ROLLBACK]); /* before there may be no memory for it */
        row = add(f, "u", "Registered", T0);
        assert_int_equal(sqlite3_set_authorizer(f->store->db, deny_rollback, NULL), SQLITE_OK);
        store_rollback(f->store);
        assert_true(store_in_transaction(f->store));
        assert_ok(store_begin(f->store, &err), err); /* joins */
        assert_int_equal(store_user_set_missing(f->store, f->account, row, 1, (RecordMark){ 0 },
                                                &err),
                         -EIO);
        assert_non_null(strstr(err.msg, "had not been undone"));
        assert_int_equal(store_commit(f->store, &err), -EIO);

        assert_int_equal(sqlite3_set_authorizer(f->store->db, NULL, NULL), SQLITE_OK);
        assert_int_equal(store_user_set_missing(f->store, f->account, row, 1, (RecordMark){ 0 },
                                                &err),
                         -EIO);
        assert_false(store_in_transaction(f->store));
        assert_int_equal(store_user_find(f->store, f->account, "u", 0, &u, &err), STORE_ABSENT);
        assert_ok(store_begin(f->store, &err), err);
        (void) add(f, "v", "Registered", T0);
        assert_ok(store_commit(f->store, &err), err);
}

static void test_constraint_is_reported(void **state) {
        Fixture *f = *state;
        CLEANUP(user_clear) User u = { 0 };
        UserDates dates = { .first_seen_at = T0, .last_changed_at = T0 };
        Error err = { 0 };
        int64_t row = 42;

        fill(&u);
        assert_int_equal(store_user_insert(f->store, 99, &u, &dates, (RecordMark){ 0 }, &row, &err),
                         -EINVAL);
        assert_non_null(strstr(err.msg, "FOREIGN KEY"));
        assert_int_equal(row, 42);
        /* and the cached statement is usable again */
        assert_ok(store_user_insert(f->store, f->account, &u, &dates, (RecordMark){ 0 }, &row,
                                    &err),
                  err);
}

/* A full disk: SQLite may or may not undo the transaction by itself, and we say which. */
static void test_full(void **state) {
        Fixture *f = *state;
        CLEANUP(user_clear) User u = { 0 };
        UserDates dates = { .first_seen_at = T0, .last_changed_at = T0 };
        Error err = { 0 };
        int64_t row;
        int r = 0;

        fill(&u);
        (void) add(f, "before", "Registered", T0);
        assert_ok(store_exec_sql(f->store, "PRAGMA max_page_count = 60", "x", &err), err);
        assert_ok(store_begin(f->store, &err), err);
        for (int i = 0; i < 10000 && r == 0; i++) {
                char id[16];

                (void) snprintf(id, sizeof id, "%d", i);
                assert_int_equal(user_set(&u, USER_FIELD_USER_ID, id), 0);
                r = store_user_insert(f->store, f->account, &u, &dates, (RecordMark){ 0 }, &row,
                                      &err);
        }
        assert_int_equal(r, -ENOSPC);
        assert_non_null(strstr(err.msg, f->path));
        assert_non_null(strstr(err.msg, "free some"));
        assert_int_equal(store_in_transaction(f->store), !sqlite3_get_autocommit(f->store->db));
        store_rollback(f->store);
        assert_string_equal(ask(f->store, "SELECT user_id FROM users"), "before");

        /* and goes on once there is space */
        assert_ok(store_exec_sql(f->store, "PRAGMA max_page_count = 6000", "x", &err), err);
        (void) add(f, "after", "Registered", T0);
}

/* Somebody else's transaction is waited for, not for ever. */
static void test_busy(void **state) {
        Fixture *f = *state;
        sqlite3 *other = NULL;
        Error err = { 0 };

        assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        (void) sqlite3_busy_timeout(f->store->db, 10);
        assert_int_equal(store_begin(f->store, &err), -EBUSY);
        assert_non_null(strstr(err.msg, "another program"));
        assert_false(store_in_transaction(f->store));
        assert_int_equal(sqlite3_close(other), SQLITE_OK);
        assert_ok(store_begin(f->store, &err), err);
}

static void test_damage_is_reported(void **state) {
        Fixture *f = *state;
        CLEANUP(stored_user_clear) StoredUser u = { 0 };
        Error err = { 0 };

        (void) add(f, "u", "Registered", T0);
        assert_ok(store_exec_sql(f->store, "UPDATE user_data SET first_seen_at = 'soon'", "x",
                                 &err),
                  err);
        assert_int_equal(store_user_find(f->store, f->account, "u", 0, &u, &err), -EUCLEAN);
        assert_non_null(strstr(err.msg, "first_seen_at"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_pinned_columns),
                T(test_settings),
                T(test_document),
                T(test_document_queries),
                T(test_statements_use_indexes),
                T(test_queries_use_indexes),
                T(test_user_round_trip),
                T(test_cache_while_many_come),
                T(test_user_is_found_wherever),
                T(test_user_leaves_and_returns),
                T(test_email_ignores_case),
                T(test_listed_rows),
                T(test_status_counts),
                T(test_wiped_pins_are_gone),
                T(test_deleted_rows_are_gone),
                T(test_accounts_apply),
                T(test_accounts_change_names),
                T(test_account_state),
                T(test_runs),
                T(test_event_round_trip),
                T(test_events_uncommitted),
                T(test_event_order),
                T(test_pending),
                T(test_cursors),
                T(test_prune),
                T(test_prune_gives_space_back),
                T(test_history),
                T(test_history_after_retention),
                T(test_retention_keeps_the_order),
                T(test_since_after_retention),
                T(test_history_of_arrival),
                T(test_rollback_forgets),
                T(test_rollback_that_fails),
                T(test_constraint_is_reported),
                T(test_full),
                T(test_busy),
                T(test_damage_is_reported),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
