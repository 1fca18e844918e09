/* SPDX-License-Identifier: Apache-2.0 */
/* Who is gone: only a complete listing says so. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/timefmt.h"
#include "daemon/sync-internal.h"

#define SCAN_ROWS 4096  /* looked at in one turn of the loop */
#define REMOVE_ROWS 200 /* removed in one turn */

/* A percentage never holds this few, nor lets pass more than that many. */
#define PERCENT_LEAST 5
#define PERCENT_MOST 500

static size_t removal_limit(const MaxRemovals *max, int64_t listed) {
        uint64_t n = (uint64_t) listed;

        if (!max->percent)
                return max->value;
        if (max->value >= 100)
                return SIZE_MAX;
        if (max->value == 0)
                return 0;
        n = n / 100 * max->value + n % 100 * max->value / 100;
        return n < PERCENT_LEAST ? PERCENT_LEAST : n > PERCENT_MOST ? PERCENT_MOST : (size_t) n;
}

static int set_missing(Sync *s, int64_t row, unsigned missing, Error *err) {
        static const RecordMark none = { 0 };
        int r = batch_write(s->world->batch, err);

        return r < 0 ? r : store_user_set_missing(s->world->store, s->key, row, missing, none, err);
}

/* So that people see whose removal is held. */
static int mark_held(Sync *s, int64_t row, Error *err) {
        return set_missing(s, row, STORE_MISSING_HELD, err);
}

/* One user that the listing lacks.  Rows are kept as long as they may still be removed; once there are
 * more than may be, all are held. */
static int note_missing(Sync *s, const ListedRow *row, Error *err) {
        if (!s->baseline && row->missing + 1 < s->account->missing_listings)
                return set_missing(s, row->row, row->missing + 1, err);
        s->gone.missing++;
        if (s->gone.n_rows >= s->gone.limit)
                return row->missing == STORE_MISSING_HELD ? 0 : mark_held(s, row->row, err);
        if ((s->gone.n_rows & (s->gone.n_rows - 1)) == 0) { /* full at every power of two */
                size_t room = s->gone.n_rows ? s->gone.n_rows * 2 : 1;
                int64_t *bigger = reallocarray(s->gone.rows, room, sizeof *bigger);

                if (!bigger)
                        return error_set(err, -ENOMEM, "out of memory");
                s->gone.rows = bigger;
        }
        s->gone.rows[s->gone.n_rows++] = row->row;
        return 0;
}

static int scan(Sync *s, Error *err) {
        ListedRow rows[SCAN_ROWS];
        size_t n = 0;
        int r;

        if ((int64_t) s->seen.count == s->gone.listed) /* all that are seen are listed by now */
                return SYNC_DONE;
        r = store_users_listed(s->world->store, s->key, s->gone.after, rows, SCAN_ROWS, &n, err);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                s->gone.after = rows[i].row;
                if (!idset_contains(&s->seen, (uint64_t) rows[i].row))
                        r = note_missing(s, &rows[i], err);
        }
        return r < 0 ? r : n == SCAN_ROWS ? SYNC_MORE : SYNC_DONE;
}

static int remove_one(Sync *s, int64_t row, Error *err) {
        StoredUser u = { 0 };
        UserDates before;
        int64_t now = time_now_ms();
        int r = batch_write(s->world->batch, err); /* nobody else writes from here on */

        if (r >= 0)
                r = store_user_by_row(s->world->store, row, &u, err);
        if (r == STORE_LISTED) {
                before = u.dates;
                u.dates.removed_at = now;
                u.missing = 0;
                r = store_user_update(s->world->store, s->key, &u, (RecordMark){ 0 }, err);
                if (r >= 0) {
                        s->counters.removed++;
                        r = sync_arrivals_are_news(s)
                                    ? sync_tell_user(s, USER_CHANGE_REMOVED, &u.user, NULL, &before,
                                                     &u.dates, now, err)
                                    : sync_leave_scope(s, err);
                }
        }
        stored_user_clear(&u);
        return r < 0 ? r : 0;
}

/* One of those that were kept before there were too many. */
static int hold_one(Sync *s, int64_t row, Error *err) {
        StoredUser u = { 0 };
        int r = store_user_by_row(s->world->store, row, &u, err);

        if (r == STORE_LISTED && u.missing != STORE_MISSING_HELD)
                r = mark_held(s, row, err);
        stored_user_clear(&u);
        return r < 0 ? r : 0;
}

/* What was accepted is spent; not what was accepted since this run has looked. */
static void spend_acceptance(Sync *s) {
        if (s->state.removals_accepted == s->gone.accepted)
                s->state.removals_accepted = 0;
}

/* More are missing than may go: nobody does. */
static int hold(Sync *s, Error *err) {
        char detail[160];
        int r;

        s->gone.hold = true;
        if (s->state.held_removals == 0 || s->gone.accepted > 0) {
                (void) snprintf(detail, sizeof detail,
                                "{\"held\":%" PRId64 ",\"users\":%" PRId64 ",\"limit\":%zu}",
                                s->gone.missing, s->gone.listed, s->gone.limit);
                r = batch_write(s->world->batch, err);
                if (r >= 0)
                        r = sync_tell(s, EVENT_SYNC_REMOVALS_HELD, detail, err);
                if (r < 0)
                        return r;
        }
        s->state.held_removals = s->gone.missing;
        spend_acceptance(s);
        /* with the event, so that an interruption between the two does not tell it again */
        r = batch_write(s->world->batch, err);
        return r < 0 ? r : store_account_put(s->world->store, s->key, &s->state, err);
}

/* How many may go.  A baseline removes only what it or another scope has brought: that is no loss.
 * To accept is to let go as many as were held then, beside the usual few, and not any number. */
static size_t limit(const Sync *s) {
        size_t usual = removal_limit(&s->account->max_removals, s->gone.listed);
        size_t accepted = (size_t) s->gone.accepted;

        if (s->baseline)
                return SIZE_MAX;
        return usual > SIZE_MAX - accepted ? SIZE_MAX : usual + accepted;
}

int sync_gone_step(Sync *s, Error *err) {
        int r;

        if (!s->gone.counted) {
                r = store_users_count_some(s->world->store, s->key, &s->gone.after, &s->gone.listed,
                                           err);
                if (r != STORE_COUNT_DONE)
                        return r < 0 ? r : SYNC_MORE;
                s->gone.counted = true;
                s->gone.after = -1;
                s->gone.accepted = s->state.removals_accepted;
                s->gone.limit = limit(s);
        }
        if (s->gone.at == 0 && s->gone.after != INT64_MAX) {
                r = scan(s, err);
                if (r != SYNC_DONE)
                        return r;
                s->gone.after = INT64_MAX;
                if ((size_t) s->gone.missing > s->gone.limit) {
                        r = hold(s, err);
                        if (r < 0)
                                return r;
                } else {
                        s->state.held_removals = 0;
                        spend_acceptance(s);
                }
        }
        for (size_t i = 0; i < REMOVE_ROWS && s->gone.at < s->gone.n_rows; i++, s->gone.at++) {
                int64_t row = s->gone.rows[s->gone.at];

                r = s->gone.hold ? hold_one(s, row, err) : remove_one(s, row, err);
                if (r < 0)
                        return r;
        }
        return s->gone.at < s->gone.n_rows ? SYNC_MORE : SYNC_DONE;
}
