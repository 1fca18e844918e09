/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/timefmt.h"
#include "base/timespan.h"
#include "ctl/width.h"

const char *show_status_colour(const char *word) {
        static const char *const red[] = { "Suspended",  "Failed",         "failed",
                                           "failing",    "user.suspended", "user.invitation_failed",
                                           "sync.failed" };
        static const char *const yellow[] = { "Pending", "interrupted", "held",
                                              "sync.removals_held" };

        for (size_t i = 0; i < sizeof red / sizeof red[0]; i++)
                if (strcmp(word, red[i]) == 0)
                        return COLOUR_RED;
        for (size_t i = 0; i < sizeof yellow / sizeof yellow[0]; i++)
                if (strcmp(word, yellow[i]) == 0)
                        return COLOUR_YELLOW;
        return NULL;
}

const char *show_time(const char *text, bool local, char buf[static SHOW_TIME_SIZE]) {
        int64_t ms;
        time_t t;
        struct tm tm;

        if (strlen(text) != TIME_TEXT_SIZE - 1 || text[10] != 'T')
                return text;
        if (!local) { /* the same digits */
                memcpy(buf, text, 19);
                buf[10] = ' ';
                memcpy(buf + 19, "Z", 2);
                return buf;
        }
        if (time_parse(text, &ms) < 0)
                return text;
        t = (time_t) (ms >= 0 ? ms / 1000 : (ms - 999) / 1000);
        if (!localtime_r(&t, &tm) || strftime(buf, SHOW_TIME_SIZE, "%Y-%m-%d %H:%M:%S", &tm) == 0)
                return text;
        return buf;
}

void show_text(Out *o, const char *text) {
        size_t at = 0; /* columns of this line that are taken */

        while (*text) {
                size_t len = strcspn(text, " "), width = text_width(text, len);

                if (at > 0 && o->width > 0 && at + 1 + width > o->width) {
                        out_char(o, '\n');
                        at = 0;
                } else if (at > 0) {
                        out_char(o, ' ');
                        at++;
                }
                out_write(o, text, len);
                at += width;
                text += len + (text[len] == ' ');
        }
        out_char(o, '\n');
}

char *show_ago(int64_t when, int64_t now, char buf[static SHOW_AGO_SIZE]) {
        int64_t ms = now - when;
        char span[40];

        if (ms > -1000 && ms < 1000) {
                (void) snprintf(buf, SHOW_AGO_SIZE, "just now");
                return buf;
        }
        /* whole seconds, whole minutes beyond ten */
        ms = ms < 0 ? -ms : ms;
        ms -= ms % (ms >= 600000 ? 60000 : 1000);
        timespan_format((uint64_t) ms * USEC_PER_MSEC, span, sizeof span);
        (void) snprintf(buf, SHOW_AGO_SIZE, now >= when ? "%s ago" : "in %s", span);
        return buf;
}
