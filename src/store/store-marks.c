/* SPDX-License-Identifier: Apache-2.0 */
/* Marks (store.h).  Beside the users, or in an index, each mark that changes would be on a page of its
 * own; in the log those of a transaction share a page or few.  Rows and lengths are little-endian in the
 * database, hashes as they come: those of a machine of the other kind match nothing. */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "store/store-internal.h"

_Static_assert(sizeof(MarkedRow) == 24, "an entry has no gaps, and is as long as the schema says");

/* Segments have ids above this one, and up to that of the other part, or of the next account. */
static int64_t before_first(int64_t account, StorePart part) {
        return account << 32 | (int64_t) part << 31;
}

static int64_t last(int64_t account, StorePart part) {
        return before_first(account, part) + INT32_MAX;
}

void store_marks_protect(Store *s, const MarkSecret *secret) {
        s->marks.secret = secret;
}

int store_mark_key(const Store *s, unsigned char ret[static MARK_KEY_SIZE]) {
        if (!s->marks.secret)
                return -ENOENT;
        memcpy(ret, s->marks.secret->key, MARK_KEY_SIZE);
        return 0;
}

/* Without a secret there are none but empty ones. */
static int convert(const Store *s, bool encipher, MarkedRow *rows, size_t n, Error *err) {
        const MarkSecret *secret = s->marks.secret;

        return secret ? secret->convert(secret->userdata, encipher, rows, n, err) : 0;
}

/* ---- writing ---- */

static int put_segment(Store *s, int64_t id, const MarkedRow *rows, size_t n, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        MarkedRow segment[STORE_SEGMENT]; /* as the database has it */
        int r;

        memcpy(segment, rows, n * sizeof *rows);
        r = convert(s, true, segment, n, err);
        if (r >= 0)
                r = store_stmt(s, STMT_MARKS_PUT, &st, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                segment[i].row = htole32(rows[i].row);
                segment[i].mark.len = htole32(rows[i].mark.len);
        }
        if (sqlite3_bind_int64(st, 1, id) |
            sqlite3_bind_blob(st, 2, segment, (int) (n * sizeof *segment), SQLITE_STATIC))
                return store_error(s, err, "writing marks");
        return store_write(s, st, "writing marks", err);
}

/* The id of a part's last segment, or the one before its first. */
static int last_segment(Store *s, int64_t account, StorePart part, int64_t *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_MARKS_LAST, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, before_first(account, part)) |
            sqlite3_bind_int64(st, 2, last(account, part)))
                return store_error(s, err, "reading marks");
        r = store_step(s, st, "reading marks", err);
        if (r >= 0)
                *ret = sqlite3_column_int64(st, 0);
        return r;
}

int store_marks_flush(Store *s, Error *err) {
        int64_t id = 0;
        int r;

        if (!store_in_transaction(s)) /* SQLite itself has rolled it back */
                store_marks_drop(s);
        if (s->marks.n == 0)
                return 0;
        r = last_segment(s, s->marks.account, STORE_LOG, &id, err);
        if (r >= 0)
                r = put_segment(s, id + 1, s->marks.rows, s->marks.n, err);
        if (r >= 0)
                store_marks_drop(s);
        return r;
}

/* A row with another number never has a mark. */
int store_user_mark(Store *s, int64_t account, int64_t row, RecordMark mark, Error *err) {
        bool own = false;
        int r;

        if (row < 1 || row > UINT32_MAX)
                return 0;
        r = store_begin_own(s, &own, err);
        if (r >= 0 && (s->marks.account != account || s->marks.n == STORE_SEGMENT))
                r = store_marks_flush(s, err);
        if (r < 0)
                return store_end_own(s, own, r, err);
        s->marks.account = account;
        s->marks.rows[s->marks.n++] = (MarkedRow){ (uint32_t) row, mark };
        return store_end_own(s, own, 0, err);
}

static int delete_segments(Store *s, int64_t after, int64_t upto, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_MARKS_DELETE, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, after) | sqlite3_bind_int64(st, 2, upto))
                return store_error(s, err, "deleting marks");
        return store_write(s, st, "deleting marks", err);
}

int store_marks_forget(Store *s, int64_t account, Error *err) {
        if (!account || s->marks.account == account)
                store_marks_drop(s);
        return account ? delete_segments(s, before_first(account, STORE_BASE),
                                         last(account, STORE_LOG), err)
                       : delete_segments(s, 0, INT64_MAX, err);
}

static int rebase(Store *s, int64_t account, int64_t upto, const MarkedRow *rows, size_t n,
                  Error *err) {
        int64_t id = before_first(account, STORE_BASE);
        int r = delete_segments(s, upto - 1, upto, err);

        if (r < 0 || sqlite3_changes(s->db) == 0) /* somebody has taken them away meanwhile */
                return r;
        r = delete_segments(s, id, upto, err);
        for (size_t at = 0; at < n && r >= 0; at += STORE_SEGMENT)
                r = put_segment(s, ++id, rows + at, n - at < STORE_SEGMENT ? n - at : STORE_SEGMENT,
                                err);
        return r;
}

int store_marks_rebase(Store *s, int64_t account, int64_t upto, const MarkedRow *rows, size_t n,
                       Error *err) {
        bool own = false;
        int r = store_begin_own(s, &own, err);

        if (r < 0)
                return r;
        store_cache_narrow(s, true);
        r = store_end_own(s, own, rebase(s, account, upto, rows, n, err), err);
        store_cache_narrow(s, false);
        return r;
}

/* ---- reading ---- */

static int damaged(Store *s, int64_t id, Error *err) {
        return error_set(err, -EUCLEAN,
                         "the database %s is damaged: segment %" PRId64
                         " of mark_data is none; restore a backup, or delete all rows of mark_data",
                         s->path, id);
}

int store_marks_read(Store *s, int64_t account, StorePart part, int64_t *after, MarkedRow *rows,
                     size_t max, size_t *ret_n, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        const int64_t most = (int64_t) (max / STORE_SEGMENT);
        int64_t id = *after ? *after : before_first(account, part), segments = 0;
        size_t n = 0;
        int r = store_marks_flush(s, err);

        if (r >= 0)
                r = store_stmt(s, STMT_MARKS_READ, &st, err);
        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, id) | sqlite3_bind_int64(st, 2, last(account, part)) |
            sqlite3_bind_int64(st, 3, most))
                return store_error(s, err, "reading marks");
        while ((r = store_step(s, st, "reading marks", err)) == STMT_ROW) {
                const void *blob = sqlite3_column_blob(st, 1);
                size_t size = (size_t) sqlite3_column_bytes(st, 1);

                id = sqlite3_column_int64(st, 0);
                if (!blob || size % sizeof *rows || size > STORE_SEGMENT * sizeof *rows)
                        return damaged(s, id, err);
                memcpy(rows + n, blob, size);
                r = convert(s, false, rows + n, size / sizeof *rows, err);
                if (r < 0)
                        return r;
                for (size_t end = n + size / sizeof *rows; n < end; n++) {
                        rows[n].row = le32toh(rows[n].row);
                        rows[n].mark.len = le32toh(rows[n].mark.len);
                }
                segments++;
        }
        if (r < 0)
                return r;
        *after = id;
        *ret_n = n;
        store_release_pages(s); /* the pages are not looked at again */
        return segments == most ? STORE_MARKS_MORE : STORE_MARKS_END;
}

int store_marks_base_size(Store *s, int64_t account, size_t *ret, Error *err) {
        int64_t id = 0;
        int r = last_segment(s, account, STORE_BASE, &id, err);

        if (r < 0)
                return r;
        *ret = (size_t) (id - before_first(account, STORE_BASE)) * STORE_SEGMENT;
        return 0;
}
