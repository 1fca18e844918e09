/* SPDX-License-Identifier: Apache-2.0 */
/* The database for those who only read it: opening, and rows that go out one by one. */
#include "store/store-read.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/store-read-internal.h"

#define BUSY_TIMEOUT 5000 /* ms */

/* ---- opening ---- */

/* A reader who may not write the directory needs the -wal and -shm files that rosterd leaves. */
static bool wal_is_missing(const char *path) {
        static const char *const suffixes[] = { "-wal", "-shm" };
        char beside[4096];

        for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
                int n = snprintf(beside, sizeof beside, "%s%s", path, suffixes[i]);

                if (n > 0 && (size_t) n < sizeof beside && access(beside, F_OK) < 0 &&
                    errno == ENOENT)
                        return true;
        }
        return false;
}

static bool is_on_readonly_mount(const char *path) {
        struct statvfs fs;

        return statvfs(path, &fs) == 0 && (fs.f_flag & ST_RDONLY);
}

static int explain_no_wal(const char *path, Error *err) {
        if (is_on_readonly_mount(path))
                return error_set(err, -ENOLINK,
                                 "the database %s is on a read-only file system, without its -wal"
                                 " and -shm files; read a copy of it elsewhere, or one made by"
                                 " 'rosterctl backup'",
                                 path);
        return error_set(err, -ENOLINK,
                         "the database %s lacks its -wal and -shm files, and you may not make"
                         " them; start rosterd, %sor read a copy made by 'rosterctl backup'",
                         path, geteuid() == 0 ? "" : "read it as root, ");
}

static int explain(Store *s, Error *err, int r) {
        int rc = sqlite3_errcode(s->db) & 0xff;

        if (rc == SQLITE_NOTADB)
                return error_set(err, -EMEDIUMTYPE, "%s is not a database; name another file",
                                 s->path);
        if ((rc == SQLITE_CANTOPEN || rc == SQLITE_READONLY) && wal_is_missing(s->path))
                return explain_no_wal(s->path, err);
        return r;
}

static int open_for_reading(Store *s, Error *err) {
        int on = 1, r;
        struct stat st;

        if (stat(s->path, &st) < 0 || access(s->path, R_OK) < 0)
                return store_error_reading(s->path, errno, err);
        if (S_ISDIR(st.st_mode))
                return store_error_errno(s->path, EISDIR, err);
        if (sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) !=
            SQLITE_OK)
                return s->db ? store_error(s, err, "opening it")
                             : error_set(err, -ENOMEM, "out of memory");
        (void) sqlite3_extended_result_codes(s->db, 1);
        (void) sqlite3_busy_timeout(s->db, BUSY_TIMEOUT);
        (void) sqlite3_file_control(s->db, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
        (void) sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        r = store_exec_sql(s,
                           "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;"
                           " PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;"
                           " PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY;",
                           "setting it up", err);
        if (r >= 0)
                r = store_schema_check(s, &store_migrations, &s->version, err);
        if (r < 0)
                return explain(s, err, r);
        if (s->version == 0)
                return error_set(err, -EMEDIUMTYPE,
                                 "%s is an empty file, not a database of rosterd's; name another",
                                 s->path);
        return 0;
}

int store_open_reader(const char *path, Store **ret, Error *err) {
        CLEANUP(store_closep) Store *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return error_set(err, -ENOMEM, "out of memory");
        s->lock = -1;
        s->reader = true;
        s->path = strdup(path);
        if (!s->path)
                return error_set(err, -ENOMEM, "out of memory");
        r = open_for_reading(s, err);
        if (r < 0)
                return r;
        *ret = take_ptr(s);
        return 0;
}

/* ---- rows ---- */

void rows_free(Rows *r) {
        if (!r)
                return;
        past_free(r->past);
        (void) sqlite3_finalize(r->st);
        free(r->cells);
        free(r->wanted);
        free(r);
}

static int prepare(Store *s, Rows *r, const char *fmt, va_list ap, Error *err) {
        char *sql = sqlite3_vmprintf(fmt, ap);
        int rc;

        if (!sql)
                return error_set(err, -ENOMEM, "out of memory");
        rc = sqlite3_prepare_v2(s->db, sql, -1, &r->st, NULL);
        sqlite3_free(sql);
        if (rc != SQLITE_OK)
                return explain(s, err, store_error(s, err, r->what));
        r->n = r->n_cells = (size_t) sqlite3_column_count(r->st);
        r->cells = calloc(r->n ? r->n : 1, sizeof *r->cells);
        return r->cells ? 0 : error_set(err, -ENOMEM, "out of memory");
}

int rows_new(Store *s, const char *what, Rows **ret, Error *err, const char *fmt, ...) {
        CLEANUP(rows_freep) Rows *r = calloc(1, sizeof *r);
        va_list ap;
        int rc;

        if (!r)
                return error_set(err, -ENOMEM, "out of memory");
        r->store = s;
        r->what = what;
        va_start(ap, fmt);
        rc = prepare(s, r, fmt, ap, err);
        va_end(ap);
        if (rc < 0)
                return rc;
        *ret = take_ptr(r);
        return 0;
}

static int take_cell(Rows *r, int col, Error *err) {
        Cell *c = &r->cells[col];

        switch (sqlite3_column_type(r->st, col)) {
        case SQLITE_NULL:
                *c = (Cell){ 0 };
                return 0;
        case SQLITE_INTEGER:
        case SQLITE_FLOAT:
                c->type = CELL_NUMBER;
                break;
        case SQLITE_BLOB:
                *c = (Cell){ .type = CELL_BLOB, .text = sqlite3_column_blob(r->st, col) };
                c->len = (size_t) sqlite3_column_bytes(r->st, col);
                return 0;
        default:
                c->type = CELL_TEXT;
        }
        c->text = (const char *) sqlite3_column_text(r->st, col);
        if (!c->text)
                return store_error(r->store, err, r->what);
        c->len = (size_t) sqlite3_column_bytes(r->st, col);
        return 0;
}

int rows_step(Rows *r, Error *err) {
        int step = store_step(r->store, r->st, r->what, err);

        if (step != STMT_ROW)
                return step < 0 ? step : ROWS_END;
        for (int i = 0; i < (int) r->n_cells; i++) {
                int rc = r->wanted && !r->wanted[i] ? 0 : take_cell(r, i, err);

                if (rc < 0)
                        return rc;
        }
        return ROWS_ROW;
}

int rows_next(Rows *r, const Cell **ret, Error *err) {
        int step = r->next ? r->next(r, err) : rows_step(r, err);

        if (step == ROWS_ROW)
                *ret = r->cells;
        return step;
}

size_t rows_columns(const Rows *r) {
        return r->n;
}

int rows_want(Rows *r, const char *column) {
        size_t i = 0;

        if (r->past) /* it needs them itself */
                return 0;
        if (!r->wanted)
                r->wanted = calloc(r->n_cells, sizeof *r->wanted);
        if (!r->wanted)
                return -ENOMEM;
        while (strcmp(rows_column(r, i), column) != 0)
                i++; /* rows_column() asserts that there is one */
        r->wanted[i] = true;
        return 0;
}

const char *rows_column(const Rows *r, size_t i) {
        assert(i < r->n);
        return sqlite3_column_name(r->st, (int) i);
}

/* ---- whole tables ---- */

#define STATUS                                                                                \
        "SELECT a.account, a.account_id, a.source, a.active,"                                 \
        " CASE WHEN NOT a.active THEN 'inactive'"                                             \
        " WHEN EXISTS (SELECT 1 FROM run_data r INDEXED BY run_running"                       \
        " WHERE r.account_key = a.key AND r.outcome = 'running') THEN 'running'"              \
        " WHEN a.last_error IS NOT NULL THEN 'failing' WHEN a.baseline_at IS NULL THEN 'new'" \
        " WHEN a.held_removals > 0 THEN 'held' ELSE 'ok' END AS state,"                       \
        " ifnull(c.users, 0) AS users, ifnull(c.suspended, 0) AS suspended,"                  \
        " ifnull(c.pending, 0) AS pending_invitations, ifnull(c.failed, 0) AS"                \
        " failed_invitations, a.baseline_at, a.last_attempt_at, a.last_complete_at,"          \
        " a.last_error, CASE WHEN a.active THEN a.next_run_at END AS next_run_at,"            \
        " a.held_removals FROM account_data a LEFT JOIN"                                      \
        " (SELECT account, sum(users) AS users, sum(users * (user_registration_status IS"     \
        " 'Suspended')) AS suspended, sum(users * (user_invitation_status IS 'Pending'))"     \
        " AS pending, sum(users * (user_invitation_status IS 'Failed')) AS failed"            \
        " FROM status_counts GROUP BY account) c ON c.account = a.account ORDER BY a.account"

int store_read(Store *s, ReadTable what, Rows **ret, Error *err) {
        static const char *const sql[READ_TABLE_COUNT] = {
                [READ_STATUS] = STATUS,
                [READ_ACCOUNTS] = "SELECT * FROM accounts ORDER BY account",
                [READ_WEBHOOKS] = "SELECT * FROM webhooks ORDER BY webhook",
                [READ_WEBHOOK_HEALTH] =
                        "SELECT webhook, pending, (SELECT time FROM event_data WHERE seq > cursor"
                        " ORDER BY seq LIMIT 1) AS oldest_pending_at, (SELECT count(*)"
                        " FROM dead_letters d WHERE d.webhook = w.webhook"
                        " AND d.time > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 day')) AS dead,"
                        " last_error FROM webhooks w ORDER BY webhook",
                [READ_DEAD_LETTERS] = "SELECT * FROM dead_letters ORDER BY webhook, seq",
                [READ_ACCOUNT_NAMES] = "SELECT account FROM account_data ORDER BY account",
                [READ_REGISTRATIONS] = "SELECT DISTINCT user_registration_status FROM status_counts"
                                       " WHERE user_registration_status IS NOT NULL ORDER BY 1",
                [READ_INVITATIONS] = "SELECT DISTINCT user_invitation_status FROM status_counts"
                                     " WHERE user_invitation_status IS NOT NULL ORDER BY 1",
        };

        assert(what < READ_TABLE_COUNT);
        return rows_new(s, "reading it", ret, err, "%s", sql[what]);
}
