/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing over slots of 20 bytes.  The table is made for as many rows as
 * there are and never grows. */
#include "daemon/known.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define PORTION 4096 /* rows read in one go */

/* Words of 32 bits, which leave no gap. */
typedef struct KnownSlot {
        uint32_t row; /* 0: empty */
        uint32_t mark[4];
} KnownSlot;

_Static_assert(sizeof(KnownSlot) == 20, "a slot has no gaps");
_Static_assert(MARK_KEY_SIZE >= XXH3_SECRET_SIZE_MIN, "XXH3 takes the key as it is");

void known_clear(Known *k) {
        free(k->slots);
        *k = (Known){ 0 };
}

static RecordMark hash(const void *data, size_t len, const unsigned char secret[MARK_KEY_SIZE]) {
        XXH128_hash_t h = XXH3_128bits_withSecret(data, len, secret, MARK_KEY_SIZE);

        /* all zero would be none */
        return (RecordMark){ .low = h.low64, .high = h.low64 || h.high64 ? h.high64 : 1 };
}

int known_begin(Known *k, Store *store, int64_t account, const char *context, Error *err) {
        Known fresh = { .account = account, .state = KNOWN_LOADING };
        unsigned char mixed[sizeof(RecordMark)];
        RecordMark about;
        int64_t rows = 0;
        int r = store_mark_key(store, fresh.secret, err);

        known_clear(k);
        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = store_users_count(store, account, &rows, err);
        if (r < 0)
                return r;
        about = hash(context, strlen(context), fresh.secret);
        memcpy(mixed, &about, sizeof mixed);
        for (size_t i = 0; i < MARK_KEY_SIZE; i++)
                fresh.secret[i] ^= mixed[i % sizeof mixed];
        fresh.size = (size_t) rows + (size_t) rows / 6 + 1; /* 6 of 7 slots are taken */
        fresh.slots = calloc(fresh.size, sizeof *fresh.slots);
        if (!fresh.slots) /* then all go the slow way */
                return 0;
        *k = fresh;
        return 0;
}

/* The slot of the mark, or the empty one where it belongs. */
static KnownSlot *probe(const Known *k, RecordMark mark) {
        size_t i = (size_t) ((mark.low >> 32) * (uint64_t) k->size >> 32);

        while (k->slots[i].row && memcmp(k->slots[i].mark, &mark, sizeof mark) != 0)
                i = i + 1 == k->size ? 0 : i + 1;
        return &k->slots[i];
}

int known_load(Known *k, Store *store, Error *err) {
        MarkedRow rows[PORTION];
        int64_t before = k->after;
        size_t n = 0;
        int r = store_users_marked(store, k->account, k->after, rows, PORTION, &n, &k->after, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                KnownSlot *slot = probe(k, rows[i].mark);

                /* what does not fit merely goes the slow way */
                if (slot->row || rows[i].row > UINT32_MAX || k->count + 1 == k->size)
                        continue;
                slot->row = (uint32_t) rows[i].row;
                memcpy(slot->mark, &rows[i].mark, sizeof slot->mark);
                k->count++;
        }
        if (k->after == before)
                k->state = KNOWN_LOADED;
        return 0;
}

RecordMark known_mark(const Known *k, const char *data, size_t len) {
        static const RecordMark none = { 0 };

        return k->state == KNOWN_OFF ? none : hash(data, len, k->secret);
}

int64_t known_find(const Known *k, RecordMark mark) {
        return k->count ? probe(k, mark)->row : 0;
}
