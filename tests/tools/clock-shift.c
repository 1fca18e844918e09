/* SPDX-License-Identifier: Apache-2.0 */
/* LD_PRELOAD: a wall clock that is off by $CLOCK_SHIFT seconds.  All other clocks go on as they are;
 * faketime shifts CLOCK_BOOTTIME as well, and timers of sd-event then never come due. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "wall-clock.h"

static time_t shift(void) {
        const char *text = getenv("CLOCK_SHIFT");

        return text ? (time_t) strtol(text, NULL, 10) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *ts) {
        int r = (int) syscall(SYS_clock_gettime, clock, ts);

        if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
                ts->tv_sec += shift();
        return r;
}
