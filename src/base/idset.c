/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing, at most three quarters full.  A block without members is an
 * empty slot. */
#include "base/idset.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define BLOCK_SIZE 64

static uint64_t first_of(uint64_t id) {
        return id - id % BLOCK_SIZE;
}

static uint64_t bit_of(uint64_t id) {
        return UINT64_C(1) << id % BLOCK_SIZE;
}

/* Row numbers come in runs; the multiplier (2^64 / golden ratio) spreads them. */
static size_t home(const IdSet *s, uint64_t first) {
        uint64_t h = first / BLOCK_SIZE;

        h = (h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15);
        return (size_t) (h >> 32) & (s->size - 1);
}

/* The slot of the block, or the empty one where it belongs. */
static size_t probe(const IdSet *s, uint64_t first) {
        size_t i = home(s, first);

        while (s->blocks[i].members && s->blocks[i].first != first)
                i = (i + 1) & (s->size - 1);
        return i;
}

static int grow(IdSet *s) {
        IdSet bigger = { .size = s->size ? s->size * 2 : 8, .used = s->used, .count = s->count };

        bigger.blocks = calloc(bigger.size, sizeof *bigger.blocks);
        if (!bigger.blocks)
                return -ENOMEM;
        for (size_t i = 0; i < s->size; i++)
                if (s->blocks[i].members)
                        bigger.blocks[probe(&bigger, s->blocks[i].first)] = s->blocks[i];
        free(s->blocks);
        *s = bigger;
        return 0;
}

int idset_add(IdSet *s, uint64_t id) {
        IdBlock *block;

        assert(id != 0);
        if (idset_contains(s, id))
                return IDSET_PRESENT;
        if (s->used >= s->size / 4 * 3 && grow(s) < 0)
                return -ENOMEM;
        block = &s->blocks[probe(s, first_of(id))];
        s->used += !block->members;
        block->first = first_of(id);
        block->members |= bit_of(id);
        s->count++;
        return IDSET_ADDED;
}

bool idset_contains(const IdSet *s, uint64_t id) {
        return s->size && (s->blocks[probe(s, first_of(id))].members & bit_of(id));
}

void idset_clear(IdSet *s) {
        free(s->blocks);
        *s = (IdSet){ 0 };
}
