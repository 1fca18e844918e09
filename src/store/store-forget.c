/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "store/store-internal.h"

#define WINDOW 1000 /* ids that are looked at in one step */

/* Events name runs, so they go first. */
static const struct {
        StmtId next, delete;
        size_t count; /* in StoreForget */
} parts[] = {
        { STMT_FORGET_EVENTS_NEXT, STMT_FORGET_EVENTS, offsetof(StoreForget, events) },
        { STMT_FORGET_RUNS_NEXT, STMT_FORGET_RUNS, offsetof(StoreForget, runs) },
        { STMT_FORGET_USERS_NEXT, STMT_FORGET_USERS, offsetof(StoreForget, users) },
};
#define N_PARTS ((int) (sizeof parts / sizeof parts[0]))

/* What is wiped is gone from the file, too, not merely free. */
#define SECURE_SQL "PRAGMA secure_delete = ON"
#define USUAL_SQL "PRAGMA secure_delete = FAST"

static int check_inactive(Store *s, int64_t account, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_ACCOUNT_ACTIVE, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, account))
                return store_error(s, err, "reading an account");
        r = store_step(s, st, "reading an account", err);
        if (r < 0)
                return r;
        if (r == STMT_DONE)
                return error_set(err, -ENOENT, "there is no such account");
        return sqlite3_column_int(st, 0) ? error_set(err, -EBUSY, "the account is configured") : 0;
}

/* One of the statements that take the account's key alone. */
static int change_account(Store *s, StmtId id, int64_t account, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, id, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, account))
                return store_error(s, err, "forgetting an account");
        return store_write(s, st, "forgetting an account", err);
}

/* The lowest id above after, or 0. */
static int next_id(Store *s, StmtId id, int64_t after, int64_t *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, id, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, after))
                return store_error(s, err, "forgetting an account");
        r = store_step(s, st, "forgetting an account", err);
        if (r < 0)
                return r;
        *ret = sqlite3_column_int64(st, 0); /* of NULL, 0 */
        return 0;
}

static int delete_window(Store *s, StmtId id, int64_t from, int64_t account, int64_t *count,
                         Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, id, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, from) | sqlite3_bind_int64(st, 2, from + WINDOW - 1) |
            sqlite3_bind_int64(st, 3, account))
                return store_error(s, err, "forgetting an account");
        r = store_write(s, st, "forgetting an account", err);
        if (r >= 0)
                *count += sqlite3_changes(s->db);
        return r;
}

/* Nothing refers to it any more; to have SQLite look for that, it would read all events and users. */
static int delete_account(Store *s, int64_t account, Error *err) {
        int r = store_exec_sql(s, "PRAGMA foreign_keys = OFF", "forgetting an account", err);

        if (r >= 0)
                r = change_account(s, STMT_FORGET_ACCOUNT, account, err);
        if (store_exec_sql(s, "PRAGMA foreign_keys = ON", "forgetting an account",
                           r < 0 ? NULL : err) < 0)
                return -EIO;
        if (r < 0)
                return r;
        store_checkpoint(s); /* nor may it stay in the WAL */
        return STORE_FORGET_DONE;
}

static int step(Store *s, StoreForget *f, Error *err) {
        int64_t from = 0;
        int r;

        r = store_marks_forget(s, f->account, err);
        if (r >= 0 && f->part == 0 && f->after == 0)
                r = change_account(s, STMT_FORGET_BEGIN, f->account, err);
        while (r >= 0 && f->part < N_PARTS) {
                r = next_id(s, parts[f->part].next, f->after, &from, err);
                if (r < 0 || from)
                        break;
                f->part++;
                f->after = 0;
        }
        if (r < 0)
                return r;
        if (f->part == N_PARTS)
                return delete_account(s, f->account, err);
        r = delete_window(s, parts[f->part].delete, from, f->account,
                          (int64_t *) (void *) ((char *) f + parts[f->part].count), err);
        if (r < 0)
                return r;
        f->after = from + WINDOW - 1;
        return STORE_FORGET_MORE;
}

int store_forget_step(Store *s, StoreForget *f, Error *err) {
        int r = check_inactive(s, f->account, err);

        if (r >= 0)
                r = store_exec_sql(s, SECURE_SQL, "forgetting an account", err);
        if (r < 0)
                return r;
        r = step(s, f, err);
        (void) store_exec_sql(s, USUAL_SQL, "forgetting an account", NULL);
        return r;
}
