/* SPDX-License-Identifier: Apache-2.0 */
/* The small parts of rosterctl: times as people type them, widths, numbers, what CSV and JSON escape. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "base/timefmt.h"
#include "ctl/json.h"
#include "ctl/show.h"
#include "ctl/when.h"
#include "ctl/width.h"

#define N(array) (sizeof(array) / sizeof(array)[0])
#define TOO_LONG "2026-06-01T00:00:00.00000000000000000000000000000000000000000000000000000Z"
#define NOON INT64_C(1780315200000) /* 2026-06-01T12:00:00.000Z */

static void test_numbers(void **state) {
        static const struct {
                const char *text;
                int result;
                int64_t value;
        } cases[] = {
                { "0", 0, 0 },
                { "007", 0, 7 },
                { "-1", 0, -1 },
                { "9223372036854775807", 0, INT64_MAX },
                { "-9223372036854775808", 0, INT64_MIN },
                { "9223372036854775808", -ERANGE, 0 },
                { "-9223372036854775809", -ERANGE, 0 },
                { "99999999999999999999999", -ERANGE, 0 },
                { "", -EINVAL, 0 },
                { "-", -EINVAL, 0 },
                { "+1", -EINVAL, 0 },
                { " 1", -EINVAL, 0 },
                { "1 ", -EINVAL, 0 },
                { "0x1", -EINVAL, 0 },
                { "1.5", -EINVAL, 0 },
        };
        int64_t n = 42;

        (void) state;
        for (size_t i = 0; i < N(cases); i++) {
                n = 42;
                if (number_parse(cases[i].text, INT64_MIN, INT64_MAX, &n) != cases[i].result)
                        fail_msg("'%s'", cases[i].text);
                assert_int_equal(n, cases[i].result == 0 ? cases[i].value : 42);
        }
        assert_int_equal(number_parse("5", 6, 9, &n), -ERANGE);
        assert_int_equal(number_parse("10", 6, 9, &n), -ERANGE);
        assert_int_equal(number_parse("9", 6, 9, &n), 0);
}

static void test_times_as_people_type_them(void **state) {
        /* clocks in Berlin are two hours ahead in June, one in January */
        static const struct {
                const char *text;
                bool utc;
                const char *time;
        } cases[] = {
                { "now", false, "2026-06-01T12:00:00.000Z" },
                { "2d", false, "2026-05-30T12:00:00.000Z" },
                { "1h 30min", false, "2026-06-01T10:30:00.000Z" },
                { "today", false, "2026-05-31T22:00:00.000Z" },
                { "today", true, "2026-06-01T00:00:00.000Z" },
                { "yesterday", false, "2026-05-30T22:00:00.000Z" },
                { "yesterday", true, "2026-05-31T00:00:00.000Z" },
                { "2026-06-01", false, "2026-05-31T22:00:00.000Z" },
                { "2026-06-01", true, "2026-06-01T00:00:00.000Z" },
                { "2026-01-31 14:00", false, "2026-01-31T13:00:00.000Z" },
                { "2026-01-31 14:00:05.250", false, "2026-01-31T13:00:05.250Z" },
                { "2026-01-31T14:00", true, "2026-01-31T14:00:00.000Z" },
                { "2026-01-31T14:00Z", false, "2026-01-31T14:00:00.000Z" },
                { "2026-01-31T14:00+05:30", false, "2026-01-31T08:30:00.000Z" },
                { "2026-01-31T14:00-05:00", true, "2026-01-31T19:00:00.000Z" },
        };
        static const char *const bad[] = { "",         "noon",   "2026-13-01", "2026-02-30",
                                           "2026-6-1", "2d ago", "-2d",        "2026-06-01 25:00",
                                           TOO_LONG };
        char text[TIME_TEXT_SIZE];
        Error err = { 0 };
        int64_t t;

        (void) state;
        assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
        tzset();
        for (size_t i = 0; i < N(cases); i++) {
                t = 0;
                assert_ok(when_parse(cases[i].text, NOON, cases[i].utc, &t, &err), err);
                time_format(t, text);
                if (strcmp(text, cases[i].time) != 0)
                        fail_msg("%s: %s, not %s", cases[i].text, text, cases[i].time);
        }
        for (size_t i = 0; i < N(bad); i++)
                if (when_parse(bad[i], NOON, false, &t, &err) != -EINVAL)
                        fail_msg("taken: %s", bad[i]);
        assert_int_equal(setenv("TZ", "EST5", 1), 0); /* the last evening: tomorrow has no text */
        tzset();
        assert_int_equal(when_parse("9999-12-31 23:00", NOON, false, &t, &err), -EINVAL);
        assert_int_equal(when_parse("9999-12-31 18:00", NOON, false, &t, &err), 0);
}

static void test_times_as_people_read_them(void **state) {
        char buf[SHOW_TIME_SIZE], ago[SHOW_AGO_SIZE];

        (void) state;
        assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
        tzset();
        assert_string_equal(show_time("2026-06-01T12:00:05.999Z", true, buf),
                            "2026-06-01 14:00:05");
        assert_string_equal(show_time("2026-01-01T12:00:05.999Z", true, buf),
                            "2026-01-01 13:00:05");
        assert_string_equal(show_time("1969-12-31T22:59:59.500Z", true, buf),
                            "1969-12-31 23:59:59");
        assert_string_equal(show_time("2026-06-01T12:00:05.999Z", false, buf),
                            "2026-06-01 12:00:05Z");
        assert_string_equal(show_time("some other text", false, buf), "some other text");
        assert_string_equal(show_time("", true, buf), "");
        assert_string_equal(show_ago(NOON, NOON + 999, ago), "just now");
        assert_string_equal(show_ago(NOON, NOON + 61500, ago), "1min 1s ago");
        assert_string_equal(show_ago(NOON, NOON + 660999, ago), "11min ago");
        assert_string_equal(show_ago(NOON + 90000, NOON, ago), "in 1min 30s");
}

static void test_widths(void **state) {
        static const struct {
                const char *text;
                size_t width, fit; /* bytes that fit into five columns */
        } cases[] = {
                { "", 0, 0 },
                { "plain text", 10, 5 },
                { "Pérez-Ruiz", 10, 6 },
                { "田中さくら", 10, 6 },  /* two wide ones: the third has no room */
                { "a田中さ", 7, 7 },      /* one and two wide ones */
                { "cafe\u0301", 4, 6 },   /* the accent takes no column */
                { "\xff\xfe\xfd", 3, 3 }, /* no UTF-8: a column for each byte */
                { "\xe7\x94", 2, 2 },     /* cut */
                { "👩", 2, 4 },
        };
        char text[64];
        size_t used;

        (void) state;
        for (size_t i = 0; i < N(cases); i++) {
                size_t len = strlen(cases[i].text);

                if (text_width(cases[i].text, len) != cases[i].width ||
                    text_fit(cases[i].text, len, 5, &used) != cases[i].fit || used > 5)
                        fail_msg("%s: %zu columns, %zu bytes fit", cases[i].text,
                                 text_width(cases[i].text, len),
                                 text_fit(cases[i].text, len, 5, NULL));
        }
        assert_true(text_is_simple("plain ~", 7));
        assert_true(text_is_simple("", 0));
        assert_false(text_is_simple("tab\t", 4));
        assert_false(text_is_simple("\x7f", 1));
        assert_false(text_is_simple("é", 2));
        (void) snprintf(text, sizeof text, "%s", "a田é\xff.");
        text[text_to_ascii(text, strlen(text))] = '\0';
        assert_string_equal(text, "a????.");
}

/* What a function of writers has written to a file. */
static char *written(const char *text, size_t len) {
        static char got[256];
        Out o = { .fd = -1 };
        FILE *f = tmpfile();
        Error err = { 0 };
        size_t n;

        assert_non_null(f);
        o.fd = fileno(f);
        o.buf = malloc(OUT_BUFFER);
        assert_non_null(o.buf);
        json_write_string(&o, text, len);
        assert_ok(out_finish(&o, &err), err);
        out_clear(&o);
        rewind(f);
        n = fread(got, 1, sizeof got - 1, f);
        got[n] = '\0';
        assert_int_equal(fclose(f), 0);
        return got;
}

static void test_json_strings(void **state) {
        (void) state;
        assert_string_equal(written("plain", 5), "\"plain\"");
        assert_string_equal(written("", 0), "\"\"");
        assert_string_equal(written("a\"b\\c\n\x1f", 7), "\"a\\\"b\\\\c\\u000a\\u001f\"");
        assert_string_equal(written("é\"田", 6), "\"é\\\"田\"");
        assert_string_equal(written("a\xff"
                                    "b",
                                    3),
                            "\"a\xef\xbf\xbd"
                            "b\"");
        assert_string_equal(written("a\0b", 3), "\"a\\u0000b\"");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_times_as_people_type_them),
                cmocka_unit_test(test_times_as_people_read_them),
                cmocka_unit_test(test_widths),
                cmocka_unit_test(test_json_strings),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
