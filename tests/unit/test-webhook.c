/* SPDX-License-Identifier: Apache-2.0 */
/* What is decided about one request, without a network: ids, waits, what may be shown. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "base/timespan.h"
#include "sink/webhook.h"

/* ---- ids ---- */

static const char *id_of(const char *const *ids, size_t n) {
        static char out[WEBHOOK_ID_SIZE];
        CLEANUP(webhook_id_clear) WebhookIdMaker m = { 0 };

        for (size_t i = 0; i < n; i++) {
                Event e = { 0 };

                (void) snprintf(e.id, sizeof e.id, "%s", ids[i]);
                assert_int_equal(webhook_id_add(&m, &e), 0);
        }
        assert_int_equal(webhook_id_write(&m, out), 0);
        return out;
}

static void test_ids(void **state) {
        static const char *const abc[] = { "evt_a", "evt_b", "evt_c" },
                                 *const ba[] = { "evt_b", "evt_a" },
                                 *const joined[] = { "evt_ae", "vt_b" };
        char two[WEBHOOK_ID_SIZE];

        (void) state;
        assert_string_equal(id_of(abc, 1), "evt_a");
        (void) snprintf(two, sizeof two, "%s", id_of(abc, 2));
        assert_memory_equal(two, "batch_", 6);
        assert_int_equal(strlen(two), 6 + 32);
        assert_string_equal(id_of(abc, 2), two); /* the same events, the same id */
        assert_string_not_equal(id_of(abc, 3), two);
        assert_string_not_equal(id_of(ba, 2), two);
        assert_string_not_equal(id_of(joined, 2), two);
}

/* ---- waits ---- */

static void test_backoff(void **state) {
        static const struct {
                int64_t failures;
                uint64_t retry_after, least, most; /* seconds */
        } cases[] = {
                { 1, 0, 0, 1 },          { 2, 0, 1, 2 },       { 3, 0, 2, 4 },
                { 10, 0, 256, 512 },     { 11, 0, 300, 600 },  { 1000000, 0, 300, 600 },
                { 1, 30, 30, 33 },       { 1, 1, 1, 2 },       { 11, 1, 300, 600 },
                { 8, 3600, 3600, 3960 }, { 8, 100, 100, 128 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                for (int k = 0; k < 200; k++) {
                        uint64_t d = webhook_backoff(cases[i].failures,
                                                     cases[i].retry_after * USEC_PER_SEC);

                        if (d < cases[i].least * USEC_PER_SEC || d > cases[i].most * USEC_PER_SEC ||
                            d < USEC_PER_SEC / 2)
                                fail_msg("case %zu: %llu us", i, (unsigned long long) d);
                }
}

/* ---- what may be shown, what is asked for ---- */

static void test_hosts(void **state) {
        static const char *const cases[][2] = {
                { "https://hooks.example.com/services/T0/B0/s3cret", "https://hooks.example.com" },
                { "http://127.0.0.1:8080?key=s3cret", "http://127.0.0.1:8080" },
                { "https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443" },
                { "https://user:s3cret@h.example/x@y", "https://h.example" },
                { "https://h.example\\@other/x", "https://h.example" },
                { "s3cret", "(no URL)" },
        };
        char out[128];

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                assert_string_equal(webhook_host(cases[i][0], out, sizeof out), cases[i][1]);
}

static EventMask mask_of(char *glob) {
        WebhookConfig w = { .events = { .items = &glob, .count = 1 } };

        return webhook_event_mask(&w);
}

static void test_globs(void **state) {
        (void) state;
        assert_int_equal(mask_of((char[]){ "user.suspended" }), EVENT_BIT(EVENT_USER_SUSPENDED));
        assert_int_equal(mask_of((char[]){ "*" }), EVENT_MASK_ALL);
        assert_int_equal(mask_of((char[]){ "user.re?nstated" }), EVENT_BIT(EVENT_USER_REINSTATED));
        assert_int_equal(mask_of((char[]){ "sync.*" }) | mask_of((char[]){ "user.*" }),
                         EVENT_MASK_ALL);
        assert_int_equal(mask_of((char[]){ "sync.*" }) & mask_of((char[]){ "user.*" }), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ids),
                cmocka_unit_test(test_backoff),
                cmocka_unit_test(test_hosts),
                cmocka_unit_test(test_globs),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
