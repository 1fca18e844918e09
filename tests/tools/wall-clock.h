/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For libraries that are preloaded and have a clock_gettime() of their own: the other calls that tell
 * the wall clock, by it. */
#include <sys/time.h>
#include <time.h>

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
