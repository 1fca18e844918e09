/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A set of numbers other than 0, in 11 to 22 bytes each.  All zero is an empty set. */
typedef struct IdSet {
        uint64_t *slots;
        size_t size; /* a power of two, or 0 */
        size_t count;
} IdSet;

typedef enum IdSetAdd {
        IDSET_ADDED,
        IDSET_PRESENT,
} IdSetAdd;

/* Returns an IdSetAdd or -ENOMEM (the set is as it was). */
int idset_add(IdSet *s, uint64_t id);
bool idset_contains(const IdSet *s, uint64_t id);
void idset_remove(IdSet *s, uint64_t id);
/* Frees everything; the set is empty and may be used again. */
void idset_clear(IdSet *s);
