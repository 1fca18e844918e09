/* SPDX-License-Identifier: Apache-2.0 */
/* The event log as its readers see it: queries, cursors, dead letters, and what lasts. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "store/store-internal.h"

#define T0 INT64_C(1767225600000) /* 2026-01-01 */
#define DAY INT64_C(86400000)

typedef struct Fixture {
        char dir[40], path[64];
        Store *store;
        int64_t account[2]; /* acme, beta */
} Fixture;

static int setup(void **state) {
        static const AccountIdentity both[] = { { "acme", "chime", "https://e", "id-1" },
                                                { "beta", "chime", "https://e", "id-2" } };
        static Fixture f;
        Error err = { 0 };

        f = (Fixture){ .dir = "/tmp/test-sinks-XXXXXX" };
        assert_non_null(mkdtemp(f.dir));
        (void) snprintf(f.path, sizeof f.path, "%s/roster.db", f.dir);
        assert_ok(store_open(f.path, &f.store, &err), err);
        assert_ok(store_accounts_apply(f.store, both, 2, f.account, &err), err);
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

static int64_t tell(Fixture *f, int account, EventKind kind, const char *user_id, int64_t time) {
        Event e = { .kind = kind, .time = time, .user_id = (char *) (uintptr_t) user_id };
        Error err = { 0 };

        random_event_id(e.id);
        e.changes = (char[]){ "[]" };
        assert_ok(store_event_append(f->store, f->account[account], &e, &err), err);
        return e.seq;
}

/* ---- queries ---- */

/* The answer as "1 3 4 <5" : the seqs, then upto, and "." if that was the end of the log. */
static const char *answer(Fixture *f, const EventQuery *q) {
        static char out[256];
        EventPage page = { 0 };
        Error err = { 0 };
        size_t at = 0;

        assert_ok(store_events_read(f->store, q, &page, &err), err);
        for (size_t i = 0; i < page.n; i++)
                at += (size_t) snprintf(out + at, sizeof out - at, "%d ",
                                        (int) page.events[i]->seq);
        (void) snprintf(out + at, sizeof out - at, "<%d%s", (int) page.upto, page.end ? "." : "");
        events_free(page.events, page.n);
        return out;
}

static void test_queries(void **state) {
        const EventMask added = EVENT_BIT(EVENT_USER_ADDED);
        Fixture *f = *state;
        const int64_t *beta = &f->account[1], both[] = { 99, f->account[1], f->account[0] };

        (void) tell(f, 0, EVENT_USER_ADDED, "a", T0);
        (void) tell(f, 1, EVENT_USER_ADDED, "b", T0);
        (void) tell(f, 0, EVENT_USER_REMOVED, "a", T0);
        (void) tell(f, 1, EVENT_SYNC_BASELINE, NULL, T0);
        (void) tell(f, 0, EVENT_USER_ADDED, "c", T0);

        const struct {
                EventQuery q;
                const char *want;
        } cases[] = {
                { { .kinds = EVENT_MASK_ALL, .max = 9 }, "1 2 3 4 5 <5." },
                { { .kinds = EVENT_MASK_ALL, .max = 2 }, "1 2 <2" },
                { { .kinds = EVENT_MASK_ALL, .max = 9, .after = 3 }, "4 5 <5." },
                { { .kinds = EVENT_MASK_ALL, .max = 9, .after = 5 }, "<5." },
                { { .kinds = EVENT_MASK_ALL, .max = 9, .after = 1, .upto = 3 }, "2 3 <3." },
                { { .kinds = added, .max = 9 }, "1 2 5 <5." },
                { { .kinds = added, .max = 9, .upto = 4 }, "1 2 <4." },
                { { .kinds = added, .max = 2 }, "1 2 <2" },
                { { .kinds = added, .max = 9, .after = 2, .max_scan = 2 }, "<4" },
                { { .kinds = added, .max = 9, .max_scan = 3 }, "1 2 <3" },
                { { .kinds = EVENT_BIT(EVENT_SYNC_FAILED), .max = 9 }, "<5." },
                { { .kinds = 0, .max = 9 }, "<5." },
                { { .kinds = EVENT_MASK_ALL, .max = 9, .accounts = beta, .n_accounts = 1 },
                  "2 4 <5." },
                { { .kinds = added, .max = 9, .accounts = both, .n_accounts = 3 }, "1 2 5 <5." },
                { { .kinds = EVENT_MASK_ALL, .max = 9, .max_bytes = 1 }, "1 <1" },
        };

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                if (strcmp(answer(f, &cases[i].q), cases[i].want) != 0)
                        fail_msg("case %zu: %s, not %s", i, answer(f, &cases[i].q), cases[i].want);
}

/* ---- sinks that may fail ---- */

static void test_state(void **state) {
        CLEANUP(sink_state_clear) SinkState s = { 0 }, again = { 0 };
        Fixture *f = *state;
        Error err = { 0 };

        assert_ok(store_sink_open(f->store, "webhook:ops", 7, &s, &err), err);
        assert_int_equal(s.cursor, 7);
        assert_int_equal(s.attempts, 0);
        assert_null(s.last_error);
        s.cursor = 9;
        s.attempts = 3;
        s.last_error = strdup("answered 503");
        s.failing_since = T0;
        s.next_attempt_at = T0 + 5;
        s.last_success_at = T0 - 5;
        assert_ok(store_sink_put(f->store, "webhook:ops", &s, &err), err);
        assert_ok(store_sink_open(f->store, "webhook:ops", 1, &again, &err), err);
        assert_int_equal(again.cursor, 9);
        assert_int_equal(again.attempts, 3);
        assert_string_equal(again.last_error, "answered 503");
        assert_int_equal(again.failing_since, T0);
        assert_int_equal(again.next_attempt_at, T0 + 5);
        assert_int_equal(again.last_success_at, T0 - 5);
}

static void test_retired(void **state) {
        CLEANUP(sink_state_clear) SinkState s = { 0 }, back = { 0 }, anew = { 0 };
        Fixture *f = *state;
        char **names = NULL;
        Error err = { 0 };
        size_t n = 0;

        (void) tell(f, 0, EVENT_USER_ADDED, "a", T0);
        assert_ok(store_sink_open(f->store, "webhook:ops", 0, &s, &err), err);
        assert_ok(store_cursor_move(f->store, "journal", 1, &err), err);
        assert_ok(store_dead_letter_add(f->store, "webhook:ops", 1, "no", T0, &err), err);
        assert_ok(store_sinks_active(f->store, "webhook:", &names, &n, &err), err);
        assert_int_equal(n, 1);
        assert_string_equal(names[0], "webhook:ops");
        names_free(names, n);

        assert_ok(store_sink_retire(f->store, "webhook:ops", T0, &err), err);
        assert_int_equal(number(f, "SELECT count(*) FROM webhooks"), 0);
        assert_ok(store_sinks_active(f->store, "webhook:", &names, &n, &err), err);
        assert_int_equal(n, 0);
        names_free(names, n);

        /* retired again: the first time counts; not yet forgotten; and taken back */
        assert_ok(store_sink_retire(f->store, "webhook:ops", T0 + DAY, &err), err);
        assert_ok(store_sinks_forget(f->store, T0, &err), err);
        assert_ok(store_sink_open(f->store, "webhook:ops", 5, &back, &err), err);
        assert_int_equal(back.cursor, 0);
        assert_int_equal(number(f, "SELECT count(*) FROM webhooks"), 1);
        assert_ok(store_sinks_forget(f->store, T0 + 99 * DAY, &err), err);
        assert_int_equal(number(f, "SELECT count(*) FROM webhooks"), 1);

        assert_ok(store_sink_retire(f->store, "webhook:ops", T0, &err), err);
        assert_ok(store_sinks_forget(f->store, T0 + 1, &err), err);
        assert_int_equal(number(f, "SELECT count(*) FROM dead_letters"), 0);
        assert_ok(store_sink_open(f->store, "webhook:ops", 5, &anew, &err), err);
        assert_int_equal(anew.cursor, 5);
        assert_int_equal(number(f, "SELECT count(*) FROM sink_data"), 2); /* with the journal's */
}

static void test_dead_letters(void **state) {
        CLEANUP(sink_state_clear) SinkState s = { 0 };
        int64_t dead = 0, next;
        Fixture *f = *state;
        Error err = { 0 };

        for (int i = 0; i < 4; i++)
                (void) tell(f, 0, EVENT_USER_ADDED, "a", T0);
        assert_ok(store_sink_open(f->store, "webhook:ops", 0, &s, &err), err);
        for (int64_t seq = 1; seq <= 3; seq++)
                assert_ok(store_dead_letter_add(f->store, "webhook:ops", seq, "no", T0, &err), err);
        assert_ok(store_dead_letter_add(f->store, "webhook:ops", 3, "no again", T0, &err), err);
        assert_ok(store_dead_letter_add(f->store, "webhook:other", 3, "no", T0, &err), err);
        assert_ok(store_dead_letters_count(f->store, "webhook:ops", &dead, &err), err);
        assert_int_equal(dead, 3);
        assert_int_equal(number(f, "SELECT count(*) FROM dead_letters WHERE seq = 3"
                                   " AND webhook = 'ops' AND error = 'no again'"),
                         1);
        s.cursor = 3;
        assert_ok(store_sink_put(f->store, "webhook:ops", &s, &err), err);
        assert_ok(store_sink_replay(f->store, "webhook:ops", 2, &next, &err), err);
        assert_int_equal(number(f, "SELECT sum(seq) FROM dead_letters WHERE webhook = 'ops'"), 1);
        assert_int_equal(number(f, "SELECT count(*) FROM dead_letters"), 2);
        /* they go with their events */
        assert_ok(store_exec_sql(f->store, "DELETE FROM event_data", "x", &err), err);
        assert_int_equal(number(f, "SELECT count(*) FROM dead_letters"), 0);
        /* of no event there is no dead letter */
        assert_true(store_dead_letter_add(f->store, "webhook:ops", 99, "no", T0, &err) < 0);
}

/* ---- what lasts ---- */

static void test_running(void **state) {
        const RunCounters c = { 0 };
        Fixture *f = *state;
        Error err = { 0 };
        int64_t run[3];
        bool running = true;

        for (int i = 0; i < 3; i++)
                assert_ok(store_run_open(f->store, f->account[i % 2], T0, &run[i], &err), err);
        assert_ok(store_run_close(f->store, run[0], &c, RUN_COMPLETE, NULL, T0, &err), err);
        assert_ok(store_run_is_running(f->store, run[0], run[0], &running, &err), err);
        assert_false(running);
        assert_ok(store_run_is_running(f->store, run[0], run[1], &running, &err), err);
        assert_true(running);
        assert_ok(store_run_is_running(f->store, run[2] + 1, run[2] + 9, &running, &err), err);
        assert_false(running);
}

static int64_t add(Fixture *f, int account, const char *id, const char *status, bool gone) {
        CLEANUP(user_clear) User u = { 0 };
        UserDates dates = { .first_seen_at = T0, .last_changed_at = T0 + 7 };
        Error err = { 0 };
        int64_t row = 0;

        dates.removed_at = gone ? T0 + 9 : TIME_NONE;
        assert_int_equal(user_set(&u, USER_FIELD_USER_ID, id), 0);
        assert_int_equal(user_set(&u, USER_FIELD_PRIMARY_EMAIL, "e@x.example"), 0);
        assert_int_equal(user_set(&u, USER_FIELD_USER_REGISTRATION_STATUS, status), 0);
        assert_ok(store_user_insert(f->store, f->account[account], &u, &dates, (RecordMark){ 0 },
                                    &row, &err),
                  err);
        return row;
}

static void test_suspended(void **state) {
        static const AccountIdentity acme = { "acme", "chime", "https://e", "id-1" };
        SuspendedUser *list = NULL;
        Fixture *f = *state;
        Error err = { 0 };
        int64_t first, key;
        size_t n = 0;

        first = add(f, 0, "a", "Suspended", false);
        (void) add(f, 0, "b", "Registered", false);
        (void) add(f, 0, "c", "Suspended", true);
        (void) add(f, 1, "a", "Suspended", false);
        (void) tell(f, 0, EVENT_USER_SUSPENDED, "a", T0 + 1 * DAY);
        (void) tell(f, 0, EVENT_USER_SUSPENDED, "a", T0 + 2 * DAY);
        (void) tell(f, 0, EVENT_USER_UPDATED, "a", T0 + 3 * DAY);

        assert_ok(store_users_suspended(f->store, 0, 10, &list, &n, &err), err);
        assert_int_equal(n, 2);
        assert_string_equal(list[0].account, "acme");
        assert_string_equal(list[0].account_id, "id-1");
        assert_string_equal(list[0].user_id, "a");
        assert_string_equal(list[0].primary_email, "e@x.example");
        assert_int_equal(list[0].since, T0 + 2 * DAY);
        assert_string_equal(list[1].account, "beta");
        assert_int_equal(list[1].account_key, f->account[1]);
        assert_int_equal(list[1].since, T0); /* nobody said so: since it was first seen */
        suspended_users_free(list, n);

        assert_ok(store_users_suspended(f->store, 0, 1, &list, &n, &err), err);
        assert_int_equal(n, 1);
        assert_int_equal(list[0].row, first);
        suspended_users_free(list, n);
        assert_ok(store_users_suspended(f->store, first, 10, &list, &n, &err), err);
        assert_int_equal(n, 1);
        suspended_users_free(list, n);

        /* an account that is no longer configured says nothing */
        assert_ok(store_accounts_apply(f->store, &acme, 1, &key, &err), err);
        assert_ok(store_users_suspended(f->store, 0, 10, &list, &n, &err), err);
        assert_int_equal(n, 1);
        suspended_users_free(list, n);
}

/* ---- from version 1 ---- */

static void test_migration(void **state) {
        const Migrations first = { store_migrations.steps, 1 };
        CLEANUP(store_closep) Store *s = NULL;
        Fixture *f = *state;
        char path[96];
        Error err = { 0 };
        int64_t n = 0;

        (void) snprintf(path, sizeof path, "%s/old.db", f->dir);
        assert_ok(store_open_with(path, &first, &s, &err), err);
        assert_ok(store_exec_sql(s,
                                 "INSERT INTO sink_data (sink, cursor, last_error, attempts)"
                                 " VALUES ('journal', 3, NULL, 0), ('webhook:ops', 2, 'no', 4)",
                                 "x", &err),
                  err);
        store_close(take_ptr(s));
        assert_ok(store_open(path, &s, &err), err);
        assert_ok(store_number(s,
                               "SELECT count(*) FROM webhooks WHERE webhook = 'ops' AND cursor = 2"
                               " AND attempts = 4 AND last_error = 'no'",
                               &n, &err),
                  err);
        assert_int_equal(n, 1);
        assert_ok(store_number(s, "SELECT cursor FROM sink_data WHERE sink = 'journal'", &n, &err),
                  err);
        assert_int_equal(n, 3);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_queries), T(test_state),     T(test_retired),   T(test_dead_letters),
                T(test_running), T(test_suspended), T(test_migration),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
