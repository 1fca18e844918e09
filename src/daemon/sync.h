/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/idset.h"
#include "conf/config.h"
#include "daemon/batch.h"
#include "daemon/credentials.h"
#include "daemon/pace.h"
#include "net/http.h"
#include "store/store.h"

/* One sync run of one account: page through the listing, compare each page with the snapshot, and at
 * the end of a complete listing find out who is gone (DESIGN: doc/design.md, "A sync run"). */
typedef struct Sync Sync;

/* What outlives a run of an account; owned by the schedule. */
typedef struct SyncMemory {
        Pace pace;
        IdSet contested; /* rows that the last listing named twice, not the same way */
        int64_t skipped; /* records that the last listing had and that could not be read */
        int64_t users;   /* that are listed; negative: not known, for a run may have changed that */
        unsigned unconfirmed,
                unconfirmed_next; /* runs to come that do not renew marks; see sync.c */
} SyncMemory;

/* What all runs share. */
typedef struct SyncWorld {
        sd_event *event;
        Http *http;
        Store *store;
        Batch *batch;
        Credentials *credentials;
} SyncWorld;

typedef struct SyncResult {
        RunOutcome outcome;
        RunCounters counters;
        int64_t skipped;         /* records that could not be read */
        const char *skipped_why; /* of the first of them; NULL if none, or as many as last time */
        Error error;             /* what failed; code 0 for RUN_COMPLETE */
        bool store_failed;       /* it failed because the database could not be written */
        uint64_t next_run;       /* microseconds from now until the next run is due */
} SyncResult;

/* Runs once, from the event loop and never from within sync_start(); the Sync may be freed in it. */
typedef void (*SyncDone)(Sync *sync, const SyncResult *result, void *userdata);

/* Runs when sync_waits() or sync_may_go_on() has become true; never from within sync_start(). */
typedef void (*SyncWaits)(void *userdata);

/* Starts a run.  config holds account; a reference is kept.  memory must outlive the run. */
int sync_start(const SyncWorld *world, Config *config, const AccountConfig *account, int64_t key,
               SyncMemory *memory, SyncDone on_done, SyncWaits on_waits, void *userdata, Sync **ret,
               Error *err);

/* Others may take the run's place: it has waited long for keys, or waits for the commit of its end, and
 * does nothing else. */
bool sync_waits(const Sync *sync);
/* The keys that it waited for are there. */
bool sync_may_go_on(const Sync *sync);
void sync_go_on(Sync *sync);

/* Ends the run now: what it has learnt is kept, the run is recorded as interrupted for this reason.
 * on_done does not run.  Frees the Sync. */
void sync_interrupt(Sync *sync, const char *reason);

/* The shared transaction was lost: the run fails as soon as the loop is back. */
void sync_lost(Sync *sync, const Error *why);

/* After on_done only. */
void sync_free(Sync *sync);
DEFINE_CLEANUP(Sync *, sync_free)

/* How far a run has come. */
typedef struct SyncProgress {
        int64_t run;      /* its id */
        int64_t expected; /* users of the last complete run; 0: there was none */
        uint64_t elapsed; /* microseconds */
        RunCounters counters;
} SyncProgress;
SyncProgress sync_progress(const Sync *sync);

/* So many held removals of the account were accepted while it runs (see store_removals_accept). */
void sync_accept_removals(Sync *sync, int64_t held);

/* Microseconds until the next run, from now: the interval from the start of this one after success;
 * sooner, but ever later, after failures in a row (failures >= 1).  Pure. */
uint64_t sync_next_delay(uint64_t interval, uint64_t elapsed, int64_t failures);
