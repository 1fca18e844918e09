/* SPDX-License-Identifier: Apache-2.0 */
/* What is committed is told once, also while somebody goes on writing; what is not, is not. */
#include "test.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/timespan.h"
#include "daemon/deliver.h"
#include "store/store-internal.h"

#define T0 INT64_C(1767225600000) /* 2026-01-01T00:00:00.000Z */

typedef struct Fixture {
        char dir[40], told[64];
        sd_event *event;
        Store *store;
        Deliver *deliver;
        int64_t account;
        int stderr_fd;
} Fixture;

static unsigned writes;

static void count_write(void) {
        writes++;
}

/* stderr, where events are told without a journal, goes to a file. */
static int setup(void **state) {
        static const AccountIdentity acme = { "acme", "chime", "https://e", "id-1" };
        static Fixture f;
        char path[64];
        Error err = { 0 };
        int fd;

        f = (Fixture){ .dir = "/tmp/test-deliver-XXXXXX" };
        assert_non_null(mkdtemp(f.dir));
        (void) snprintf(path, sizeof path, "%s/roster.db", f.dir);
        (void) snprintf(f.told, sizeof f.told, "%s/told", f.dir);
        assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
        assert_true(sd_event_new(&f.event) >= 0);
        assert_ok(store_open(path, &f.store, &err), err);
        assert_ok(store_accounts_apply(f.store, &acme, 1, &f.account, &err), err);
        (void) fflush(stderr);
        f.stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        fd = open(f.told, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
        assert_true(fd >= 0 && f.stderr_fd >= 0);
        assert_true(dup2(fd, STDERR_FILENO) >= 0);
        (void) close(fd);
        *state = &f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;
        char command[64];

        store_test_after_write = NULL;
        (void) fflush(stderr);
        (void) dup2(f->stderr_fd, STDERR_FILENO);
        (void) close(f->stderr_fd);
        deliver_free(f->deliver);
        store_close(f->store);
        (void) sd_event_unref(f->event);
        (void) snprintf(command, sizeof command, "rm -r %s", f->dir);
        return system(command);
}

/* Adds events about users "user-FIRST" and so on, in the open transaction. */
static void append(Fixture *f, int first, int n) {
        Error err = { 0 };

        for (int i = first; i < first + n; i++) {
                char id[EVENT_ID_SIZE], user[24];
                Event e = { .kind = EVENT_USER_ADDED, .time = T0, .user_id = user };

                (void) snprintf(user, sizeof user, "user-%d", i);
                random_event_id(id);
                memcpy(e.id, id, sizeof e.id);
                assert_ok(store_event_append(f->store, f->account, &e, &err), err);
        }
}

static void append_committed(Fixture *f, int first, int n) {
        Error err = { 0 };

        assert_ok(store_begin(f->store, &err), err);
        append(f, first, n);
        assert_ok(store_commit(f->store, &err), err);
}

/* How many lines of users there are; they are in order, and none is there twice. */
static int told(Fixture *f) {
        FILE *file = fopen(f->told, "re");
        char line[512];
        int n = 0;

        assert_non_null(file);
        while (fgets(line, sizeof line, file)) {
                const char *user = strstr(line, "user-");
                char wanted[24];

                if (!user)
                        continue;
                (void) snprintf(wanted, sizeof wanted, "user-%d ", n++);
                if (strncmp(user, wanted, strlen(wanted)) != 0)
                        fail_msg("not %s: %s", wanted, line);
        }
        (void) fclose(file);
        return n;
}

/* The cursor as the database has it. */
static int64_t saved(Fixture *f) {
        int64_t cursor = -1;
        Error err = { 0 };

        assert_ok(store_number(f->store, "SELECT cursor FROM sink_data WHERE sink = 'journal'",
                               &cursor, &err),
                  err);
        return cursor;
}

/* Runs the loop until nothing is due. */
static void settle(Fixture *f) {
        for (int turns = 0; sd_event_run(f->event, 0) > 0; turns++)
                assert_in_range(turns, 0, 10000);
}

static void run_for(Fixture *f, uint64_t usec) {
        uint64_t now, until;

        assert_true(sd_event_now(f->event, CLOCK_MONOTONIC, &now) >= 0);
        for (until = now + usec; now < until;) {
                struct timespec ts;

                assert_true(sd_event_run(f->event, 50 * USEC_PER_MSEC) >= 0);
                (void) clock_gettime(CLOCK_MONOTONIC, &ts);
                now = (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
        }
}

static void test_all_is_told(void **state) {
        Fixture *f = *state;
        Error err = { 0 };

        append_committed(f, 0, 1500);
        assert_ok(deliver_new(f->event, f->store, &f->deliver, &err), err);
        writes = 0;
        store_test_after_write = count_write;
        settle(f);
        assert_int_equal(told(f), 1500);
        assert_int_equal(saved(f), 1500);
        assert_int_equal(writes, 2); /* of the cursor, after 1024 or so and at the end */
}

static void test_while_a_transaction_is_open(void **state) {
        Fixture *f = *state;
        Error err = { 0 };

        append_committed(f, 0, 300);
        assert_ok(deliver_new(f->event, f->store, &f->deliver, &err), err);
        assert_ok(store_begin(f->store, &err), err);
        append(f, 300, 5);
        settle(f);
        assert_int_equal(told(f), 300);
        assert_int_equal(saved(f), 0); /* it would go with the transaction */

        assert_ok(store_commit(f->store, &err), err);
        deliver_poke(f->deliver);
        assert_int_equal(saved(f), 300);
        settle(f);
        assert_int_equal(told(f), 305);
        assert_int_equal(saved(f), 305);
}

static void test_what_is_undone_is_not_told(void **state) {
        Fixture *f = *state;
        Error err = { 0 };

        append_committed(f, 0, 3);
        assert_ok(deliver_new(f->event, f->store, &f->deliver, &err), err);
        assert_ok(store_begin(f->store, &err), err);
        append(f, 1000, 200);
        deliver_poke(f->deliver); /* of itself it is no commit */
        settle(f);
        store_rollback(f->store);
        deliver_poke(f->deliver);
        settle(f);
        assert_int_equal(told(f), 3);

        append_committed(f, 3, 2); /* with the numbers of those that were undone */
        deliver_poke(f->deliver);
        settle(f);
        assert_int_equal(told(f), 5);
        assert_int_equal(saved(f), 5);
}

static void tell_three_and_save_none(Fixture *f) {
        Error err = { 0 };

        append_committed(f, 0, 3);
        assert_ok(deliver_new(f->event, f->store, &f->deliver, &err), err);
        assert_ok(store_exec_sql(f->store, "PRAGMA query_only = 1", "x", &err), err);
        settle(f);
        assert_int_equal(told(f), 3);
        assert_ok(store_exec_sql(f->store, "PRAGMA query_only = 0", "x", &err), err);
}

/* Where the cursor cannot be saved nothing more is told, and nothing twice; once it can be, all goes on,
 * also if another attempt was due while a transaction was open. */
static void test_cursor_that_cannot_be_saved(void **state) {
        Fixture *f = *state;
        Error err = { 0 };

        tell_three_and_save_none(f);
        assert_ok(store_begin(f->store, &err), err);
        append(f, 3, 1);
        run_for(f, 3 * USEC_PER_SEC); /* more than two seconds: the first pause */
        assert_int_equal(told(f), 3);

        assert_ok(store_commit(f->store, &err), err);
        deliver_poke(f->deliver);
        for (int i = 0; i < 60 && told(f) < 4; i++)
                run_for(f, USEC_PER_SEC);
        assert_int_equal(told(f), 4);
        assert_int_equal(saved(f), 4);
}

/* Nor does it wait for a moment without a transaction: while a run writes, there may be none but the one
 * between two of them. */
static void test_cursor_is_saved_between_transactions(void **state) {
        Fixture *f = *state;
        Error err = { 0 };

        tell_three_and_save_none(f);
        append_committed(f, 3, 1);
        deliver_poke(f->deliver);
        assert_ok(store_begin(f->store, &err), err);
        append(f, 4, 1);
        for (int i = 0; i < 30 && told(f) < 4; i++)
                run_for(f, USEC_PER_SEC / 2);
        assert_int_equal(told(f), 4);
        assert_int_equal(saved(f), 3);
        store_rollback(f->store);
}

/* The end of the program is not held up by a long log, and tells nothing twice. */
static void test_the_end_is_bounded(void **state) {
        Fixture *f = *state;
        Error err = { 0 };

        append_committed(f, 0, 1500);
        assert_ok(deliver_new(f->event, f->store, &f->deliver, &err), err);
        assert_false(deliver_drain(f->deliver, 0));
        assert_in_range(told(f), 1, 200);
        assert_int_equal(saved(f), told(f));
        assert_true(deliver_drain(f->deliver, UINT64_MAX));
        assert_int_equal(told(f), 1500);
        assert_int_equal(saved(f), 1500);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_all_is_told),
                T(test_while_a_transaction_is_open),
                T(test_what_is_undone_is_not_told),
                T(test_cursor_that_cannot_be_saved),
                T(test_cursor_is_saved_between_transactions),
                T(test_the_end_is_bounded),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
