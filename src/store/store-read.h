/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/cell.h"
#include "store/store.h"

/* The database for those who only read it, while rosterd writes and while it is stopped.  Returns
 * and errors are those of store/store.h; besides:
 *   -ENOENT there is no such file, -EACCES it may not be read, -ENOLINK the -wal and -shm files
 *   beside it are missing and may not be made. */

/* Opens an existing database for reading.  What is never asked of such a Store: to write. */
int store_open_reader(const char *path, Store **ret, Error *err);

/* The rows of one question, one by one, in constant memory. */
typedef struct Rows Rows;

typedef enum RowsStep {
        ROWS_END,
        ROWS_ROW,
} RowsStep;

/* The next row: a RowsStep or -errno.  *ret (rows_columns() cells) is borrowed until the next call
 * on r.  -ETIME: the time limit of store_query() has passed. */
int rows_next(Rows *r, const Cell **ret, Error *err);
size_t rows_columns(const Rows *r);
/* Borrowed from r.  Of a question about a public table these are its columns' names. */
const char *rows_column(const Rows *r, size_t i);
/* That of all columns only those are wanted that were named so; the cells of others may be NULL.  For
 * speed.  The column must be there.  Returns 0 or -ENOMEM. */
int rows_want(Rows *r, const char *column);
/* Ends before its Store does. */
void rows_free(Rows *r);
DEFINE_CLEANUP(Rows *, rows_free)

/* ---- people ---- */

/* NULL, or false: all.  The texts are borrowed until the rows are freed. */
typedef struct UserFilter {
        const char *account, *registration, *invitation;
        const char *email; /* GLOB of SQLite, whatever the case of its letters */
        bool former;       /* of former_users instead */
} UserFilter;

/* In rows of users: 0 is the account, then field i is at READ_USER_AT + i. */
#define READ_USER_AT 1

/* Columns of the view users (or former_users), and with since also `since`: when the present
 * registration status began, as far as the log reaches back. */
int store_read_users(Store *s, const UserFilter *f, bool since, Rows **ret, Error *err);

/* The same rows as they were at a time: the present undone event by event, back to the last event
 * that was written by then.  personal_pin is NULL: no event tells it.  -ERANGE: events of that time
 * have been deleted. */
int store_read_users_as_of(Store *s, const UserFilter *f, int64_t at, Rows **ret, Error *err);

/* Columns `listed` (1 or 0), those of former_users; everybody whose e-mail address (in any case of
 * letters) or id is who. */
int store_read_person(Store *s, const char *who, const char *account, Rows **ret, Error *err);
/* Columns of the view users: those whose removal from this account is held. */
int store_read_held(Store *s, const char *account, Rows **ret, Error *err);
/* How many that is, of how many who are listed.  -ESRCH: there is no such account. */
int store_read_held_count(Store *s, const char *account, int64_t *ret_held, int64_t *ret_listed,
                          Error *err);
/* E-mail addresses that begin like who, a bounded number, for a suggestion. */
int store_read_similar(Store *s, const char *who, Rows **ret, Error *err);
/* Columns of user_history, in order of time. */
int store_read_history(Store *s, const char *account, const char *user_id, Rows **ret, Error *err);

/* ---- the log ---- */

/* NULL, 0 or TIME_NONE: all. */
typedef struct EventFilter {
        const char *account, *user_id;
        const char *type; /* GLOB of SQLite */
        int64_t since;    /* ms */
        int64_t after;    /* seq */
        int64_t last;     /* so many of the newest */
} EventFilter;

/* Columns of the view events, oldest first. */
int store_read_events(Store *s, const EventFilter *f, Rows **ret, Error *err);
/* Columns of the view runs, newest first; at most limit of them (0: all). */
int store_read_runs(Store *s, const char *account, int64_t limit, Rows **ret, Error *err);

/* ---- the rest ---- */

typedef enum ReadTable {
        READ_STATUS,         /* account, account_id, source, active, state, users, suspended,
                      * pending_invitations, failed_invitations, baseline_at, last_attempt_at,
                      * last_complete_at, last_error, next_run_at, held_removals; state is inactive,
                      * running, new, failing, held or ok */
        READ_ACCOUNTS,       /* the view */
        READ_WEBHOOKS,       /* the view */
        READ_WEBHOOK_HEALTH, /* webhook, pending, oldest_pending_at, dead (letters of the last
                              * day), last_error */
        READ_DEAD_LETTERS,   /* the view */
        /* Distinct words that are in use, one column: */
        READ_ACCOUNT_NAMES,
        READ_REGISTRATIONS,
        READ_INVITATIONS,
        READ_TABLE_COUNT,
} ReadTable;

int store_read(Store *s, ReadTable what, Rows **ret, Error *err);

/* ---- SQL of others ---- */

/* One SELECT as somebody has typed it: it can read the main database and do nothing else, nor go on
 * beyond limit_ms, nor take all memory.  -EINVAL: SQLite does not understand it, or it is not
 * only reading.  The Store is good for nothing else afterwards. */
int store_query(Store *s, const char *sql, int64_t limit_ms, Rows **ret, Error *err);

/* Whether SQLite is at one operation, which cannot be interrupted, well beyond limit_ms.  For signal
 * handlers, too. */
bool store_query_is_overdue(void);

/* ---- keeping it ---- */

/* Writes the database as it is at one instant to path, while rosterd goes on writing: a single file,
 * 0600, which takes its name once it is whole.  -EEXIST: path is the database itself or one of its
 * files, not a regular file, or has a log of another database beside it. */
int store_backup(Store *s, const char *path, Error *err);

/* Runs for each finding of store_verify(); fault: something is wrong, else what was looked at. */
typedef void (*VerifyTell)(const char *check, bool fault, const char *what, void *userdata);

/* Looks at every page, index, reference, definition and cursor.  Returns 0, also if there are
 * faults: they are told. */
int store_verify(Store *s, VerifyTell tell, void *userdata, Error *err);
