/* SPDX-License-Identifier: Apache-2.0 */
/* The roster as it was.
 *
 * A time is a place in the log: after the last event that was written by then.  Of whom the next
 * event tells, the row of then is what that event found: its image of the user, with its changes
 * undone.  Of whom no event tells, the row is the present one.  What changes without an event (a
 * baseline is quiet) shows in last_changed_at: if that is later than the time still, the row of then
 * is the image that the last event before it left. */
#include <errno.h>
#include <string.h>

#include "base/timefmt.h"
#include "store/store-read-internal.h"

typedef struct Past {
        int64_t at, cut; /* ms; seq of the last event of then */
        char at_text[TIME_TEXT_SIZE];
        UserFilter filter;
        sqlite3_stmt *later, *before;
        User user;
        UserDates dates;
        bool listed;
        char first_seen[TIME_TEXT_SIZE], last_changed[TIME_TEXT_SIZE], removed[TIME_TEXT_SIZE];
} Past;

/* Columns of the main statement: those of former_users, and these. */
enum {
        AT_FIRST_SEEN = READ_USER_AT + USER_FIELD_COUNT,
        AT_LAST_CHANGED,
        AT_REMOVED,
        AT_ACCOUNT_KEY,
        AT_LATER, /* whether there are events behind the time */
};

#define ABOUT_USER " FROM event_data WHERE user_id = ?1 AND account_key = ?2"

void past_free(Past *p) {
        if (!p)
                return;
        user_clear(&p->user);
        (void) sqlite3_finalize(p->later);
        (void) sqlite3_finalize(p->before);
        free(p);
}
DEFINE_CLEANUP(Past *, past_free)

/* ---- one person ---- */

static int damaged(Rows *r, int code, Error *err) {
        if (code == -ENOMEM)
                return error_set(err, code, "out of memory");
        return error_set(err, -EUCLEAN,
                         "the database %s is damaged: an event of user %.60s cannot be read;"
                         " restore a backup",
                         r->store->path, r->cells[READ_USER_AT + USER_FIELD_USER_ID].text);
}

static int read_present(Rows *r, Error *err) {
        Past *p = r->past;
        int rc = store_column_time(r->store, r->st, AT_FIRST_SEEN, &p->dates.first_seen_at, err);

        if (rc >= 0)
                rc = store_column_time(r->store, r->st, AT_LAST_CHANGED, &p->dates.last_changed_at,
                                       err);
        if (rc >= 0)
                rc = store_column_time(r->store, r->st, AT_REMOVED, &p->dates.removed_at, err);
        user_clear(&p->user);
        for (int i = 0; i < USER_FIELD_COUNT && rc >= 0; i++)
                rc = store_column_text(r->store, r->st, READ_USER_AT + i, &p->user.value[i], err);
        p->listed = p->dates.removed_at == TIME_NONE;
        return rc;
}

static int bind_person(Rows *r, sqlite3_stmt *st, Error *err) {
        if (sqlite3_bind_text(st, 1, r->past->user.value[USER_FIELD_USER_ID], -1,
                              SQLITE_TRANSIENT) |
            sqlite3_bind_int64(st, 2, sqlite3_column_int64(r->st, AT_ACCOUNT_KEY)) |
            sqlite3_bind_int64(st, 3, r->past->cut))
                return store_error(r->store, err, r->what);
        return 0;
}

static int undo_one(Rows *r, sqlite3_stmt *st, Error *err) {
        Past *p = r->past;
        const char *type = (const char *) sqlite3_column_text(st, 0);
        const char *changes = (const char *) sqlite3_column_text(st, 1);
        int rc = changes ? event_undo(changes, &p->user, &p->dates) : 0;

        if (type && strcmp(type, event_types[EVENT_USER_REMOVED].name) == 0)
                p->listed = true;
        else if (type && strcmp(type, event_types[EVENT_USER_RETURNED].name) == 0)
                p->listed = false;
        return rc < 0 ? damaged(r, rc, err) : 0;
}

/* Goes back to what the next event found.  One change may be told in several events; they follow one
 * another and hold the same image. */
static int undo(Rows *r, Error *err) {
        Past *p = r->past;
        CLEANUP(stmt_releasep) sqlite3_stmt *st = p->later;
        CLEANUP_FREE char *image = NULL;
        int rc = bind_person(r, st, err);

        while (rc >= 0 && (rc = store_step(r->store, st, r->what, err)) == STMT_ROW) {
                const char *text = (const char *) sqlite3_column_text(st, 2);

                if (!text)
                        return damaged(r, -EBADMSG, err);
                if (image && strcmp(image, text) != 0)
                        break;
                if (!image) {
                        image = strdup(text);
                        rc = image ? event_image_read(text, &p->user, &p->dates) : -ENOMEM;
                        if (rc < 0)
                                return damaged(r, rc, err);
                        p->listed = p->dates.removed_at == TIME_NONE;
                        p->dates.removed_at = TIME_NONE; /* it is of another time */
                }
                rc = undo_one(r, st, err);
        }
        return rc < 0 ? rc : 0;
}

/* The image of the last event before the time; for a row that changed quietly, and for the date on
 * which somebody left. */
static int read_image(Rows *r, bool whole, Error *err) {
        Past *p = r->past;
        CLEANUP(stmt_releasep) sqlite3_stmt *st = p->before;
        User user = { 0 };
        UserDates dates = { 0 };
        const char *image;
        int rc = bind_person(r, st, err);

        if (rc >= 0)
                rc = store_step(r->store, st, r->what, err);
        image = rc == STMT_ROW ? (const char *) sqlite3_column_text(st, 0) : NULL;
        if (rc < 0 || !image)
                return rc;
        rc = event_image_read(image, &user, &dates);
        if (rc >= 0 && whole) {
                user_clear(&p->user);
                p->user = user;
                user = (User){ 0 };
                p->dates = dates;
                p->listed = dates.removed_at == TIME_NONE;
        } else if (rc >= 0)
                p->dates.removed_at = dates.removed_at;
        user_clear(&user);
        return rc < 0 ? damaged(r, rc, err) : 0;
}

static int rebuild(Rows *r, Error *err) {
        Past *p = r->past;
        int rc = read_present(r, err);

        if (rc >= 0 && sqlite3_column_int(r->st, AT_LATER))
                rc = undo(r, err);
        if (rc >= 0 && p->dates.last_changed_at > p->at)
                rc = read_image(r, true, err);
        else if (rc >= 0 && !p->listed && p->dates.removed_at == TIME_NONE)
                rc = read_image(r, false, err);
        if (p->dates.removed_at > p->at) { /* gone since, without a word */
                p->dates.removed_at = TIME_NONE;
                p->listed = true;
        }
        return rc;
}

/* ---- its cells ---- */

static Cell time_cell(int64_t ms, char buf[static TIME_TEXT_SIZE]) {
        if (ms == TIME_NONE)
                return (Cell){ 0 };
        time_format(ms, buf);
        return cell_text(buf);
}

static void fill_cells(Rows *r) {
        Past *p = r->past;

        for (int i = 0; i < USER_FIELD_COUNT; i++) {
                Cell c = cell_text(p->user.value[i]);

                if (c.text && user_fields[i].type == FIELD_BOOL)
                        c.type = CELL_NUMBER;
                r->cells[READ_USER_AT + i] = c;
        }
        r->cells[AT_FIRST_SEEN] = time_cell(p->dates.first_seen_at, p->first_seen);
        r->cells[AT_LAST_CHANGED] = time_cell(p->dates.last_changed_at, p->last_changed);
        r->cells[AT_REMOVED] = time_cell(p->dates.removed_at, p->removed);
}

static bool is(const Cell *c, const char *wanted) {
        return !wanted || (c->text && strcmp(c->text, wanted) == 0);
}

static char *lower(const char *text) {
        char *copy = strdup(text);

        for (char *at = copy; at && *at; at++)
                if (*at >= 'A' && *at <= 'Z')
                        *at = (char) (*at + 32);
        return copy;
}

static bool email_matches(const Cell *c, const char *glob) {
        CLEANUP_FREE char *text = NULL, *pattern = NULL;

        if (!glob)
                return true;
        if (!c->text)
                return false;
        if (!strpbrk(glob, "*?["))
                return sqlite3_stricmp(c->text, glob) == 0;
        text = lower(c->text);
        pattern = lower(glob);
        return text && pattern && sqlite3_strglob(pattern, text) == 0;
}

static bool is_wanted(const Rows *r, bool listed) {
        const UserFilter *f = &r->past->filter;

        return listed != f->former &&
               is(&r->cells[READ_USER_AT + USER_FIELD_USER_REGISTRATION_STATUS], f->registration) &&
               is(&r->cells[READ_USER_AT + USER_FIELD_USER_INVITATION_STATUS], f->invitation) &&
               email_matches(&r->cells[READ_USER_AT + USER_FIELD_PRIMARY_EMAIL], f->email);
}

/* Whether the row is now as it was at the time, but for a removal since. */
static bool is_unchanged(const Rows *r) {
        const Past *p = r->past;
        const char *changed = r->cells[AT_LAST_CHANGED].text, *removed = r->cells[AT_REMOVED].text;

        return !sqlite3_column_int(r->st, AT_LATER) && changed &&
               strcmp(changed, p->at_text) <= 0 && (!removed || strcmp(removed, p->at_text) <= 0);
}

static int next(Rows *r, Error *err) {
        Past *p = r->past;

        for (;;) {
                int rc;

                rc = rows_step(r, err);
                if (rc != ROWS_ROW)
                        return rc;
                p->listed = !r->cells[AT_REMOVED].text;
                if (!is_unchanged(r)) {
                        rc = rebuild(r, err);
                        if (rc < 0)
                                return rc;
                        fill_cells(r);
                }
                r->cells[READ_USER_AT + USER_FIELD_PERSONAL_PIN] = (Cell){ 0 };
                if (is_wanted(r, p->listed))
                        return ROWS_ROW;
        }
}

/* ---- the question ---- */

/* Whether every event behind the time is still there: retention takes the oldest away. */
static int check_reach(Store *s, const char *at, Error *err) {
        CLEANUP(rows_freep) Rows *r = NULL;
        const Cell *cells = NULL;
        int rc = rows_new(s, "reading events", &r, err,
                          "SELECT ifnull((SELECT min(time) FROM event_data WHERE seq ="
                          " (SELECT min(seq) FROM event_data)), (SELECT max(max(last_changed_at),"
                          " ifnull(max(removed_at), '')) FROM user_data)) AS kept"
                          " WHERE ifnull((SELECT min(seq) FROM event_data), 2) > 1"
                          " AND EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'event_data')");

        if (rc >= 0)
                rc = rows_next(r, &cells, err);
        if (rc == ROWS_ROW && cells[0].text && strcmp(cells[0].text, at) > 0)
                return error_set(err, -ERANGE,
                                 "the roster of %s cannot be rebuilt: older events than %s have"
                                 " been deleted; ask for a later time",
                                 at, cells[0].text);
        return rc < 0 ? rc : 0;
}

/* Before the first listing nobody knows who was there: that is not the same as nobody. */
static int check_beginning(Store *s, const char *at, const char *account, Error *err) {
        CLEANUP(rows_freep) Rows *r = NULL;
        const Cell *cells = NULL;
        sqlite3_str *sql = sqlite3_str_new(s->db);
        int rc;

        sqlite3_str_appendall(sql, "SELECT u.first_seen_at FROM user_data u WHERE u.row > 0");
        user_filter_where(sql, &(UserFilter){ .account = account });
        sqlite3_str_appendall(sql, " ORDER BY u.row LIMIT 1");
        rc = rows_new_str(s, "reading the users", sql, &r, err);
        if (rc >= 0)
                rc = rows_next(r, &cells, err);
        if (rc == ROWS_ROW && cells[0].text && strcmp(cells[0].text, at) > 0)
                return error_set(err, -ERANGE,
                                 "the roster of %s is not known: the first listing came at %s; ask"
                                 " for a later time",
                                 at, cells[0].text);
        return rc < 0 ? rc : 0;
}

static int prepare(Store *s, Past *p, Error *err) {
        CLEANUP(stmt_finalizep) sqlite3_stmt *cut = NULL;

        if (sqlite3_prepare_v2(s->db, "SELECT ifnull(max(seq), 0) FROM event_data WHERE time <= ?1",
                               -1, &cut, NULL) ||
            sqlite3_bind_text(cut, 1, p->at_text, -1, SQLITE_STATIC) ||
            sqlite3_step(cut) != SQLITE_ROW)
                return store_error(s, err, "reading events");
        p->cut = sqlite3_column_int64(cut, 0);
        if (sqlite3_prepare_v2(s->db,
                               "SELECT type, changes, user_image" ABOUT_USER
                               " AND seq > ?3 ORDER BY seq",
                               -1, &p->later, NULL) ||
            sqlite3_prepare_v2(s->db,
                               "SELECT user_image" ABOUT_USER
                               " AND seq <= ?3 ORDER BY seq DESC LIMIT 1",
                               -1, &p->before, NULL))
                return store_error(s, err, "reading events");
        return 0;
}

int store_read_users_as_of(Store *s, const UserFilter *f, int64_t at, Rows **ret, Error *err) {
        CLEANUP(past_freep) Past *p = calloc(1, sizeof *p);
        CLEANUP(rows_freep) Rows *r = NULL;
        sqlite3_str *sql;
        int rc;

        if (!p)
                return error_set(err, -ENOMEM, "out of memory");
        p->at = at;
        p->filter = *f;
        time_format(at, p->at_text);
        rc = check_reach(s, p->at_text, err);
        if (rc >= 0)
                rc = check_beginning(s, p->at_text, f->account, err);
        if (rc >= 0)
                rc = prepare(s, p, err);
        if (rc < 0)
                return rc;
        sql = sqlite3_str_new(s->db);
        sqlite3_str_appendf(sql,
                            "SELECT " READ_USER_COLUMNS ", u.removed_at, u.account_key,"
                            " EXISTS (SELECT 1 FROM event_data e WHERE e.user_id = u.user_id"
                            " AND e.account_key = u.account_key AND e.seq > %lld)"
                            " FROM user_data u LEFT JOIN account_data a ON a.key = u.account_key"
                            " WHERE u.first_seen_at <= %Q",
                            (long long) p->cut, p->at_text);
        user_filter_where(sql, &(UserFilter){ .account = f->account });
        sqlite3_str_appendall(sql, " ORDER BY u.row");
        rc = rows_new_str(s, "reading the users", sql, &r, err);
        if (rc < 0)
                return rc;
        r->n = f->former ? AT_REMOVED + 1 : AT_REMOVED;
        r->next = next;
        r->past = take_ptr(p);
        *ret = take_ptr(r);
        return 0;
}
