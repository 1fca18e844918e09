/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by sync*.c and nobody else. */

#include "daemon/sync.h"
#include "source/source.h"

struct Sync {
        const SyncWorld *world;
        Config *config;
        const AccountConfig *account;
        int64_t key;
        SyncMemory *memory;
        SyncDone on_done;
        SyncWaits on_waits;
        void *userdata;

        const Source *source;
        AwsKeys keys;              /* that sign this run's requests */
        CredentialsRequest *asked; /* for keys, or NULL */
        bool waits;                /* it has waited long for them, and gave its place away */
        bool renewed;              /* since the last page that was good */
        char refusal[256];         /* of the keys that were to be renewed */
        AccountState state;        /* as of the start; written back at the end */
        char *scope;
        bool baseline; /* this listing becomes the baseline, its users are not news */
        bool rescoped; /* there was a baseline, of something else */

        int64_t run, started; /* run id; wall clock, ms */
        int64_t expected;     /* users of the last complete run */
        uint64_t started_mono;
        RunCounters counters;

        HttpCall *call;
        sd_event_source *timer; /* pace and backoff; patience with those who have the keys */
        sd_event_source *step;  /* work that goes on in the next turn of the loop */
        char *continuation;
        uint64_t token_seed; /* mixes the token hashes of this run */
        IdSet tokens;        /* continuations that were seen in this listing */
        int64_t page;        /* of this listing, from 1: the one that is asked for */
        unsigned attempts;   /* of this page, after the first */
        unsigned pages_without_news;
        bool restarted; /* the listing was begun anew because a continuation had expired */

        IdSet seen; /* rows of users that this listing named */
        struct Deferred *deferred;
        size_t n_deferred;
        IdSet contested; /* becomes memory->contested */

        int64_t unidentified; /* records that nobody can be named for: the listing is not complete */
        char unidentified_why[160];
        int64_t skipped;
        char skipped_why[160];

        struct {                 /* the search for who is gone */
                int64_t after;   /* rows up to here were looked at */
                int64_t listed;  /* users that were listed before */
                int64_t missing; /* of those, due to be removed */
                int64_t *rows;   /* the first of them, up to the limit */
                size_t n_rows, at;
                size_t limit;
                int64_t accepted; /* of that, by an administrator */
                bool hold;        /* there are more than that */
        } gone;

        SyncResult result;
        bool finished;
};

/* A user of a contested row whose first record is kept back until the listing shows which is last. */
typedef struct Deferred {
        int64_t row;
        User user;
} Deferred;

/* sync-apply.c: compares one record with the snapshot and writes what differs. <0: the run fails. */
int sync_apply_record(Sync *s, const SourceRecord *record, Error *err);
/* Those that were kept back and did not come again. */
int sync_apply_deferred(Sync *s, Error *err);
void sync_drop_deferred(Sync *s);
/* Whether those who come and go are told: not while a baseline is taken, unless news of the first one
 * were asked for. */
bool sync_arrivals_are_news(const Sync *s);
/* Appends an account-level event. */
int sync_tell(Sync *s, EventKind kind, const char *detail_json, Error *err);
/* Appends the events of one user's change. */
int sync_tell_user(Sync *s, UserChange change, const User *old, const User *new,
                   const UserDates *old_dates, const UserDates *new_dates, int64_t now, Error *err);

typedef enum SyncStep {
        SYNC_MORE = 1, /* call again in the next turn */
        SYNC_DONE,
} SyncStep;

/* sync-gone.c: a complete listing has ended; looks for users that it lacks, and removes them or holds
 * them, a portion at a time.  Returns a SyncStep or <0. */
int sync_gone_step(Sync *s, Error *err);

/* sync-finish.c: writes the end of the run (account, run, account-level events) and commits. */
int sync_record_complete(Sync *s, Error *err);
int sync_record_failure(Sync *s, const Error *why, Error *err);
