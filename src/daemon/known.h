/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "store/store.h"

typedef struct KnownList {
        MarkedRow *users; /* in order of row, which mostly is that of the listing */
        size_t count, room;
} KnownList;

/* Users that are recognised by the bytes of their records, so that a record which is the same as last
 * time is neither parsed nor looked up, nor even scanned where it stands behind the same one as last
 * time.  The list is read during a run from the database's marks, and is never the truth: whoever is not
 * in it goes the slow way.
 *
 * A mark is a length and a keyed hash (XXH3, 128 bits).  The key is random and the database's own, mixed
 * with all that the meaning of the bytes depends on, so that marks made under other circumstances match
 * nothing.  Users take 24 bytes each, and 6 more once the listing comes in another order; while the list
 * is made from a log, the log's entries as much again. */
typedef struct Known {
        KnownList list;
        size_t next;     /* of the list: who is expected next */
        size_t last;     /* who was found last out of order, and one */
        uint32_t *slots; /* hash table of places in the list, and one; or NULL */
        size_t n_slots;
        size_t missed; /* how many came out of order before there were slots */
        enum { KNOWN_OFF, KNOWN_LOADING, KNOWN_LOADED } state;
        int64_t account;
        unsigned char secret[MARK_KEY_SIZE];

        /* The log first, so that what is in the list holds while the base is read. */
        bool log_read;
        KnownList log;           /* while the base is read */
        size_t portions, merged; /* of the log: that were read; entries that are in the list */
        int64_t upto, base_upto; /* log and base are read up to there */
        bool is_long;            /* the log is: known_rebase(), once all is loaded */
} Known;

/* Makes *k, which is overwritten, ready for known_load().  context: what else the meaning of the bytes
 * depends on.  It stays KNOWN_OFF where the database has no key, and the account's marks are dropped. */
int known_begin(Known *k, Store *store, int64_t account, const char *context, Error *err);

/* Loads one portion while k->state is KNOWN_LOADING. */
int known_load(Known *k, Store *store, Error *err);

/* Makes the list the base of the account's marks, without a log. */
int known_rebase(Known *k, Store *store, Error *err);

/* Frees the list; *k is all zero. */
void known_clear(Known *k);

/* The length of the record that text begins with, and the user's row, if it is that of one of those who
 * are expected next; else 0. */
size_t known_expect(Known *k, const char *text, size_t len, int64_t *ret_row);

/* The mark of a record; all zero with KNOWN_OFF, and of one that is very long. */
RecordMark known_mark(const Known *k, const char *data, size_t len);

/* The mark that the user of this row had when the list was read; all zero: none. */
RecordMark known_mark_of(const Known *k, int64_t row);

/* The row of the user with this mark.  0 means little: the first few that come out of order are not
 * looked for, nor any before all is loaded. */
int64_t known_find(Known *k, RecordMark mark);

/* Somebody came out of order who was not looked for by mark. */
void known_missed(Known *k);

/* Whether so many came out of order that looking for marks pays: each user who has changed then costs it
 * in vain. */
bool known_is_mixed(const Known *k);
