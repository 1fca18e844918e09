/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "store/store-internal.h"

/* Space is given back to the file system in steps of so many pages, once a quarter of the file, and
 * this much, is free; what is less is soon used again. */
#define FREE_STEP_SQL "PRAGMA incremental_vacuum(1000)"
#define FREE_LEAST 4096

/* Runs one of the statements, on at most max rows that are older. */
static int run(Store *s, StmtId id, int64_t before, size_t max, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, id, &st, err);

        if (r < 0)
                return r;
        if (store_bind_time(st, 1, before) | sqlite3_bind_int64(st, 2, (int64_t) max))
                return store_error(s, err, "deleting what is old");
        return store_write(s, st, "deleting what is old", err);
}

/* *left falls by what was deleted. */
static int delete_some(Store *s, StmtId id, int64_t before, size_t *left, Error *err) {
        int r = run(s, id, before, *left, err);

        if (r >= 0)
                *left -= (size_t) sqlite3_changes(s->db);
        return r;
}

static int shrink(Store *s, bool *ret_more, Error *err) {
        int64_t free_pages = 0, pages = 0;
        int r = store_number(s, "PRAGMA freelist_count", &free_pages, err);

        if (r >= 0)
                r = store_number(s, "PRAGMA page_count", &pages, err);
        if (r < 0 || free_pages < FREE_LEAST || free_pages < pages / 4)
                return r;
        *ret_more = true;
        return store_exec_sql(s, FREE_STEP_SQL, "giving space back", err);
}

int store_prune(Store *s, int64_t before, size_t max, bool *ret_more, Error *err) {
        size_t left = max;
        bool own = false, more = false;
        int r = store_begin_own(s, &own, err);

        if (r < 0)
                return r;
        r = run(s, STMT_PRUNE_NOTE, before, left, err);
        if (r >= 0)
                r = delete_some(s, STMT_PRUNE_EVENTS, before, &left, err);
        if (r >= 0 && left > 0)
                r = delete_some(s, STMT_PRUNE_RUNS, before, &left, err);
        if (r >= 0 && left == 0)
                more = true;
        else if (r >= 0)
                r = shrink(s, &more, err);
        r = store_end_own(s, own, r, err);
        if (r >= 0)
                *ret_more = more;
        return r;
}
