/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/known.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/idset.h"

#define PORTION ((size_t) 12 * STORE_SEGMENT) /* entries read in one go */
#define AHEAD 4          /* so many are expected next, for some leave and some change */
#define MARKED_MAX 16384 /* bytes; see known_expect() */
#define LOG_PORTIONS 6   /* more than it need be are read of a log that is to be shortened */
#define PER_MISS 4096    /* slots are worth their making for one look-up of so many users */

_Static_assert(MARK_KEY_SIZE >= XXH3_SECRET_SIZE_MIN, "XXH3 takes the key as it is");

void known_clear(Known *k) {
        free(k->list.users);
        free(k->log.users);
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

        known_clear(k);
        if (store_mark_key(store, fresh.secret) < 0) /* nor is anything of use that is there */
                return store_marks_forget(store, account, err);
        about = XXH3_128bits_withSecret(context, strlen(context), fresh.secret, MARK_KEY_SIZE);
        memcpy(mixed, &about, sizeof mixed);
        for (size_t i = 0; i < MARK_KEY_SIZE; i++)
                fresh.secret[i] ^= mixed[i % sizeof mixed];
        *k = fresh;
        return 0;
}

/* ---- loading ---- */

/* Room for more.  By halves, which costs next to nothing: what is not used is not touched. */
static bool reserve(KnownList *l, size_t more) {
        size_t room = l->room + l->room / 2 + more;
        MarkedRow *bigger;

        if (l->room - l->count >= more)
                return true;
        bigger = reallocarray(l->users, room, sizeof *bigger);
        if (!bigger)
                return false;
        l->users = bigger;
        l->room = room;
        return true;
}

static int by_row(const void *a, const void *b) {
        uint32_t x = ((const MarkedRow *) a)->row, y = ((const MarkedRow *) b)->row;

        return (x > y) - (x < y);
}

static bool is_sorted(const KnownList *l) {
        for (size_t i = 1; i < l->count; i++)
                if (l->users[i - 1].row >= l->users[i].row)
                        return false;
        return true;
}

/* Leaves the last entry of each row, in order of row. */
static bool sort_log(KnownList *log) {
        CLEANUP(idset_clear) IdSet rows = { 0 };
        size_t first = log->count;

        if (is_sorted(log))
                return true;
        for (size_t i = log->count; i-- > 0;) {
                int r = idset_add(&rows, (uint64_t) log->users[i].row + 1); /* 0 is no member */

                if (r < 0)
                        return false;
                if (r == IDSET_ADDED)
                        log->users[--first] = log->users[i];
        }
        log->count -= first;
        memmove(log->users, log->users + first, log->count * sizeof *log->users);
        if (!is_sorted(log))
                qsort(log->users, log->count, sizeof *log->users, by_row);
        return true;
}

/* Appends what is a mark that make_mark() may have made; there is room. */
static void take_user(KnownList *l, const MarkedRow *user) {
        if (user->mark.len && user->mark.len <= MARKED_MAX)
                l->users[l->count++] = *user;
}

/* Those of the log go in place of the base's. */
static void merge(Known *k, const MarkedRow *base, size_t n) {
        const MarkedRow *log = k->log.users + k->merged, *end = k->log.users + k->log.count;

        for (size_t i = 0; i < n; i++) {
                while (log < end && log->row < base[i].row)
                        take_user(&k->list, log++);
                if (log == end || log->row != base[i].row)
                        take_user(&k->list, &base[i]);
        }
        k->merged = (size_t) (log - k->log.users);
}

static void merge_rest(Known *k) {
        while (k->merged < k->log.count)
                take_user(&k->list, &k->log.users[k->merged++]);
        free(k->log.users);
        k->log = (KnownList){ 0 };
        k->state = KNOWN_LOADED;
}

/* There is no memory for the list: all go the slow way. */
static int give_up(Known *k) {
        known_clear(k);
        return 0;
}

/* All of the log is read.  One that is about as long as the base, as when all have been told anew, goes
 * without it: both would take memory twice. */
static int begin_base(Known *k, Store *store, Error *err) {
        size_t base = 0;
        int r = store_marks_base_size(store, k->account, &base, err);

        if (r < 0)
                return r;
        k->is_long = k->log.count > base / 8 + STORE_SEGMENT ||
                     k->portions > (base / 8 + k->log.count) / PORTION + LOG_PORTIONS;
        if (!sort_log(&k->log))
                return give_up(k);
        k->log_read = true;
        if (k->log.count < base - base / 8)
                return 0;
        k->list = k->log;
        k->log = (KnownList){ 0 };
        for (size_t n = k->list.count, i = k->list.count = 0; i < n; i++)
                take_user(&k->list, &k->list.users[i]);
        k->state = KNOWN_LOADED;
        return 0;
}

static int load_log(Known *k, Store *store, Error *err) {
        size_t n = 0;
        int r;

        if (!reserve(&k->log, PORTION))
                return give_up(k);
        r = store_marks_read(store, k->account, STORE_LOG, &k->upto, k->log.users + k->log.count,
                             PORTION, &n, err);
        if (r < 0)
                return r;
        k->log.count += n;
        k->portions++;
        return r == STORE_MARKS_END ? begin_base(k, store, err) : 0;
}

static int load_base(Known *k, Store *store, Error *err) {
        MarkedRow base[PORTION];
        size_t n = 0;
        int r = store_marks_read(store, k->account, STORE_BASE, &k->base_upto, base, PORTION, &n,
                                 err);

        if (r < 0)
                return r;
        if (!reserve(&k->list, n + k->log.count - k->merged))
                return give_up(k);
        merge(k, base, n);
        if (r == STORE_MARKS_END)
                merge_rest(k);
        return 0;
}

int known_load(Known *k, Store *store, Error *err) {
        return k->log_read ? load_base(k, store, err) : load_log(k, store, err);
}

int known_rebase(Known *k, Store *store, Error *err) {
        k->is_long = false;
        return store_marks_rebase(store, k->account, k->upto, k->list.users, k->list.count, err);
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
        for (size_t i = k->next; i < k->list.count && i < k->next + AHEAD; i++) {
                const RecordMark *wanted = &k->list.users[i].mark;
                RecordMark mark;

                if (!may_be(wanted, text, len))
                        continue;
                mark = make_mark(text, wanted->len, k->secret);
                if (same(&mark, wanted)) {
                        k->next = i + 1;
                        *ret_row = k->list.users[i].row;
                        return wanted->len;
                }
        }
        return 0;
}

RecordMark known_mark_of(const Known *k, int64_t row) {
        const MarkedRow wanted = { .row = (uint32_t) row };
        const MarkedRow *user = NULL;

        if (k->list.count > 0 && row == wanted.row)
                user = bsearch(&wanted, k->list.users, k->list.count, sizeof wanted, by_row);
        return user ? user->mark : wanted.mark;
}

/* ---- those who come out of order ---- */

/* The slot that holds the mark's place, or the empty one where it belongs. */
static uint32_t *probe(const Known *k, const RecordMark *mark) {
        size_t i = (size_t) (mark->hash[0] * (uint64_t) k->n_slots >> 32);

        while (k->slots[i] && !same(&k->list.users[k->slots[i] - 1].mark, mark))
                i = i + 1 == k->n_slots ? 0 : i + 1;
        return &k->slots[i];
}

void known_missed(Known *k) {
        k->missed++;
}

bool known_is_mixed(const Known *k) {
        return k->slots || k->missed * PER_MISS >= k->list.count;
}

/* Open addressing with linear probing; two of three slots are taken. */
static bool make_slots(Known *k) {
        if (k->slots)
                return true;
        if (k->state != KNOWN_LOADED || k->list.count == 0 || k->list.count >= UINT32_MAX / 2)
                return false;
        k->missed++;
        if (!known_is_mixed(k))
                return false;
        k->n_slots = k->list.count + k->list.count / 2 + 1;
        k->slots = calloc(k->n_slots, sizeof *k->slots);
        if (!k->slots)
                return false;
        for (size_t i = 0; i < k->list.count; i++) {
                uint32_t *slot = probe(k, &k->list.users[i].mark);

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
        for (size_t i = k->next; i < k->list.count && i < k->next + AHEAD; i++)
                if (same(&k->list.users[i].mark, &mark)) {
                        k->next = i + 1;
                        return k->list.users[i].row;
                }
        if (!make_slots(k) || (place = *probe(k, &mark)) == 0)
                return 0;
        note_order(k, place - 1);
        return k->list.users[place - 1].row;
}
