/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 64 neighbours: bit i of members is the number first + i. */
typedef struct IdBlock {
        uint64_t first, members;
} IdBlock;

/* A set of numbers other than 0.  Neighbours share a block, so that numbers without gaps take a third
 * of a byte to two thirds each, and such as have no neighbours 21 to 43 bytes.  All zero is an empty
 * set. */
typedef struct IdSet {
        IdBlock *blocks;
        size_t size; /* a power of two, or 0 */
        size_t used; /* blocks that have members */
        size_t count;
} IdSet;

typedef enum IdSetAdd {
        IDSET_ADDED,
        IDSET_PRESENT,
} IdSetAdd;

/* Returns an IdSetAdd or -ENOMEM (the set is as it was). */
int idset_add(IdSet *s, uint64_t id);
bool idset_contains(const IdSet *s, uint64_t id);
/* Frees everything; the set is empty and may be used again. */
void idset_clear(IdSet *s);
