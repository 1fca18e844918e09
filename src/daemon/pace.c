/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/pace.h"

#include "base/timespan.h"

#define PACE_BURST 2.0     /* what a late timer may catch up */
#define PACE_LEAST 0.1     /* never slower than one request in ten seconds */
#define PACE_RECOVERY 0.01 /* of the limit, with every request that was not throttled */
#define PACE_UNKNOWN 20.0  /* what an account without a limit is taken to have asked */
#define PACE_FREE 200.0    /* here such an account is free again */

void pace_init(Pace *p, double limit, uint64_t now) {
        *p = (Pace){ .limit = limit, .rate = limit, .tokens = 1, .last = now };
}

void pace_set_limit(Pace *p, double limit) {
        if (p->limit == limit)
                return;
        if (p->rate == p->limit || (limit > 0 && p->rate > limit))
                p->rate = limit;
        p->limit = limit;
}

static void refill(Pace *p, uint64_t now) {
        if (now > p->last)
                p->tokens += (double) (now - p->last) / (double) USEC_PER_SEC * p->rate;
        if (p->tokens > PACE_BURST)
                p->tokens = PACE_BURST;
        p->last = now;
}

uint64_t pace_wait(Pace *p, uint64_t now) {
        if (p->rate <= 0)
                return 0;
        refill(p, now);
        if (p->tokens >= 1)
                return 0;
        /* one microsecond more, so that rounding never makes a wait that is too short */
        return (uint64_t) ((1 - p->tokens) / p->rate * (double) USEC_PER_SEC) + 1;
}

void pace_take(Pace *p, uint64_t now) {
        if (p->rate <= 0)
                return;
        refill(p, now);
        p->tokens -= 1;
}

void pace_throttled(Pace *p) {
        p->rate = (p->rate > 0 ? p->rate : PACE_UNKNOWN) / 2;
        if (p->rate < PACE_LEAST)
                p->rate = PACE_LEAST;
        if (p->tokens > 0)
                p->tokens = 0;
}

void pace_succeeded(Pace *p) {
        if (p->rate == p->limit)
                return;
        p->rate += PACE_RECOVERY * (p->limit > 0 ? p->limit : PACE_UNKNOWN);
        if (p->limit > 0 ? p->rate > p->limit : p->rate > PACE_FREE)
                p->rate = p->limit;
}
