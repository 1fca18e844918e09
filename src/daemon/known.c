/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/known.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define PORTION 2048     /* rows read in one go */
#define AHEAD 4          /* so many are expected next, for some leave and some change */
#define MARKED_MAX 16384 /* bytes; see known_expect() */
#define PER_MISS 4096    /* slots are worth their making for one look-up of so many users */

/* Words of 32 bits, which leave no gap. */
typedef struct KnownUser {
        uint32_t row;
        RecordMark mark;
} KnownUser;

_Static_assert(sizeof(KnownUser) == 24, "a user has no gaps");
_Static_assert(MARK_KEY_SIZE >= XXH3_SECRET_SIZE_MIN, "XXH3 takes the key as it is");

void known_clear(Known *k) {
        free(k->users);
        free(k->slots);
        *k = (Known){ 0 };
}

static RecordMark make_mark(const void *data, size_t len,
                            const unsigned char secret[static MARK_KEY_SIZE]) {
        XXH128_hash_t h = XXH3_128bits_withSecret(data, len, secret, MARK_KEY_SIZE);
        RecordMark mark = { .len = len <= MARKED_MAX ? (uint32_t) len : 0 };

        _Static_assert(sizeof mark.hash == sizeof h, "a mark holds all of the hash");
        if (mark.len)
                memcpy(mark.hash, &h, sizeof h);
        return mark;
}

int known_begin(Known *k, Store *store, int64_t account, const char *context, Error *err) {
        Known fresh = { .account = account, .state = KNOWN_LOADING };
        unsigned char mixed[sizeof(XXH128_hash_t)];
        XXH128_hash_t about;
        int r = store_mark_key(store, fresh.secret, err);

        known_clear(k);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        about = XXH3_128bits_withSecret(context, strlen(context), fresh.secret, MARK_KEY_SIZE);
        memcpy(mixed, &about, sizeof mixed);
        for (size_t i = 0; i < MARK_KEY_SIZE; i++)
                fresh.secret[i] ^= mixed[i % sizeof mixed];
        *k = fresh;
        return 0;
}

/* ---- loading ---- */

/* Room for one portion more.  By halves, which costs next to nothing: what is not used is not touched. */
static bool reserve(Known *k) {
        size_t room = k->room + k->room / 2 + PORTION;
        KnownUser *bigger;

        if (k->room - k->count >= PORTION)
                return true;
        bigger = reallocarray(k->users, room, sizeof *bigger);
        if (!bigger)
                return false;
        k->users = bigger;
        k->room = room;
        return true;
}

/* A mark that make_mark() may have made, of a row that fits. */
static bool is_usable(const MarkedRow *row) {
        return row->mark.len && row->mark.len <= MARKED_MAX && row->row <= UINT32_MAX;
}

int known_load(Known *k, Store *store, Error *err) {
        MarkedRow rows[PORTION];
        size_t looked_at = 0;
        int r;

        if (!reserve(k)) { /* then all go the slow way */
                known_clear(k);
                return 0;
        }
        r = store_users_marked(store, k->account, k->after, rows, PORTION, &looked_at, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < looked_at; i++) {
                k->after = rows[i].row;
                if (is_usable(&rows[i]))
                        k->users[k->count++] = (KnownUser){ (uint32_t) rows[i].row, rows[i].mark };
        }
        k->listed += (int64_t) looked_at;
        if (looked_at < PORTION)
                k->state = KNOWN_LOADED;
        return 0;
}

/* ---- marks ---- */

RecordMark known_mark(const Known *k, const char *data, size_t len) {
        static const RecordMark none = { 0 };

        return k->state == KNOWN_OFF ? none : make_mark(data, len, k->secret);
}

static bool same(const RecordMark *a, const RecordMark *b) {
        return memcmp(a, b, sizeof *a) == 0;
}

/* A record ends with a bracket, and stands in an array: that sorts out most of the others at once. */
static bool may_be(const RecordMark *mark, const char *text, size_t len) {
        return mark->len < len && text[mark->len - 1] == '}' &&
               (text[mark->len] == ',' || text[mark->len] == ']');
}

/* What the bytes are the same as was one JSON value, and a value that ends with a bracket cannot go on:
 * so that this needs no look at what they mean.  As much is hashed as the one who is expected is long,
 * however short the record is that stands here: so that nobody long is expected. */
size_t known_expect(Known *k, const char *text, size_t len, int64_t *ret_row) {
        for (size_t i = k->next; i < k->count && i < k->next + AHEAD; i++) {
                const RecordMark *wanted = &k->users[i].mark;
                RecordMark mark;

                if (!may_be(wanted, text, len))
                        continue;
                mark = make_mark(text, wanted->len, k->secret);
                if (same(&mark, wanted)) {
                        k->next = i + 1;
                        *ret_row = k->users[i].row;
                        return wanted->len;
                }
        }
        return 0;
}

/* ---- those who come out of order ---- */

/* The slot that holds the mark's place, or the empty one where it belongs. */
static uint32_t *probe(const Known *k, const RecordMark *mark) {
        size_t i = (size_t) (mark->hash[0] * (uint64_t) k->n_slots >> 32);

        while (k->slots[i] && !same(&k->users[k->slots[i] - 1].mark, mark))
                i = i + 1 == k->n_slots ? 0 : i + 1;
        return &k->slots[i];
}

void known_missed(Known *k) {
        k->missed++;
}

bool known_is_mixed(const Known *k) {
        return k->slots || k->missed * PER_MISS >= k->count;
}

/* Open addressing with linear probing; two of three slots are taken. */
static bool make_slots(Known *k) {
        if (k->slots)
                return true;
        if (k->state != KNOWN_LOADED || k->count == 0 || k->count >= UINT32_MAX / 2)
                return false;
        k->missed++;
        if (!known_is_mixed(k))
                return false;
        k->n_slots = k->count + k->count / 2 + 1;
        k->slots = calloc(k->n_slots, sizeof *k->slots);
        if (!k->slots)
                return false;
        for (size_t i = 0; i < k->count; i++) {
                uint32_t *slot = probe(k, &k->users[i].mark);

                if (!*slot)
                        *slot = (uint32_t) i + 1;
        }
        return true;
}

/* Two in a row that stand in a row here: the listing goes on from there. */
static void note_order(Known *k, size_t place) {
        if (place == k->last)
                k->next = place + 1;
        k->last = place + 1;
}

int64_t known_find(Known *k, RecordMark mark) {
        size_t place;

        if (!mark.len)
                return 0;
        for (size_t i = k->next; i < k->count && i < k->next + AHEAD; i++)
                if (same(&k->users[i].mark, &mark)) {
                        k->next = i + 1;
                        return k->users[i].row;
                }
        if (!make_slots(k) || (place = *probe(k, &mark)) == 0)
                return 0;
        note_order(k, place - 1);
        return k->users[place - 1].row;
}
