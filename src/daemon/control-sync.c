/* SPDX-License-Identifier: Apache-2.0 */
/* Those who asked for runs and wait for their end.  A client waits for a run by its number, so that
 * one that was under way when it asked does not count: that one may have listed what is old. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/timespan.h"
#include "daemon/control-internal.h"

/* One run that is waited for. */
typedef struct Wait {
        int64_t key; /* of the account: its name may change by a reload */
        char *name;
        size_t at;    /* where the schedule had it last */
        uint64_t run; /* this one, or a later one */
        bool over;
        ControlState told;    /* last */
        int64_t told_counted; /* a sum that grows with whatever happens in the run */
} Wait;

typedef struct Watch {
        Wait *waits;
        size_t n, left, complete;
} Watch;

void watch_free(Watch *w) {
        if (!w)
                return;
        for (size_t i = 0; i < w->n; i++)
                free(w->waits[i].name);
        free(w->waits);
        free(w);
}

static void set_progress(ControlAccount *a, int64_t run, const RunCounters *c) {
        a->run_id = run;
        a->pages = c->pages;
        a->users = c->users;
        a->added = c->added;
        a->changed = c->changed;
        a->removed = c->removed;
        a->retries = c->retries;
        a->throttled = c->throttled;
}

ControlAccount control_account(const ScheduleView *view) {
        static const ControlState states[] = {
                [SCHEDULE_IDLE] = CONTROL_STATE_IDLE,
                [SCHEDULE_QUEUED] = CONTROL_STATE_QUEUED,
                [SCHEDULE_RUNNING] = CONTROL_STATE_RUNNING,
        };
        ControlAccount a = { .account = view->account->name,
                             .state = states[view->state],
                             .next_run_ms = view->next_run_ms };

        if (view->run) {
                SyncProgress p = sync_progress(view->run);

                set_progress(&a, p.run, &p.counters);
                a.elapsed_ms = (int64_t) (p.elapsed / USEC_PER_MSEC);
                a.expected = p.expected;
        }
        return a;
}

/* ---- progress ---- */

static bool find(const Schedule *s, Wait *w, ScheduleView *ret) {
        if (schedule_view(s, w->at, ret) && ret->key == w->key)
                return true;
        for (size_t i = 0; schedule_view(s, i, ret); i++)
                if (ret->key == w->key) {
                        w->at = i;
                        return true;
                }
        return false;
}

/* The run that is waited for may yet have to wait for one that is under way: it is queued then. */
static void tell(Client *k, Wait *w, const ScheduleView *view) {
        ControlAccount a = control_account(view);
        int64_t counted;

        if (view->run && view->runs < w->run)
                a = (ControlAccount){ .account = a.account, .state = CONTROL_STATE_QUEUED };
        counted = a.pages + a.removed + a.retries + a.throttled;
        if (w->told == a.state && w->told_counted == counted)
                return;
        w->told = a.state;
        w->told_counted = counted;
        client_say(k, CONTROL_PROGRESS, control_account_json(&a));
}

bool control_tell_progress(Control *c) {
        bool any = false;

        for (Client *k = c->clients; k; k = k->next) {
                if (!k->watch || k->broken)
                        continue;
                any = true;
                for (size_t i = 0; i < k->watch->n && k->out.len < BACKLOG_MAX; i++) {
                        ScheduleView view;
                        Wait *w = &k->watch->waits[i];

                        if (!w->over && find(c->schedule, w, &view))
                                tell(k, w, &view);
                }
        }
        return any;
}

/* ---- ends ---- */

static void end_watch(Client *k) {
        Watch *w = take_ptr(k->watch);
        const ControlFigure all[] = { { "accounts", (int64_t) w->n },
                                      { "complete", (int64_t) w->complete } };

        watch_free(w);
        client_end(k, CONTROL_RESULT, control_figures(all, sizeof all / sizeof all[0]));
}

/* Ends are told in any case, whatever the backlog. */
static void end_wait(Client *k, Wait *w, const ControlAccount *a) {
        w->over = true;
        k->watch->left--;
        k->watch->complete += a->state == CONTROL_STATE_COMPLETE;
        client_say(k, CONTROL_PROGRESS, control_account_json(a));
        if (k->watch->left == 0)
                end_watch(k);
}

/* Calls end_wait for whoever waits for a run of this account up to this number. */
static void end_waits(Control *c, const ScheduleView *view, const ControlAccount *a) {
        for (Client *k = c->clients; k; k = k->next)
                for (size_t i = 0; k->watch && i < k->watch->n; i++) {
                        Wait *w = &k->watch->waits[i];

                        if (!w->over && w->key == view->key && w->run <= view->runs) {
                                end_wait(k, w, a);
                                break; /* it waits once for each account */
                        }
                }
}

/* A figure that cannot be had is merely not told. */
static int64_t held_removals(const Control *c, int64_t key) {
        CLEANUP(account_state_clear) AccountState state = { 0 };

        return store_account_get(c->world->store, key, &state, NULL) < 0 ? 0 : state.held_removals;
}

void control_run_ended(Control *c, const AccountConfig *account, const SyncResult *result) {
        ScheduleView view;

        for (size_t i = 0; c && schedule_view(c->schedule, i, &view); i++) {
                ControlAccount a;

                if (view.account != account)
                        continue;
                a = control_account(&view);
                set_progress(&a, a.run_id, &result->counters);
                a.state = result->outcome == RUN_COMPLETE ? CONTROL_STATE_COMPLETE
                                                          : CONTROL_STATE_FAILED;
                a.error = result->outcome == RUN_COMPLETE ? NULL : result->error.msg;
                a.held = held_removals(c, view.key);
                end_waits(c, &view, &a);
                return;
        }
}

void control_recheck_watches(Control *c) {
        for (Client *k = c->clients; k; k = k->next)
                for (size_t i = 0; k->watch && i < k->watch->n; i++) {
                        Wait *w = &k->watch->waits[i];
                        ScheduleView view;
                        ControlAccount a = {
                                .account = w->name,
                                .state = CONTROL_STATE_FAILED,
                                .error = "the account was taken out of the configuration",
                        };

                        if (!w->over && !find(c->schedule, w, &view))
                                end_wait(k, w, &a);
                }
}

/* ---- the request ---- */

DEFINE_CLEANUP(Watch *, watch_free)

/* Which of the schedule's accounts are meant; refuses and returns false if one is not there. */
static bool choose(Client *k, const ControlRequest *r, bool *chosen, size_t n) {
        for (size_t i = 0; i < n; i++)
                chosen[i] = r->n_accounts == 0;
        for (size_t a = 0; a < r->n_accounts; a++) {
                bool found = false;
                ScheduleView view;

                for (size_t i = 0; i < n && schedule_view(k->control->schedule, i, &view); i++)
                        if (strcmp(view.account->name, r->accounts[a]) == 0)
                                chosen[i] = found = true;
                if (!found) {
                        control_refuse_account(k, r->accounts[a]);
                        return false;
                }
        }
        return true;
}

/* Whoever asks waits for the next run that starts. */
static int add_wait(Watch *w, const ScheduleView *view, size_t at) {
        Wait *one = &w->waits[w->n];

        *one = (Wait){ .key = view->key,
                       .name = strdup(view->account->name),
                       .at = at,
                       .run = view->runs + 1,
                       .told = CONTROL_STATE_COUNT };
        if (!one->name)
                return -ENOMEM;
        w->n++;
        w->left++;
        return 0;
}

static int watch_new(const Schedule *s, const bool *chosen, size_t n, Watch **ret) {
        CLEANUP(watch_freep) Watch *w = calloc(1, sizeof *w);

        if (!w || !(w->waits = calloc(n + 1, sizeof *w->waits)))
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                ScheduleView view;

                if (chosen[i] && schedule_view(s, i, &view) && add_wait(w, &view, i) < 0)
                        return -ENOMEM;
        }
        *ret = take_ptr(w);
        return 0;
}

void control_sync(Client *k, const ControlRequest *r) {
        Schedule *s = k->control->schedule;
        size_t n = schedule_counts(s).accounts;
        CLEANUP_FREE bool *chosen = calloc(n + 1, sizeof *chosen);

        if (!chosen)
                client_refuse(k, CONTROL_FAILED, "out of memory");
        if (!chosen || !choose(k, r, chosen, n))
                return;
        if (r->wait && watch_new(s, chosen, n, &k->watch) < 0) {
                client_refuse(k, CONTROL_FAILED, "out of memory");
                return;
        }
        /* A run that cannot even start ends within; the last one ends the watch. */
        for (size_t i = 0; i < n; i++)
                if (chosen[i])
                        schedule_ask(s, i);
        if (!r->wait)
                client_end(k, CONTROL_RESULT, json_object_new_object());
        else if (k->watch) {
                (void) sd_event_source_set_time_relative(k->control->tick, 0);
                (void) sd_event_source_set_enabled(k->control->tick, SD_EVENT_ONESHOT);
        }
}
