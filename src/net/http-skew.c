/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http-skew.h"

#include <stdio.h>

#include "base/timefmt.h"
#include "base/timespan.h"

void http_say_skew(const HttpResult *res, int64_t now_ms, char *out, size_t size) {
        const char *date = http_header(res, "Date");
        int64_t theirs = 0, skew;
        char span[64];

        if (!date || time_parse_http(date, &theirs) < 0) {
                (void) snprintf(out, size, "set this machine's clock right");
                return;
        }
        skew = now_ms - theirs;
        timespan_format((uint64_t) (skew < 0 ? -skew : skew) / 1000 * USEC_PER_SEC, span,
                        sizeof span);
        (void) snprintf(out, size, "this machine's clock is %s %s the service's: set it right",
                        span, skew < 0 ? "behind" : "ahead of");
}
