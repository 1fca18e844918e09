/* SPDX-License-Identifier: Apache-2.0 */
/* The schema and its versions.  Tables and views that end in _data are our own business; the others
 * are public, described in doc/schema.md.  Tables keep an account as a number, so that renaming its
 * section is one row; the public views show its name. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/store-history.h"
#include "store/store-internal.h"

#define ACCOUNTS                                                                                  \
        "CREATE TABLE account_data ("                                                             \
        "key INTEGER PRIMARY KEY, account TEXT NOT NULL UNIQUE, source TEXT NOT NULL,"            \
        " endpoint TEXT, account_id TEXT, active INTEGER NOT NULL, scope TEXT, baseline_at TEXT," \
        " last_attempt_at TEXT, last_complete_at TEXT, next_run_at TEXT, last_error TEXT,"        \
        " failing_since TEXT, failure_told_at TEXT, failures INTEGER NOT NULL DEFAULT 0,"         \
        " held_removals INTEGER NOT NULL DEFAULT 0,"                                              \
        " removals_accepted INTEGER NOT NULL DEFAULT 0) STRICT;"                                  \
        "CREATE VIEW accounts AS SELECT account, account_id, source, active, baseline_at,"        \
        " last_complete_at, last_error, next_run_at, held_removals FROM account_data;"

/* Listed and former users share a table, so that leaving and returning are one UPDATE.  E-mail is
 * NOCASE, so that people find it however they type it.  An index that ends with removed_at has it
 * only so that SQLite need not look at the row for it. */
#define USERS                                                                                  \
        "CREATE TABLE user_data ("                                                             \
        "row INTEGER PRIMARY KEY, account_key INTEGER NOT NULL REFERENCES account_data (key)," \
        " account_id TEXT, user_id TEXT NOT NULL, primary_email TEXT COLLATE NOCASE,"          \
        " primary_provisioned_number TEXT, display_name TEXT, license_type TEXT,"              \
        " user_type TEXT, user_registration_status TEXT, user_invitation_status TEXT,"         \
        " registered_on TEXT, invited_on TEXT, alexa_for_business_enabled INTEGER,"            \
        " alexa_for_business_room_arn TEXT, personal_pin TEXT, extra TEXT,"                    \
        " first_seen_at TEXT NOT NULL, last_changed_at TEXT NOT NULL, removed_at TEXT,"        \
        " missing INTEGER NOT NULL DEFAULT 0) STRICT;"                                         \
        "CREATE UNIQUE INDEX user_identity ON user_data (user_id, account_key);"               \
        "CREATE INDEX user_email ON user_data (primary_email);"                                \
        "CREATE INDEX user_listed ON user_data (account_key, row, missing, removed_at)"        \
        " WHERE removed_at IS NULL;"                                                           \
        "CREATE INDEX user_status ON user_data (account_key, user_registration_status,"        \
        " user_invitation_status, removed_at) WHERE removed_at IS NULL;"                       \
        "CREATE INDEX user_suspended ON user_data (user_registration_status)"                  \
        " WHERE removed_at IS NULL AND user_registration_status = 'Suspended';"                \
        "CREATE INDEX user_pending ON user_data (user_invitation_status)"                      \
        " WHERE removed_at IS NULL AND user_invitation_status = 'Pending';"                    \
        "CREATE INDEX user_failed ON user_data (user_invitation_status)"                       \
        " WHERE removed_at IS NULL AND user_invitation_status = 'Failed';"                     \
        "CREATE INDEX user_former ON user_data (removed_at) WHERE removed_at IS NOT NULL;"     \
        "CREATE INDEX user_pin ON user_data (account_key) WHERE personal_pin IS NOT NULL;"

#define PUBLIC_USER_COLUMNS                                                           \
        "a.account, u.account_id, u.user_id, u.primary_email,"                        \
        " u.primary_provisioned_number, u.display_name, u.license_type, u.user_type," \
        " u.user_registration_status, u.user_invitation_status, u.registered_on,"     \
        " u.invited_on, u.alexa_for_business_enabled, u.alexa_for_business_room_arn," \
        " u.personal_pin, u.extra, u.first_seen_at, u.last_changed_at"

/* An account always exists.  LEFT lets SQLite leave the join out of a count, and keeps it from
 * starting with the accounts where that would cost the order of the rows. */
#define USER_VIEWS                                                                             \
        "CREATE VIEW users AS SELECT " PUBLIC_USER_COLUMNS                                     \
        " FROM user_data u LEFT JOIN account_data a ON a.key = u.account_key"                  \
        " WHERE u.removed_at IS NULL;"                                                         \
        "CREATE VIEW former_users AS SELECT " PUBLIC_USER_COLUMNS ", u.removed_at"             \
        " FROM user_data u LEFT JOIN account_data a ON a.key = u.account_key"                  \
        " WHERE u.removed_at IS NOT NULL;"                                                     \
        "CREATE VIEW suspended_users AS"                                                       \
        " SELECT * FROM users WHERE user_registration_status = 'Suspended';"                   \
        "CREATE VIEW pending_invitations AS"                                                   \
        " SELECT * FROM users WHERE user_invitation_status = 'Pending';"                       \
        "CREATE VIEW failed_invitations AS"                                                    \
        " SELECT * FROM users WHERE user_invitation_status = 'Failed';"                        \
        "CREATE VIEW status_counts AS"                                                         \
        " SELECT a.account, u.user_registration_status, u.user_invitation_status,"             \
        " count(*) AS users FROM account_data a CROSS JOIN user_data u INDEXED BY user_status" \
        " ON u.account_key = a.key AND u.removed_at IS NULL"                                   \
        " GROUP BY a.key, u.user_registration_status, u.user_invitation_status;"

#define RUNS                                                                                      \
        "CREATE TABLE run_data ("                                                                 \
        "run_id INTEGER PRIMARY KEY AUTOINCREMENT,"                                               \
        " account_key INTEGER NOT NULL REFERENCES account_data (key), started_at TEXT NOT NULL,"  \
        " finished_at TEXT, outcome TEXT NOT NULL, pages INTEGER NOT NULL DEFAULT 0,"             \
        " users INTEGER NOT NULL DEFAULT 0, added INTEGER NOT NULL DEFAULT 0,"                    \
        " changed INTEGER NOT NULL DEFAULT 0, removed INTEGER NOT NULL DEFAULT 0,"                \
        " retries INTEGER NOT NULL DEFAULT 0, throttled INTEGER NOT NULL DEFAULT 0,"              \
        " error TEXT) STRICT;"                                                                    \
        "CREATE INDEX run_account ON run_data (account_key, run_id);"                             \
        "CREATE INDEX run_started ON run_data (started_at);"                                      \
        "CREATE INDEX run_running ON run_data (account_key) WHERE outcome = 'running';"           \
        "CREATE VIEW runs AS SELECT r.run_id, a.account, r.started_at, r.finished_at, r.outcome," \
        " r.pages, r.users, r.added, r.changed, r.removed, r.retries, r.throttled, r.error"       \
        " FROM run_data r LEFT JOIN account_data a ON a.key = r.account_key;"

/* user_image is the user's row once the event had happened, for a delivery that comes late. */
#define EVENTS                                                                                     \
        "CREATE TABLE event_data ("                                                                \
        "seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, time TEXT NOT NULL,"      \
        " type TEXT NOT NULL, account_key INTEGER NOT NULL REFERENCES account_data (key),"         \
        " user_id TEXT, primary_email TEXT COLLATE NOCASE, field TEXT, old_value TEXT,"            \
        " new_value TEXT, run_id INTEGER REFERENCES run_data (run_id), changes TEXT, detail TEXT," \
        " user_image TEXT) STRICT;"                                                                \
        "CREATE INDEX event_user ON event_data (user_id, account_key, seq);"                       \
        "CREATE INDEX event_email ON event_data (primary_email);"                                  \
        "CREATE INDEX event_time ON event_data (time);"                                            \
        "CREATE INDEX event_type ON event_data (type);"                                            \
        "CREATE INDEX event_run ON event_data (run_id);"                                           \
        "CREATE VIEW events AS SELECT e.seq, e.id, e.time, e.type, a.account, e.user_id,"          \
        " e.primary_email, e.field, e.old_value, e.new_value, e.run_id, e.changes, e.detail"       \
        " FROM event_data e LEFT JOIN account_data a ON a.key = e.account_key;"

/* A sink named webhook:NAME is the webhook NAME. */
#define SINKS                                                                                    \
        "CREATE TABLE sink_data ("                                                               \
        "sink TEXT PRIMARY KEY, cursor INTEGER NOT NULL, last_success_at TEXT, last_error TEXT," \
        " attempts INTEGER NOT NULL DEFAULT 0, next_attempt_at TEXT) STRICT, WITHOUT ROWID;"     \
        "CREATE TABLE dead_letter_data ("                                                        \
        "seq INTEGER NOT NULL REFERENCES event_data (seq) ON DELETE CASCADE,"                    \
        " sink TEXT NOT NULL, time TEXT NOT NULL, error TEXT, PRIMARY KEY (seq, sink))"          \
        " STRICT, WITHOUT ROWID;"                                                                \
        "CREATE VIEW webhooks AS SELECT substr(sink, 9) AS webhook, cursor,"                     \
        " (SELECT count(*) FROM event_data WHERE seq > cursor) AS pending, last_success_at,"     \
        " last_error, attempts, next_attempt_at FROM sink_data WHERE sink GLOB 'webhook:*';"     \
        "CREATE VIEW dead_letters AS SELECT substr(sink, 9) AS webhook, seq, time, error"        \
        " FROM dead_letter_data WHERE sink GLOB 'webhook:*';"

/* ---- user_history ---- */

/* The next change of the field, or the next time that the user left or returned. */
#define END_FROM(field, seq)                                                                       \
        "ifnull((SELECT n.time FROM event_data n WHERE " ABOUT_USER(                               \
                "n", "u") " AND n.seq > " seq " AND (n.field = " field                             \
                          " OR n.type IN ('user.removed', 'user.returned')) ORDER BY n.seq LIMIT " \
                          "1), u.removed_at)"
#define PERIOD(field, value, from, seq)                                                         \
        "SELECT (SELECT a.account FROM account_data a WHERE a.key = u.account_key) AS account," \
        " u.user_id AS user_id, u.primary_email AS primary_email, " field " AS field, " value   \
        " AS value, " from " AS from_time, " END_FROM(field, seq) " AS to_time"

/* A period begins when the user is first seen, when the status changes, and when the user returns;
 * the last arm is for one who returned without an event (the filter of the listing was changed).
 * Periods of no length come from events at one instant (returned, and suspended since).  The +
 * keeps SQLite from searching all users' events of a type. */
#define USER_HISTORY                                                                              \
        "CREATE VIEW period_data AS " PERIOD(                                                     \
                "f.field", VALUE_FROM("f.field", "0"), "u.first_seen_at",                         \
                "0") " FROM user_data u" STATUS_FIELDS                                            \
                     " UNION ALL " PERIOD(                                                        \
                             "e.field", "e.new_value", "e.time",                                  \
                             "e.seq") " FROM user_data u CROSS JOIN event_data e "                \
                                      "ON " ABOUT_USER(                                           \
                                              "e", "u") " WHERE e.field IN "                      \
                                                        "('user_registration_"                    \
                                                        "status', "                               \
                                                        "'user_invitation_status')"               \
                                                        " UNION ALL " PERIOD(                     \
                                                                "f.field",                        \
                                                                VALUE_FROM("f.field", "e.seq"),   \
                                                                "e.time",                         \
                                                                "e.seq") " FROM "                 \
                                                                         "user_"                  \
                                                                         "data u "                \
                                                                         "CROSS "                 \
                                                                         "JOIN "                  \
                                                                         "event_"                 \
                                                                         "data e "                \
                                                                         "ON"                     \
                                                                         " " ABOUT_USER("e", "u") \
                                                                                 STATUS_FIELDS    \
                " WHERE +e.type = 'user.returned'"                                                \
                " UNION ALL " PERIOD(                                                             \
                        "f.field", PRESENT_VALUE("f.field"), "u.last_changed_at",                 \
                        "e.seq") " FROM user_data u CROSS JOIN event_data e ON " ABOUT_USER("e",  \
                                                                                            "u")  \
                        STATUS_FIELDS                                                             \
                " WHERE u.removed_at IS NULL AND +e.type = 'user.removed' AND NOT EXISTS"         \
                " (SELECT 1 FROM event_data n WHERE " ABOUT_USER(                                 \
                        "n",                                                                      \
                        "u") " AND n.seq > e.seq"                                                 \
                             " AND (n.field = f.field OR n.type IN ('user.removed', "             \
                             "'user.returned')));"                                                \
                             "CREATE VIEW user_history AS"                                        \
                             " SELECT account, user_id, primary_email, field, value, from_time, " \
                             "to_time"                                                            \
                             " FROM period_data WHERE to_time IS NULL OR to_time <> from_time;"

/* ---- version 2: webhooks are delivered ---- */

/* A sink that left the configuration is kept for a while, but is no webhook any more. */
#define SINKS_2                                                                              \
        "ALTER TABLE sink_data ADD COLUMN failing_since TEXT;"                               \
        "ALTER TABLE sink_data ADD COLUMN retired_at TEXT;"                                  \
        "CREATE INDEX dead_letter_sink ON dead_letter_data (sink);"                          \
        "DROP VIEW webhooks;"                                                                \
        "CREATE VIEW webhooks AS SELECT substr(sink, 9) AS webhook, cursor,"                 \
        " (SELECT count(*) FROM event_data WHERE seq > cursor) AS pending, last_success_at," \
        " last_error, attempts, next_attempt_at FROM sink_data"                              \
        " WHERE sink GLOB 'webhook:*' AND retired_at IS NULL;"

/* ---- version 3: the bytes of an unchanged record are recognised ---- */

/* The marks stand in the index that is read at the start of a run.  Somebody who corrects a row by hand
 * leaves its mark as it is: the trigger takes it away. */
#define MARKS_3                                                                       \
        "ALTER TABLE user_data ADD COLUMN mark BLOB;"                                 \
        "DROP INDEX user_listed;"                                                     \
        "CREATE INDEX user_listed ON user_data (account_key, row, missing, mark,"     \
        " removed_at) WHERE removed_at IS NULL;"                                      \
        "CREATE TRIGGER user_mark AFTER UPDATE ON user_data WHEN OLD.mark = NEW.mark" \
        " BEGIN UPDATE user_data SET mark = NULL WHERE row = NEW.row; END;"           \
        "CREATE TABLE mark_key_data (id INTEGER PRIMARY KEY CHECK (id = 1),"          \
        " key BLOB NOT NULL) STRICT;"                                                 \
        "INSERT INTO mark_key_data VALUES (1, randomblob(192));"

/* ---- version 4: marks are a log ---- */

/* See store-marks.c.  Who corrects a user by hand says nothing of marks: the triggers take away all that
 * there are. */
#define MARKS_4                                                                          \
        "DROP TRIGGER user_mark;"                                                        \
        "DROP INDEX user_listed;"                                                        \
        "ALTER TABLE user_data DROP COLUMN mark;"                                        \
        "CREATE INDEX user_listed ON user_data (account_key, row, missing, removed_at)"  \
        " WHERE removed_at IS NULL;"                                                     \
        "CREATE TABLE mark_data (id INTEGER PRIMARY KEY, marks BLOB NOT NULL"            \
        " CHECK (length(marks) BETWEEN 24 AND 4032 AND length(marks) % 24 = 0)) STRICT;" \
        "CREATE TRIGGER user_inserted AFTER INSERT ON user_data"                         \
        " BEGIN DELETE FROM mark_data; END;"                                             \
        "CREATE TRIGGER user_updated AFTER UPDATE ON user_data"                          \
        " BEGIN DELETE FROM mark_data; END;"                                             \
        "CREATE TRIGGER user_deleted AFTER DELETE ON user_data"                          \
        " BEGIN DELETE FROM mark_data; END;"

/* ---- version 5: the key of marks is not in the database ---- */

/* Whoever may read the database could have tried which PIN makes the mark.  Nothing is left of the key. */
#define MARKS_5                      \
        "PRAGMA secure_delete = ON;" \
        "DELETE FROM mark_data;"     \
        "DROP TABLE mark_key_data;"  \
        "PRAGMA secure_delete = FAST;"

/* ---- version 6: where a history begins is kept when its old events are deleted ---- */

/* What the last deleted event about a status (or all of a user) has said: since when the status is what
 * it is; time NULL: the user left the listing.  The first period begins there; without it, when the user
 * was first seen.  The last arm is for one who left that long ago, and returned without an event. */
/* clang-format off */
#define OF_LISTING(e) e ".type IN ('user.removed', 'user.returned')"
#define NOTHING_AFTER(seq, field) \
        " NOT EXISTS (SELECT 1 FROM event_data n WHERE " ABOUT_USER("n", "u") \
        " AND n.seq > " seq " AND (n.field = " field " OR " OF_LISTING("n") "))"
#define HISTORY_6 \
        "CREATE TABLE status_start_data (" \
        "row INTEGER NOT NULL REFERENCES user_data (row) ON DELETE CASCADE," \
        " field TEXT NOT NULL, seq INTEGER NOT NULL, time TEXT, value TEXT," \
        " PRIMARY KEY (row, field)) STRICT, WITHOUT ROWID;" \
        "DROP VIEW user_history;" \
        "DROP VIEW period_data;" \
        "CREATE VIEW period_data AS " \
        PERIOD("f.field", \
               "CASE WHEN s.row IS NULL THEN " VALUE_FROM("f.field", "0") " ELSE s.value END", \
               "ifnull(s.time, u.first_seen_at)", "0") \
        " FROM user_data u" STATUS_FIELDS \
        " LEFT JOIN status_start_data s ON s.row = u.row AND s.field = f.field" \
        " WHERE s.row IS NULL OR s.time IS NOT NULL" \
        " UNION ALL " \
        PERIOD("e.field", "e.new_value", "e.time", "e.seq") \
        " FROM user_data u CROSS JOIN event_data e ON " ABOUT_USER("e", "u") \
        " WHERE e.field IN ('user_registration_status', 'user_invitation_status')" \
        " UNION ALL " \
        PERIOD("f.field", VALUE_FROM("f.field", "e.seq"), "e.time", "e.seq") \
        " FROM user_data u CROSS JOIN event_data e ON " ABOUT_USER("e", "u") STATUS_FIELDS \
        " WHERE +e.type = 'user.returned'" \
        " UNION ALL " \
        PERIOD("f.field", PRESENT_VALUE("f.field"), "u.last_changed_at", "e.seq") \
        " FROM user_data u CROSS JOIN event_data e ON " ABOUT_USER("e", "u") STATUS_FIELDS \
        " WHERE u.removed_at IS NULL AND +e.type = 'user.removed' AND" \
        NOTHING_AFTER("e.seq", "f.field") \
        " UNION ALL " \
        PERIOD("s.field", PRESENT_VALUE("s.field"), "u.last_changed_at", "0") \
        " FROM user_data u CROSS JOIN status_start_data s ON s.row = u.row" \
        " WHERE u.removed_at IS NULL AND s.time IS NULL AND" NOTHING_AFTER("0", "s.field") ";" \
        "CREATE VIEW user_history AS" \
        " SELECT account, user_id, primary_email, field, value, from_time, to_time" \
        " FROM period_data WHERE to_time IS NULL OR to_time <> from_time;"
/* clang-format on */

/* steps[n] takes version n to n + 1.  Append only: never edit one that has shipped, nor a macro
 * that it is made of (tests/unit/data/schema-v1.sql would say so). */
static const char *const steps[] = {
        ACCOUNTS USERS USER_VIEWS RUNS EVENTS SINKS USER_HISTORY,
        SINKS_2,
        MARKS_3,
        MARKS_4,
        MARKS_5,
        HISTORY_6,
};
const Migrations store_migrations = { steps, sizeof steps / sizeof steps[0] };

int store_schema_check(Store *s, const Migrations *m, int *ret, Error *err) {
        int64_t application = 0, version = 0, objects = 0;
        int r = store_number(s, "PRAGMA application_id", &application, err);

        if (r >= 0)
                r = store_number(s, "PRAGMA user_version", &version, err);
        if (r >= 0)
                r = store_number(s, "SELECT count(*) FROM sqlite_schema", &objects, err);
        if (r < 0)
                return r;
        if (application != STORE_APPLICATION_ID && (application || version || objects))
                return error_set(err, -EMEDIUMTYPE,
                                 "%s is another program's SQLite database, not rosterd's; name"
                                 " another file, or move that one away",
                                 s->path);
        if (version > m->n)
                return error_set(err, -EPROTONOSUPPORT,
                                 "the database %s has schema version %" PRId64
                                 ", this rosterd knows versions up to %d; run the newer rosterd,"
                                 " or restore a backup of that time",
                                 s->path, version, m->n);
        if (version < 0 || (version > 0 && objects == 0))
                return error_set(err, -EUCLEAN,
                                 "the database %s is damaged: version %" PRId64 " with %" PRId64
                                 " tables; restore a backup",
                                 s->path, version, objects);
        *ret = (int) version;
        return 0;
}

/* Foreign keys are not enforced while tables are rebuilt (they are off until the store is open);
 * instead all rows are looked at before anything is committed. */
static int check_references(Store *s, Error *err) {
        CLEANUP(stmt_finalizep) sqlite3_stmt *st = NULL;
        int r;

        if (sqlite3_prepare_v2(s->db, "PRAGMA foreign_key_check", -1, &st, NULL) != SQLITE_OK)
                return store_error(s, err, "checking references");
        r = store_step(s, st, "checking references", err);
        if (r == STMT_ROW)
                return error_set(err, -EUCLEAN,
                                 "the database %s is damaged: rows of %s refer to nothing; restore"
                                 " a backup",
                                 s->path, (const char *) sqlite3_column_text(st, 0));
        return r;
}

static int run_steps(Store *s, const Migrations *m, int version, Error *err) {
        char mark[96];
        int r = 0;

        for (int n = version; n < m->n && r >= 0; n++) {
                r = store_exec_sql(s, m->steps[n], "changing its schema", err);
                if (r < 0)
                        return error_prefix(err, r, "schema version %d to %d", n, n + 1);
        }
        (void) snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
                        STORE_APPLICATION_ID, m->n);
        r = store_exec_sql(s, mark, "changing its schema", err);
        if (r >= 0 && version > 0)
                r = check_references(s, err);
        return r;
}

int store_schema_migrate(Store *s, const Migrations *m, int version, Error *err) {
        bool own = false;
        int r;

        if (version == m->n)
                return 0;
        r = store_begin_own(s, &own, err);
        if (r < 0)
                return r;
        return store_end_own(s, own, run_steps(s, m, version, err), err);
}

int store_open_model(int version, Store **ret, Error *err) {
        CLEANUP(store_closep) Store *s = calloc(1, sizeof *s);
        int r = 0;

        if (!s)
                return error_set(err, -ENOMEM, "out of memory");
        s->lock = -1;
        s->path = strdup(":memory:");
        if (!s->path)
                return error_set(err, -ENOMEM, "out of memory");
        if (sqlite3_open(":memory:", &s->db) != SQLITE_OK)
                return store_error(s, err, "opening it");
        for (int n = 0; n < version && n < store_migrations.n && r >= 0; n++)
                r = store_exec_sql(s, store_migrations.steps[n], "making its schema", err);
        if (r < 0)
                return r;
        *ret = take_ptr(s);
        return 0;
}
