/* SPDX-License-Identifier: Apache-2.0 */
/* Events and runs. */
#include "base/timefmt.h"
#include "store/store-read-internal.h"

#define ACCOUNT_IS " AND %s.account_key = (SELECT key FROM account_data WHERE account = %Q)"

/* An index finds the first event of that time; the log is then read in its own order. */
static void event_where(sqlite3_str *sql, const EventFilter *f) {
        char since[TIME_TEXT_SIZE];

        sqlite3_str_appendf(sql, " WHERE e.seq > %lld", (long long) f->after);
        if (f->account)
                sqlite3_str_appendf(sql, ACCOUNT_IS, "e", f->account);
        if (f->user_id)
                sqlite3_str_appendf(sql, " AND e.user_id = %Q", f->user_id);
        if (f->type)
                sqlite3_str_appendf(sql, " AND e.type GLOB %Q", f->type);
        if (f->since != TIME_NONE) {
                time_format(f->since, since);
                sqlite3_str_appendf(sql,
                                    " AND +e.time >= %Q AND e.seq >= ifnull((SELECT min(seq)"
                                    " FROM event_data WHERE time >= %Q), 0x7fffffffffffffff)",
                                    since, since);
        }
}

int store_read_events(Store *s, const EventFilter *f, Rows **ret, Error *err) {
        sqlite3_str *sql = sqlite3_str_new(s->db);

        sqlite3_str_appendall(sql, "SELECT e.seq, e.id, e.time, e.type, a.account, e.user_id,"
                                   " e.primary_email, e.field, e.old_value, e.new_value, e.run_id,"
                                   " e.changes, e.detail FROM event_data e"
                                   " LEFT JOIN account_data a ON a.key = e.account_key");
        event_where(sql, f);
        if (f->last > 0) {
                sqlite3_str_appendall(sql, " AND e.seq >= ifnull((SELECT min(seq) FROM"
                                           " (SELECT e.seq AS seq FROM event_data e");
                event_where(sql, f);
                sqlite3_str_appendf(sql, " ORDER BY e.seq DESC LIMIT %lld)), 0)",
                                    (long long) f->last);
        }
        sqlite3_str_appendall(sql, " ORDER BY e.seq");
        return rows_new_str(s, "reading events", sql, ret, err);
}

int store_read_runs(Store *s, const char *account, int64_t limit, Rows **ret, Error *err) {
        sqlite3_str *sql = sqlite3_str_new(s->db);

        sqlite3_str_appendall(sql,
                              "SELECT r.run_id, a.account, r.started_at, r.finished_at, r.outcome,"
                              " r.pages, r.users, r.added, r.changed, r.removed, r.retries,"
                              " r.throttled, r.error FROM run_data r"
                              " LEFT JOIN account_data a ON a.key = r.account_key WHERE 1");
        if (account)
                sqlite3_str_appendf(sql, ACCOUNT_IS, "r", account);
        sqlite3_str_appendf(sql, " ORDER BY r.run_id DESC LIMIT %lld",
                            limit > 0 ? (long long) limit : -1LL);
        return rows_new_str(s, "reading runs", sql, ret, err);
}
