/* SPDX-License-Identifier: Apache-2.0 */
/* Changing somebody who is listed and stays so, which is nearly every change.  An UPDATE writes an entry
 * of every index that has one of its columns, each on a page of its own somewhere in the file: so the
 * columns in indexes are named only if they differ. */
#include <assert.h>

#include "base/timefmt.h"
#include "store/store-internal.h"

#define AMENDED_AT 2 /* where the fields begin in STMT_USER_AMEND_* */

static int amend(Store *s, StmtId id, FieldMask fields, const StoredUser *u, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int row_at = AMENDED_AT + __builtin_popcount(fields);
        int r = store_stmt(s, id, &st, err);

        if (r < 0)
                return r;
        assert(sqlite3_bind_parameter_count(st) == row_at); /* store-stmt.c has other fields */
        if (store_bind_time(st, 1, u->dates.last_changed_at) |
            store_bind_fields(st, AMENDED_AT, &u->user, fields) |
            sqlite3_bind_int64(st, row_at, u->row))
                return store_error(s, err, "updating a user");
        return store_write_row(s, st, u->row, err);
}

/* Listed, and on the last listing. */
static bool is_present(const StoredUser *u) {
        return u->dates.removed_at == TIME_NONE && u->missing == 0;
}

int store_user_amend(Store *s, int64_t account, const StoredUser *old, const StoredUser *u,
                     RecordMark mark, Error *err) {
        FieldMask changed = user_diff(&old->user, &u->user);
        bool own = false;
        int r;

        if (!is_present(old) || !is_present(u) || (changed & ~FIELDS_WITH_STATUS) ||
            old->dates.first_seen_at != u->dates.first_seen_at)
                return store_user_update(s, account, u, mark, err);
        r = store_begin_own(s, &own, err);
        if (r < 0)
                return r;
        if (changed & ~FIELDS_DETAILS)
                r = amend(s, STMT_USER_AMEND_STATUS, FIELDS_WITH_STATUS, u, err);
        else
                r = amend(s, STMT_USER_AMEND_DETAILS, FIELDS_DETAILS, u, err);
        if (r >= 0)
                r = store_user_mark(s, account, u->row, mark, err);
        return store_end_own(s, own, r, err);
}
