/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "store/store.h"

/* Users that are recognised by the bytes of their records, so that a record which is the same as last
 * time is neither parsed nor looked up.  The table is read at the start of a run from the marks that
 * the database keeps with the users, and is never the truth: whoever is not in it goes the slow way.
 *
 * A mark is a keyed hash (XXH3, 128 bits).  Its key is random and the database's own, mixed with all
 * that the meaning of the bytes depends on, so that marks made under other circumstances match
 * nothing.  Rows take 24 bytes each. */
typedef struct Known {
        struct KnownSlot *slots;
        size_t size, count;
        int64_t account, after; /* rows up to there are loaded */
        enum { KNOWN_OFF, KNOWN_LOADING, KNOWN_LOADED } state;
        unsigned char secret[MARK_KEY_SIZE];
} Known;

/* Makes *k, which is overwritten, ready for known_load().  context: what else the meaning of the bytes
 * depends on.  It stays KNOWN_OFF where the database has no key, or the table no room. */
int known_begin(Known *k, Store *store, int64_t account, const char *context, Error *err);

/* Loads one portion while k->state is KNOWN_LOADING. */
int known_load(Known *k, Store *store, Error *err);

/* Frees the table; *k is all zero. */
void known_clear(Known *k);

/* The mark of a record; all zero with KNOWN_OFF. */
RecordMark known_mark(const Known *k, const char *data, size_t len);

/* The row of the user who had this mark when the table was loaded, or 0. */
int64_t known_find(const Known *k, RecordMark mark);
