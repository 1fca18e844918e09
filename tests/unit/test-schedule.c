/* SPDX-License-Identifier: Apache-2.0 */
/* When what is asked, without a clock: the pace of requests and the times of runs. */
#include "test.h"

#include "base/timefmt.h"
#include "base/timespan.h"
#include "daemon/pace.h"
#include "daemon/schedule.h"

/* Asks as fast as the pace allows for a while; returns how many requests went. */
static int drive(Pace *p, uint64_t *now, uint64_t span) {
        uint64_t end = *now + span;
        int n = 0;

        while (*now < end) {
                uint64_t wait = pace_wait(p, *now);

                if (wait == 0) {
                        pace_take(p, *now);
                        n++;
                } else
                        *now += wait;
        }
        return n;
}

static void test_pace_keeps_limit(void **state) {
        uint64_t now = 5 * USEC_PER_SEC;
        Pace p;
        int n;

        (void) state;
        pace_init(&p, 10, now);
        n = drive(&p, &now, 100 * USEC_PER_SEC);
        assert_in_range(n, 999, 1002);
}

static void test_pace_does_not_save_up(void **state) {
        uint64_t now = 5 * USEC_PER_SEC;
        Pace p;

        (void) state;
        pace_init(&p, 10, now);
        now += USEC_PER_HOUR; /* idle */
        assert_in_range(drive(&p, &now, USEC_PER_SEC / 100), 1, 2);
}

static void test_pace_without_limit(void **state) {
        uint64_t now = 5 * USEC_PER_SEC;
        Pace p;

        (void) state;
        pace_init(&p, 0, now);
        assert_int_equal(pace_wait(&p, now), 0);
        pace_throttled(&p); /* the service has a limit, if we have none */
        assert_true(p.rate > 0);
        for (int i = 0; i < 2000; i++)
                pace_succeeded(&p);
        assert_int_equal(pace_wait(&p, now), 0);
}

static void test_pace_halves_and_recovers(void **state) {
        uint64_t now = 5 * USEC_PER_SEC;
        Pace p;

        (void) state;
        pace_init(&p, 10, now);
        pace_throttled(&p);
        assert_in_range(drive(&p, &now, 100 * USEC_PER_SEC), 499, 502);
        for (int i = 0; i < 20; i++)
                pace_throttled(&p);
        assert_true(p.rate >= 0.1); /* never stops altogether */
        for (int i = 0; i < 50; i++)
                pace_succeeded(&p);
        assert_true(p.rate < 10); /* slowly */
        for (int i = 0; i < 100; i++)
                pace_succeeded(&p);
        assert_true(p.rate == 10);
}

static void test_pace_new_limit(void **state) {
        uint64_t now = 5 * USEC_PER_SEC;
        Pace p;

        (void) state;
        pace_init(&p, 10, now);
        pace_set_limit(&p, 100);
        assert_true(p.rate == 100);
        pace_throttled(&p);
        pace_set_limit(&p, 80);
        assert_true(p.rate == 50); /* what throttling taught stays */
        pace_set_limit(&p, 20);
        assert_true(p.rate == 20);
}

static void test_next_after_success(void **state) {
        const uint64_t interval = 5 * USEC_PER_MINUTE;

        (void) state;
        assert_int_equal(sync_next_delay(interval, 0, 0), interval);
        assert_int_equal(sync_next_delay(interval, USEC_PER_MINUTE, 0), 4 * USEC_PER_MINUTE);
        assert_int_equal(sync_next_delay(interval, interval + 1, 0), 0);
}

/* Sooner than the interval, ever later, never later than the interval. */
static void test_next_after_failures(void **state) {
        const uint64_t interval = USEC_PER_HOUR;

        (void) state;
        for (int64_t failures = 1; failures < 100; failures++)
                for (int i = 0; i < 20; i++) {
                        uint64_t full =
                                failures < 8 ? (30 * USEC_PER_SEC) << (failures - 1) : interval;
                        uint64_t d = sync_next_delay(interval, 0, failures);

                        assert_in_range(d, full - full / 4, full);
                }
        assert_in_range(sync_next_delay(10 * USEC_PER_SEC, 0, 1), 7 * USEC_PER_SEC,
                        10 * USEC_PER_SEC);
}

static void test_first_delay(void **state) {
        const uint64_t interval = 5 * USEC_PER_MINUTE;
        const int64_t now = INT64_C(1700000000000);
        AccountState st = { 0 };

        (void) state;
        assert_int_equal(schedule_first_delay(interval, &st, now, 0.5), 0); /* never ran */
        st.last_attempt_at = now - 60000;
        assert_int_equal(schedule_first_delay(interval, &st, now, 0.5), 4 * USEC_PER_MINUTE);
        st.last_attempt_at = now - 86400000; /* long overdue: spread over a minute */
        assert_int_equal(schedule_first_delay(interval, &st, now, 0.5), 30 * USEC_PER_SEC);
        st.last_attempt_at = now + 3600000; /* the clock was set back */
        assert_int_equal(schedule_first_delay(interval, &st, now, 0.5), interval);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pace_keeps_limit),
                cmocka_unit_test(test_pace_does_not_save_up),
                cmocka_unit_test(test_pace_without_limit),
                cmocka_unit_test(test_pace_halves_and_recovers),
                cmocka_unit_test(test_pace_new_limit),
                cmocka_unit_test(test_next_after_success),
                cmocka_unit_test(test_next_after_failures),
                cmocka_unit_test(test_first_delay),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
