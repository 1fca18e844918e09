/* SPDX-License-Identifier: Apache-2.0 */
/* When the shared transaction is committed: soon if there is news in it, later if there is none. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/timespan.h"
#include "daemon/batch.h"

#define BETWEEN (1200 * USEC_PER_MSEC) /* later than news is committed, sooner than the rest is */

typedef struct Fixture {
        char dir[40];
        sd_event *event;
        Store *store;
        Batch *batch;
        int commits;
        int seen; /* commits when the time between had come */
} Fixture;

static void on_committed(void *userdata) {
        Fixture *f = userdata;

        f->commits++;
        if (f->seen >= 0)
                (void) sd_event_exit(f->event, 0);
}

static void on_lost(const Error *why, void *userdata) {
        (void) userdata;
        fail_msg("%s", why->msg);
}

static int on_between(sd_event_source *source, uint64_t usec, void *userdata) {
        Fixture *f = userdata;

        (void) source;
        (void) usec;
        f->seen = f->commits;
        if (f->commits > 0)
                (void) sd_event_exit(f->event, 0);
        return 0;
}

static int setup(void **state) {
        static Fixture f;
        char path[64];
        Error err = { 0 };

        f = (Fixture){ .dir = "/tmp/test-batch-XXXXXX", .seen = -1 };
        assert_non_null(mkdtemp(f.dir));
        (void) snprintf(path, sizeof path, "%s/roster.db", f.dir);
        assert_true(sd_event_new(&f.event) >= 0);
        assert_ok(store_open(path, &f.store, &err), err);
        assert_ok(batch_new(f.event, f.store, on_committed, on_lost, &f, &f.batch, &err), err);
        *state = &f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;
        char command[64];

        batch_free(f->batch);
        store_close(f->store);
        (void) sd_event_unref(f->event);
        (void) snprintf(command, sizeof command, "rm -r %s", f->dir);
        return system(command);
}

/* Runs the loop until the commit and the time between have both come.  Where both are due, because the
 * machine is slow, the one that should have come first is told first. */
static void drive(Fixture *f, int64_t priority) {
        sd_event_source *timer = NULL;

        assert_true(sd_event_add_time_relative(f->event, &timer, CLOCK_MONOTONIC, BETWEEN, 1,
                                               on_between, f) >= 0);
        assert_true(sd_event_source_set_priority(timer, priority) >= 0);
        assert_true(sd_event_loop(f->event) >= 0);
        (void) sd_event_source_disable_unref(timer);
        assert_int_equal(f->commits, 1);
        assert_false(store_in_transaction(f->store));
}

static void test_news(void **state) {
        Fixture *f = *state;
        Error err = { 0 };

        assert_ok(batch_write(f->batch, &err), err);
        assert_ok(batch_write_quietly(f->batch, &err), err);
        drive(f, SD_EVENT_PRIORITY_IDLE);
        assert_int_equal(f->seen, 1);
}

static void test_no_news(void **state) {
        Fixture *f = *state;
        Error err = { 0 };

        assert_ok(batch_write_quietly(f->batch, &err), err);
        drive(f, SD_EVENT_PRIORITY_IMPORTANT);
        assert_int_equal(f->seen, 0);
}

static void test_news_that_join(void **state) {
        Fixture *f = *state;
        Error err = { 0 };

        assert_ok(batch_write_quietly(f->batch, &err), err);
        assert_ok(batch_write(f->batch, &err), err);
        drive(f, SD_EVENT_PRIORITY_IDLE);
        assert_int_equal(f->seen, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_news),
                T(test_no_news),
                T(test_news_that_join),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
