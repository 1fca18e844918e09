/* SPDX-License-Identifier: Apache-2.0 */
/* Times in the headers of answers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "base/timespan.h"
#include "net/http.h"

int http_date(const char *text, int64_t *ret) {
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        char iso[TIME_TEXT_SIZE];

        if (strlen(text) != 29 || memcmp(text + 3, ", ", 2) != 0 || text[7] != ' ' ||
            text[11] != ' ' || text[16] != ' ' || strcmp(text + 25, " GMT") != 0)
                return -EINVAL;
        for (size_t m = 0; m < 12; m++)
                if (memcmp(text + 8, months + 3 * m, 3) == 0) {
                        (void) snprintf(iso, sizeof iso, "%.4s-%02zu-%.2sT%.8sZ", text + 12, m + 1,
                                        text + 5, text + 17);
                        return time_parse(iso, ret);
                }
        return -EINVAL;
}

uint64_t http_retry_after(const HttpResult *res, int64_t now_ms) {
        const char *text = http_header(res, "Retry-After");
        uint64_t seconds = 0;
        int64_t then;

        if (!text || !*text)
                return 0;
        if (strspn(text, "0123456789") == strlen(text)) {
                for (; *text && seconds < 3600; text++)
                        seconds = seconds * 10 + (uint64_t) (*text - '0');
        } else if (http_date(text, &then) == 0 && then > now_ms)
                seconds = (uint64_t) (then - now_ms + 999) / 1000;
        return seconds < 3600 ? seconds * USEC_PER_SEC : USEC_PER_HOUR;
}

void http_say_skew(const HttpResult *res, int64_t now_ms, char *out, size_t size) {
        const char *date = http_header(res, "Date");
        int64_t theirs = 0, skew;
        char span[64];

        if (!date || http_date(date, &theirs) < 0) {
                (void) snprintf(out, size, "set this machine's clock right");
                return;
        }
        skew = now_ms - theirs;
        timespan_format((uint64_t) (skew < 0 ? -skew : skew) / 1000 * USEC_PER_SEC, span,
                        sizeof span);
        (void) snprintf(out, size, "this machine's clock is %s %s the service's: set it right",
                        span, skew < 0 ? "behind" : "ahead of");
}
