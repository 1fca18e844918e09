/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/idset.h"
#include "base/memstream.h"
#include "base/rand.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "base/timespan.h"

static const struct {
        const char *in, *out; /* out NULL: not a time */
} times[] = {
        { "2026-02-20T08:09:10.123Z", "2026-02-20T08:09:10.123Z" },
        { "2026-02-20T08:09:10Z", "2026-02-20T08:09:10.000Z" },
        { "2026-02-20T08:09Z", "2026-02-20T08:09:00.000Z" },
        { "2026-02-20T08:09:10.5Z", "2026-02-20T08:09:10.500Z" },
        { "2026-02-20T08:09:10.123999999Z", "2026-02-20T08:09:10.123Z" },
        { "2026-02-20T08:09:10,25z", "2026-02-20T08:09:10.250Z" },
        { "2026-02-20 08:09:10", "2026-02-20T08:09:10.000Z" },
        { "2026-02-20T00:30:00+02:00", "2026-02-19T22:30:00.000Z" },
        { "2026-02-20T00:30:00-0130", "2026-02-20T02:00:00.000Z" },
        { "2026-02-20T00:30:00+05", "2026-02-19T19:30:00.000Z" },
        { "2024-02-29T12:00:00Z", "2024-02-29T12:00:00.000Z" },
        { "2000-02-29T12:00:00Z", "2000-02-29T12:00:00.000Z" },
        { "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z" },
        { "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z" },
        { "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z" },
        { "2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z" },
        { "2023-02-29T12:00:00Z", NULL },
        { "1900-02-29T12:00:00Z", NULL },
        { "2026-13-01T00:00:00Z", NULL },
        { "2026-00-01T00:00:00Z", NULL },
        { "2026-01-32T00:00:00Z", NULL },
        { "2026-01-01T24:00:00Z", NULL },
        { "2026-01-01T00:60:00Z", NULL },
        { "2026-01-01", NULL },
        { "2026-01-01T00:00:00.Z", NULL },
        { "2026-01-01T00:00:00+24:00", NULL },
        { "2026-01-01T00:00:00Z ", NULL },
        { "9999-12-31T23:59:59-01:00", NULL },
        { "0001-01-01T00:00:00+01:00", NULL },
        { "yesterday", NULL },
        { "", NULL },
};

/* time_is_canonical() says what reading and writing would have come to. */
static void check_canonical(const char *text) {
        char ours[TIME_TEXT_SIZE] = "";
        int64_t t = 0;
        bool want = false;

        if (time_parse(text, &t) == 0) {
                time_format(t, ours);
                want = strcmp(ours, text) == 0;
        }
        if (time_is_canonical(text, strlen(text)) != want)
                fail_msg("%s is %scanonical", text, want ? "" : "not ");
}

static void test_times(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
                char text[TIME_TEXT_SIZE] = "";
                int64_t t = 42;
                int r = time_parse(times[i].in, &t);

                check_canonical(times[i].in);
                if (!times[i].out) {
                        if (r != -EINVAL || t != 42)
                                fail_msg("'%s' was taken for a time", times[i].in);
                        continue;
                }
                if (r < 0)
                        fail_msg("'%s' was not taken for a time", times[i].in);
                time_format(t, text);
                assert_string_equal(text, times[i].out);
                assert_true(time_is_canonical(text, strlen(text)));
        }
}

/* Every pair of digits there is, at each place in a time; and every byte. */
static void test_canonical_times(void **state) {
        static const char *const texts[] = { "2024-02-29T23:59:59.999Z", "1900-01-28T00:00:00.000Z",
                                             "2000-12-31T12:30:30.500Z" };

        (void) state;
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
                for (size_t at = 0; at < TIME_TEXT_SIZE - 1; at++) {
                        char text[TIME_TEXT_SIZE + 1], pair[3];

                        for (unsigned n = 0; n < 100 && at < TIME_TEXT_SIZE - 2; n++) {
                                memcpy(text, texts[i], TIME_TEXT_SIZE);
                                (void) snprintf(pair, sizeof pair, "%02u", n);
                                memcpy(text + at, pair, 2);
                                check_canonical(text);
                        }
                        memcpy(text, texts[i], TIME_TEXT_SIZE);
                        for (int c = 0; c < 256; c++) {
                                text[at] = (char) c;
                                check_canonical(text);
                        }
                }
        assert_false(time_is_canonical("2024-02-29T23:59:59.999Z0", 25));
        assert_false(time_is_canonical("2024-02-29T23:59:59.999Z", 23));
        assert_false(time_is_canonical("", 0));
}

/* Every day of 400 years, there and back, against the C library. */
static void test_calendar(void **state) {
        (void) state;
        for (int64_t day = -25567; day < 146097 - 25567; day++) {
                time_t t = (time_t) (day * 86400);
                struct tm tm;
                char ours[TIME_TEXT_SIZE], theirs[64];
                int64_t back = 0;

                assert_non_null(gmtime_r(&t, &tm));
                assert_true(strftime(theirs, sizeof theirs, "%Y-%m-%dT%H:%M:%S.000Z", &tm) > 0);
                time_format(day * 86400000, ours);
                assert_string_equal(ours, theirs);
                assert_int_equal(time_parse(ours, &back), 0);
                assert_int_equal(back, day * 86400000);
                assert_true(time_is_canonical(ours, strlen(ours)));
        }
}

static void test_epoch(void **state) {
        int64_t t = 0;

        (void) state;
        assert_int_equal(time_from_epoch(1700000000.25, &t), 0);
        assert_int_equal(t, INT64_C(1700000000250));
        assert_int_equal(time_from_epoch(-1.5, &t), 0);
        assert_int_equal(t, -1500);
        assert_int_equal(time_from_epoch(1e18, &t), -ERANGE);
        assert_int_equal(time_from_epoch(253402300799.9999, &t),
                         -ERANGE); /* rounds to year 10000 */
        assert_int_equal(time_from_epoch(-62135596801.0, &t), -ERANGE);
        assert_int_equal(time_from_epoch(1e300, &t), -ERANGE);
}

static const struct {
        const char *in;
        uint64_t usec;
        int r;
} spans[] = {
        { "90s", 90 * USEC_PER_SEC, 0 },
        { "15min", 15 * USEC_PER_MINUTE, 0 },
        { "1h 30min", 90 * USEC_PER_MINUTE, 0 },
        { "1h30min", 90 * USEC_PER_MINUTE, 0 },
        { "30d", 30 * USEC_PER_DAY, 0 },
        { "2w", 14 * USEC_PER_DAY, 0 },
        { "45", 45 * USEC_PER_SEC, 0 },
        { "2.5s", 2500 * USEC_PER_MSEC, 0 },
        { "0.000001s", 1, 0 },
        { " 1 hour  2 minutes ", 62 * USEC_PER_MINUTE, 0 },
        { "100ms", 100 * USEC_PER_MSEC, 0 },
        { "1m", USEC_PER_MINUTE, 0 },
        { "1M", UINT64_C(2629800) * USEC_PER_SEC, 0 },
        { "300y", UINT64_C(300) * 31557600 * USEC_PER_SEC, 0 },
        { "0", 0, 0 },
        { "", 0, -EINVAL },
        { "5x", 0, -EINVAL },
        { "min", 0, -EINVAL },
        { "-5s", 0, -EINVAL },
        { "5s,", 0, -EINVAL },
        { "1.s", 0, -EINVAL },
        { "301y", 0, -ERANGE },
        { "99999999999999999999", 0, -ERANGE },
};

static void test_timespans(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
                uint64_t usec = 42;
                int r = timespan_parse(spans[i].in, &usec);

                if (r != spans[i].r || usec != (r < 0 ? 42 : spans[i].usec))
                        fail_msg("'%s' gave %d, %ju", spans[i].in, r, (uintmax_t) usec);
        }
}

static void test_timespan_format(void **state) {
        static const struct {
                uint64_t usec;
                const char *text;
        } cases[] = {
                { 0, "0s" },
                { 250 * USEC_PER_MSEC, "250ms" },
                { 90 * USEC_PER_SEC, "1min 30s" },
                { 15 * USEC_PER_MINUTE, "15min" },
                { 90 * USEC_PER_MINUTE, "1h 30min" },
                { USEC_PER_DAY + USEC_PER_SEC, "1d" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                char text[32];

                timespan_format(cases[i].usec, text, sizeof text);
                assert_string_equal(text, cases[i].text);
        }
}

static void test_clean(void **state) {
        static const struct {
                const char *in, *out;
        } cases[] = {
                { "plain", "plain" },
                { "two\nlines\r\n here", "two lines here" },
                { "  edges\t ", "edges" },
                { "esc\x1b[31mred", "esc?[31mred" },
                { "bad\xff\xfe", "bad??" },
                { "\xc0\x80", "??" },
                { "\xed\xa0\x80", "???" },
                { "Zo\xc3\xab \xf0\x9f\x98\x80", "Zo\xc3\xab \xf0\x9f\x98\x80" },
                { "c1\xc2\x9b", "c1?" },
                /* NOLINTNEXTLINE(misc-misleading-bidirectional): what must not get through */
                { "rtl\xe2\x80\xae!", "rtl?!" },
                { "0123456789012345678901234567890", "0123456789012345678901234567…" },
                { "", "" },
        };
        char out[32];

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                assert_string_equal(text_clean(out, sizeof out, cases[i].in, strlen(cases[i].in)),
                                    cases[i].out);
        assert_string_equal(text_clean(out, sizeof out, "a\0b", 3), "a?b");
}

static void test_did_you_mean(void **state) {
        static const char *const names[] = { "interval", "endpoint", "account_id" };
        char big[300];

        (void) state;
        assert_string_equal(text_did_you_mean("intervall", names, 3), "interval");
        assert_string_equal(text_did_you_mean("Interval", names, 3), "interval");
        assert_string_equal(text_did_you_mean("accountid", names, 3), "account_id");
        assert_null(text_did_you_mean("colour", names, 3));
        assert_null(text_did_you_mean("", names, 3));
        memset(big, 'x', sizeof big - 1);
        big[sizeof big - 1] = '\0';
        assert_null(text_did_you_mean(big, names, 3));
}

static void test_idset(void **state) {
        IdSet s = { 0 };

        (void) state;
        assert_false(idset_contains(&s, 7));
        for (uint64_t i = 1; i <= 100000; i++)
                assert_int_equal(idset_add(&s, i * 3), IDSET_ADDED);
        assert_int_equal(s.count, 100000);
        assert_true(s.size * sizeof *s.blocks <= 2 * s.count);
        for (uint64_t i = 1; i <= 100000; i++)
                assert_int_equal(idset_add(&s, i * 3), IDSET_PRESENT);
        for (uint64_t i = 1; i <= 300003; i++)
                assert_int_equal(idset_contains(&s, i), i % 3 == 0 && i <= 300000);
        assert_int_equal(s.count, 100000);
        idset_clear(&s);
        assert_int_equal(s.count, 0);
        assert_int_equal(idset_add(&s, UINT64_MAX), IDSET_ADDED);
        idset_clear(&s);
}

static void test_idset_memory(void **state) {
        IdSet s = { 0 };

        (void) state;
        for (uint64_t i = 1; i <= 100000; i++)
                assert_int_equal(idset_add(&s, i), IDSET_ADDED);
        assert_true(s.size * sizeof *s.blocks <= 2 * s.count / 3);
        idset_clear(&s);
        for (uint64_t i = 1; i <= 100000; i++)
                assert_int_equal(idset_add(&s, i << 40), IDSET_ADDED);
        assert_true(s.size * sizeof *s.blocks <= 43 * s.count);
        for (uint64_t i = 1; i <= 100000; i++) {
                assert_true(idset_contains(&s, i << 40));
                assert_false(idset_contains(&s, (i << 40) + 1));
        }
        idset_clear(&s);
}

static void test_backoff(void **state) {
        (void) state;
        for (unsigned attempt = 0; attempt < 80; attempt++)
                for (int i = 0; i < 50; i++) {
                        uint64_t d = backoff_full_jitter(1000, 60000, attempt);

                        assert_true(d <= 60000);
                        if (attempt < 5)
                                assert_true(d <= UINT64_C(1000) << attempt);
                }
}

static void test_event_id(void **state) {
        char a[EVENT_ID_SIZE], b[EVENT_ID_SIZE];

        (void) state;
        random_event_id(a);
        random_event_id(b);
        assert_int_equal(strlen(a), 36);
        assert_memory_equal(a, "evt_", 4);
        assert_int_equal(strspn(a + 4, "0123456789abcdef"), 32);
        assert_string_not_equal(a, b);
        for (int i = 0; i < 100; i++) { /* whatever comes later sorts later, and is another one */
                (void) usleep(1500);
                memcpy(b, a, sizeof b);
                random_event_id(a);
                assert_true(memcmp(b, a, 16) < 0);
                assert_memory_not_equal(a + 16, b + 16, 20);
        }
}

static void test_files(void **state) {
        char dir[] = "/tmp/test-base-XXXXXX", path[64], *text = NULL;
        struct stat st;
        size_t len = 0;
        Error err = { 0 };

        (void) state;
        assert_non_null(mkdtemp(dir));
        (void) snprintf(path, sizeof path, "%s/file", dir);
        assert_int_equal(file_read(path, 10, &text, &len, &err), -ENOENT);
        assert_string_equal(err.msg, "cannot open: No such file or directory");
        assert_ok(file_write_atomic(path, "one", 3, 0640, &err), err);
        assert_ok(file_write_atomic(path, "two\n", 4, 0600, &err), err);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(file_read(path, 3, &text, &len, &err), -EFBIG);
        assert_ok(file_read(path, 4, &text, &len, &err), err);
        assert_string_equal(text, "two\n");
        assert_int_equal(len, 4);
        free(text);
        assert_int_equal(file_read(dir, 10, &text, &len, &err), -EINVAL);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(dir), 0); /* nothing else was left beside it */
        assert_int_equal(file_write_atomic(path, "x", 1, 0600, &err), -ENOENT);
}

static void test_error_prefix(void **state) {
        Error err = { 0 };

        (void) state;
        assert_int_equal(error_set(&err, -EIO, "deep %d", 1), -EIO);
        assert_int_equal(error_prefix(&err, -EIO, "upper"), -EIO);
        assert_string_equal(err.msg, "upper: deep 1");
        for (int i = 0; i < 100; i++)
                (void) error_prefix(&err, -EIO, "again and again");
        assert_true(strlen(err.msg) < sizeof err.msg);
        assert_int_equal(error_set(NULL, -EIO, "x"), -EIO);
}

/* What becomes of one without memory is in test_no_memory.py. */
static void test_memstream(void **state) {
        CLEANUP_FREE char *text = NULL;
        size_t len = 42;
        FILE *f = memstream_open(&text, &len);

        (void) state;
        assert_non_null(f);
        for (int i = 0; i < 10000; i++)
                assert_int_equal(fprintf(f, "%04d", i), 4);
        assert_int_equal(fputc('\0', f), 0);
        assert_null(text); /* not before it is whole */
        assert_int_equal(fclose(f), 0);
        assert_int_equal(len, 40001);
        assert_int_equal(strlen(text), 40000);
        assert_memory_equal(text + 39996, "9999", 4);
        free(take_ptr(text));

        f = memstream_open(&text, &len);
        assert_non_null(f);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(len, 0);
        assert_string_equal(text, "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_times),           cmocka_unit_test(test_canonical_times),
                cmocka_unit_test(test_calendar),        cmocka_unit_test(test_epoch),
                cmocka_unit_test(test_timespans),       cmocka_unit_test(test_clean),
                cmocka_unit_test(test_timespan_format), cmocka_unit_test(test_idset),
                cmocka_unit_test(test_idset_memory),    cmocka_unit_test(test_did_you_mean),
                cmocka_unit_test(test_backoff),         cmocka_unit_test(test_event_id),
                cmocka_unit_test(test_files),           cmocka_unit_test(test_error_prefix),
                cmocka_unit_test(test_memstream),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
