/* SPDX-License-Identifier: Apache-2.0 */
/* People, as they are. */
#include <errno.h>
#include <string.h>

#include "store/store-read-internal.h"

/* When the registration status began: as user_history tells it, but for one user.  Of most nothing has
 * ever changed, and the log need not be asked. */
#define SINCE(without_event)                                                             \
        ", CASE WHEN u.last_changed_at = u.first_seen_at THEN u.first_seen_at"           \
        " ELSE ifnull((SELECT CASE e.type WHEN 'user.removed' THEN u.last_changed_at"    \
        " ELSE e.time END FROM event_data e WHERE e.user_id = u.user_id"                 \
        " AND e.account_key = u.account_key AND (e.field = 'user_registration_status'"   \
        " OR e.type IN ('user.removed', 'user.returned')) ORDER BY e.seq DESC LIMIT 1)," \
        " " without_event ") END AS since"
#define START                                          \
        "CASE WHEN s.row IS NULL THEN u.first_seen_at" \
        " ELSE ifnull(s.time, u.last_changed_at) END"
#define JOIN_START                                        \
        " LEFT JOIN status_start_data s ON s.row = u.row" \
        " AND s.field = 'user_registration_status'"
#define START_VERSION 6 /* of the schema that has it; a reader may be newer than the database */

void user_filter_where(sqlite3_str *sql, const UserFilter *f) {
        if (f->account)
                sqlite3_str_appendf(sql,
                                    " AND u.account_key ="
                                    " (SELECT key FROM account_data WHERE account = %Q)",
                                    f->account);
        /* Spelt out rather than bound, so that the indexes of some of these words can be used. */
        if (f->registration)
                sqlite3_str_appendf(sql, " AND u.user_registration_status = %Q", f->registration);
        if (f->invitation)
                sqlite3_str_appendf(sql, " AND u.user_invitation_status = %Q", f->invitation);
        if (f->email && strpbrk(f->email, "*?["))
                sqlite3_str_appendf(sql, " AND lower(u.primary_email) GLOB lower(%Q)", f->email);
        else if (f->email)
                sqlite3_str_appendf(sql, " AND u.primary_email = %Q", f->email);
}

int rows_new_str(Store *s, const char *what, sqlite3_str *sql, Rows **ret, Error *err) {
        char *text = sqlite3_str_finish(sql);
        int r = text ? rows_new(s, what, ret, err, "%s", text)
                     : error_set(err, -ENOMEM, "out of memory");

        sqlite3_free(text);
        return r;
}

int store_read_users(Store *s, const UserFilter *f, bool since, Rows **ret, Error *err) {
        sqlite3_str *sql = sqlite3_str_new(s->db);
        bool start = since && s->version >= START_VERSION;

        sqlite3_str_appendf(sql,
                            "SELECT " READ_USER_COLUMNS "%s%s FROM user_data u"
                            " LEFT JOIN account_data a ON a.key = u.account_key%s"
                            " WHERE u.removed_at IS %s NULL",
                            f->former ? ", u.removed_at" : "",
                            start   ? SINCE(START)
                            : since ? SINCE("u.first_seen_at")
                                    : "",
                            start ? JOIN_START : "", f->former ? "NOT" : "");
        user_filter_where(sql, f);
        sqlite3_str_appendall(sql, " ORDER BY u.row");
        return rows_new_str(s, "reading the users", sql, ret, err);
}

int store_read_person(Store *s, const char *who, const char *account, Rows **ret, Error *err) {
        sqlite3_str *sql = sqlite3_str_new(s->db);

        sqlite3_str_appendf(sql,
                            "SELECT u.removed_at IS NULL AS listed, " READ_USER_COLUMNS
                            ", u.removed_at FROM user_data u"
                            " LEFT JOIN account_data a ON a.key = u.account_key"
                            " WHERE (u.primary_email = %Q OR u.user_id = %Q)",
                            who, who);
        user_filter_where(sql, &(UserFilter){ .account = account });
        sqlite3_str_appendall(sql, " ORDER BY listed DESC, a.account, u.row");
        return rows_new_str(s, "looking up a user", sql, ret, err);
}

/* The account's key is looked up first, so that its index of listed users is used. */
#define OF_ACCOUNT "= (SELECT key FROM account_data WHERE account = %Q)"

int store_read_held(Store *s, const char *account, Rows **ret, Error *err) {
        return rows_new(s, "looking for held removals", ret, err,
                        "SELECT " READ_USER_COLUMNS " FROM user_data u INDEXED BY user_listed"
                        " JOIN account_data a ON a.key = u.account_key"
                        " WHERE u.account_key " OF_ACCOUNT
                        " AND u.removed_at IS NULL AND u.missing = %d AND a.held_removals > 0"
                        " ORDER BY u.row",
                        account, STORE_MISSING_HELD);
}

int store_read_held_count(Store *s, const char *account, int64_t *ret_held, int64_t *ret_listed,
                          Error *err) {
        CLEANUP(rows_freep) Rows *rows = NULL;
        int r = rows_new(s, "looking for held removals", &rows, err,
                         "SELECT held_removals, (SELECT count(*) FROM user_data u"
                         " INDEXED BY user_listed WHERE u.account_key = a.key"
                         " AND u.removed_at IS NULL) FROM account_data a WHERE account = %Q",
                         account);

        if (r >= 0)
                r = rows_step(rows, err);
        if (r < 0)
                return r;
        if (r == ROWS_END)
                return error_set(err, -ESRCH, "there is no account %s", account);
        *ret_held = sqlite3_column_int64(rows->st, 0);
        *ret_listed = sqlite3_column_int64(rows->st, 1);
        return 0;
}

/* Those that share the first letter or the part after the "@" come first; an index gives them. */
int store_read_similar(Store *s, const char *who, Rows **ret, Error *err) {
        char first[2] = { who[0], '\0' };

        return rows_new(s, "looking up a user", ret, err,
                        "SELECT primary_email FROM user_data WHERE primary_email >= %Q"
                        " AND primary_email < %Q || char(0x10ffff) LIMIT 100000",
                        first, first);
}

int store_read_history(Store *s, const char *account, const char *user_id, Rows **ret, Error *err) {
        return rows_new(s, "reading a history", ret, err,
                        "SELECT * FROM user_history WHERE user_id = %Q AND account = %Q"
                        " ORDER BY from_time, field, to_time IS NULL, to_time",
                        user_id, account);
}
