/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* How fast one account asks: a token bucket whose rate halves when the service throttles and comes
 * back slowly (additive increase, multiplicative decrease).  No I/O; now is a monotonic clock in
 * microseconds. */
typedef struct Pace {
        double limit;  /* requests a second from the configuration; 0: none */
        double rate;   /* in force now; 0: none */
        double tokens; /* at most PACE_BURST */
        uint64_t last; /* when tokens was right */
} Pace;

void pace_init(Pace *p, double limit, uint64_t now);

/* A new limit from a reload; what throttling taught stays where it is below it. */
void pace_set_limit(Pace *p, double limit);

/* How long to wait before the next request may go; 0: it may go now. */
uint64_t pace_wait(Pace *p, uint64_t now);

/* A request goes. */
void pace_take(Pace *p, uint64_t now);

/* It was throttled; it was not. */
void pace_throttled(Pace *p);
void pace_succeeded(Pace *p);
