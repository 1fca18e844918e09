/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timefmt.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MS_PER_DAY INT64_C(86400000)

int64_t time_now_ms(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_REALTIME, &ts);
        return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Days since 1970-01-01 of a proleptic Gregorian date. */
static int64_t days_from_civil(int64_t y, int m, int d) {
        int64_t era, yoe, doy;

        y -= m <= 2;
        era = (y >= 0 ? y : y - 399) / 400;
        yoe = y - era * 400;
        doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
        return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* n decimal digits, and then c. */
static char *put_digits(char *out, int64_t value, int n, char c) {
        for (int i = n; i > 0; value /= 10)
                out[--i] = (char) ('0' + value % 10);
        out[n] = c;
        return out + n + 1;
}

void time_format(int64_t ms, char out[static TIME_TEXT_SIZE]) {
        int64_t days = ms / MS_PER_DAY, rest = ms % MS_PER_DAY, era, doe, yoe, doy, mp, y;
        int m, d;

        if (rest < 0) {
                rest += MS_PER_DAY;
                days--;
        }
        days += 719468;
        era = (days >= 0 ? days : days - 146096) / 146097;
        doe = days - era * 146097;
        yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
        doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        mp = (5 * doy + 2) / 153;
        d = (int) (doy - (153 * mp + 2) / 5 + 1);
        m = (int) (mp < 10 ? mp + 3 : mp - 9);
        y = yoe + era * 400 + (m <= 2);
        assert(y >= 0 && y <= 9999);

        out = put_digits(out, y, 4, '-');
        out = put_digits(out, m, 2, '-');
        out = put_digits(out, d, 2, 'T');
        out = put_digits(out, rest / 3600000, 2, ':');
        out = put_digits(out, rest / 60000 % 60, 2, ':');
        out = put_digits(out, rest / 1000 % 60, 2, '.');
        out = put_digits(out, rest % 1000, 3, 'Z');
        *out = '\0';
}

/* Reads exactly n digits. */
static bool digits(const char **p, int n, int *ret) {
        int v = 0;

        for (; n > 0; n--, (*p)++) {
                if (**p < '0' || **p > '9')
                        return false;
                v = v * 10 + (**p - '0');
        }
        *ret = v;
        return true;
}

static bool literal(const char **p, char c) {
        if (**p != c)
                return false;
        (*p)++;
        return true;
}

/* ".123456" or ",123": milliseconds, the rest is cut. */
static bool fraction(const char **p, int *ret) {
        int ms = 0, n = 0;

        if (**p != '.' && **p != ',') {
                *ret = 0;
                return true;
        }
        for ((*p)++; **p >= '0' && **p <= '9'; (*p)++, n++)
                if (n < 3)
                        ms = ms * 10 + (**p - '0');
        if (n == 0)
                return false;
        for (; n < 3; n++)
                ms *= 10;
        *ret = ms;
        return true;
}

/* "Z", "+02:00", "+0200", "+02" or nothing: minutes east of UTC. */
static bool offset(const char **p, int *ret) {
        int h, m = 0, sign;

        *ret = 0;
        if (**p == '\0')
                return true;
        if (literal(p, 'Z') || literal(p, 'z'))
                return true;
        if (**p != '+' && **p != '-')
                return false;
        sign = *(*p)++ == '-' ? -1 : 1;
        if (!digits(p, 2, &h))
                return false;
        if (**p != '\0') {
                (void) literal(p, ':');
                if (!digits(p, 2, &m))
                        return false;
        }
        if (h > 23 || m > 59)
                return false;
        *ret = sign * (h * 60 + m);
        return true;
}

static bool date_ok(int y, int m, int d) {
        static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

        return y >= 1 && m >= 1 && m <= 12 && d >= 1 && d <= days[m - 1] + (m == 2 && leap);
}

int time_parse(const char *text, int64_t *ret) {
        const char *p = text;
        int y, mo, d, h, mi, s = 0, ms = 0, off;
        int64_t t;

        if (!digits(&p, 4, &y) || !literal(&p, '-') || !digits(&p, 2, &mo) || !literal(&p, '-') ||
            !digits(&p, 2, &d))
                return -EINVAL;
        if (!literal(&p, 'T') && !literal(&p, 't') && !literal(&p, ' '))
                return -EINVAL;
        if (!digits(&p, 2, &h) || !literal(&p, ':') || !digits(&p, 2, &mi))
                return -EINVAL;
        if (literal(&p, ':') && (!digits(&p, 2, &s) || !fraction(&p, &ms)))
                return -EINVAL;
        if (!offset(&p, &off) || *p)
                return -EINVAL;
        if (!date_ok(y, mo, d) || h > 23 || mi > 59 || s > 60)
                return -EINVAL;

        t = days_from_civil(y, mo, d) * MS_PER_DAY +
            ((h * 60 + mi - off) * INT64_C(60) + s) * 1000 + ms;
        if (t < days_from_civil(1, 1, 1) * MS_PER_DAY ||
            t >= days_from_civil(10000, 1, 1) * MS_PER_DAY)
                return -EINVAL;
        *ret = t;
        return 0;
}

bool time_is_canonical(const char *text, size_t len) {
        const char *p = text;
        int y, mo, d, h, mi, s, ms;

        return len == TIME_TEXT_SIZE - 1 && digits(&p, 4, &y) && literal(&p, '-') &&
               digits(&p, 2, &mo) && literal(&p, '-') && digits(&p, 2, &d) && literal(&p, 'T') &&
               digits(&p, 2, &h) && literal(&p, ':') && digits(&p, 2, &mi) && literal(&p, ':') &&
               digits(&p, 2, &s) && literal(&p, '.') && digits(&p, 3, &ms) && literal(&p, 'Z') &&
               date_ok(y, mo, d) && h <= 23 && mi <= 59 && s <= 59;
}

int time_from_epoch(double seconds, int64_t *ret) {
        double ms = floor(seconds * 1000 + 0.5);

        /* years 1 to 9999, judged once it is rounded */
        if (!isfinite(ms) || ms < (double) (days_from_civil(1, 1, 1) * MS_PER_DAY) ||
            ms >= (double) (days_from_civil(10000, 1, 1) * MS_PER_DAY))
                return -ERANGE;
        *ret = (int64_t) ms;
        return 0;
}
