/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at a database as a whole. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/store-read-internal.h"

#define FAULTS_MAX "20" /* told of each kind */

typedef struct Verify {
        Store *store;
        VerifyTell tell;
        void *userdata;
} Verify;

/* Tells each row of a question, made of fmt by SQLite, as a fault; none: that all is well. */
static int ask(Verify *v, const char *check, const char *well, const char *sql, Error *err) {
        CLEANUP(rows_freep) Rows *rows = NULL;
        const Cell *cells = NULL;
        int r = rows_new(v->store, "verifying it", &rows, err, "%s", sql), n = 0;

        while (r >= 0 && (r = rows_next(rows, &cells, err)) == ROWS_ROW) {
                v->tell(check, true, cells[0].text ? cells[0].text : "?", v->userdata);
                n++;
        }
        if (r == -EUCLEAN) { /* so damaged that it cannot even be asked */
                v->tell(check, true, err->msg, v->userdata);
                return 0;
        }
        if (r >= 0 && n == 0)
                v->tell(check, false, well, v->userdata);
        return r;
}

static int check_schema(Verify *v, Error *err) {
        CLEANUP(store_closep) Store *fresh = NULL;
        CLEANUP(rows_freep) Rows *rows = NULL;
        const Cell *cells = NULL;
        char said[120];
        int64_t version = 0;
        int faults = 0, r;

        r = store_number(v->store, "PRAGMA user_version", &version, err);
        if (r >= 0)
                r = store_open_model((int) version, &fresh, err);
        if (r >= 0)
                r = rows_new(fresh, "verifying it", &rows, err,
                             "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL");
        while (r >= 0 && (r = rows_next(rows, &cells, err)) == ROWS_ROW) {
                CLEANUP(rows_freep) Rows *own = NULL;
                const Cell *there = NULL;

                r = rows_new(v->store, "verifying it", &own, err,
                             "SELECT sql FROM sqlite_schema WHERE name = %Q", cells[0].text);
                if (r >= 0)
                        r = rows_next(own, &there, err);
                if (r < 0)
                        return r;
                if (r == ROWS_ROW && there[0].text && strcmp(there[0].text, cells[1].text) == 0)
                        continue;
                (void) snprintf(said, sizeof said, "%s %s", cells[0].text,
                                r == ROWS_ROW ? "is not as rosterd makes it" : "is missing");
                v->tell("schema", true, said, v->userdata);
                faults++;
        }
        (void) snprintf(said, sizeof said, "version %" PRId64 ", every table, index and view",
                        version);
        if (r >= 0 && faults == 0)
                v->tell("schema", false, said, v->userdata);
        return r;
}

int store_verify(Store *s, VerifyTell tell, void *userdata, Error *err) {
        Verify v = { .store = s, .tell = tell, .userdata = userdata };
        int r = ask(&v, "integrity", "every page, row and index",
                    "SELECT integrity_check FROM pragma_integrity_check(" FAULTS_MAX
                    ") WHERE integrity_check <> 'ok'",
                    err);

        if (r >= 0)
                r = check_schema(&v, err);
        if (r >= 0)
                r = ask(&v, "references", "every row refers to one that is there",
                        "SELECT format('row %d of %s refers to no row of %s', rowid, \"table\","
                        " parent) FROM pragma_foreign_key_check LIMIT " FAULTS_MAX,
                        err);
        if (r >= 0)
                r = ask(&v, "cursors", "every sink stands within the log",
                        "SELECT format('%s stands at event %d, the log ends at %d', sink, cursor,"
                        " log.seq) FROM sink_data, (SELECT ifnull((SELECT seq FROM"
                        " sqlite_sequence WHERE name = 'event_data'), 0) AS seq) log"
                        " WHERE cursor < 0 OR cursor > log.seq UNION ALL"
                        " SELECT format('event %d is beyond the count of events', max(seq))"
                        " FROM event_data HAVING max(seq) > ifnull((SELECT seq FROM"
                        " sqlite_sequence WHERE name = 'event_data'), 0)",
                        err);
        return r < 0 ? r : 0;
}
