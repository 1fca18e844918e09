/* SPDX-License-Identifier: Apache-2.0 */
/* LD_PRELOAD: a wall clock that is off by $CLOCK_SHIFT seconds.  All other clocks go on as they are;
 * faketime shifts CLOCK_BOOTTIME as well, and timers of sd-event then never come due. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

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

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
        struct timespec ts;
        int r = clock_gettime(CLOCK_REALTIME, &ts);

        (void) zone;
        if (r == 0)
                *tv = (struct timeval){ ts.tv_sec, ts.tv_nsec / 1000 };
        return r;
}

time_t time(time_t *ret) {
        struct timespec ts;

        if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
                return (time_t) -1;
        if (ret)
                *ret = ts.tv_sec;
        return ts.tv_sec;
}
