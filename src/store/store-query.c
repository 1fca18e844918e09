/* SPDX-License-Identifier: Apache-2.0 */
/* SQL of others.  The connection is read-only as it is; what else SQLite can be asked to do (attach
 * files, change settings, run for ever) is refused here. */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/timespan.h"
#include "store/store-read-internal.h"

#define LOOK_AT_CLOCK 10000 /* steps of SQLite's machine */
#define HEAP_MAX (INT64_C(512) << 20)
#define VALUE_MAX 1000000
#define PATTERN_MAX 1000
#define GRACE_MS 500 /* beyond the limit, for SQLite to end by itself */
#define NOT_READING "the query would do more than read; write one SELECT"

/* When the step that runs now is overdue, ms of the monotonic clock; 0: none runs. */
static _Atomic int64_t overdue_at;

static int64_t monotonic_ms(void) {
        return (int64_t) (clock_usec(CLOCK_MONOTONIC) / USEC_PER_MSEC);
}

/* Pragmas that only tell. */
static bool is_telling(const char *pragma, const char *arg) {
        static const char *const telling[] = { "table_info", "table_xinfo", "table_list",
                                               "index_list", "index_info",  "index_xinfo" };

        for (size_t i = 0; pragma && i < sizeof telling / sizeof telling[0]; i++)
                if (sqlite3_stricmp(pragma, telling[i]) == 0)
                        return true;
        return pragma && !arg && sqlite3_stricmp(pragma, "user_version") == 0;
}

static int authorize(void *userdata, int action, const char *a, const char *b, const char *database,
                     const char *trigger) {
        (void) userdata;
        (void) database;
        (void) trigger;
        switch (action) {
        case SQLITE_SELECT:
        case SQLITE_READ:
        case SQLITE_RECURSIVE:
                return SQLITE_OK;
        case SQLITE_FUNCTION:
                return b && sqlite3_stricmp(b, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
        case SQLITE_PRAGMA:
                return is_telling(a, b) ? SQLITE_OK : SQLITE_DENY;
        default:
                return SQLITE_DENY;
        }
}

static int look_at_clock(void *userdata) {
        const Rows *r = userdata;

        return monotonic_ms() > r->deadline;
}

static int explain(const Rows *r, int code, Error *err) {
        sqlite3 *db = r->store->db;
        char span[40];

        switch (sqlite3_errcode(db)) {
        case SQLITE_AUTH:
                return error_set(err, -EINVAL, NOT_READING);
        case SQLITE_INTERRUPT:
                timespan_format((uint64_t) r->limit * USEC_PER_MSEC, span, sizeof span);
                return error_set(err, -ETIME,
                                 "the query took longer than %s; ask for less, or give it more"
                                 " time with --timeout",
                                 span);
        case SQLITE_NOMEM:
                return error_set(err, -ENOMEM,
                                 "the query takes too much memory; sort or group less");
        case SQLITE_ERROR:
        case SQLITE_TOOBIG:
        case SQLITE_RANGE:
        case SQLITE_MISMATCH:
                return error_set(err, -EINVAL,
                                 "SQLite does not take the query: %.150s; see rosterd-schema(5)",
                                 sqlite3_errmsg(db));
        default:
                return code;
        }
}

bool store_query_is_overdue(void) {
        int64_t at = atomic_load(&overdue_at);

        return at && monotonic_ms() > at;
}

/* What others do between two rows, such as waiting for a reader, takes nothing from the limit. */
static int next(Rows *r, Error *err) {
        int64_t begin = monotonic_ms();
        int step;

        r->deadline = begin + r->left;
        atomic_store(&overdue_at, r->deadline + GRACE_MS);
        step = rows_step(r, err);
        atomic_store(&overdue_at, 0);
        r->left -= monotonic_ms() - begin;
        return step < 0 ? explain(r, step, err) : step;
}

static void restrain(Rows *r) {
        sqlite3 *db = r->store->db;

        (void) sqlite3_hard_heap_limit64(HEAP_MAX);
        (void) sqlite3_limit(db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
        (void) sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_MAX);
        (void) sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
        (void) sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
        (void) sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
        (void) sqlite3_set_authorizer(db, authorize, NULL);
        sqlite3_progress_handler(db, LOOK_AT_CLOCK, look_at_clock, r);
}

/* What comes after the first statement: nothing but space, comments and ";". */
static bool is_empty(Store *s, const char *sql) {
        while (*sql) {
                CLEANUP(stmt_finalizep) sqlite3_stmt *st = NULL;

                if (sqlite3_prepare_v2(s->db, sql, -1, &st, &sql) != SQLITE_OK || st)
                        return false;
        }
        return true;
}

static int prepare(Store *s, Rows *r, const char *sql, Error *err) {
        const char *rest = NULL;

        if (sqlite3_prepare_v2(s->db, sql, -1, &r->st, &rest) != SQLITE_OK)
                return explain(r, store_error(s, err, r->what), err);
        if (!r->st)
                return error_set(err, -EINVAL, "the query is empty; write a SELECT");
        if (!is_empty(s, rest))
                return error_set(err, -EINVAL,
                                 "there is more than one statement; write one SELECT");
        if (!sqlite3_stmt_readonly(r->st))
                return error_set(err, -EINVAL, NOT_READING);
        if (sqlite3_bind_parameter_count(r->st) > 0)
                return error_set(err, -EINVAL,
                                 "the query has parameters (%s); write the values into it",
                                 sqlite3_bind_parameter_name(r->st, 1)
                                         ? sqlite3_bind_parameter_name(r->st, 1)
                                         : "?");
        r->n = r->n_cells = (size_t) sqlite3_column_count(r->st);
        r->cells = calloc(r->n + 1, sizeof *r->cells);
        return r->cells ? 0 : error_set(err, -ENOMEM, "out of memory");
}

int store_query(Store *s, const char *sql, int64_t limit_ms, Rows **ret, Error *err) {
        CLEANUP(rows_freep) Rows *r = calloc(1, sizeof *r);
        int rc;

        if (!r)
                return error_set(err, -ENOMEM, "out of memory");
        r->store = s;
        r->what = "answering the query";
        r->limit = r->left = limit_ms;
        r->deadline = monotonic_ms() + limit_ms;
        r->next = next;
        restrain(r);
        rc = prepare(s, r, sql, err);
        if (rc < 0)
                return rc;
        *ret = take_ptr(r);
        return 0;
}
