/* SPDX-License-Identifier: Apache-2.0 */
/* What one record of a page means for the snapshot. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "daemon/sync-internal.h"

#define DEFERRED_MAX 1000

static void stored_user_clearp(StoredUser *u) {
        stored_user_clear(u);
}

static void user_clearp(User *u) {
        user_clear(u);
}

int sync_tell(Sync *s, EventKind kind, const char *detail_json, Error *err) {
        CLEANUP(event_freep) Event *e = NULL;

        if (event_for_account(kind, detail_json, s->run, time_now_ms(), &e) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        return store_event_append(s->world->store, s->key, e, err);
}

int sync_tell_user(Sync *s, UserChange change, const User *old, const User *new,
                   const UserDates *old_dates, const UserDates *new_dates, int64_t now,
                   Error *err) {
        EventPlan plan[EVENT_PLAN_MAX];
        size_t n = event_plan(change, old, new, plan);

        for (size_t i = 0; i < n; i++) {
                CLEANUP(event_freep) Event *e = NULL;
                int r;

                /* the first event of a change carries the step of last_changed_at */
                if (event_for_user(&plan[i], old, new, i == 0 ? old_dates : NULL, new_dates, s->run,
                                   now, &e) < 0)
                        return error_set(err, -ENOMEM, "out of memory");
                r = store_event_append(s->world->store, s->key, e, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

bool sync_arrivals_are_news(const Sync *s) {
        return !s->baseline || (!s->rescoped && s->account->baseline == BASELINE_EVENTS);
}

/* Should this run fail and the configuration go back, that takes a baseline, too, lest people be told as
 * removed who were never told as added, or as returned who were never told as removed. */
int sync_leave_scope(Sync *s, Error *err) {
        if (!s->rescoped || s->state.scope[0] == '\0')
                return 0;
        s->state.scope[0] = '\0';
        return store_account_put(s->world->store, s->key, &s->state, err);
}

/* Set in the environment, every record is read the slow way, and no marks are made: for tests, which
 * compare what the two ways come to. */
#define SLOW_WAY "ROSTERD_READ_EVERY_RECORD"

/* What becomes of which member: with another table of fields, all are read anew. */
#define FIELD_READING(id, json, parent, column, type, flags) \
        " " parent "." json ">" #column ":" #type

int sync_known_begin(Sync *s, Error *err) {
        CLEANUP_FREE char *context = NULL;

        if (getenv(SLOW_WAY))
                return 0;
        if (asprintf(&context, "%u %d %s" USER_FIELDS(FIELD_READING), s->source->reading,
                     s->config->store_personal_pin, s->scope) < 0) {
                context = NULL;
                return error_set(err, -ENOMEM, "out of memory");
        }
        return known_begin(&s->known, s->world->store, s->key, context, err);
}

/* 1: the user of this row has not changed, and that was all there is to do.  0: those whom the listing
 * names twice, or did last time, go the slow way. */
static int recognise(Sync *s, int64_t row, Error *err) {
        int r;

        if (!row || idset_contains(&s->memory->contested, (uint64_t) row))
                return 0;
        r = idset_add(&s->seen, (uint64_t) row);
        if (r < 0)
                return error_set(err, -ENOMEM, "out of memory");
        if (r == IDSET_PRESENT)
                return 0;
        s->pages_without_news = 0;
        s->recognised++;
        return 1;
}

/* A baseline has brought somebody new, or back: that is not told, nor is anything else of them in this
 * run. */
static int bring_quietly(Sync *s, int64_t row, Error *err) {
        if (idset_add(&s->brought, (uint64_t) row) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        return sync_leave_scope(s, err);
}

static int add_user(Sync *s, const User *u, RecordMark mark, int64_t *ret_row, Error *err) {
        int64_t now = time_now_ms();
        UserDates dates = { .first_seen_at = now, .last_changed_at = now };
        int r = sync_arrivals_are_news(s) ? batch_write(s->world->batch, err) : 0;

        if (r < 0)
                return r;
        r = store_user_insert(s->world->store, s->key, u, &dates, mark, ret_row, err);
        if (r < 0)
                return r;
        s->counters.added++;
        if (!sync_arrivals_are_news(s))
                return bring_quietly(s, *ret_row, err);
        return sync_tell_user(s, USER_CHANGE_ADDED, NULL, u, NULL, &dates, now, err);
}

/* The user is as before: what is to be written is at most the mark, and that nobody is missing. */
static int confirm_user(Sync *s, const StoredUser *old, RecordMark mark, Error *err) {
        const RecordMark before = known_mark_of(&s->known, old->row);
        bool other = mark.len && memcmp(&before, &mark, sizeof mark) != 0;
        bool renews = other && before.len;

        if (old->missing == 0 && (!other || (renews && !s->confirms)))
                return 0;
        s->confirmed += renews;
        return old->missing
                       ? store_user_set_missing(s->world->store, s->key, old->row, 0, mark, err)
                       : store_user_mark(s->world->store, s->key, old->row, mark, err);
}

/* The user was known: writes what differs.  Takes over nothing; old->user is replaced. */
static int update_user(Sync *s, StoredUser *old, const User *u, RecordMark mark, bool former,
                       Error *err) {
        StoredUser fresh = { .row = old->row, .user = *u, .dates = old->dates };
        int64_t now = time_now_ms();
        bool changed = user_diff(&old->user, u) != 0;
        int r;

        if (!changed && !former)
                return confirm_user(s, old, mark, err);
        r = batch_write(s->world->batch, err);
        if (r < 0)
                return r;

        fresh.dates.removed_at = TIME_NONE;
        fresh.dates.last_changed_at = now;
        r = store_user_amend(s->world->store, s->key, old, &fresh, mark, err);
        if (r < 0)
                return r;
        if (former)
                s->counters.added++;
        else
                s->counters.changed++;

        if (former && !sync_arrivals_are_news(s))
                return bring_quietly(s, old->row, err);
        if (idset_contains(&s->brought, (uint64_t) old->row))
                return 0;
        return sync_tell_user(s, former ? USER_CHANGE_RETURNED : USER_CHANGE_UPDATED, &old->user, u,
                              &old->dates, &fresh.dates, now, err);
}

/* Keeps u back; its fields move. Returns whether there was room. */
static bool defer(Sync *s, int64_t row, User *u) {
        if (!s->deferred)
                s->deferred = calloc(DEFERRED_MAX, sizeof *s->deferred);
        if (!s->deferred || s->n_deferred == DEFERRED_MAX)
                return false;
        s->deferred[s->n_deferred++] = (Deferred){ .row = row, .user = *u };
        *u = (User){ 0 };
        return true;
}

static void undefer(Sync *s, int64_t row) {
        for (size_t i = 0; i < s->n_deferred; i++)
                if (s->deferred[i].row == row) {
                        user_clear(&s->deferred[i].user);
                        s->deferred[i] = s->deferred[--s->n_deferred];
                        return;
                }
}

void sync_drop_deferred(Sync *s) {
        while (s->n_deferred > 0)
                user_clear(&s->deferred[--s->n_deferred].user);
        free(s->deferred);
        s->deferred = NULL;
}

int sync_apply_deferred(Sync *s, Error *err) {
        for (size_t i = 0; i < s->n_deferred; i++) {
                CLEANUP(stored_user_clearp) StoredUser old = { 0 };
                int r = batch_write_quietly(s->world->batch, err);

                if (r >= 0)
                        r = store_user_by_row(s->world->store, s->deferred[i].row, &old, err);
                if (r < 0)
                        return r;
                r = update_user(s, &old, &s->deferred[i].user, (RecordMark){ 0 }, r == STORE_FORMER,
                                err);
                if (r < 0)
                        return r;
        }
        sync_drop_deferred(s);
        return 0;
}

/* The user stands on the listing, and in the snapshot.  A listing may name somebody twice, because
 * people moved between its pages while it was read, or by mistake; the last record counts.  Where the
 * two differ time and again, telling both would be a storm of untrue events, so that from the second
 * listing on the first record is kept back. */
static int apply_known(Sync *s, StoredUser *old, User *u, RecordMark mark, bool former,
                       Error *err) {
        int r = idset_add(&s->seen, (uint64_t) old->row);

        if (r < 0)
                return error_set(err, r, "out of memory");
        if (r == IDSET_PRESENT) {
                undefer(s, old->row);
                if ((user_diff(&old->user, u) ||
                     idset_contains(&s->memory->contested, (uint64_t) old->row)) &&
                    idset_add(&s->contested, (uint64_t) old->row) < 0)
                        return error_set(err, -ENOMEM, "out of memory");
        } else {
                s->pages_without_news = 0;
                if (idset_contains(&s->memory->contested, (uint64_t) old->row) &&
                    (former || user_diff(&old->user, u)) && defer(s, old->row, u))
                        return 0;
        }
        return update_user(s, old, u, mark, former, err);
}

/* The record names somebody and cannot be read further: whatever is known of that person stays, but who
 * is on the listing is not missing. */
static int apply_unreadable(Sync *s, const User *u, const Error *why, Error *err) {
        CLEANUP(stored_user_clearp) StoredUser old = { 0 };
        int r = batch_write_quietly(s->world->batch, err);

        if (r >= 0)
                r = store_user_find(s->world->store, s->key, user_get(u, USER_FIELD_USER_ID), 0,
                                    &old, err);
        if (r < 0)
                return r;
        if (r == STORE_LISTED) {
                r = idset_add(&s->seen, (uint64_t) old.row);
                if (r < 0)
                        return error_set(err, -ENOMEM, "out of memory");
                if (r == IDSET_ADDED)
                        s->pages_without_news = 0;
                r = confirm_user(s, &old, (RecordMark){ 0 }, err);
                if (r < 0)
                        return r;
        }
        if (s->skipped++ == 0)
                (void) snprintf(s->skipped_why, sizeof s->skipped_why, "user %.40s: %.100s",
                                user_get(u, USER_FIELD_USER_ID), why->msg);
        return 0;
}

/* Whose record stands behind one that stood in its place is mostly the user of the next row. */
static int find_user(Sync *s, const char *user_id, StoredUser *ret, Error *err) {
        int64_t likely = s->in_order ? s->in_order + 1 : 0;
        int r = store_user_find(s->world->store, s->key, user_id, likely, ret, err);

        if (r > STORE_ABSENT && ret->row == likely)
                s->in_order = likely;
        else if (likely) {
                s->in_order = 0;
                known_missed(&s->known);
        }
        return r;
}

/* The record has to be read. */
static int apply_read(Sync *s, const SourceRecord *record, RecordMark mark, Error *err) {
        CLEANUP(user_clearp) User u = { 0 };
        CLEANUP(stored_user_clearp) StoredUser old = { 0 };
        Error why = { 0 };
        int64_t row;
        int r = s->source->record(s->account, record, &u, &why);

        switch (r) {
        case RECORD_USER:
                break;
        case RECORD_UNREADABLE:
                return apply_unreadable(s, &u, &why, err);
        case RECORD_UNIDENTIFIED:
                if (s->unidentified++ == 0)
                        (void) snprintf(s->unidentified_why, sizeof s->unidentified_why, "%.150s",
                                        why.msg);
                return 0;
        case RECORD_FOREIGN:
                return error_set(err, -EBADMSG,
                                 "the listing has users of another account (%s); check endpoint "
                                 "and account_id",
                                 why.msg);
        default:
                return error_set(err, r, "%s", why.msg);
        }

        if (!s->config->store_personal_pin)
                (void) user_set(&u, USER_FIELD_PERSONAL_PIN, NULL);
        /* Nobody else, who corrects a row by hand, writes between what is read and what comes of it. */
        r = batch_write_quietly(s->world->batch, err);
        if (r >= 0)
                r = find_user(s, user_get(&u, USER_FIELD_USER_ID), &old, err);
        if (r < 0)
                return r;
        if (r != STORE_ABSENT)
                return apply_known(s, &old, &u, mark, r == STORE_FORMER, err);

        r = add_user(s, &u, mark, &row, err);
        if (r < 0)
                return r;
        s->pages_without_news = 0;
        return idset_add(&s->seen, (uint64_t) row) < 0 ? error_set(err, -ENOMEM, "out of memory")
                                                       : 0;
}

/* Whether a record that does not stand where it is expected has rather changed than moved. */
static bool has_rather_changed(const Sync *s) {
        return s->in_order && s->known.state == KNOWN_LOADED && !known_is_mixed(&s->known);
}

int sync_apply_record(Sync *s, const SourceRecord *record, Error *err) {
        RecordMark mark;
        int r = recognise(s, record->row, err);

        if (r > 0)
                s->in_order = record->row;
        if (r != 0)
                return r;
        mark = known_mark(&s->known, record->data, record->len);
        if (!has_rather_changed(s)) {
                r = recognise(s, known_find(&s->known, mark), err);
                if (r != 0)
                        return r;
        }
        /* It may yet turn out to be known; nor is anybody written before all of the list is loaded. */
        if (s->known.state == KNOWN_LOADING)
                return -EAGAIN;
        return apply_read(s, record, mark, err);
}
