/* SPDX-License-Identifier: Apache-2.0 */
/* LD_PRELOAD: all clocks go $CLOCK_FAST times as fast as they do, and timers come due by them.  The
 * wall clocks of several processes agree: fast time begins at $CLOCK_FAST_FROM, in seconds.  With
 * $CLOCK_FAST_WALL only the wall clock is fast. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "wall-clock.h"

#define NSEC INT64_C(1000000000)
#define CLOCKS 12
#define FDS 1024

static int64_t factor = 1, origin[CLOCKS];
static clockid_t clock_of[FDS];

static int64_t real_now(clockid_t clock) {
        struct timespec ts = { 0 };

        (void) syscall(SYS_clock_gettime, clock, &ts);
        return ts.tv_sec * NSEC + ts.tv_nsec;
}

__attribute__((constructor)) static void begin(void) {
        const char *fast = getenv("CLOCK_FAST"), *from = getenv("CLOCK_FAST_FROM");

        factor = fast ? strtol(fast, NULL, 10) : 1;
        if (factor < 1)
                factor = 1;
        for (clockid_t clock = 0; clock < CLOCKS; clock++)
                origin[clock] = real_now(clock);
        if (from)
                origin[CLOCK_REALTIME] = origin[CLOCK_REALTIME_COARSE] =
                        strtol(from, NULL, 10) * NSEC;
}

static int is_fast(clockid_t clock) {
        switch (clock) {
        case CLOCK_REALTIME:
        case CLOCK_REALTIME_COARSE:
                return 1;
        case CLOCK_MONOTONIC:
        case CLOCK_MONOTONIC_RAW:
        case CLOCK_MONOTONIC_COARSE:
        case CLOCK_BOOTTIME:
                return getenv("CLOCK_FAST_WALL") == NULL;
        default: /* what a process has used is what it has used */
                return 0;
        }
}

int clock_gettime(clockid_t clock, struct timespec *ts) {
        int r = (int) syscall(SYS_clock_gettime, clock, ts);
        int64_t now;

        if (r != 0 || !is_fast(clock))
                return r;
        now = origin[clock] + (ts->tv_sec * NSEC + ts->tv_nsec - origin[clock]) * factor;
        *ts = (struct timespec){ now / NSEC, now % NSEC };
        return 0;
}

int timerfd_create(int clock, int flags) {
        int fd = (int) syscall(SYS_timerfd_create, clock, flags);

        if (fd >= FDS) {
                (void) close(fd);
                errno = EMFILE;
                return -1;
        }
        if (fd >= 0)
                clock_of[fd] = clock;
        return fd;
}

/* Rounded up: a timer that came early would be set again at once. */
static struct timespec slower(struct timespec fast, int64_t begin) {
        int64_t t = fast.tv_sec >= INT64_MAX / NSEC ? INT64_MAX : fast.tv_sec * NSEC + fast.tv_nsec;

        if (t == 0) /* that is: off */
                return fast;
        t = t <= begin ? 1 : begin + (t - begin - 1) / factor + 1;
        return (struct timespec){ t / NSEC, t % NSEC };
}

int timerfd_settime(int fd, int flags, const struct itimerspec *fast, struct itimerspec *old) {
        struct itimerspec slow = *fast;

        if (fd >= 0 && fd < FDS && is_fast(clock_of[fd])) {
                slow.it_value = slower(fast->it_value,
                                       flags & TFD_TIMER_ABSTIME ? origin[clock_of[fd]] : 0);
                slow.it_interval = slower(fast->it_interval, 0);
        }
        return (int) syscall(SYS_timerfd_settime, fd, flags, &slow, old);
}
