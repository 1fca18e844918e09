/* SPDX-License-Identifier: Apache-2.0 */
/* Alertmanager forgets an alert that is not told again: a round tells all that last, from the
 * snapshot rather than from the log, so that it also knows whom a baseline found suspended, and what
 * a restart of Alertmanager has lost. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/timefmt.h"
#include "base/timespan.h"
#include "daemon/hook-internal.h"

/* Of an account of the snapshot, which may have another name by now. */
static bool is_for_key(const Hook *h, int64_t key) {
        const Config *config = h->world->config;

        for (size_t i = 0; i < config->n_accounts; i++)
                if (h->world->keys[i] == key)
                        return hook_is_for(h, config->accounts[i].name);
        return h->config->accounts.count == 0;
}

/* Whether this kind was asked for: what ends an alert is read, too, but raises none. */
static bool tells(const Hook *h, AlertKind kind) {
        return (h->mask & EVENT_BIT(alert_raised_by(kind))) != 0;
}

static void set_timer(Hook *h) {
        (void) sd_event_source_set_time_relative(h->repeat_timer, h->config->repeat);
        (void) sd_event_source_set_enabled(h->repeat_timer, SD_EVENT_ONESHOT);
}

void hook_repeat_start(Hook *h) {
        (void) sd_event_source_set_enabled(h->repeat_timer, SD_EVENT_OFF);
        h->repeat_due = h->format->repeats;
        h->repeat_row = -1;
}

void hook_repeat_end(Hook *h) {
        h->repeating = h->repeat_due = false;
        h->repeat_row = -1;
        if (h->format->repeats)
                set_timer(h);
}

void hook_repeat_taken(Hook *h) {
        h->repeating = false;
        h->repeat_row = h->repeat_next;
}

static int on_repeat(sd_event_source *source, uint64_t usec, void *userdata) {
        Hook *h = userdata;

        (void) source;
        (void) usec;
        hook_repeat_start(h);
        hook_poke(h);
        return 0;
}

int hook_repeat_open(Hook *h, Error *err) {
        int r = sd_event_add_time_relative(h->world->event, &h->repeat_timer, CLOCK_BOOTTIME, 0, 0,
                                           on_repeat, h);

        if (r >= 0)
                r = sd_event_source_set_enabled(h->repeat_timer, SD_EVENT_OFF);
        if (r < 0)
                return error_set(err, r, "cannot set up webhook %s: %s", h->name, strerror(-r));
        (void) sd_event_source_set_exit_on_failure(h->repeat_timer, true);
        (void) sd_event_source_set_description(h->repeat_timer, "hook-repeat");
        return 0;
}

/* ---- the alerts ---- */

/* At most two for each account: its runs fail, its removals are held. */
static int add_accounts(const Hook *h, Alert *alerts, AccountState *states, size_t *n, Error *err) {
        const Config *config = h->world->config;

        for (size_t i = 0; i < config->n_accounts; i++) {
                const AccountConfig *a = &config->accounts[i];
                Alert alert = { .account = a->name, .account_id = a->account_id };
                int r;

                if (!hook_is_for(h, a->name))
                        continue;
                r = store_account_get(h->world->store, h->world->keys[i], &states[i], err);
                if (r < 0)
                        return r;
                if (states[i].failures > 0 && tells(h, ALERT_SYNC_FAILED)) {
                        alert.kind = ALERT_SYNC_FAILED;
                        alert.starts_at = states[i].failing_since;
                        (void) snprintf(alert.error, sizeof alert.error, "%s",
                                        states[i].last_error ? states[i].last_error : "");
                        alerts[(*n)++] = alert;
                }
                if (states[i].held_removals > 0 && tells(h, ALERT_REMOVALS_HELD)) {
                        alert.kind = ALERT_REMOVALS_HELD;
                        alert.starts_at = TIME_NONE;
                        alert.held = states[i].held_removals;
                        alerts[(*n)++] = alert;
                }
        }
        return 0;
}

static int render(const Hook *h, const Alert *alerts, size_t n, char **ret_body, Error *err) {
        const FormatSettings settings = hook_format_settings(h);

        if (n == 0)
                return HOOK_NOTHING;
        if (h->format->render_alerts(&settings, alerts, n, ret_body) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        return HOOK_READY;
}

static int prepare_accounts(Hook *h, char **ret_body, Error *err) {
        size_t most = h->world->config->n_accounts, n = 0;
        CLEANUP_FREE Alert *alerts = calloc(2 * most + 1, sizeof *alerts);
        CLEANUP_FREE AccountState *states = calloc(most + 1, sizeof *states);
        int r;

        if (!alerts || !states)
                return error_set(err, -ENOMEM, "out of memory");
        r = add_accounts(h, alerts, states, &n, err);
        if (r >= 0)
                r = render(h, alerts, n, ret_body, err);
        for (size_t i = 0; i < most; i++)
                account_state_clear(&states[i]);
        h->repeat_next = 0;
        return r;
}

/* One portion of those who are suspended now. */
static int prepare_users(Hook *h, char **ret_body, Error *err) {
        CLEANUP_FREE Alert *alerts = calloc(h->format->most, sizeof *alerts);
        SuspendedUser *users = NULL;
        size_t n = 0, n_alerts = 0;
        int r;

        if (!alerts)
                return error_set(err, -ENOMEM, "out of memory");
        r = store_users_suspended(h->world->store, h->repeat_row, h->format->most, &users, &n, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (is_for_key(h, users[i].account_key))
                        alerts[n_alerts++] = (Alert){ .kind = ALERT_USER_SUSPENDED,
                                                      .account = users[i].account,
                                                      .account_id = users[i].account_id,
                                                      .user_id = users[i].user_id,
                                                      .primary_email = users[i].primary_email,
                                                      .starts_at = users[i].since };
        if (n > 0)
                h->repeat_next = users[n - 1].row;
        r = render(h, alerts, n_alerts, ret_body, err);
        if (r == HOOK_NOTHING && n > 0)
                r = HOOK_MORE; /* all of them are of other accounts */
        suspended_users_free(users, n);
        return r;
}

/* The accounts come first, at row -1, then the users, from row 0 on. */
int hook_repeat_prepare(Hook *h, char **ret_body, Error *err) {
        int r = HOOK_MORE;

        h->awaits_commit = store_in_transaction(h->world->store);
        if (h->awaits_commit)
                return HOOK_LATER;
        if (h->repeat_row < 0) {
                r = prepare_accounts(h, ret_body, err);
                if (r == HOOK_NOTHING)
                        h->repeat_row = 0;
                if (r != HOOK_NOTHING)
                        return r;
        }
        return tells(h, ALERT_USER_SUSPENDED) ? prepare_users(h, ret_body, err) : HOOK_NOTHING;
}
