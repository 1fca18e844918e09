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

static int add_user(Sync *s, const User *u, int64_t *ret_row, Error *err) {
        int64_t now = time_now_ms();
        UserDates dates = { .first_seen_at = now, .last_changed_at = now };
        int r = batch_write(s->world->batch, err);

        if (r < 0)
                return r;
        r = store_user_insert(s->world->store, s->key, u, &dates, ret_row, err);
        if (r < 0)
                return r;
        s->counters.added++;
        if (!sync_arrivals_are_news(s))
                return 0;
        return sync_tell_user(s, USER_CHANGE_ADDED, NULL, u, NULL, &dates, now, err);
}

/* The user was known: writes what differs.  Takes over nothing; old->user is replaced. */
static int update_user(Sync *s, StoredUser *old, const User *u, bool former, Error *err) {
        StoredUser fresh = { .row = old->row, .user = *u, .dates = old->dates };
        int64_t now = time_now_ms();
        bool changed = user_diff(&old->user, u) != 0, news;
        int r;

        if (!changed && !former && old->missing == 0)
                return 0;
        r = batch_write(s->world->batch, err);
        if (r < 0)
                return r;
        if (!changed && !former)
                return store_user_set_missing(s->world->store, old->row, 0, err);

        fresh.dates.removed_at = TIME_NONE;
        fresh.dates.last_changed_at = now;
        r = store_user_update(s->world->store, &fresh, err);
        if (r < 0)
                return r;
        if (former)
                s->counters.added++;
        else
                s->counters.changed++;

        /* Of a user whom this very baseline has brought, nothing is news. */
        news = former || (s->baseline && old->dates.first_seen_at >= s->started)
                       ? sync_arrivals_are_news(s)
                       : true;
        if (!news)
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
                int r = store_user_by_row(s->world->store, s->deferred[i].row, &old, err);

                if (r < 0)
                        return r;
                r = update_user(s, &old, &s->deferred[i].user, r == STORE_FORMER, err);
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
static int apply_known(Sync *s, StoredUser *old, User *u, bool former, Error *err) {
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
        return update_user(s, old, u, former, err);
}

/* The record names somebody and cannot be read further: whatever is known of that person stays. */
static int apply_unreadable(Sync *s, const User *u, const Error *why, Error *err) {
        CLEANUP(stored_user_clearp) StoredUser old = { 0 };
        int r = store_user_find(s->world->store, s->key, user_get(u, USER_FIELD_USER_ID), &old,
                                err);

        if (r < 0)
                return r;
        if (r == STORE_LISTED && idset_add(&s->seen, (uint64_t) old.row) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        if (s->skipped++ == 0)
                (void) snprintf(s->skipped_why, sizeof s->skipped_why, "user %.40s: %.100s",
                                user_get(u, USER_FIELD_USER_ID), why->msg);
        return 0;
}

int sync_apply_record(Sync *s, const SourceRecord *record, Error *err) {
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
        r = store_user_find(s->world->store, s->key, user_get(&u, USER_FIELD_USER_ID), &old, err);
        if (r < 0)
                return r;
        if (r != STORE_ABSENT)
                return apply_known(s, &old, &u, r == STORE_FORMER, err);

        r = add_user(s, &u, &row, err);
        if (r < 0)
                return r;
        s->pages_without_news = 0;
        return idset_add(&s->seen, (uint64_t) row) < 0 ? error_set(err, -ENOMEM, "out of memory")
                                                       : 0;
}
