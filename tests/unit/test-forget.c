/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator has the store do: forget an account, accept its held removals, go back to an
 * event. */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/timefmt.h"
#include "store/store-internal.h"

#define T0 INT64_C(1767225600000) /* 2026-01-01T00:00:00.000Z */

static const AccountIdentity accounts[] = {
        { "acme", "chime", "https://e", "id-1" },
        { "globex", "chime", "https://e", "id-2" },
};

typedef struct Fixture {
        char dir[40], path[64];
        Store *store;
        int64_t acme, globex;
} Fixture;

static int setup(void **state) {
        static Fixture f;
        int64_t keys[2];
        Error err = { 0 };

        f = (Fixture){ .dir = "/tmp/test-forget-XXXXXX" };
        assert_non_null(mkdtemp(f.dir));
        (void) snprintf(f.path, sizeof f.path, "%s/roster.db", f.dir);
        assert_ok(store_open(f.path, &f.store, &err), err);
        assert_ok(store_accounts_apply(f.store, accounts, 2, keys, &err), err);
        f.acme = keys[0];
        f.globex = keys[1];
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

static int64_t number(Fixture *f, const char *sql) {
        int64_t n = -1;
        Error err = { 0 };

        assert_ok(store_number(f->store, sql, &n, &err), err);
        return n;
}

/* A run with so many users, each with an event that a webhook could not deliver. */
static void fill(Fixture *f, int64_t account, const char *prefix, int count) {
        RunCounters counters = { .users = count };
        int64_t run = 0;
        Error err = { 0 };

        assert_ok(store_begin(f->store, &err), err);
        assert_ok(store_run_open(f->store, account, T0, &run, &err), err);
        for (int i = 0; i < count; i++) {
                CLEANUP(user_clear) User u = { 0 };
                UserDates dates = { .first_seen_at = T0, .last_changed_at = T0 };
                Event e = { .kind = EVENT_USER_ADDED, .time = T0, .run = run };
                char id[32], sql[128];
                int64_t row;

                (void) snprintf(id, sizeof id, "%s-%d", prefix, i);
                assert_int_equal(user_set(&u, USER_FIELD_USER_ID, id), 0);
                dates.removed_at = i % 10 == 0 ? T0 : TIME_NONE;
                assert_ok(store_user_insert(f->store, account, &u, &dates,
                                            (RecordMark){ .len = i % 10 ? 1 : 0 }, &row, &err),
                          err);
                random_event_id(e.id);
                e.user_id = id;
                assert_ok(store_event_append(f->store, account, &e, &err), err);
                (void) snprintf(sql, sizeof sql,
                                "INSERT INTO dead_letter_data (seq, sink, time)"
                                " VALUES (%" PRId64 ", 'webhook:ops', 'x')",
                                e.seq);
                assert_ok(store_exec_sql(f->store, sql, "x", &err), err);
        }
        assert_ok(store_run_close(f->store, run, &counters, RUN_COMPLETE, NULL, T0, &err), err);
        assert_ok(store_commit(f->store, &err), err);
}

/* Leaves only acme in the configuration. */
static void retire_globex(Fixture *f) {
        int64_t key;
        Error err = { 0 };

        assert_ok(store_accounts_apply(f->store, accounts, 1, &key, &err), err);
        assert_int_equal(key, f->acme);
}

static int64_t count_marks(Fixture *f, int64_t account) {
        char sql[160];

        (void) snprintf(sql, sizeof sql,
                        "SELECT ifnull(sum(length(marks)), 0) / 24 FROM mark_data WHERE id >> 32"
                        " = %" PRId64,
                        account);
        return number(f, sql);
}

static void test_all_of_it_goes_and_nothing_else(void **state) {
        Fixture *f = *state;
        StoreForget work = { .account = f->globex };
        Error err = { 0 };
        int r, steps = 0;

        fill(f, f->acme, "a", 1500);
        fill(f, f->globex, "g", 2500);
        fill(f, f->acme, "b", 1500);
        assert_ok(store_exec_sql(f->store,
                                 "INSERT INTO status_start_data (row, field, seq)"
                                 " SELECT row, 'user_invitation_status', 1 FROM user_data",
                                 "x", &err),
                  err);
        retire_globex(f);
        assert_int_equal(count_marks(f, f->globex), 2500);
        while ((r = store_forget_step(f->store, &work, &err)) == STORE_FORGET_MORE) {
                assert_false(store_in_transaction(f->store));
                assert_true(++steps < 100);
        }
        assert_int_equal(r, STORE_FORGET_DONE);
        assert_true(steps > 6); /* portions */
        assert_int_equal(work.users, 2500);
        assert_int_equal(work.events, 2500);
        assert_int_equal(work.runs, 1);
        assert_int_equal(number(f, "SELECT count(*) FROM user_data"), 3000);
        assert_int_equal(number(f, "SELECT count(*) FROM status_start_data"), 3000);
        assert_int_equal(number(f, "SELECT count(*) FROM event_data"), 3000);
        assert_int_equal(number(f, "SELECT count(*) FROM dead_letter_data"), 3000);
        assert_int_equal(number(f, "SELECT count(*) FROM run_data"), 2);
        assert_int_equal(number(f, "SELECT count(*) FROM account_data"), 1);
        assert_int_equal(count_marks(f, f->globex), 0);
        assert_int_equal(count_marks(f, f->acme), 3000);
        assert_int_equal(number(f, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
        /* what it had changed for the work is as it was */
        assert_int_equal(number(f, "PRAGMA foreign_keys"), 1);
        assert_int_equal(number(f, "PRAGMA secure_delete"), 2);
}

/* Bytes of the file and its log. */
static bool file_holds(Fixture *f, const char *suffix, const char *text) {
        CLEANUP_FREE char *bytes = NULL;
        char path[80];
        size_t len = 0;
        Error err = { 0 };

        (void) snprintf(path, sizeof path, "%s%s", f->path, suffix);
        assert_ok(file_read(path, 64 << 20, &bytes, &len, &err), err);
        return memmem(bytes, len, text, strlen(text)) != NULL;
}

static void test_nothing_is_left_in_the_file(void **state) {
        Fixture *f = *state;
        StoreForget work = { .account = f->globex };
        Error err = { 0 };
        int r;

        fill(f, f->globex, "unmistakable", 2000);
        store_checkpoint(f->store);
        assert_true(file_holds(f, "", "unmistakable-1999"));
        retire_globex(f);
        do
                r = store_forget_step(f->store, &work, &err);
        while (r == STORE_FORGET_MORE);
        assert_int_equal(r, STORE_FORGET_DONE);
        assert_false(file_holds(f, "", "unmistakable"));
        assert_false(file_holds(f, "-wal", "unmistakable"));
}

static void test_a_configured_account_stays(void **state) {
        Fixture *f = *state;
        StoreForget work = { .account = f->globex }, nobody = { .account = 99 };
        int64_t keys[2];
        Error err = { 0 };

        fill(f, f->globex, "g", 2500);
        assert_int_equal(store_forget_step(f->store, &work, &err), -EBUSY);
        assert_int_equal(number(f, "SELECT count(*) FROM user_data"), 2500);
        assert_int_equal(store_forget_step(f->store, &nobody, &err), -ENOENT);

        /* nor does what is left of one that is configured again meanwhile */
        retire_globex(f);
        assert_int_equal(store_forget_step(f->store, &work, &err), STORE_FORGET_MORE);
        assert_ok(store_accounts_apply(f->store, accounts, 2, keys, &err), err);
        assert_int_equal(store_forget_step(f->store, &work, &err), -EBUSY);
        assert_int_equal(number(f, "SELECT count(*) FROM user_data"), 2500);
}

/* Half forgotten, it is nothing that another name could take over, and begins with a baseline. */
static void test_half_forgotten_is_not_taken_over(void **state) {
        const AccountIdentity renamed[] = { accounts[0],
                                            { "initech", "chime", "https://e", "id-2" } };
        Fixture *f = *state;
        StoreForget work = { .account = f->globex };
        AccountState before = { .baseline_at = T0, .scope = (char[]){ "s" } };
        CLEANUP(account_state_clear) AccountState after = { 0 };
        int64_t keys[2];
        Error err = { 0 };

        assert_ok(store_account_put(f->store, f->globex, &before, &err), err);
        fill(f, f->globex, "g", 2500);
        retire_globex(f);
        assert_int_equal(store_forget_step(f->store, &work, &err), STORE_FORGET_MORE);
        assert_ok(store_accounts_apply(f->store, renamed, 2, keys, &err), err);
        assert_int_not_equal(keys[1], f->globex);
        assert_ok(store_account_get(f->store, f->globex, &after, &err), err);
        assert_int_equal(after.baseline_at, TIME_NONE);
        assert_null(after.scope);
}

static void test_find(void **state) {
        Fixture *f = *state;
        int64_t key = 0;
        bool active = false;
        Error err = { 0 };

        assert_ok(store_account_find(f->store, "globex", &key, &active, &err), err);
        assert_int_equal(key, f->globex);
        assert_true(active);
        retire_globex(f);
        assert_ok(store_account_find(f->store, "globex", &key, &active, &err), err);
        assert_false(active);
        key = 7;
        assert_int_equal(store_account_find(f->store, "globe", &key, &active, &err), -ENOENT);
        assert_int_equal(key, 7);
}

static void test_accepting_removals(void **state) {
        Fixture *f = *state;
        AccountState s = { .baseline_at = T0, .held_removals = 12 };
        CLEANUP(account_state_clear) AccountState after = { 0 };
        int64_t held = 0;
        Error err = { 0 };

        assert_int_equal(store_removals_accept(f->store, f->acme, &held, &err), -ENODATA);
        assert_ok(store_account_put(f->store, f->acme, &s, &err), err);
        assert_ok(store_removals_accept(f->store, f->acme, &held, &err), err);
        assert_int_equal(held, 12);
        assert_ok(store_account_get(f->store, f->acme, &after, &err), err);
        assert_int_equal(after.removals_accepted, after.held_removals);
        assert_int_equal(after.held_removals, 12);
        assert_int_equal(after.baseline_at, T0);
        assert_int_equal(store_removals_accept(f->store, 99, &held, &err), -ENOENT);
}

/* Of the last complete run, not of the last. */
static void test_run_size(void **state) {
        Fixture *f = *state;
        RunCounters counters = { .users = 3 };
        int64_t size = -1, run = 0;
        Error err = { 0 };

        assert_ok(store_run_size(f->store, f->acme, &size, &err), err);
        assert_int_equal(size, 0);
        fill(f, f->acme, "a", 40);
        assert_ok(store_run_open(f->store, f->acme, T0, &run, &err), err);
        assert_ok(store_run_close(f->store, run, &counters, RUN_FAILED, "x", T0, &err), err);
        assert_ok(store_run_size(f->store, f->acme, &size, &err), err);
        assert_int_equal(size, 40);
        assert_ok(store_run_size(f->store, f->globex, &size, &err), err);
        assert_int_equal(size, 0);
}

/* The cursor goes back, never ahead, and takes the dead letters from there with it.  What is told
 * again has all its attempts before it. */
static void test_replay(void **state) {
        Fixture *f = *state;
        SinkState sink = { 0 };
        const SinkState failing = { .cursor = 15,
                                    .attempts = 40,
                                    .last_success_at = T0,
                                    .failing_since = T0,
                                    .next_attempt_at = T0 };
        int64_t next = 0;
        Error err = { 0 };

        fill(f, f->acme, "a", 20); /* each with a dead letter of webhook:ops */
        assert_int_equal(store_sink_replay(f->store, "webhook:ops", 1, &next, &err), -ENOENT);
        assert_ok(store_sink_open(f->store, "webhook:ops", 15, &sink, &err), err);
        sink_state_clear(&sink);
        assert_ok(store_sink_put(f->store, "webhook:ops", &failing, &err), err);
        assert_int_equal(store_sink_replay(f->store, "webhook:ops", 17, &next, &err), -ERANGE);
        assert_int_equal(next, 16);
        assert_int_equal(number(f, "SELECT count(*) FROM dead_letters"), 20);
        assert_ok(store_sink_replay(f->store, "webhook:ops", 6, &next, &err), err);
        assert_int_equal(number(f, "SELECT cursor FROM webhooks"), 5);
        assert_int_equal(number(f, "SELECT max(seq) FROM dead_letters"), 5);
        assert_int_equal(number(f, "SELECT count(*) FROM sink_data WHERE attempts = 0"
                                   " AND failing_since IS NULL AND next_attempt_at IS NULL"
                                   " AND last_success_at IS NOT NULL"),
                         1);
        assert_false(store_in_transaction(f->store));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_all_of_it_goes_and_nothing_else),
                T(test_nothing_is_left_in_the_file),
                T(test_a_configured_account_stays),
                T(test_half_forgotten_is_not_taken_over),
                T(test_find),
                T(test_accepting_removals),
                T(test_run_size),
                T(test_replay),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
