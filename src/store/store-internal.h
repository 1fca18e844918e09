/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by store*.c and their tests, and nobody else: the only header that shows sqlite3.h. */

#include <errno.h>
#include <sqlite3.h>

#include "store/store.h"

/* "ROST"; tells our files from other programs' (PRAGMA application_id). */
#define STORE_APPLICATION_ID 0x524F5354

/* Every statement; its text stands in store-stmt.c. */
typedef enum StmtId {
        STMT_BEGIN,
        STMT_COMMIT,
        STMT_ROLLBACK,
        STMT_ACCOUNTS_RETIRE,
        STMT_ACCOUNT_SAME,
        STMT_ACCOUNT_BY_IDENTITY,
        STMT_ACCOUNT_BY_NAME,
        STMT_ACCOUNT_FREE_NAME,
        STMT_ACCOUNT_INSERT,
        STMT_ACCOUNT_CONFIGURE,
        STMT_ACCOUNT_GET,
        STMT_ACCOUNT_PUT,
        STMT_ACCOUNT_FIND,
        STMT_ACCOUNT_ACTIVE,
        STMT_ACCOUNTS_LAST_COMPLETE,
        STMT_USER_FIND,
        STMT_USER_AT_ROW,
        STMT_USER_BY_ROW,
        STMT_USER_INSERT,
        STMT_USER_UPDATE,
        STMT_USER_AMEND_STATUS,
        STMT_USER_AMEND_DETAILS,
        STMT_USER_SET_MISSING,
        STMT_USERS_LISTED,
        STMT_USERS_SKIP,
        STMT_USERS_COUNT,
        STMT_STATUS_COUNTS,
        STMT_PINS_WIPE,
        STMT_MARKS_READ,
        STMT_MARKS_LAST,
        STMT_MARKS_PUT,
        STMT_MARKS_DELETE,
        STMT_RUN_OPEN,
        STMT_RUN_COUNT,
        STMT_RUN_CLOSE,
        STMT_RUNS_INTERRUPT,
        STMT_RUN_LAST,
        STMT_RUN_SIZE,
        STMT_EVENT_APPEND,
        STMT_EVENTS_AFTER,
        STMT_EVENT_LAST_SEQ,
        STMT_EVENTS_PENDING,
        STMT_CURSOR_ADD,
        STMT_CURSOR_GET,
        STMT_CURSOR_MOVE,
        STMT_SINK_GET,
        STMT_SINK_PUT,
        STMT_SINK_REPLAY,
        STMT_SINK_RETIRE,
        STMT_SINK_UNRETIRE,
        STMT_SINKS_FORGET,
        STMT_SINKS_ACTIVE,
        STMT_DEAD_LETTERS_COUNT,
        STMT_DEAD_LETTER_ADD,
        STMT_DEAD_LETTERS_FORGET,
        STMT_DEAD_LETTERS_TAKE_BACK,
        STMT_RUN_RUNNING,
        STMT_USERS_SUSPENDED,
        STMT_PRUNE_NOTE,
        STMT_PRUNE_EVENTS,
        STMT_PRUNE_RUNS,
        STMT_FORGET_BEGIN,
        STMT_FORGET_EVENTS_NEXT,
        STMT_FORGET_EVENTS,
        STMT_FORGET_RUNS_NEXT,
        STMT_FORGET_RUNS,
        STMT_FORGET_USERS_NEXT,
        STMT_FORGET_USERS,
        STMT_FORGET_ACCOUNT,
        STMT_COUNT,
} StmtId;

struct Store {
        sqlite3 *db;
        sqlite3_stmt *stmts[STMT_COUNT];
        char *path;
        int lock;               /* fd of path + ".lock", or -1 */
        bool reader;            /* store_open_reader(): errors speak of reading */
        int version;            /* a reader's: of the schema that it has found */
        bool spoilt;            /* the open transaction failed, and could not be rolled back */
        int64_t first_appended; /* the first event of the open transaction; 0: it has none */
        unsigned added;         /* users, since a run has ended */
        bool shrinks;           /* the cache, with the next commit */
        struct {
                const MarkSecret *secret; /* or NULL: there are no marks */

                /* the end of a log, which is not written yet */
                int64_t account;
                size_t n;
                MarkedRow rows[STORE_SEGMENT];
        } marks;
};

/* Where the columns of a user begin in STMT_USER_FIND and its like (counted from 0): field i is at
 * USER_AT + i.  In STMT_USER_INSERT and STMT_USER_UPDATE (counted from 1) their parameters do. */
#define USER_AT 5

/* ---- writing users (store-users.c, store-amend.c) ---- */

#define FIELDS_ALL (FIELD_BIT(USER_FIELD_COUNT) - 1)
/* What STMT_USER_UPDATE, STMT_USER_AMEND_STATUS and STMT_USER_AMEND_DETAILS write. */
#define FIELDS_UPDATED (FIELDS_ALL & ~FIELD_BIT(USER_FIELD_USER_ID))
#define FIELDS_WITH_STATUS \
        (FIELDS_UPDATED &  \
         ~(FIELD_BIT(USER_FIELD_PRIMARY_EMAIL) | FIELD_BIT(USER_FIELD_PERSONAL_PIN)))
#define FIELDS_DETAILS                                                           \
        (FIELDS_WITH_STATUS & ~(FIELD_BIT(USER_FIELD_USER_REGISTRATION_STATUS) | \
                                FIELD_BIT(USER_FIELD_USER_INVITATION_STATUS)))

/* Binds the fields of a set, one after the other from pos on; borrowed like texts. */
int store_bind_fields(sqlite3_stmt *st, int pos, const User *u, FieldMask fields);
/* Runs a statement that names one row of user_data; -ENOENT: there is no such row. */
int store_write_row(Store *s, sqlite3_stmt *st, int64_t row, Error *err);

/* ---- marks (store-marks.c) ---- */

/* Writes what has been appended, before a commit; what was rolled back is dropped instead. */
int store_marks_flush(Store *s, Error *err);
static inline void store_marks_drop(Store *s) {
        s->marks.n = 0;
}

/* ---- migrations (store-schema.c) ---- */

/* Step n takes a database of version n to n + 1. */
typedef struct Migrations {
        const char *const *steps;
        int n;
} Migrations;

extern const Migrations store_migrations;

/* store_open with other migrations, for tests. */
int store_open_with(const char *path, const Migrations *migrations, Store **ret, Error *err);

/* Refuses a file that is not ours or is newer than m.  Writes nothing.  *ret is its version. */
int store_schema_check(Store *s, const Migrations *m, int *ret, Error *err);

/* An empty database of this version in memory, to compare with; nothing else is set up. */
int store_open_model(int version, Store **ret, Error *err);

/* Takes version to the newest, all steps in one transaction. */
int store_schema_migrate(Store *s, const Migrations *m, int version, Error *err);

/* ---- the cache (store-cache.c) ---- */

int store_cache_init(Store *s, Error *err);
/* A user was added, a run has ended, what was written is committed. */
void store_cache_added(Store *s);
void store_cache_run_ended(Store *s);
void store_cache_committed(Store *s);
/* While what is written is not looked at again, and a list of all users takes memory. */
void store_cache_narrow(Store *s, bool narrow);

/* ---- statements (store-stmt.c) ---- */

/* The text of id, for tests. */
const char *store_stmt_sql(StmtId id);

/* The prepared statement for id, reset and without bindings.  Borrowed: give it back with
 * CLEANUP(stmt_releasep), which resets it. */
int store_stmt(Store *s, StmtId id, sqlite3_stmt **ret, Error *err);

static inline void stmt_release(sqlite3_stmt *st) {
        (void) sqlite3_reset(st);
        (void) sqlite3_clear_bindings(st); /* no pointer to the caller's data outlives the call */
}
DEFINE_CLEANUP(sqlite3_stmt *, stmt_release)

static inline void stmt_finalize(sqlite3_stmt *st) {
        (void) sqlite3_finalize(st);
}
DEFINE_CLEANUP(sqlite3_stmt *, stmt_finalize)

typedef enum StmtStep {
        STMT_DONE,
        STMT_ROW,
} StmtStep;

/* One step of a reading statement: a StmtStep or -errno.  what completes "while …". */
int store_step(Store *s, sqlite3_stmt *st, const char *what, Error *err);
/* Runs a writing statement to its end. */
int store_write(Store *s, sqlite3_stmt *st, const char *what, Error *err);
/* A statement without parameters or rows. */
int store_exec(Store *s, StmtId id, const char *what, Error *err);
/* Any SQL text without rows; for start and migrations. */
int store_exec_sql(Store *s, const char *sql, const char *what, Error *err);
/* One statement that gives one number. */
int store_number(Store *s, const char *sql, int64_t *ret, Error *err);

/* Binding returns an SQLite code, so that several can be joined with |.  text NULL and TIME_NONE
 * become NULL; text is borrowed until the statement is released. */
int store_bind_text(sqlite3_stmt *st, int pos, const char *text);
int store_bind_time(sqlite3_stmt *st, int pos, int64_t ms);

/* NULL becomes NULL and TIME_NONE. */
int store_column_text(Store *s, sqlite3_stmt *st, int col, char **ret, Error *err);
int store_column_time(Store *s, sqlite3_stmt *st, int col, int64_t *ret, Error *err);

/* Turns the last SQLite failure into a sentence in *err and a negative errno.  what completes
 * "while …". */
int store_error(Store *s, Error *err, const char *what);
#ifdef __clang_analyzer__ /* as with error_set() */
#define store_error(s, err, what) ((void) (store_error) (s, err, what), -EIO)
#endif
/* The same for an errno of the file system. */
int store_error_errno(const char *path, int error, Error *err);

/* store_error_errno() for a reader. */
int store_error_reading(const char *path, int error, Error *err);

/* Begins a transaction unless one is open; *ret_own: it was begun here. */
int store_begin_own(Store *s, bool *ret_own, Error *err);
/* Ends it if it is our own: commits after r >= 0, else rolls back.  Returns r, or the commit's. */
int store_end_own(Store *s, bool own, int r, Error *err);

/* Writes what the WAL holds into the database and empties it, as far as readers allow. */
void store_checkpoint(Store *s);

/* NULL but in tests/unit/test-store-crash.c: runs after every statement that may have written. */
extern void (*store_test_after_write)(void);

static inline void store_wrote(void) {
        if (store_test_after_write)
                store_test_after_write();
}
