/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "daemon/sync.h"

/* When which account is synced: each on its own interval, at most `concurrency` at once, never one
 * beside itself. */
typedef struct Schedule Schedule;

/* Runs after the end of each run, from the event loop. */
typedef void (*ScheduleRunEnded)(const AccountConfig *account, const SyncResult *result,
                                 void *userdata);

int schedule_new(const SyncWorld *world, ScheduleRunEnded on_run_ended, void *userdata,
                 Schedule **ret, Error *err);
/* Interrupts whatever runs. */
void schedule_free(Schedule *s);
DEFINE_CLEANUP(Schedule *, schedule_free)

/* Takes a configuration into use, the first or a new one; keys[i] is the store's key of
 * config->accounts[i].  Accounts that say the same as before go on undisturbed; a run of one that is
 * gone or changed is interrupted, and a changed one starts anew.  with_timers: accounts run by their
 * intervals; else only by schedule_run_now(). */
int schedule_apply(Schedule *s, Config *config, const int64_t *keys, bool with_timers, Error *err);

/* Starts, or queues, the account of this name, or all (NULL).  -ENOENT: no such account. */
int schedule_run_now(Schedule *s, const char *name);

typedef enum ScheduleState {
        SCHEDULE_IDLE, /* waits for its timer */
        SCHEDULE_QUEUED,
        SCHEDULE_RUNNING,
} ScheduleState;

/* What one account is doing.  Borrowed until the loop goes on. */
typedef struct ScheduleView {
        const AccountConfig *account;
        int64_t key;
        ScheduleState state;
        uint64_t runs;       /* started so far; of one that runs, its number */
        int64_t next_run_ms; /* until it is due; 0 unless it is idle, -1: unknown */
        Sync *run;           /* NULL unless it runs */
        int64_t users;       /* that are listed; negative: not known, count them */
} ScheduleView;

/* The accounts in the order of the configuration; false: there is no account i. */
bool schedule_view(const Schedule *s, size_t i, ScheduleView *ret);

/* Has account i run, once more after a run that goes on: what that one has listed may be old. */
void schedule_ask(Schedule *s, size_t i);

/* The shared transaction was lost: all runs fail. */
void schedule_lost(Schedule *s, const Error *why);

/* Interrupts all runs and starts no more; each keeps what it has learnt. */
void schedule_stop(Schedule *s, const char *reason);

/* Whether nothing runs or waits for its turn. */
bool schedule_is_idle(const Schedule *s);

/* For the status sentence. */
typedef struct ScheduleCounts {
        size_t accounts, running, queued;
        const char *running_name; /* of one that runs; NULL: none */
} ScheduleCounts;
ScheduleCounts schedule_counts(const Schedule *s);

/* When an account is due at start, microseconds from now.  now and the state's times are wall
 * clock; random_spread is in [0, 1).  An account that never ran is due at once; one that is overdue
 * within a minute, spread out.  Pure. */
uint64_t schedule_first_delay(uint64_t interval, const AccountState *state, int64_t now,
                              double random_spread);
