/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/when.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/timefmt.h"
#include "base/timespan.h"

#define DATE_LEN 10 /* YYYY-MM-DD */
#define YEAR_10000 INT64_C(253402300800000)

static bool has_offset(const char *text) {
        return strlen(text) > DATE_LEN && strpbrk(text + DATE_LEN, "Zz+-");
}

/* The instant at which clocks here showed what they show in Greenwich at ms. */
static int64_t from_local(int64_t ms) {
        time_t t = (time_t) (ms / 1000);
        struct tm tm;

        if (!gmtime_r(&t, &tm))
                return ms;
        tm.tm_isdst = -1;
        return (int64_t) mktime(&tm) * 1000 + ms % 1000;
}

/* The start of the day that is now here, or of the one before. */
static int64_t midnight(int64_t now, int days_before, bool utc) {
        time_t t = (time_t) (now / 1000);
        struct tm tm;

        if (utc || !localtime_r(&t, &tm))
                return now - now % INT64_C(86400000) - days_before * INT64_C(86400000);
        tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
        tm.tm_mday -= days_before;
        tm.tm_isdst = -1;
        return (int64_t) mktime(&tm) * 1000;
}

int when_parse(const char *text, int64_t now, bool utc, int64_t *ret, Error *err) {
        char full[64];
        uint64_t span;
        int64_t ms;

        if (strcmp(text, "now") == 0)
                *ret = now;
        else if (strcmp(text, "today") == 0)
                *ret = midnight(now, 0, utc);
        else if (strcmp(text, "yesterday") == 0)
                *ret = midnight(now, 1, utc);
        else if (timespan_parse(text, &span) == 0)
                *ret = now - (int64_t) (span / USEC_PER_MSEC);
        else {
                (void) snprintf(full, sizeof full, "%s%s", text,
                                strlen(text) == DATE_LEN ? "T00:00:00" : "");
                if (strlen(text) >= sizeof full - DATE_LEN || time_parse(full, &ms) < 0)
                        return error_set(err, -EINVAL,
                                         "'%.40s' is no time; write e.g. 2026-06-01, \"2026-06-01"
                                         " 14:00\", 2026-06-01T14:00:00Z, yesterday or 2d",
                                         text);
                if (!utc && !has_offset(full))
                        ms = from_local(ms);
                if (ms >= YEAR_10000) /* there, but not here */
                        return error_set(err, -EINVAL, "'%.40s' is beyond the year 9999", text);
                *ret = ms;
        }
        return 0;
}
