/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include "store/store-internal.h"

void account_state_clear(AccountState *a) {
        free(a->scope);
        free(a->last_error);
        *a = (AccountState){ 0 };
}

/* The key that a bound statement finds, or 0. */
static int find_key(Store *s, sqlite3_stmt *st, int64_t *ret, Error *err) {
        int r = store_step(s, st, "looking up an account", err);

        if (r < 0)
                return r;
        *ret = r == STMT_ROW ? sqlite3_column_int64(st, 0) : 0;
        return 0;
}

/* Binds ?1 to ?4. */
static int bind_identity(Store *s, sqlite3_stmt *st, const AccountIdentity *id, Error *err) {
        if (store_bind_text(st, 1, id->source) | store_bind_text(st, 2, id->endpoint) |
            store_bind_text(st, 3, id->account_id) | store_bind_text(st, 4, id->name))
                return store_error(s, err, "looking up an account");
        return 0;
}

static int look_up(Store *s, StmtId how, const AccountIdentity *id, int64_t *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, how, &st, err);

        if (r >= 0)
                r = bind_identity(s, st, id, err);
        return r < 0 ? r : find_key(s, st, ret, err);
}

/* Whoever else has the name has it no longer. */
static int free_name(Store *s, const char *name, int64_t key, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_ACCOUNT_FREE_NAME, &st, err);

        if (r < 0)
                return r;
        if (store_bind_text(st, 1, name) | sqlite3_bind_int64(st, 2, key))
                return store_error(s, err, "updating an account");
        return store_write(s, st, "updating an account", err);
}

static int insert_account(Store *s, const AccountIdentity *id, int64_t *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_ACCOUNT_INSERT, &st, err);

        if (r >= 0)
                r = bind_identity(s, st, id, err);
        if (r >= 0)
                r = store_write(s, st, "adding an account", err);
        if (r >= 0)
                *ret = sqlite3_last_insert_rowid(s->db);
        return r;
}

/* What the configuration says of a known account, and that it is in use. */
static int configure(Store *s, int64_t key, const AccountIdentity *id, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = free_name(s, id->name, key, err);

        if (r >= 0)
                r = store_stmt(s, STMT_ACCOUNT_CONFIGURE, &st, err);
        if (r >= 0)
                r = bind_identity(s, st, id, err);
        if (r >= 0 && sqlite3_bind_int64(st, 5, key))
                r = store_error(s, err, "updating an account");
        return r < 0 ? r : store_write(s, st, "updating an account", err);
}

/* What is as it was comes first, so that what is left inactive is free to be taken over; then what has
 * only another name; then what only the name is left of. */
static int apply_list(Store *s, const AccountIdentity *list, size_t n, int64_t *keys, Error *err) {
        static const StmtId ways[] = { STMT_ACCOUNT_SAME, STMT_ACCOUNT_BY_IDENTITY,
                                       STMT_ACCOUNT_BY_NAME };
        int r = store_exec(s, STMT_ACCOUNTS_RETIRE, "updating the accounts", err);

        for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++)
                for (size_t i = 0; i < n && r >= 0; i++) {
                        if (keys[i])
                                continue;
                        r = look_up(s, ways[way], &list[i], &keys[i], err);
                        if (r >= 0 && keys[i])
                                r = configure(s, keys[i], &list[i], err);
                }
        for (size_t i = 0; i < n && r >= 0; i++)
                if (!keys[i])
                        r = insert_account(s, &list[i], &keys[i], err);
        return r;
}

int store_accounts_apply(Store *s, const AccountIdentity *list, size_t n, int64_t *keys,
                         Error *err) {
        CLEANUP_FREE int64_t *found = calloc(n + 1, sizeof *found);
        bool own = false;
        int r;

        if (!found)
                return error_set(err, -ENOMEM, "out of memory");
        r = store_begin_own(s, &own, err);
        if (r < 0)
                return r;
        r = store_end_own(s, own, apply_list(s, list, n, found, err), err);
        for (size_t i = 0; i < n && r >= 0; i++)
                keys[i] = found[i];
        return r;
}

static int no_account(Store *s, int64_t account, Error *err) {
        return error_set(err, -ENOENT, "the database %s knows no account %" PRId64, s->path,
                         account);
}

static int read_state(Store *s, sqlite3_stmt *st, AccountState *a, Error *err) {
        int64_t *const times[] = { &a->baseline_at, &a->last_attempt_at, &a->last_complete_at,
                                   &a->next_run_at };
        int r = store_column_text(s, st, 0, &a->scope, err);

        for (int i = 0; i < 4 && r >= 0; i++)
                r = store_column_time(s, st, 1 + i, times[i], err);
        if (r >= 0)
                r = store_column_text(s, st, 5, &a->last_error, err);
        if (r >= 0)
                r = store_column_time(s, st, 6, &a->failing_since, err);
        if (r >= 0)
                r = store_column_time(s, st, 7, &a->failure_told_at, err);
        a->failures = sqlite3_column_int64(st, 8);
        a->held_removals = sqlite3_column_int64(st, 9);
        a->removals_accepted = sqlite3_column_int64(st, 10);
        return r;
}

int store_account_get(Store *s, int64_t account, AccountState *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        CLEANUP(account_state_clear) AccountState a = { 0 };
        int r = store_stmt(s, STMT_ACCOUNT_GET, &st, err);

        if (r < 0)
                return r;
        if (sqlite3_bind_int64(st, 1, account))
                return store_error(s, err, "reading an account");
        r = store_step(s, st, "reading an account", err);
        if (r < 0)
                return r;
        if (r == STMT_DONE)
                return no_account(s, account, err);
        r = read_state(s, st, &a, err);
        if (r < 0)
                return r;
        *ret = a;
        a = (AccountState){ 0 };
        return 0;
}

int store_account_put(Store *s, int64_t account, const AccountState *a, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_ACCOUNT_PUT, &st, err);

        if (r < 0)
                return r;
        if (store_bind_text(st, 1, a->scope) | store_bind_time(st, 2, a->baseline_at) |
            store_bind_time(st, 3, a->last_attempt_at) |
            store_bind_time(st, 4, a->last_complete_at) | store_bind_time(st, 5, a->next_run_at) |
            store_bind_text(st, 6, a->last_error) | store_bind_time(st, 7, a->failing_since) |
            store_bind_time(st, 8, a->failure_told_at) | sqlite3_bind_int64(st, 9, a->failures) |
            sqlite3_bind_int64(st, 10, a->held_removals) |
            sqlite3_bind_int64(st, 11, a->removals_accepted) | sqlite3_bind_int64(st, 12, account))
                return store_error(s, err, "updating an account");
        r = store_write(s, st, "updating an account", err);
        if (r >= 0 && sqlite3_changes(s->db) == 0)
                return no_account(s, account, err);
        return r;
}

int store_account_find(Store *s, const char *name, int64_t *ret_key, bool *ret_active, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_ACCOUNT_FIND, &st, err);

        if (r < 0)
                return r;
        if (store_bind_text(st, 1, name))
                return store_error(s, err, "looking up an account");
        r = store_step(s, st, "looking up an account", err);
        if (r < 0)
                return r;
        if (r == STMT_DONE)
                return error_set(err, -ENOENT, "there is no account %s", name);
        *ret_key = sqlite3_column_int64(st, 0);
        *ret_active = sqlite3_column_int(st, 1) != 0;
        return 0;
}

int store_last_complete(Store *s, int64_t *ret, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, STMT_ACCOUNTS_LAST_COMPLETE, &st, err);

        if (r < 0)
                return r;
        r = store_step(s, st, "reading the last complete listing", err);
        return r < 0 ? r : store_column_time(s, st, 0, ret, err);
}

int store_removals_accept(Store *s, int64_t account, int64_t *ret_held, Error *err) {
        CLEANUP(account_state_clear) AccountState a = { 0 };
        int r = store_account_get(s, account, &a, err);

        if (r < 0)
                return r;
        if (a.held_removals == 0)
                return error_set(err, -ENODATA, "no removals are held");
        a.removals_accepted = a.held_removals;
        r = store_account_put(s, account, &a, err);
        if (r >= 0)
                *ret_held = a.held_removals;
        return r;
}
