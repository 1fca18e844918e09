/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing, at most three quarters full. */
#include "base/idset.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Row numbers come in runs; the multiplier (2^64 / golden ratio) spreads them. */
static size_t home(const IdSet *s, uint64_t id) {
        return (size_t) ((id * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (s->size - 1);
}

/* The slot of id, or the empty one where it belongs. */
static size_t probe(const IdSet *s, uint64_t id) {
        size_t i = home(s, id);

        while (s->slots[i] && s->slots[i] != id)
                i = (i + 1) & (s->size - 1);
        return i;
}

static int grow(IdSet *s) {
        IdSet bigger = { .size = s->size ? s->size * 2 : 64, .count = s->count };

        bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
        if (!bigger.slots)
                return -ENOMEM;
        for (size_t i = 0; i < s->size; i++)
                if (s->slots[i])
                        bigger.slots[probe(&bigger, s->slots[i])] = s->slots[i];
        free(s->slots);
        *s = bigger;
        return 0;
}

int idset_add(IdSet *s, uint64_t id) {
        size_t i;

        assert(id != 0);
        if (idset_contains(s, id))
                return IDSET_PRESENT;
        if (s->count >= s->size / 4 * 3 && grow(s) < 0)
                return -ENOMEM;
        i = probe(s, id);
        s->slots[i] = id;
        s->count++;
        return IDSET_ADDED;
}

bool idset_contains(const IdSet *s, uint64_t id) {
        return s->size && s->slots[probe(s, id)] == id;
}

void idset_remove(IdSet *s, uint64_t id) {
        size_t i;

        if (!idset_contains(s, id))
                return;
        i = probe(s, id);
        s->slots[i] = 0;
        s->count--;
        /* Whatever probed past the hole must still be found: put the rest of the run in again. */
        for (i = (i + 1) & (s->size - 1); s->slots[i]; i = (i + 1) & (s->size - 1)) {
                uint64_t moved = s->slots[i];

                s->slots[i] = 0;
                s->slots[probe(s, moved)] = moved;
        }
}

void idset_clear(IdSet *s) {
        free(s->slots);
        *s = (IdSet){ 0 };
}
