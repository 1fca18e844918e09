/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rand.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/timefmt.h"

void random_fill(void *buf, size_t size) {
        /* Up to 256 bytes getrandom(2) is never cut short, and blocks only before the pool is
         * seeded at boot. */
        ssize_t got = getrandom(buf, size, 0);

        assert(got == (ssize_t) size && size <= 256);
        (void) got;
}

uint64_t random_u64(void) {
        uint64_t v;

        random_fill(&v, sizeof v);
        return v;
}

uint64_t random_below(uint64_t limit) {
        return limit ? random_u64() % limit : 0;
}

uint64_t backoff_full_jitter(uint64_t base_usec, uint64_t cap_usec, unsigned attempt) {
        uint64_t ceiling = cap_usec;

        if (attempt < 63 && base_usec < cap_usec >> attempt)
                ceiling = base_usec << attempt;
        return random_below(ceiling + 1);
}

void random_event_id(char out[static EVENT_ID_SIZE]) {
        const uint64_t ms = (uint64_t) time_now_ms() & UINT64_C(0xffffffffffff);
        uint64_t v[2];
        int n;

        random_fill(v, sizeof v);
        n = snprintf(out, EVENT_ID_SIZE, "evt_%012" PRIx64 "%016" PRIx64 "%04" PRIx64, ms, v[0],
                     v[1] & 0xffff);

        assert(n == EVENT_ID_SIZE - 1);
        (void) n;
}
