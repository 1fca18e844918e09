/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/timefmt.h"
#include "store/store-history.h"
#include "store/store-internal.h"

/* What USER_FIELDS says, as SQL, so that field i is at USER_AT + i. */
#define FIELD_COLUMN(id, json, parent, column, type, flags) ", " #column
#define FIELD_PARAM(id, json, parent, column, type, flags) ", ?"

/* An UPDATE costs an entry in each index that has a column which it names, whether that changes or not.
 * So FIELD_SET leaves the key out, SET_STATUS what is in other indexes than those of the statuses, and
 * SET_DETAILS all that is in any.  store-internal.h has the same sets. */
#define SECOND(a, b, ...) b
#define SECOND_OF(...) SECOND(__VA_ARGS__, )
#define NOTHING ~, ""
#define IS_KEY_USER_ID NOTHING
#define IN_OTHER_INDEX_USER_ID NOTHING
#define IN_OTHER_INDEX_PRIMARY_EMAIL NOTHING
#define IN_OTHER_INDEX_PERSONAL_PIN NOTHING
#define IN_INDEX_USER_ID NOTHING
#define IN_INDEX_PRIMARY_EMAIL NOTHING
#define IN_INDEX_PERSONAL_PIN NOTHING
#define IN_INDEX_USER_REGISTRATION_STATUS NOTHING
#define IN_INDEX_USER_INVITATION_STATUS NOTHING
#define FIELD_SET(id, json, parent, column, type, flags) SECOND_OF(IS_KEY_##id, ", " #column " = ?")
#define SET_STATUS(id, json, parent, column, type, flags) \
        SECOND_OF(IN_OTHER_INDEX_##id, ", " #column " = ?")
#define SET_DETAILS(id, json, parent, column, type, flags) \
        SECOND_OF(IN_INDEX_##id, ", " #column " = ?")

#define USER_COLUMNS \
        "row, first_seen_at, last_changed_at, removed_at, missing" USER_FIELDS(FIELD_COLUMN)

/* Events that are old, and that no sink has yet to finish with.  Those of one user go in the order in
 * which they came, whatever the clock said: else the history would end with what came before. */
#define PRUNED                                                             \
        "SELECT o.seq FROM event_data o WHERE o.time < ?1 AND o.seq <="    \
        " ifnull((SELECT min(cursor) FROM sink_data), 0x7fffffffffffffff)" \
        " AND NOT EXISTS (SELECT 1 FROM event_data n WHERE " ABOUT_USER(   \
                "n", "o") " AND n.seq < o.seq AND n.time >= ?1)"           \
                          " ORDER BY o.time LIMIT ?2"
#define VALUE_OF_RETURNED VALUE_FROM("f.field", "e.seq")

/* Every statement of the program, in one place to read and to review. */
static const char *const stmt_sql[STMT_COUNT] = {
        [STMT_BEGIN] = "BEGIN IMMEDIATE",
        [STMT_COMMIT] = "COMMIT",
        [STMT_ROLLBACK] = "ROLLBACK",

        /* ---- accounts ---- */
        [STMT_ACCOUNTS_RETIRE] = "UPDATE account_data SET active = 0 WHERE active",
        [STMT_ACCOUNT_SAME] = "SELECT key FROM account_data WHERE source = ?1 AND endpoint IS ?2"
                              " AND account_id IS ?3 AND account = ?4",
        /* of several that nobody configures any more, the one that was seen last */
        [STMT_ACCOUNT_BY_IDENTITY] = "SELECT key FROM account_data WHERE NOT active AND source = ?1"
                                     " AND endpoint IS ?2 AND account_id IS ?3 AND account <> ?4"
                                     " ORDER BY last_complete_at DESC, key DESC",
        [STMT_ACCOUNT_BY_NAME] = "SELECT key FROM account_data WHERE account = ?4",
        /* no section can be called like that */
        [STMT_ACCOUNT_FREE_NAME] = "UPDATE account_data SET account = account || '~' || key"
                                   " WHERE account = ?1 AND key <> ?2",
        [STMT_ACCOUNT_INSERT] = "INSERT INTO account_data (source, endpoint, account_id, account,"
                                " active) VALUES (?1, ?2, ?3, ?4, 1)",
        [STMT_ACCOUNT_CONFIGURE] = "UPDATE account_data SET source = ?1, endpoint = ?2,"
                                   " account_id = ?3, account = ?4, active = 1 WHERE key = ?5",
        [STMT_ACCOUNT_GET] = "SELECT scope, baseline_at, last_attempt_at, last_complete_at,"
                             " next_run_at, last_error, failing_since, failure_told_at, failures,"
                             " held_removals, removals_accepted FROM account_data WHERE key = ?1",
        [STMT_ACCOUNT_PUT] =
                "UPDATE account_data SET scope = ?1, baseline_at = ?2, last_attempt_at = ?3,"
                " last_complete_at = ?4, next_run_at = ?5, last_error = ?6, failing_since = ?7,"
                " failure_told_at = ?8, failures = ?9, held_removals = ?10,"
                " removals_accepted = ?11 WHERE key = ?12",
        [STMT_ACCOUNT_FIND] = "SELECT key, active FROM account_data WHERE account = ?1",
        [STMT_ACCOUNT_ACTIVE] = "SELECT active FROM account_data WHERE key = ?1",
        [STMT_ACCOUNTS_LAST_COMPLETE] = "SELECT max(last_complete_at) FROM account_data",

        /* ---- users ---- */
        [STMT_USER_FIND] =
                "SELECT " USER_COLUMNS " FROM user_data WHERE user_id = ?1 AND account_key = ?2",
        [STMT_USER_AT_ROW] = "SELECT " USER_COLUMNS " FROM user_data WHERE row = ?3"
                             " AND +user_id = ?1 AND +account_key = ?2",
        [STMT_USER_BY_ROW] = "SELECT " USER_COLUMNS " FROM user_data WHERE row = ?1",
        [STMT_USER_INSERT] =
                "INSERT INTO user_data (account_key, first_seen_at, last_changed_at,"
                " removed_at" USER_FIELDS(FIELD_COLUMN) ") VALUES (?1, ?2, ?3, ?4" USER_FIELDS(
                        FIELD_PARAM) ")",
        [STMT_USER_UPDATE] =
                "UPDATE user_data SET first_seen_at = ?1, last_changed_at = ?2,"
                " removed_at = ?3, missing = ?4" USER_FIELDS(FIELD_SET) " WHERE row = ?",
        [STMT_USER_AMEND_STATUS] = "UPDATE user_data SET last_changed_at = ?1" USER_FIELDS(
                SET_STATUS) " WHERE row = ?",
        [STMT_USER_AMEND_DETAILS] = "UPDATE user_data SET last_changed_at = ?1" USER_FIELDS(
                SET_DETAILS) " WHERE row = ?",
        [STMT_USER_SET_MISSING] = "UPDATE user_data SET missing = ?1 WHERE row = ?2",
        [STMT_USERS_LISTED] = "SELECT row, missing FROM user_data INDEXED BY user_listed"
                              " WHERE account_key = ?1 AND removed_at IS NULL AND row > ?2"
                              " ORDER BY row LIMIT ?3",
        /* the one so many behind; what is skipped is not looked at */
        [STMT_USERS_SKIP] = "SELECT row FROM user_data INDEXED BY user_listed"
                            " WHERE account_key = ?1 AND removed_at IS NULL AND row > ?2"
                            " ORDER BY row LIMIT 1 OFFSET ?3 - 1",
        [STMT_USERS_COUNT] = "SELECT count(*) FROM user_data INDEXED BY user_listed"
                             " WHERE account_key = ?1 AND removed_at IS NULL AND row > ?2",
        /* one account, or (0 and the highest key) the active ones of all */
        [STMT_STATUS_COUNTS] =
                "SELECT a.account, u.user_registration_status, u.user_invitation_status, count(*)"
                " FROM account_data a CROSS JOIN user_data u INDEXED BY user_status"
                " ON u.account_key = a.key AND u.removed_at IS NULL"
                " WHERE a.key BETWEEN ?1 AND ?2 AND (a.active OR ?1 > 0)"
                " GROUP BY a.key, u.user_registration_status, u.user_invitation_status",
        [STMT_PINS_WIPE] = "UPDATE user_data SET personal_pin = NULL WHERE row IN"
                           " (SELECT row FROM user_data INDEXED BY user_pin"
                           " WHERE personal_pin IS NOT NULL AND account_key > 0 LIMIT ?1)",

        /* ---- marks ---- */
        [STMT_MARKS_READ] = "SELECT id, marks FROM mark_data WHERE id > ?1 AND id <= ?2"
                            " ORDER BY id LIMIT ?3",
        [STMT_MARKS_LAST] = "SELECT ifnull(max(id), ?1) FROM mark_data WHERE id > ?1 AND id <= ?2",
        [STMT_MARKS_PUT] = "INSERT INTO mark_data (id, marks) VALUES (?1, ?2)",
        [STMT_MARKS_DELETE] = "DELETE FROM mark_data WHERE id > ?1 AND id <= ?2",

        /* ---- runs ---- */
        [STMT_RUN_OPEN] = "INSERT INTO run_data (account_key, started_at, outcome)"
                          " VALUES (?1, ?2, 'running')",
        [STMT_RUN_COUNT] = "UPDATE run_data SET pages = ?1, users = ?2, added = ?3, changed = ?4,"
                           " removed = ?5, retries = ?6, throttled = ?7 WHERE run_id = ?8",
        [STMT_RUN_CLOSE] = "UPDATE run_data SET pages = ?1, users = ?2, added = ?3, changed = ?4,"
                           " removed = ?5, retries = ?6, throttled = ?7, outcome = ?9, error = ?10,"
                           " finished_at = max(?11, started_at) WHERE run_id = ?8",
        [STMT_RUNS_INTERRUPT] =
                "UPDATE run_data SET outcome = 'interrupted', error = ?3, finished_at ="
                " max(?4, started_at, ifnull((SELECT max(e.time) FROM event_data e"
                " WHERE e.run_id = run_data.run_id), ''))"
                " WHERE outcome = 'running' AND account_key BETWEEN ?1 AND ?2",
        [STMT_RUN_LAST] =
                "SELECT run_id, started_at, finished_at, outcome, pages, users, added, changed,"
                " removed, retries, throttled FROM run_data"
                " WHERE account_key = ?1 AND outcome <> 'running' ORDER BY run_id DESC LIMIT 1",
        [STMT_RUN_SIZE] = "SELECT users FROM run_data WHERE account_key = ?1"
                          " AND outcome = 'complete' ORDER BY run_id DESC LIMIT 1",

        /* ---- events ---- */
        [STMT_EVENT_APPEND] = "INSERT INTO event_data (id, time, type, account_key, user_id, "
                              "primary_email, field,"
                              " old_value, new_value, run_id, changes, detail, user_image)"
                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        [STMT_EVENTS_AFTER] =
                "SELECT e.seq, e.id, e.time, e.type, e.run_id, a.account, a.account_id, e.user_id,"
                " e.primary_email, e.field, e.old_value, e.new_value, e.changes, e.detail,"
                " e.user_image, e.account_key FROM event_data e CROSS JOIN account_data a ON a.key "
                "= e.account_key"
                " WHERE e.seq > ?1 AND e.seq <= ?2 ORDER BY e.seq",
        /* the highest ever given, even if that event is deleted */
        [STMT_EVENT_LAST_SEQ] = "SELECT seq FROM sqlite_sequence WHERE name = 'event_data'",
        [STMT_EVENTS_PENDING] = "SELECT seq FROM event_data WHERE seq > ?1 LIMIT ?2",
        [STMT_CURSOR_ADD] = "INSERT INTO sink_data (sink, cursor) VALUES (?1, ?2)"
                            " ON CONFLICT (sink) DO NOTHING",
        [STMT_CURSOR_GET] = "SELECT cursor FROM sink_data WHERE sink = ?1",
        [STMT_CURSOR_MOVE] = "INSERT INTO sink_data (sink, cursor) VALUES (?1, ?2)"
                             " ON CONFLICT (sink) DO UPDATE SET cursor = excluded.cursor",

        /* ---- sinks ---- */
        [STMT_SINK_GET] = "SELECT cursor, attempts, last_success_at, failing_since,"
                          " next_attempt_at, last_error FROM sink_data WHERE sink = ?1",
        [STMT_SINK_PUT] = "UPDATE sink_data SET cursor = ?1, attempts = ?2, last_success_at = ?3,"
                          " failing_since = ?4, next_attempt_at = ?5, last_error = ?6"
                          " WHERE sink = ?7",
        [STMT_SINK_REPLAY] = "UPDATE sink_data SET cursor = ?2, attempts = 0, failing_since = NULL,"
                             " next_attempt_at = NULL WHERE sink = ?1",
        [STMT_SINK_RETIRE] = "UPDATE sink_data SET retired_at = ?1"
                             " WHERE sink = ?2 AND retired_at IS NULL",
        [STMT_SINK_UNRETIRE] = "UPDATE sink_data SET retired_at = NULL"
                               " WHERE sink = ?1 AND retired_at IS NOT NULL",
        [STMT_SINKS_FORGET] = "DELETE FROM sink_data WHERE retired_at < ?1",
        [STMT_SINKS_ACTIVE] = "SELECT sink FROM sink_data WHERE retired_at IS NULL",
        [STMT_DEAD_LETTERS_COUNT] = "SELECT count(*) FROM dead_letter_data WHERE sink = ?1",
        [STMT_DEAD_LETTER_ADD] = "INSERT INTO dead_letter_data (seq, sink, time, error)"
                                 " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (seq, sink)"
                                 " DO UPDATE SET time = excluded.time, error = excluded.error",
        [STMT_DEAD_LETTERS_FORGET] = "DELETE FROM dead_letter_data WHERE sink IN"
                                     " (SELECT sink FROM sink_data WHERE retired_at < ?1)",
        [STMT_DEAD_LETTERS_TAKE_BACK] = "DELETE FROM dead_letter_data INDEXED BY dead_letter_sink"
                                        " WHERE sink = ?1 AND seq >= ?2",
        [STMT_RUN_RUNNING] = "SELECT run_id FROM run_data INDEXED BY run_running"
                             " WHERE outcome = 'running' AND account_key > 0"
                             " AND run_id BETWEEN ?1 AND ?2 LIMIT 1",
        /* since when: the last time that it was said; a baseline says it of nobody */
        [STMT_USERS_SUSPENDED] =
                "SELECT u.row, a.account, a.account_id, u.user_id, u.primary_email,"
                " coalesce((SELECT e.time FROM event_data e WHERE e.user_id = u.user_id"
                " AND e.account_key = u.account_key AND +e.type = 'user.suspended'"
                " ORDER BY e.seq DESC LIMIT 1), (SELECT s.time FROM status_start_data s"
                " WHERE s.row = u.row AND s.field = 'user_registration_status'), u.first_seen_at),"
                " u.account_key FROM user_data u INDEXED BY user_suspended"
                " CROSS JOIN account_data a ON a.key = u.account_key"
                " WHERE u.removed_at IS NULL AND u.user_registration_status = 'Suspended'"
                " AND u.row > ?1 AND a.active ORDER BY u.row LIMIT ?2",

        /* ---- retention ---- */
        /* before it is deleted: what it says of a status that nothing later is known of */
        [STMT_PRUNE_NOTE] =
                "INSERT INTO status_start_data (row, field, seq, time, value)"
                " SELECT u.row, f.field, e.seq,"
                " CASE WHEN e.type <> 'user.removed' THEN e.time END,"
                " CASE WHEN e.field = f.field THEN e.new_value"
                " WHEN e.type = 'user.returned' THEN " VALUE_OF_RETURNED " END"
                " FROM event_data e CROSS JOIN user_data u"
                " ON u.user_id = e.user_id AND u.account_key = e.account_key" STATUS_FIELDS
                " WHERE e.seq IN (" PRUNED ")"
                " AND (e.field = f.field OR e.type IN ('user.removed', 'user.returned'))"
                " ON CONFLICT (row, field) DO UPDATE SET seq = excluded.seq,"
                " time = excluded.time, value = excluded.value WHERE excluded.seq > seq",
        [STMT_PRUNE_EVENTS] = "DELETE FROM event_data WHERE seq IN (" PRUNED ")",
        [STMT_PRUNE_RUNS] =
                "DELETE FROM run_data WHERE run_id IN (SELECT r.run_id FROM run_data r"
                " WHERE r.started_at < ?1 AND r.outcome <> 'running'"
                " AND NOT EXISTS (SELECT 1 FROM event_data e WHERE e.run_id = r.run_id)"
                " AND EXISTS (SELECT 1 FROM run_data later WHERE later.account_key = r.account_key"
                " AND later.run_id > r.run_id AND later.outcome <> 'running')"
                " ORDER BY r.started_at LIMIT ?2)",

        /* ---- forgetting an account: all of a table is swept, in windows of its ids ---- */
        /* nobody may take over what is half deleted, as another name of the same account */
        [STMT_FORGET_BEGIN] = "UPDATE account_data SET endpoint = NULL, account_id = NULL,"
                              " scope = NULL, baseline_at = NULL, held_removals = 0,"
                              " removals_accepted = 0 WHERE key = ?1 AND NOT active",
        [STMT_FORGET_EVENTS_NEXT] = "SELECT min(seq) FROM event_data WHERE seq > ?1",
        [STMT_FORGET_EVENTS] =
                "DELETE FROM event_data WHERE seq BETWEEN ?1 AND ?2 AND +account_key = ?3",
        [STMT_FORGET_RUNS_NEXT] = "SELECT min(run_id) FROM run_data WHERE run_id > ?1",
        [STMT_FORGET_RUNS] =
                "DELETE FROM run_data WHERE run_id BETWEEN ?1 AND ?2 AND +account_key = ?3",
        [STMT_FORGET_USERS_NEXT] = "SELECT min(row) FROM user_data WHERE row > ?1",
        [STMT_FORGET_USERS] =
                "DELETE FROM user_data WHERE row BETWEEN ?1 AND ?2 AND +account_key = ?3",
        [STMT_FORGET_ACCOUNT] = "DELETE FROM account_data WHERE key = ?1 AND NOT active",
};

const char *store_stmt_sql(StmtId id) {
        assert(id < STMT_COUNT);
        return stmt_sql[id];
}

int store_stmt(Store *s, StmtId id, sqlite3_stmt **ret, Error *err) {
        assert(id < STMT_COUNT);

        if (!s->stmts[id] && sqlite3_prepare_v3(s->db, stmt_sql[id], -1, SQLITE_PREPARE_PERSISTENT,
                                                &s->stmts[id], NULL) != SQLITE_OK)
                return store_error(s, err, "preparing a statement");
        assert(!sqlite3_stmt_busy(s->stmts[id])); /* someone kept it past its scope */
        *ret = s->stmts[id];
        return 0;
}

int store_step(Store *s, sqlite3_stmt *st, const char *what, Error *err) {
        switch (sqlite3_step(st)) {
        case SQLITE_ROW:
                return STMT_ROW;
        case SQLITE_DONE:
                return STMT_DONE;
        default:
                return store_error(s, err, what);
        }
}

int store_write(Store *s, sqlite3_stmt *st, const char *what, Error *err) {
        int r;

        if (s->spoilt) { /* it would be committed with half of what had failed */
                store_rollback(s);
                return error_set(err, -EIO,
                                 "the database %s cannot be written: what failed before had not"
                                 " been undone",
                                 s->path);
        }
        do /* a pragma that writes may give rows */
                r = store_step(s, st, what, err);
        while (r == STMT_ROW);
        if (r >= 0)
                store_wrote();
        return r;
}

int store_exec(Store *s, StmtId id, const char *what, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;
        int r = store_stmt(s, id, &st, err);

        return r < 0 ? r : store_write(s, st, what, err);
}

int store_exec_sql(Store *s, const char *sql, const char *what, Error *err) {
        while (*sql) {
                CLEANUP(stmt_finalizep) sqlite3_stmt *st = NULL;
                int r;

                if (sqlite3_prepare_v2(s->db, sql, -1, &st, &sql) != SQLITE_OK)
                        return store_error(s, err, what);
                if (!st) /* white space at the end */
                        return 0;
                r = store_write(s, st, what, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int store_number(Store *s, const char *sql, int64_t *ret, Error *err) {
        CLEANUP(stmt_finalizep) sqlite3_stmt *st = NULL;

        if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK ||
            sqlite3_step(st) != SQLITE_ROW)
                return store_error(s, err, "reading its header");
        *ret = sqlite3_column_int64(st, 0);
        return 0;
}

int store_bind_text(sqlite3_stmt *st, int pos, const char *text) {
        return sqlite3_bind_text(st, pos, text, -1, SQLITE_STATIC); /* NULL binds as NULL */
}

int store_bind_time(sqlite3_stmt *st, int pos, int64_t ms) {
        char text[TIME_TEXT_SIZE];

        if (ms == TIME_NONE)
                return sqlite3_bind_null(st, pos);
        time_format(ms, text);
        return sqlite3_bind_text(st, pos, text, TIME_TEXT_SIZE - 1, SQLITE_TRANSIENT);
}

int store_column_text(Store *s, sqlite3_stmt *st, int col, char **ret, Error *err) {
        const unsigned char *text;
        size_t size;
        char *copy;

        if (sqlite3_column_type(st, col) == SQLITE_NULL) {
                *ret = NULL;
                return 0;
        }
        text = sqlite3_column_text(st, col);
        if (!text)
                return store_error(s, err, "reading a text");
        size = (size_t) sqlite3_column_bytes(st, col) + 1;
        copy = malloc(size);
        if (!copy)
                return error_set(err, -ENOMEM, "out of memory");
        memcpy(copy, text, size);
        *ret = copy;
        return 0;
}

int store_column_time(Store *s, sqlite3_stmt *st, int col, int64_t *ret, Error *err) {
        const char *text;

        if (sqlite3_column_type(st, col) == SQLITE_NULL) {
                *ret = TIME_NONE;
                return 0;
        }
        text = (const char *) sqlite3_column_text(st, col);
        if (!text)
                return store_error(s, err, "reading a time");
        if (time_parse(text, ret) < 0)
                return error_set(err, -EUCLEAN,
                                 "the database %s is damaged: %s holds \"%.40s\", which is no time;"
                                 " restore a backup",
                                 s->path, sqlite3_column_name(st, col), text);
        return 0;
}
