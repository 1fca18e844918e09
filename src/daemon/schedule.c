/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/schedule.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/timefmt.h"
#include "base/timespan.h"
#include "daemon/log.h"

#define OVERDUE_SPREAD USEC_PER_MINUTE

/* One account.  Does not move: its run points to its memory. */
typedef struct Job {
        Schedule *schedule;
        const AccountConfig *account;
        int64_t key;
        ScheduleState state;
        uint64_t queued_at; /* place in the queue */
        uint64_t runs;      /* started so far */
        bool again;         /* it was asked for while it ran */
        sd_event_source *timer;
        Sync *run;
        SyncMemory memory;
        unsigned start_failures; /* in a row */
} Job;

struct Schedule {
        const SyncWorld *world;
        Config *config;
        ScheduleRunEnded on_run_ended;
        void *userdata;
        Job **jobs;
        size_t n;
        bool with_timers, stopped;
        uint64_t tickets;
};

static void pump(Schedule *s);

uint64_t schedule_first_delay(uint64_t interval, const AccountState *state, int64_t now,
                              double random_spread) {
        uint64_t since, wanted = interval;

        if (state->last_attempt_at == TIME_NONE)
                return 0;
        if (state->failures > 0)
                wanted = sync_next_delay(interval, 0, state->failures);
        /* a last attempt in the future: the clock was set back; it counts as just made */
        since = now > state->last_attempt_at
                        ? (uint64_t) (now - state->last_attempt_at) * USEC_PER_MSEC
                        : 0;
        if (since < wanted)
                return wanted - since;
        return (uint64_t) (random_spread *
                           (double) (interval < OVERDUE_SPREAD ? interval : OVERDUE_SPREAD));
}

static void job_free(Job *j) {
        if (!j)
                return;
        assert(!j->run);
        (void) sd_event_source_disable_unref(j->timer);
        idset_clear(&j->memory.contested);
        free(j);
}

static void job_arm(Job *j, uint64_t delay) {
        j->state = SCHEDULE_IDLE;
        if (!j->schedule->with_timers)
                return;
        if (sd_event_source_set_time_relative(j->timer, delay) < 0 ||
            sd_event_source_set_enabled(j->timer, SD_EVENT_ONESHOT) < 0)
                (void) sd_event_exit(j->schedule->world->event, -EIO);
}

static void job_queue(Job *j) {
        if (j->state != SCHEDULE_IDLE)
                return;
        (void) sd_event_source_set_enabled(j->timer, SD_EVENT_OFF);
        j->state = SCHEDULE_QUEUED;
        j->queued_at = ++j->schedule->tickets;
}

static void job_interrupt(Job *j, const char *reason) {
        if (j->run)
                sync_interrupt(take_ptr(j->run), reason);
        (void) sd_event_source_set_enabled(j->timer, SD_EVENT_OFF);
        j->state = SCHEDULE_IDLE;
        j->again = false;
}

static void on_sync_done(Sync *run, const SyncResult *result, void *userdata) {
        Job *j = userdata;
        Schedule *s = j->schedule;

        assert(j->run == run);
        job_arm(j, result->next_run);
        if (j->again)
                job_queue(j);
        j->again = false;
        s->on_run_ended(j->account, result, s->userdata);
        sync_free(take_ptr(j->run));
        pump(s);
}

static void on_sync_waits(void *userdata) {
        Job *j = userdata;

        pump(j->schedule);
}

static void job_start(Job *j) {
        Schedule *s = j->schedule;
        Error err = { 0 };
        SyncResult result;

        j->state = SCHEDULE_RUNNING;
        j->runs++;
        if (sync_start(s->world, s->config, j->account, j->key, &j->memory, on_sync_done,
                       on_sync_waits, j, &j->run, &err) >= 0) {
                j->start_failures = 0;
                return;
        }
        /* The run could not even be recorded. */
        batch_lose(s->world->batch, &err);
        result = (SyncResult){
                .outcome = RUN_FAILED,
                .error = err,
                .store_failed = true,
                .next_run = sync_next_delay(j->account->interval, 0, ++j->start_failures),
        };
        job_arm(j, result.next_run);
        s->on_run_ended(j->account, &result, s->userdata);
}

static bool takes_room(const Job *j) {
        return j->state == SCHEDULE_RUNNING && !(j->run && sync_waits(j->run));
}

static bool wants_room(const Job *j) {
        return j->state == SCHEDULE_QUEUED || (j->run && sync_may_go_on(j->run));
}

/* Starts what is queued, and has go on what has got its keys, the longest waiting first, as long as
 * there is room. */
static void pump(Schedule *s) {
        while (!s->stopped) {
                Job *first = NULL;
                size_t running = 0;

                for (size_t i = 0; i < s->n; i++) {
                        Job *j = s->jobs[i];

                        running += takes_room(j);
                        if (wants_room(j) && (!first || j->queued_at < first->queued_at))
                                first = j;
                }
                if (!first || running >= s->config->concurrency)
                        return;
                if (first->run)
                        sync_go_on(first->run);
                else
                        job_start(first);
        }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Job *j = userdata;

        (void) source;
        (void) usec;
        job_queue(j);
        pump(j->schedule);
        return 0;
}

int schedule_new(const SyncWorld *world, ScheduleRunEnded on_run_ended, void *userdata,
                 Schedule **ret, Error *err) {
        Schedule *s = calloc(1, sizeof *s);

        if (!s)
                return error_set(err, -ENOMEM, "out of memory");
        *s = (Schedule){ .world = world, .on_run_ended = on_run_ended, .userdata = userdata };
        *ret = s;
        return 0;
}

void schedule_free(Schedule *s) {
        if (!s)
                return;
        schedule_stop(s, "rosterd was stopped");
        for (size_t i = 0; i < s->n; i++)
                job_free(s->jobs[i]);
        free(s->jobs);
        config_unref(s->config);
        free(s);
}

static int job_new(Schedule *s, const AccountConfig *account, int64_t key, Job **ret, Error *err) {
        Job *j = calloc(1, sizeof *j);
        int r;

        if (!j)
                return error_set(err, -ENOMEM, "out of memory");
        *j = (Job){ .schedule = s, .account = account, .key = key, .memory.users = -1 };
        pace_init(&j->memory.pace, account->requests_per_second, clock_usec(CLOCK_MONOTONIC));
        r = sd_event_add_time_relative(s->world->event, &j->timer, CLOCK_BOOTTIME, 0, 0, on_timer,
                                       j);
        if (r >= 0)
                r = sd_event_source_set_enabled(j->timer, SD_EVENT_OFF);
        if (r < 0) {
                job_free(j);
                return error_set(err, r, "cannot set up a timer: %s", strerror(-r));
        }
        (void) sd_event_source_set_exit_on_failure(j->timer, true);
        (void) sd_event_source_set_description(j->timer, "schedule");
        *ret = j;
        return 0;
}

static Job *find_key(const Schedule *s, int64_t key) {
        for (size_t i = 0; i < s->n; i++)
                if (s->jobs[i]->key == key)
                        return s->jobs[i];
        return NULL;
}

/* Makes the jobs of a new configuration; those of accounts that are known keep their run, memory and
 * timer.  Nothing has changed when it fails. */
static int make_jobs(Schedule *s, const Config *config, const int64_t *keys, Job ***ret,
                     Error *err) {
        Job **jobs = calloc(config->n_accounts + 1, sizeof *jobs);

        if (!jobs)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; i < config->n_accounts; i++) {
                int r;

                jobs[i] = find_key(s, keys[i]);
                if (jobs[i])
                        continue;
                r = job_new(s, &config->accounts[i], keys[i], &jobs[i], err);
                if (r < 0) {
                        while (i-- > 0)
                                if (!find_key(s, keys[i]))
                                        job_free(jobs[i]);
                        free(jobs);
                        return r;
                }
        }
        *ret = jobs;
        return 0;
}

/* An account that is new, or says something new, gets its first delay.  Of one whose state cannot be
 * read nothing is known: its run will say why. */
static void arm_first(Job *j, bool changed) {
        AccountState state = { 0 };
        uint64_t delay = 0;

        (void) store_account_get(j->schedule->world->store, j->key, &state, NULL);
        if (!changed)
                delay = schedule_first_delay(j->account->interval, &state, time_now_ms(),
                                             (double) random_below(1000) / 1000);
        account_state_clear(&state);
        job_arm(j, delay);
}

static bool is_among(const Job *j, Job *const *jobs, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (jobs[i] == j)
                        return true;
        return false;
}

int schedule_apply(Schedule *s, Config *config, const int64_t *keys, bool with_timers, Error *err) {
        Config *old_config = s->config;
        Job **old_jobs = s->jobs, **jobs = NULL;
        size_t old_n = s->n;
        bool pins = old_config && old_config->store_personal_pin != config->store_personal_pin;
        int r = make_jobs(s, config, keys, &jobs, err);

        if (r < 0)
                return r;
        /* An interrupted run writes; that may fail, and then all runs hear of it.  So the old list
         * stays whole until the last one is interrupted. */
        for (size_t i = 0; i < old_n; i++)
                if (!is_among(old_jobs[i], jobs, config->n_accounts))
                        job_interrupt(old_jobs[i],
                                      "the account was taken out of the configuration");
        s->jobs = jobs;
        s->n = config->n_accounts;
        s->config = config_ref(config);
        s->with_timers = with_timers;
        for (size_t i = 0; i < old_n; i++)
                if (!is_among(old_jobs[i], jobs, s->n))
                        job_free(old_jobs[i]);
        free(old_jobs);

        for (size_t i = 0; i < s->n; i++) {
                Job *j = jobs[i];
                const AccountConfig *now = &config->accounts[i];
                bool fresh = j->account == now;
                bool changed = !fresh && (pins || !account_config_equal(j->account, now));

                j->account = now;
                pace_set_limit(&j->memory.pace, now->requests_per_second);
                if (changed)
                        job_interrupt(j, "its configuration has changed");
                if (fresh || changed)
                        arm_first(j, changed);
        }
        config_unref(old_config);
        pump(s);
        return 0;
}

int schedule_run_now(Schedule *s, const char *name) {
        bool found = false;

        for (size_t i = 0; i < s->n; i++)
                if (!name || strcmp(s->jobs[i]->account->name, name) == 0) {
                        job_queue(s->jobs[i]);
                        found = true;
                }
        pump(s);
        return found ? 0 : -ENOENT;
}

void schedule_ask(Schedule *s, size_t i) {
        assert(i < s->n);

        if (s->jobs[i]->state == SCHEDULE_RUNNING)
                s->jobs[i]->again = true;
        else
                job_queue(s->jobs[i]);
        pump(s);
}

static int64_t job_delay_ms(const Job *j) {
        uint64_t due = 0, now = 0;
        int on = SD_EVENT_OFF;

        if (j->state != SCHEDULE_IDLE)
                return 0;
        if (sd_event_source_get_enabled(j->timer, &on) <= 0 || on == SD_EVENT_OFF ||
            sd_event_source_get_time(j->timer, &due) < 0 ||
            sd_event_now(j->schedule->world->event, CLOCK_BOOTTIME, &now) < 0)
                return -1;
        return due > now ? (int64_t) ((due - now) / USEC_PER_MSEC) : 0;
}

bool schedule_view(const Schedule *s, size_t i, ScheduleView *ret) {
        const Job *j;

        if (i >= s->n)
                return false;
        j = s->jobs[i];
        *ret = (ScheduleView){ j->account,      j->key, j->state,       j->runs,
                               job_delay_ms(j), j->run, j->memory.users };
        return true;
}

void schedule_lost(Schedule *s, const Error *why) {
        for (size_t i = 0; i < s->n; i++)
                if (s->jobs[i]->run)
                        sync_lost(s->jobs[i]->run, why);
}

void schedule_stop(Schedule *s, const char *reason) {
        s->stopped = true;
        for (size_t i = 0; i < s->n; i++)
                job_interrupt(s->jobs[i], reason);
}

ScheduleCounts schedule_counts(const Schedule *s) {
        ScheduleCounts c = { .accounts = s->n };

        for (size_t i = 0; i < s->n; i++) {
                const Job *j = s->jobs[i];

                c.queued += j->state == SCHEDULE_QUEUED;
                if (j->state == SCHEDULE_RUNNING) {
                        c.running++;
                        c.running_name = j->account->name;
                }
        }
        return c;
}

bool schedule_is_idle(const Schedule *s) {
        ScheduleCounts c = schedule_counts(s);

        return c.running == 0 && c.queued == 0;
}
