/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timespan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

uint64_t clock_usec(clockid_t clock) {
        struct timespec ts;

        (void) clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

/* systemd.time(7): a month is 30.44 days, a year 365.25. */
static const struct {
        const char *name;
        uint64_t usec;
} units[] = {
        { "seconds", USEC_PER_SEC },
        { "second", USEC_PER_SEC },
        { "sec", USEC_PER_SEC },
        { "s", USEC_PER_SEC },
        { "minutes", USEC_PER_MINUTE },
        { "minute", USEC_PER_MINUTE },
        { "min", USEC_PER_MINUTE },
        { "months", UINT64_C(2629800) * USEC_PER_SEC },
        { "month", UINT64_C(2629800) * USEC_PER_SEC },
        { "M", UINT64_C(2629800) * USEC_PER_SEC },
        { "msec", USEC_PER_MSEC },
        { "ms", USEC_PER_MSEC },
        { "m", USEC_PER_MINUTE },
        { "hours", USEC_PER_HOUR },
        { "hour", USEC_PER_HOUR },
        { "hr", USEC_PER_HOUR },
        { "h", USEC_PER_HOUR },
        { "days", USEC_PER_DAY },
        { "day", USEC_PER_DAY },
        { "d", USEC_PER_DAY },
        { "weeks", 7 * USEC_PER_DAY },
        { "week", 7 * USEC_PER_DAY },
        { "w", 7 * USEC_PER_DAY },
        { "years", UINT64_C(31557600) * USEC_PER_SEC },
        { "year", UINT64_C(31557600) * USEC_PER_SEC },
        { "y", UINT64_C(31557600) * USEC_PER_SEC },
        { "usec", 1 },
        { "us", 1 },
};
#define TIMESPAN_MAX (UINT64_C(300) * 31557600 * USEC_PER_SEC)

static const char *skip_blank(const char *p) {
        return p + strspn(p, " \t");
}

/* The unit at p, or seconds where none stands. */
static int unit_at(const char **p, uint64_t *ret) {
        size_t len = strspn(*p, "abcdefghijklmnopqrstuvwxyzM");

        if (len == 0) {
                *ret = USEC_PER_SEC;
                return 0;
        }
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
                if (strlen(units[i].name) == len && memcmp(units[i].name, *p, len) == 0) {
                        *ret = units[i].usec;
                        *p += len;
                        return 0;
                }
        return -EINVAL;
}

/* One "number unit" at *p, added to *total. */
static int term(const char **p, uint64_t *total) {
        uint64_t whole = 0, frac = 0, scale = 1, unit = 0;
        const char *start = *p;

        for (; **p >= '0' && **p <= '9'; (*p)++) {
                whole = whole * 10 + (uint64_t) (**p - '0');
                if (whole > TIMESPAN_MAX)
                        return -ERANGE;
        }
        if (*p == start)
                return -EINVAL;
        if (**p == '.') {
                const char *digit = ++*p;

                for (; **p >= '0' && **p <= '9'; (*p)++)
                        if (scale < 1000000) {
                                frac = frac * 10 + (uint64_t) (**p - '0');
                                scale *= 10;
                        }
                if (*p == digit)
                        return -EINVAL;
        }
        *p = skip_blank(*p);
        if (unit_at(p, &unit) < 0)
                return -EINVAL;
        if (whole > TIMESPAN_MAX / unit)
                return -ERANGE;
        *total += whole * unit + unit / scale * frac + unit % scale * frac / scale;
        return *total > TIMESPAN_MAX ? -ERANGE : 0;
}

int timespan_parse(const char *text, uint64_t *ret) {
        const char *p = skip_blank(text);
        uint64_t total = 0;
        int r;

        do {
                r = term(&p, &total);
                if (r < 0)
                        return r;
                p = skip_blank(p);
        } while (*p);

        *ret = total;
        return 0;
}

void timespan_format(uint64_t usec, char *out, size_t size) {
        static const struct {
                const char *name;
                uint64_t usec;
        } steps[] = { { "d", USEC_PER_DAY }, { "h", USEC_PER_HOUR },  { "min", USEC_PER_MINUTE },
                      { "s", USEC_PER_SEC }, { "ms", USEC_PER_MSEC }, { "us", 1 } };
        size_t n = sizeof steps / sizeof steps[0];

        for (size_t i = 0; i < n; i++) {
                uint64_t first = usec / steps[i].usec;
                uint64_t second = i + 1 < n ? usec % steps[i].usec / steps[i + 1].usec : 0;

                if (first == 0)
                        continue;
                if (second == 0)
                        (void) snprintf(out, size, "%" PRIu64 "%s", first, steps[i].name);
                else
                        (void) snprintf(out, size, "%" PRIu64 "%s %" PRIu64 "%s", first,
                                        steps[i].name, second, steps[i + 1].name);
                return;
        }
        (void) snprintf(out, size, "0s");
}
