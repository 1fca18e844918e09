/* SPDX-License-Identifier: Apache-2.0 */
/* Users that are recognised by the bytes of their records: the table, and that whole histories come to
 * the same whether records are recognised or all read. */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "daemon/mark-key.h"
#include "daemon/sync-internal.h"
#include "source/page-cut.h"
#include "store/store-internal.h"

#define SLOW_WAY "ROSTERD_READ_EVERY_RECORD"
#define ACCOUNT_ID "0f2c1d5e-8a41-4c6e-9b57-1f0e2d3c4b5a"

/* One daemon's worth: a database and what outlives its runs. */
typedef struct World {
        char path[64];
        Store *store;
        MarkKey *mark_key;
        sd_event *event;
        Batch *batch;
        SyncWorld shared;
        SyncMemory memory;
        Config config;
        AccountConfig account;
        int64_t key;
        int64_t recognised;
} World;

static char dir[] = "/tmp/test-known-XXXXXX";

static void on_committed(void *userdata) {
        (void) userdata;
}

static void on_lost(const Error *why, void *userdata) {
        (void) userdata;
        fail_msg("%s", why->msg);
}

static void world_open(World *w, const char *name) {
        static char acme[] = "acme", id[] = ACCOUNT_ID, chime[] = "chime";
        const AccountIdentity identity = { acme, chime, "http://127.0.0.1", id };
        Error err = { 0 };

        *w = (World){ .account = { .name = acme,
                                   .account_id = id,
                                   .source = chime,
                                   .missing_listings = 2,
                                   .max_removals = { .value = 6 } } };
        (void) snprintf(w->path, sizeof w->path, "%s/%s", dir, name);
        assert_ok(store_open(w->path, &w->store, &err), err);
        assert_ok(mark_key_open(w->path, w->store, &w->mark_key, &err), err);
        assert_ok(store_accounts_apply(w->store, &identity, 1, &w->key, &err), err);
        assert_true(sd_event_new(&w->event) >= 0);
        assert_ok(batch_new(w->event, w->store, on_committed, on_lost, NULL, &w->batch, &err), err);
        assert_ok(store_exec_sql(w->store, "PRAGMA synchronous = OFF", "testing", &err), err);
        w->shared = (SyncWorld){ .event = w->event, .store = w->store, .batch = w->batch };
}

static void world_close(World *w) {
        char command[96];

        batch_free(w->batch);
        store_close(w->store);
        mark_key_free(w->mark_key);
        (void) sd_event_unref(w->event);
        idset_clear(&w->memory.contested);
        (void) snprintf(command, sizeof command, "rm -f %s*", w->path);
        assert_int_equal(system(command), 0);
}

static int setup(void **state) {
        static World w;

        *state = &w;
        return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state) {
        int r = rmdir(dir);

        (void) state;
        memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
        return r;
}

static const RecordMark none = { 0 };

static unsigned seed;

static unsigned below(unsigned n) {
        seed = seed * 1664525 + 1013904223;
        return (seed >> 8) % n;
}

static bool chance(unsigned percent) {
        return below(100) < percent;
}

/* ---- the table ---- */

static int64_t insert(World *w, unsigned n, RecordMark mark) {
        CLEANUP(user_clear) User u = { 0 };
        const UserDates dates = { .first_seen_at = 1, .last_changed_at = 1 };
        Error err = { 0 };
        int64_t row = 0;
        char id[16];

        (void) snprintf(id, sizeof id, "u%u", n);
        assert_int_equal(user_set(&u, USER_FIELD_USER_ID, id), 0);
        assert_ok(store_user_insert(w->store, w->key, &u, &dates, mark, &row, &err), err);
        return row;
}

static void load(World *w, const char *context, Known *k) {
        Error err = { 0 };

        assert_ok(known_begin(k, w->store, w->key, context, &err), err);
        for (int i = 0; k->state == KNOWN_LOADING; i++) {
                assert_true(i < 100);
                assert_ok(known_load(k, w->store, &err), err);
        }
}

static RecordMark mark_of(const Known *k, unsigned n) {
        char text[32];

        (void) snprintf(text, sizeof text, "{\"UserId\":\"u%u\"}", n);
        return known_mark(k, text, strlen(text));
}

/* By hand: from beside the store. */
static void sql(World *w, const char *text) {
        sqlite3 *db = NULL;

        assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
        if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
                fail_msg("%s: %s", text, sqlite3_errmsg(db));
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_table(void **state) {
        enum { USERS = 20000 }; /* more than are counted in one go */
        World *w = *state;
        Known k = { 0 }, other = { 0 };
        static int64_t rows[USERS];
        int64_t listed = 0;
        Error err = { 0 };

        world_open(w, "table.db");
        load(w, "a", &k);
        assert_int_equal(known_find(&k, mark_of(&k, 1)), 0);
        assert_ok(store_begin(w->store, &err), err);
        for (unsigned i = 0; i < USERS; i++)
                rows[i] = insert(w, i, mark_of(&k, i));
        assert_ok(store_commit(w->store, &err), err);

        load(w, "a", &k);
        assert_int_equal(k.list.count, USERS);
        assert_ok(store_users_count(w->store, w->key, &listed, &err), err);
        assert_int_equal(listed, USERS);
        for (unsigned i = 0; i < USERS; i++)
                assert_int_equal(known_find(&k, mark_of(&k, i)), rows[i]);
        assert_null(k.slots); /* they came in order */
        assert_false(known_is_mixed(&k));
        for (unsigned i = USERS, n = 0; i-- > 0; n++) /* the first few are not worth slots */
                assert_int_equal(known_find(&k, mark_of(&k, i)), n < 4 ? 0 : rows[i]);
        assert_true(known_is_mixed(&k));
        assert_true(k.n_slots <= USERS * 3 / 2 + 1);
        for (unsigned i = USERS; i < 3 * USERS; i++)
                assert_int_equal(known_find(&k, mark_of(&k, i)), 0);

        load(w, "b", &other); /* other circumstances: nothing is known */
        assert_int_equal(other.list.count, USERS);
        for (unsigned i = 0; i < USERS; i++)
                assert_int_equal(known_find(&other, mark_of(&other, i)), 0);
        known_clear(&other);
        known_clear(&k);
        world_close(w);
}

/* A service that sent a few records of megabytes once and many short ones now must not have the long
 * ones' lengths hashed for each of them. */
static void test_long_records(void **state) {
        enum { LEN = 1 << 20 };
        World *w = *state;
        Known k = { 0 };
        RecordMark mark;
        char *text = malloc(LEN);

        assert_non_null(text);
        memset(text, ' ', LEN);
        memcpy(text, "{\"UserId\":\"u1\"", strlen("{\"UserId\":\"u1\""));
        world_open(w, "long.db");
        load(w, "a", &k);
        assert_int_equal(known_mark(&k, text, 16384).len, 16384);
        assert_int_equal(known_mark(&k, text, 16385).len, 0);
        assert_int_equal(known_mark(&k, text, LEN).len, 0);
        mark = known_mark(&k, text, 16384);
        (void) insert(w, 1, mark);
        mark.len = 16385; /* from elsewhere */
        (void) insert(w, 2, mark);
        load(w, "a", &k);
        assert_int_equal(k.list.count, 1);
        known_clear(&k);
        free(text);
        world_close(w);
}

static size_t expected(Known *k, const char *text, int64_t *ret_row) {
        char *exact = malloc(strlen(text) + 1); /* so that a byte too many is seen */
        size_t len;

        assert_non_null(exact);
        memcpy(exact, text, strlen(text));
        len = known_expect(k, exact, strlen(text), ret_row);
        free(exact);
        return len;
}

/* Records where they stood last time, or nearly. */
static void test_expected(void **state) {
        static const struct {
                const char *text;
                unsigned user; /* 0: it is not expected */
        } cases[] = {
                { "{\"UserId\":\"u1\"},", 1 },
                { "{\"UserId\":\"u1\"},", 0 }, /* that was it */
                { "{\"UserId\":\"u3\"}", 0 },  /* nothing follows */
                { "{\"UserId\":\"u3\"", 0 },
                { "{", 0 },
                { "", 0 },
                { "{\"UserId\":\"u3\"} ]", 0 },
                { "{\"UserId\":\"u3\"}]", 3 },        /* u2 has left */
                { "{\"UserId\":\"x4\"},{\"U", 0 },    /* u4 has changed */
                { "{\"UserId\":\"u9\"},", 0 },        /* far from here */
                { "{\"UserId\":\"u5\"},garbage", 5 }, /* which is for others to see */
                { "{\"UserId\":\"u9\"},", 9 },
                { "{\"UserId\":\"u10\"},", 0 }, /* the last was u9 */
        };
        World *w = *state;
        int64_t rows[10];
        Known k = { 0 };

        world_open(w, "expected.db");
        assert_int_equal(expected(&k, "{}", rows), 0);
        load(w, "a", &k);
        for (unsigned i = 1; i < 10; i++)
                rows[i] = insert(w, i, mark_of(&k, i));
        load(w, "a", &k);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                int64_t row = 0;
                size_t len = expected(&k, cases[i].text, &row);

                if (len != (cases[i].user ? strlen("{\"UserId\":\"u1\"}") : 0) ||
                    row != (cases[i].user ? rows[cases[i].user] : 0))
                        fail_msg("case %zu: %zu, row %" PRId64, i, len, row);
        }
        known_clear(&k);
        world_close(w);
}

/* Whatever changes a row takes its mark away, and what is no mark is none. */
static void test_marks_go(void **state) {
        static const struct {
                const char *sql;
                bool stays;
        } cases[] = {
                { "DELETE FROM mark_data", false },
                { "UPDATE mark_data SET marks = zeroblob(24)", false },
                { "INSERT OR REPLACE INTO user_data SELECT * FROM user_data", false },
                { "INSERT INTO user_data (account_key, user_id, first_seen_at, last_changed_at)"
                  " VALUES (1, 'u2', 'x', 'x')",
                  false },
                { "UPDATE user_data SET account_key = 2", false },
                { "INSERT OR REPLACE INTO user_data (row, account_key, user_id, first_seen_at,"
                  " last_changed_at) VALUES (1, 2, 'u1', 'x', 'x')",
                  false },
                { "UPDATE user_data SET account_key = 2; UPDATE user_data SET account_key = 1",
                  false },
                { "UPDATE user_data SET display_name = 'by hand'", false },
                { "UPDATE user_data SET missing = 1", false },
                { "UPDATE user_data SET removed_at = '2026-01-01T00:00:00.000Z'", false },
                { "DELETE FROM user_data", false },
                { "UPDATE user_data SET row = row + 5000000000", false },
                { "UPDATE account_data SET last_error = 'x'", true },
        };
        World *w = *state;

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                Known k = { 0 };
                RecordMark mark;
                int64_t row;

                world_open(w, "goes.db");
                load(w, "a", &k);
                mark = mark_of(&k, 1);
                row = insert(w, 1, mark);
                load(w, "a", &k);
                assert_int_equal(known_find(&k, mark), row);
                sql(w, cases[i].sql);
                load(w, "a", &k);
                if (known_find(&k, mark_of(&k, 1)) != (cases[i].stays ? row : 0))
                        fail_msg("%s", cases[i].sql);
                known_clear(&k);
                world_close(w);
        }
}

/* The same by the store's own calls. */
static void test_calls_that_change(void **state) {
        World *w = *state;
        StoredUser u = { 0 };
        const RecordMark a = { 1, { 2, 3, 4, 5 } }, b = { 6, { 7, 8, 9, 10 } };
        Error err = { 0 };
        int64_t row;

#define THE_MARK_IS(expected)                                                           \
        do {                                                                            \
                Known k = { 0 };                                                        \
                const RecordMark is_there = (load(w, "a", &k), known_mark_of(&k, row)); \
                                                                                        \
                assert_memory_equal(&is_there, &(expected), sizeof is_there);           \
                known_clear(&k);                                                        \
        } while (0)

        world_open(w, "calls.db");
        row = insert(w, 1, a);
        THE_MARK_IS(a);
        assert_ok(store_user_mark(w->store, w->key, row, b, &err), err);
        THE_MARK_IS(b);
        assert_ok(store_user_set_missing(w->store, w->key, row, STORE_MISSING_HELD, b, &err), err);
        THE_MARK_IS(none);
        assert_ok(store_user_set_missing(w->store, w->key, row, 0, a, &err), err);
        THE_MARK_IS(a);
        assert_int_equal(store_user_by_row(w->store, row, &u, &err), STORE_LISTED);
        u.dates.removed_at = 5;
        assert_ok(store_user_update(w->store, w->key, &u, a, &err), err);
        THE_MARK_IS(none);
        u.dates.removed_at = TIME_NONE;
        assert_int_equal(user_set(&u.user, USER_FIELD_PERSONAL_PIN, "123"), 0);
        assert_ok(store_user_update(w->store, w->key, &u, b, &err), err);
        THE_MARK_IS(b);
        assert_ok(store_wipe_pins(w->store, &err), err);
        THE_MARK_IS(none);
        stored_user_clear(&u);
        world_close(w);
#undef THE_MARK_IS
}

/* Wiping PINs is one transaction with others' changes, or one of its own: marks that are not written yet
 * vouch for what is wiped, too. */
static void test_pins_and_marks_to_come(void **state) {
        World *w = *state;
        CLEANUP(stored_user_clear) StoredUser u = { 0 };
        const RecordMark mark = { 1, { 2, 3, 4, 5 } };
        Known k = { 0 };
        Error err = { 0 };
        int64_t row;

        world_open(w, "pins.db");
        row = insert(w, 1, none);
        assert_int_equal(store_user_by_row(w->store, row, &u, &err), STORE_LISTED);
        assert_int_equal(user_set(&u.user, USER_FIELD_PERSONAL_PIN, "123"), 0);
        assert_ok(store_begin(w->store, &err), err);
        assert_ok(store_user_update(w->store, w->key, &u, mark, &err), err);
        assert_ok(store_wipe_pins(w->store, &err), err);
        assert_ok(store_commit(w->store, &err), err);
        load(w, "a", &k);
        assert_int_equal(k.list.count, 0);
        known_clear(&k);
        world_close(w);
}

/* ---- the log ---- */

#define LOG_ACCOUNTS 2
#define LOG_ROWS 3000

typedef RecordMark LogModel[LOG_ACCOUNTS][LOG_ROWS];

static void append_some(World *w, LogModel model, unsigned n, bool in_order) {
        Error err = { 0 };

        for (unsigned i = 0; i < n; i++) {
                unsigned account = below(LOG_ACCOUNTS);
                unsigned row = in_order ? i % LOG_ROWS : below(LOG_ROWS);
                RecordMark mark = { chance(80) ? 1 + below(16384) : 0,
                                    { below(1 << 16), i, row, 1 } };

                if (chance(1))
                        mark.len += 16384; /* which none has */
                model[account][row] = mark;
                assert_ok(store_user_mark(w->store, w->key + account, row + 1, mark, &err), err);
        }
}

/* Whoever is in the list, also while it is loaded, has the mark that counts; model NULL: it is not known. */
static void load_log(World *w, LogModel model, unsigned account, Known *k) {
        Error err = { 0 };

        assert_ok(known_begin(k, w->store, w->key + account, "a", &err), err);
        while (k->state == KNOWN_LOADING) {
                assert_ok(known_load(k, w->store, &err), err);
                for (size_t i = 0; i < k->list.count && model; i++)
                        assert_memory_equal(&k->list.users[i].mark,
                                            &model[account][k->list.users[i].row - 1],
                                            sizeof(RecordMark));
        }
        assert_int_equal(k->state, KNOWN_LOADED);
}

/* The list is what the model has, in order of row. */
static void check_log(World *w, LogModel model, unsigned account, bool *ret_long) {
        Known k = { 0 };
        size_t n = 0;

        load_log(w, model, account, &k);
        for (unsigned row = 0; row < LOG_ROWS; row++) {
                const RecordMark *mark = &model[account][row];
                const RecordMark found = known_mark_of(&k, row + 1);

                if (mark->len == 0 || mark->len > 16384) {
                        assert_int_equal(found.len, 0);
                        continue;
                }
                assert_memory_equal(&found, mark, sizeof found);
                assert_true(n < k.list.count && k.list.users[n].row == row + 1);
                n++;
        }
        assert_int_equal(k.list.count, n);
        *ret_long = k.is_long;
        known_clear(&k);
}

/* busy: others write before and after. */
static void shorten(World *w, LogModel model, unsigned account, bool busy) {
        Known k = { 0 };
        Error err = { 0 };
        bool is_long = true;

        load_log(w, model, account, &k);
        assert_ok(store_begin(w->store, &err), err);
        if (busy)
                append_some(w, model, below(200), false);
        assert_ok(known_rebase(&k, w->store, &err), err);
        if (busy)
                append_some(w, model, below(200), false);
        assert_ok(store_commit(w->store, &err), err);
        known_clear(&k);
        check_log(w, model, account, &is_long);
        assert_true(busy || !is_long);
}

/* All of them are told anew: the base is not looked at. */
static void renew(World *w, LogModel model, unsigned account, unsigned salt) {
        Known k = { 0 };
        Error err = { 0 };

        assert_ok(store_begin(w->store, &err), err);
        for (unsigned i = 0; i < LOG_ROWS; i++) {
                const RecordMark mark = { 1 + i, { salt, i, i, i } };

                model[account][i] = mark;
                assert_ok(store_user_mark(w->store, w->key + account, i + 1, mark, &err), err);
        }
        assert_ok(store_commit(w->store, &err), err);
        load_log(w, model, account, &k);
        assert_int_equal(k.base_upto, 0);
        assert_true(k.is_long);
        known_clear(&k);
        shorten(w, model, account, false);
}

/* Entries of two accounts come in any order, some are taken back, and the log is shortened when it is
 * long: the last one of each row counts. */
static void test_log(void **state) {
        static LogModel model, before;
        World *w = *state;
        unsigned shortened = 0;
        Error err = { 0 };

        seed = 1;
        memset(model, 0, sizeof model);
        world_open(w, "log.db");
        append_some(w, model, 3, false); /* each a transaction of its own */
        for (unsigned round = 0; round < 120; round++) {
                unsigned account = below(LOG_ACCOUNTS);
                bool is_long;

                memcpy(before, model, sizeof before);
                assert_ok(store_begin(w->store, &err), err);
                if (round == 0)
                        append_some(w, model, 2 * LOG_ROWS, true);
                append_some(w, model, below(chance(20) ? 1000 : 30), chance(20));
                if (chance(50)) /* what is not committed yet is there, too */
                        check_log(w, model, account, &is_long);
                if (chance(30)) {
                        store_rollback(w->store);
                        memcpy(model, before, sizeof before);
                        if (chance(50)) /* the next one begins at once */
                                continue;
                } else
                        assert_ok(store_commit(w->store, &err), err);
                for (account = 0; account < LOG_ACCOUNTS; account++) {
                        check_log(w, model, account, &is_long);
                        if (is_long) {
                                shorten(w, model, account, chance(50));
                                shortened++;
                        }
                }
        }
        assert_in_range(shortened, 10, 120);
        for (unsigned account = 0; account < LOG_ACCOUNTS; account++)
                shorten(w, model, account, false);

        for (unsigned account = 0; account < 2 * LOG_ACCOUNTS; account++)
                renew(w, model, account % LOG_ACCOUNTS, 100 * account);
        world_close(w);
}

/* Few entries in each segment take long to read, too. */
static void test_many_short_segments(void **state) {
        enum { USERS = 20000 };
        static MarkedRow users[USERS];
        World *w = *state;
        const RecordMark mark = { 1, { 2, 3, 4, 5 } };
        Known k = { 0 };
        Error err = { 0 };
        int64_t segments = 0;

        world_open(w, "short.db");
        for (unsigned i = 0; i < 72; i++)
                assert_ok(store_user_mark(w->store, w->key, i % 60 + 1, mark, &err), err);
        load_log(w, NULL, 0, &k);
        assert_true(k.is_long);
        assert_ok(known_rebase(&k, w->store, &err), err);
        assert_ok(store_number(w->store, "SELECT count(*) FROM mark_data", &segments, &err), err);
        assert_int_equal(segments, 1);
        load_log(w, NULL, 0, &k);
        assert_int_equal(k.list.count, 60);
        assert_false(k.is_long);
        /* but no longer than a long base does */
        for (uint32_t row = 0; row < USERS; row++)
                users[row] = (MarkedRow){ row + 1, mark };
        assert_ok(store_user_mark(w->store, w->key, 1, mark, &err), err);
        load_log(w, NULL, 0, &k);
        assert_ok(store_marks_rebase(w->store, w->key, k.upto, users, USERS, &err), err);
        for (unsigned i = 0; i < 80; i++)
                assert_ok(store_user_mark(w->store, w->key, i + 1, mark, &err), err);
        load_log(w, NULL, 0, &k);
        assert_int_equal(k.list.count, USERS);
        assert_false(k.is_long);
        known_clear(&k);
        world_close(w);
}

/* The first one that there is. */
static RecordMark mark_in_database(World *w) {
        sqlite3_stmt *st = NULL;
        MarkedRow entry;

        assert_int_equal(sqlite3_prepare_v2(w->store->db, "SELECT marks FROM mark_data", -1, &st,
                                            NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        memcpy(&entry, sqlite3_column_blob(st, 0), sizeof entry);
        (void) sqlite3_finalize(st);
        return entry.mark;
}

/* Rows and lengths are the same on any machine, and a hash of the other kind matches nothing. */
static void test_bytes_of_a_mark(void **state) {
        World *w = *state;
        Error err = { 0 };
        int64_t fits = 0;

        world_open(w, "bytes.db");
        assert_ok(store_user_mark(w->store, w->key, 0x01020304, (RecordMark){ 0x0506, { 0 } },
                                  &err),
                  err);
        assert_ok(store_number(w->store,
                               "SELECT substr(marks, 1, 8) = x'0403020106050000' FROM mark_data",
                               &fits, &err),
                  err);
        assert_int_equal(fits, 1);
        world_close(w);
}

/* Whoever reads the database learns nothing from a mark: what is there is not what the bytes hash to, and
 * with another key it is none. */
static void test_secret(void **state) {
        static const unsigned char zero[sizeof(RecordMark)];
        World *w = *state;
        RecordMark made, kept;
        MarkKey *other = NULL;
        Known k = { 0 };
        Error err = { 0 };
        char path[80];
        struct stat st;
        int64_t row;

        world_open(w, "secret.db");
        (void) snprintf(path, sizeof path, "%s.key", w->path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(st.st_size, MARK_KEY_SIZE + 32);
        load(w, "a", &k);
        made = mark_of(&k, 1);
        row = insert(w, 1, made);
        load(w, "a", &k);
        assert_int_equal(known_find(&k, made), row);
        kept = mark_in_database(w);
        assert_int_equal(kept.len, made.len);
        for (size_t i = 0; i < 4; i++)
                assert_int_not_equal(kept.hash[i], made.hash[i]);

        /* the same file: the same marks; cut short: others, and a new file */
        mark_key_free(w->mark_key);
        assert_ok(mark_key_open(w->path, w->store, &w->mark_key, &err), err);
        load(w, "a", &k);
        assert_int_equal(known_find(&k, made), row);
        assert_int_equal(truncate(path, MARK_KEY_SIZE), 0);
        assert_ok(mark_key_open(w->path, w->store, &other, &err), err);
        load(w, "a", &k);
        assert_int_equal(known_find(&k, made), 0);
        assert_int_equal(known_find(&k, mark_of(&k, 1)), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, MARK_KEY_SIZE + 32);
        assert_memory_not_equal(&made, zero, sizeof made);
        known_clear(&k);
        mark_key_free(w->mark_key);
        w->mark_key = other;
        world_close(w);
}

/* SQLite that lacks memory has undone what others wrote: that is not to be taken for a short list. */
static void test_no_memory_while_loading(void **state) {
        World *w = *state;
        Known k = { 0 };
        Error err = { 0 };

        world_open(w, "memory.db");
        assert_ok(known_begin(&k, w->store, w->key, "a", &err), err);
        assert_ok(store_begin(w->store, &err), err);
        (void) insert(w, 1, none);
        (void) sqlite3_hard_heap_limit64(sqlite3_memory_used());
        assert_int_equal(known_load(&k, w->store, &err), -ENOMEM);
        (void) sqlite3_hard_heap_limit64(0);
        store_rollback(w->store);
        known_clear(&k);
        world_close(w);
}

static int64_t number(World *w, const char *text) {
        int64_t n = -1;
        Error err = { 0 };

        assert_ok(store_number(w->store, text, &n, &err), err);
        return n;
}

/* Without a key nothing is known, and what is noted without use is not kept. */
static void test_without_a_key(void **state) {
        World *w = *state;
        Known k = { 0 };
        Error err = { 0 };

        world_open(w, "keyless.db");
        (void) insert(w, 1, none);
        store_marks_protect(w->store, NULL);
        assert_int_equal(number(w, "SELECT count(*) FROM mark_data"), 1);
        assert_ok(known_begin(&k, w->store, w->key, "a", &err), err);
        assert_int_equal(k.state, KNOWN_OFF);
        assert_int_equal(number(w, "SELECT count(*) FROM mark_data"), 0);
        world_close(w);
}

/* Who is new has the mark that was given, or none, whoever had the row before; and other rows than 32 bits
 * can name have none. */
static void test_rows_of_marks(void **state) {
        static const int64_t beyond[] = { 0, -1, -INT64_C(0xffffffff), INT64_C(0x100000001) };
        World *w = *state;
        const RecordMark mark = { 1, { 2, 3, 4, 5 } };
        Known k = { 0 };
        Error err = { 0 };

        world_open(w, "rows.db");
        assert_ok(store_user_mark(w->store, w->key, 1, mark, &err), err);
        for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++)
                assert_ok(store_user_mark(w->store, w->key, beyond[i], mark, &err), err);
        load_log(w, NULL, 0, &k);
        assert_int_equal(k.list.count, 1);
        assert_int_equal(insert(w, 1, none), 1);
        load_log(w, NULL, 0, &k);
        assert_int_equal(k.list.count, 0);
        known_clear(&k);
        world_close(w);
}

/* The base is written beside a list of all users: SQLite does not keep all of it in memory, too. */
static void test_memory_of_a_base(void **state) {
        enum { USERS = 200000 };
        static MarkedRow users[USERS];
        World *w = *state;
        Known k = { 0 };
        Error err = { 0 };
        int used = 0, most = 0;

        for (uint32_t row = 0; row < USERS; row++)
                users[row] = (MarkedRow){ row + 1, { 1, { row, 0, 0, 0 } } };
        world_open(w, "narrow.db");
        assert_ok(store_user_mark(w->store, w->key, 1, users[0].mark, &err), err);
        load_log(w, NULL, 0, &k);
        assert_ok(store_begin(w->store, &err), err);
        assert_ok(store_marks_rebase(w->store, w->key, k.upto, users, USERS, &err), err);
        assert_int_equal(sqlite3_db_status(w->store->db, SQLITE_DBSTATUS_CACHE_USED, &used, &most,
                                           0),
                         SQLITE_OK);
        assert_in_range(used, 1, 2 << 20); /* of nearly 5 MiB */
        assert_int_equal(number(w, "PRAGMA cache_size"), -12288);
        assert_ok(store_commit(w->store, &err), err);
        known_clear(&k);
        world_close(w);
}

/* Marks that are taken away while the list is loaded do not come back. */
static void test_taken_away(void **state) {
        World *w = *state;
        const RecordMark mark = { 1, { 2, 3, 4, 5 } };
        Known k = { 0 };
        Error err = { 0 };

        world_open(w, "taken.db");
        (void) insert(w, 1, mark);
        load_log(w, NULL, 0, &k);
        assert_int_equal(k.list.count, 1);
        sql(w, "UPDATE user_data SET display_name = 'by hand'");
        assert_ok(known_rebase(&k, w->store, &err), err);
        assert_int_equal(number(w, "SELECT count(*) FROM mark_data"), 0);
        known_clear(&k);
        world_close(w);
}

/* A log that makes no sense is not taken for one: what it lacks may be that a mark does not hold. */
static void test_damaged_log(void **state) {
        static const char *const cases[] = {
                "UPDATE mark_data SET marks = x'00'",
                "UPDATE mark_data SET marks = x''",
                "UPDATE mark_data SET marks = zeroblob(25)",
                "UPDATE mark_data SET marks = zeroblob(4056)",
        };
        World *w = *state;
        const RecordMark mark = { 1, { 2, 3, 4, 5 } };

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                Known k = { 0 };
                Error err = { 0 };
                char text[160];

                world_open(w, "damaged.db");
                assert_ok(store_user_mark(w->store, w->key, 1, mark, &err), err);
                assert_int_equal(sqlite3_exec(w->store->db, cases[i], NULL, NULL, NULL) & 0xff,
                                 SQLITE_CONSTRAINT);
                (void) snprintf(text, sizeof text, "PRAGMA ignore_check_constraints = ON; %s",
                                cases[i]);
                sql(w, text);
                assert_ok(known_begin(&k, w->store, w->key, "a", &err), err);
                assert_int_equal(known_load(&k, w->store, &err), -EUCLEAN);
                assert_non_null(strstr(err.msg, "mark_data"));
                known_clear(&k);
                sql(w, "DELETE FROM mark_data"); /* as the message says */
                load_log(w, NULL, 0, &k);
                assert_int_equal(k.list.count, 0);
                known_clear(&k);
                world_close(w);
        }
}

/* ---- histories ---- */

#define PEOPLE 40
#define RECORDS (2 * PEOPLE)

typedef struct Person {
        unsigned name, status, layout, pin;
        bool absent, unreadable, twin;
} Person;

typedef struct Listing {
        char text[RECORDS][256];
        size_t n;
} Listing;

static void live(Person *p) {
        p->name += chance(10);
        p->status += chance(8);
        p->layout ^= chance(8);
        p->pin += chance(3);
        p->absent ^= chance(6);
        p->unreadable = chance(3);
        p->twin ^= chance(4);
}

static void write_record(const Person *p, unsigned id, unsigned name, char out[256]) {
        static const char *const status[] = { "Registered", "Suspended", "Unregistered" };
        char shown[16];

        (void) snprintf(shown, sizeof shown, p->unreadable ? "%u" : "\"N%u\"", name);
        (void) snprintf(
                out, 256,
                p->layout ? "{ \"DisplayName\":%s,\"UserRegistrationStatus\":\"%s\","
                            "\"PersonalPIN\":\"%u\",\"UserId\":\"u%u\",\"x\":{\"b\":1,\"a\":2}}"
                          : "{\"DisplayName\":%s,\"UserRegistrationStatus\":\"%s\","
                            "\"PersonalPIN\":\"%u\",\"UserId\":\"u%u\",\"x\":{\"a\":2,\"b\":1}}",
                shown, status[p->status % 3], p->pin, id);
}

static void list(const Person *people, Listing *l) {
        l->n = 0;
        for (unsigned i = 0; i < PEOPLE; i++) {
                if (people[i].absent)
                        continue;
                write_record(&people[i], i, people[i].name, l->text[l->n++]);
                if (people[i].twin) /* a second record that differs, or does not */
                        write_record(&people[i], i, people[i].name + (i & 1), l->text[l->n++]);
        }
        for (size_t i = chance(50) ? l->n : chance(50) ? 4 : 0; i > 1; i--) {
                size_t j = below((unsigned) i);
                char held[256];

                memcpy(held, l->text[j], sizeof held);
                memcpy(l->text[j], l->text[i - 1], sizeof held);
                memcpy(l->text[i - 1], held, sizeof held);
        }
}

static size_t expect(void *userdata, const char *text, size_t len, int64_t *ret_row) {
        Sync *s = userdata;

        return known_expect(&s->known, text, len, ret_row);
}

typedef struct Page {
        char *text;
        size_t first; /* of the listing's records */
        PageCut cut;
} Page;

/* Cut when the answer comes, which may be before the page before it is applied. */
static void cut_page(Sync *s, const Listing *l, size_t first, size_t n, Page *ret) {
        size_t len = 0;
        Error err = { 0 };
        FILE *f;

        *ret = (Page){ .first = first };
        f = open_memstream(&ret->text, &len);
        assert_non_null(f);
        (void) fputs("{\"Users\":[", f);
        for (size_t i = 0; i < n; i++)
                (void) fprintf(f, "%s%s", i ? "," : "", l->text[first + i]);
        (void) fputs("]}", f);
        assert_int_equal(fclose(f), 0);
        assert_ok(page_cut(ret->text, len, "Users", &(SourceExpect){ expect, s }, &ret->cut, &err),
                  err);
        assert_int_equal(ret->cut.n_elements, n);
}

/* Every third run makes the list the base, however short the log is. */
static int load_some(Sync *s, Error *err) {
        int r = known_load(&s->known, s->world->store, err);

        if (r < 0 || s->known.state != KNOWN_LOADED || s->run % 3)
                return r;
        r = batch_write_quietly(s->world->batch, err);
        return r < 0 ? r : known_rebase(&s->known, s->world->store, err);
}

/* As a run does it: what is known is loaded when it is needed. */
static void apply_page(Sync *s, const Listing *l, Page *p) {
        Error err = { 0 };

        for (size_t i = 0; i < p->cut.n_elements;) {
                const SourceRecord *record = &p->cut.elements[i];
                int r;

                assert_int_equal(record->len, strlen(l->text[p->first + i]));
                assert_memory_equal(record->data, l->text[p->first + i], record->len);
                r = sync_apply_record(s, record, &err);
                if (r == -EAGAIN) {
                        assert_int_equal(s->known.state, KNOWN_LOADING);
                        r = load_some(s, &err);
                } else
                        i++;
                assert_ok(r, err);
        }
        page_cut_clear(&p->cut);
        free(p->text);
}

#define PAGE_RECORDS 25

/* ahead: each page is cut before the one before it is applied. */
static void apply(Sync *s, const Listing *l, size_t n, bool ahead) {
        Page hand = { 0 }, next;

        for (size_t i = 0; i < n; i += PAGE_RECORDS) {
                if (!ahead)
                        apply_page(s, l, &hand);
                cut_page(s, l, i, n - i < PAGE_RECORDS ? n - i : PAGE_RECORDS, &next);
                if (ahead)
                        apply_page(s, l, &hand);
                hand = next;
        }
        apply_page(s, l, &hand);
}

/* early: before the first page is there, as often happens. */
static void begin_known(Sync *s, bool early) {
        Error err = { 0 };

        if (s->known_begun)
                return;
        s->known_begun = true;
        assert_ok(sync_known_begin(s, &err), err);
        while (early && s->known.state == KNOWN_LOADING)
                assert_ok(load_some(s, &err), err);
}

static void (*before_apply)(World *w);

/* One run of a world: some of one listing, if there is one, which is then begun anew, and all of the
 * other. */
static void run(World *w, const Listing *broken, const Listing *l) {
        Sync s = { .world = &w->shared,
                   .config = &w->config,
                   .account = &w->account,
                   .key = w->key,
                   .memory = &w->memory,
                   .source = source_find("chime"),
                   .started = time_now_ms(),
                   .confirms = true,
                   .page = 1 };
        Error err = { 0 };
        int r;

        s.scope = strdup("scope");
        assert_ok(store_account_get(w->store, w->key, &s.state, &err), err);
        s.baseline = s.state.baseline_at == TIME_NONE;
        assert_ok(store_run_open(w->store, w->key, s.started, &s.run, &err), err);
        begin_known(&s, s.run % 2 == 0);
        if (before_apply)
                before_apply(w);
        if (broken) {
                apply(&s, broken, broken->n / 2, s.run % 5 < 2);
                sync_begin_listing(&s);
                begin_known(&s, s.run % 3 == 0);
        }
        apply(&s, l, l->n, s.run % 5 > 2);
        assert_ok(sync_apply_deferred(&s, &err), err);
        do
                assert_ok(r = sync_gone_step(&s, &err), err);
        while (r == SYNC_MORE);
        assert_ok(sync_record_complete(&s, &err), err);
        w->recognised += s.recognised;

        idset_clear(&w->memory.contested);
        w->memory.contested = s.contested;
        known_clear(&s.known);
        account_state_clear(&s.state);
        idset_clear(&s.seen);
        idset_clear(&s.brought);
        free(s.gone.rows);
        free(s.scope);
}

/* Times differ between two worlds, and with them whether last_changed_at is another. */
static void mask_times(char *text) {
        for (char *p = text; (p = strstr(p, ",{\"field\":\"last_changed_at\""));) {
                char *end = strchr(p, '}') + 1;

                memmove(p, end, strlen(end) + 1);
        }
        for (char *p = text; (p = strstr(p, "20")); p++)
                if (strlen(p) >= 24 && p[4] == '-' && p[10] == 'T' && p[23] == 'Z')
                        memset(p, '_', 24);
}

/* Users and events as text. */
static char *dump(World *w) {
        static const char *const questions[] = {
                "SELECT * FROM user_data ORDER BY row",
                ("SELECT seq, type, user_id, primary_email, field, old_value, new_value, run_id,"
                 " changes, detail, user_image FROM event_data ORDER BY seq"),
                "SELECT * FROM account_data",
                "SELECT run_id, outcome, pages, users, added, changed, removed FROM run_data",
        };
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);

        assert_non_null(f);
        for (size_t q = 0; q < sizeof questions / sizeof questions[0]; q++) {
                CLEANUP(stmt_finalizep) sqlite3_stmt *st = NULL;

                assert_int_equal(sqlite3_prepare_v2(w->store->db, questions[q], -1, &st, NULL),
                                 SQLITE_OK);
                while (sqlite3_step(st) == SQLITE_ROW) {
                        for (int i = 0; i < sqlite3_column_count(st); i++) {
                                const char *cell = (const char *) sqlite3_column_text(st, i);

                                (void) fprintf(f, "%s|", cell ? cell : "-");
                        }
                        (void) fputc('\n', f);
                }
        }
        assert_int_equal(fclose(f), 0);
        mask_times(text);
        return text;
}

static void compare(World *fast, World *slow, unsigned history, unsigned round) {
        char *a = dump(fast), *b = dump(slow);

        for (char *x = a, *y = b; *x || *y; x++, y++)
                if (*x != *y) {
                        while (x > a && x[-1] != '\n')
                                x--, y--;
                        fail_msg("history %u, round %u:\nfast: %.300s\nslow: %.300s", history,
                                 round, x, y);
                }
        free(a);
        free(b);
}

static void switch_pins(World *w) {
        Error err = { 0 };

        w->config.store_personal_pin = !w->config.store_personal_pin;
        if (!w->config.store_personal_pin)
                assert_ok(store_wipe_pins(w->store, &err), err);
}

static void one_history(unsigned history, int64_t *recognised) {
        static Listing broken, whole;
        Person people[PEOPLE] = { 0 };
        World fast, slow;

        seed = history;
        world_open(&fast, "fast.db");
        world_open(&slow, "slow.db");
        for (unsigned round = 0; round < 12; round++) {
                bool breaks = chance(30);
                Person before[PEOPLE];

                memcpy(before, people, sizeof before);
                for (unsigned i = 0; i < PEOPLE; i++)
                        live(&people[i]);
                list(people, &broken);
                for (unsigned i = 0; breaks && i < PEOPLE; i++) {
                        if (chance(50)) /* as if nothing had happened */
                                people[i] = before[i];
                        live(&people[i]);
                }
                list(people, &whole);
                if (chance(15)) {
                        switch_pins(&fast);
                        switch_pins(&slow);
                }
                (void) unsetenv(SLOW_WAY);
                run(&fast, breaks ? &broken : NULL, &whole);
                (void) setenv(SLOW_WAY, "1", 1);
                run(&slow, breaks ? &broken : NULL, &whole);
                (void) unsetenv(SLOW_WAY);
                compare(&fast, &slow, history, round);
        }
        assert_int_equal(slow.recognised, 0);
        *recognised += fast.recognised;
        world_close(&fast);
        world_close(&slow);
}

/* Who joined later has a row behind all others, and may be listed amid them. */
static void test_latecomers_are_recognised(void **state) {
        static Listing some, all;
        const Person person = { 0 };
        int64_t before;
        World w;

        (void) state;
        some.n = all.n = 0;
        for (unsigned i = 0; i < PEOPLE; i++) {
                write_record(&person, i, 0, all.text[all.n++]);
                if (i % 2 == 0) /* the first one is in its place */
                        write_record(&person, i, 0, some.text[some.n++]);
        }
        world_open(&w, "late.db");
        run(&w, NULL, &some);
        run(&w, NULL, &all);
        run(&w, NULL, &all);
        before = w.recognised;
        run(&w, NULL, &all); /* an even one, whose marks are there before the first page */
        assert_true(w.recognised - before >= PEOPLE - 2); /* but for the first stray or two */
        world_close(&w);
}

static sqlite3 *corrector;

static int let_go(void *userdata, int times) {
        (void) userdata;
        if (times == 0)
                (void) sqlite3_exec(corrector, "COMMIT", NULL, NULL, NULL);
        return times < 100;
}

static void correct(World *w) {
        Error err = { 0 };

        assert_ok(batch_flush(w->batch, &err), err);
        assert_int_equal(sqlite3_open(w->path, &corrector), SQLITE_OK);
        assert_int_equal(sqlite3_exec(corrector,
                                      "BEGIN IMMEDIATE;"
                                      "UPDATE user_data SET display_name = 'by hand'",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        (void) sqlite3_busy_handler(w->store->db, let_go, NULL);
}

/* A row that is corrected by hand while a run waits for that, to write of it what it had read before: the
 * listing's word counts, now or at the next run. */
static void test_corrected_meanwhile(void **state) {
        static Listing before, after;
        Person person = { 0 };
        Error err = { 0 };
        int64_t wrong = -1;
        World w;

        (void) state;
        before.n = after.n = 1;
        write_record(&person, 1, 0, before.text[0]);
        person.layout = 1; /* other bytes that mean the same */
        write_record(&person, 1, 0, after.text[0]);
        world_open(&w, "hand.db");
        for (int i = 0; i < 3; i++) /* the next one makes no base */
                run(&w, NULL, &before);
        before_apply = correct;
        run(&w, NULL, &after);
        before_apply = NULL;
        assert_true(sqlite3_get_autocommit(corrector)); /* it was waited for */
        assert_int_equal(sqlite3_close(corrector), SQLITE_OK);
        run(&w, NULL, &after);
        assert_ok(store_number(w.store, "SELECT count(*) FROM users WHERE display_name = 'by hand'",
                               &wrong, &err),
                  err);
        assert_int_equal(wrong, 0);
        world_close(&w);
}

/* A number in KNOWN_HISTORIES makes it so many. */
static void test_histories(void **state) {
        const char *more = getenv("KNOWN_HISTORIES");
        unsigned n = more ? (unsigned) strtoul(more, NULL, 10) : 25;
        int64_t recognised = 0;

        (void) state;
        for (unsigned history = 1; history <= n; history++)
                one_history(history, &recognised);
        assert_true(recognised > 100 * (int64_t) n); /* of 12 * 40 records or so */
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_table),
                T(test_long_records),
                T(test_expected),
                T(test_marks_go),
                T(test_calls_that_change),
                T(test_pins_and_marks_to_come),
                T(test_log),
                T(test_many_short_segments),
                T(test_taken_away),
                T(test_without_a_key),
                T(test_rows_of_marks),
                T(test_memory_of_a_base),
                T(test_bytes_of_a_mark),
                T(test_secret),
                T(test_no_memory_while_loading),
                T(test_damaged_log),
                T(test_histories),
                T(test_latecomers_are_recognised),
                T(test_corrected_meanwhile),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
