/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by sync*.c and nobody else. */

#include "daemon/known.h"
#include "daemon/portion.h"
#include "daemon/sync.h"
#include "source/source.h"

typedef enum SyncStep {
        SYNC_MORE = 1, /* call again in the next turn */
        SYNC_DONE,
} SyncStep;

/* An answer that waits, or the page that is being read and applied. */
typedef struct SyncPage {
        SourceAnswer said;
        char *body; /* owned; the records of a page point into it */
        size_t body_len;
        char *continuation; /* that the page was asked for with, once another is asked for */
        size_t at;          /* records before it are applied */
        int64_t page;       /* of the listing, from 1 */
        bool there;         /* there is one */
        bool cut;           /* into records: it is a page */
        bool ahead;         /* the one behind it is asked for, by what it seemed to name */
        bool circles;       /* its continuation was seen before */
        bool has_next;      /* the listing goes on behind it */
} SyncPage;

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
        PortionSource step;     /* work that goes on in the next turn of the loop */
        char *continuation;
        uint64_t token_seed; /* mixes the token hashes of this run */
        IdSet tokens;        /* continuations that were seen in this listing */
        int64_t page;        /* of this listing, from 1: the one that is asked for */
        SyncPage hand;       /* the page that is being read and applied */
        SyncPage early;      /* the answer that came meanwhile */
        bool whole;          /* the listing has ended, and all of it is applied */
        unsigned attempts;   /* of this page, after the first */
        unsigned pages_without_news;
        bool restarted; /* the listing was begun anew because a continuation had expired */

        Known known;
        bool known_begun;
        bool confirms;                 /* marks are renewed where only the bytes have changed */
        int64_t recognised, confirmed; /* records; marks that were renewed so */
        IdSet seen;                    /* rows of users that this listing named */
        int64_t in_order; /* row of the user whose record stood in its place before; or 0 */
        struct Deferred *deferred;
        size_t n_deferred;
        IdSet contested; /* becomes memory->contested */
        IdSet brought;   /* rows of users whom this baseline has brought, and not told */

        int64_t unidentified; /* records that nobody can be named for: the listing is not complete */
        char unidentified_why[160];
        int64_t skipped;
        char skipped_why[160];

        struct {                 /* the search for who is gone */
                bool counted;    /* users that were listed before, in portions */
                int64_t after;   /* rows up to here were counted, then looked at */
                int64_t listed;  /* users that were listed before */
                int64_t missing; /* of those, due to be removed */
                int64_t *rows;   /* the first of them, up to the limit */
                size_t n_rows, at;
                size_t limit;
                int64_t accepted; /* of that, by an administrator */
                bool hold;        /* there are more than that */
        } gone;

        SyncResult result;
        bool recorded; /* the end of a complete run, not committed yet */
        bool finished;
};

/* A user of a contested row whose first record is kept back until the listing shows which is last. */
typedef struct Deferred {
        int64_t row;
        User user;
} Deferred;

/* sync.c: the run fails. */
void sync_fail(Sync *s, const Error *why);
/* A read or write of the database failed, which all runs must hear of. */
void sync_fail_store(Sync *s, const Error *why);

/* sync-keys.c: gets keys and then goes on with sync_ask().  refused: keys that others are to replace,
 * or NULL. */
void sync_get_keys(Sync *s, const AwsKeys *refused);
/* The service does not take the keys, or no longer: others, once for each page. */
void sync_renew_keys(Sync *s, const char *refusal);

/* sync-pages.c: asks for the next page, as soon as the pace allows. */
void sync_ask(Sync *s);
/* Pace, backoff, or patience with those who have the keys is at its end. */
int sync_on_timer(sd_event_source *source, uint64_t usec, void *userdata);
/* Runs sync_on_timer() after delay. */
void sync_set_timer(Sync *s, uint64_t delay);
/* The run fails for a reason that has to do with the page that is asked for. */
void sync_fail_page(Sync *s, const char *what);
/* The listing begins anew: what it had named so far does not count as named, and what was known at the
 * start of the run may have changed in it. */
void sync_begin_listing(Sync *s);
/* One portion of what is at hand.  Returns a SyncStep or <0. */
int sync_pages_step(Sync *s, Error *err);
/* Frees the pages at hand. */
void sync_drop_pages(Sync *s);

/* sync-apply.c: begins to load who is known by the bytes of the record. */
int sync_known_begin(Sync *s, Error *err);
/* Compares one record with the snapshot and writes what differs.  -EAGAIN: not before more of what is
 * known is loaded; -EBADMSG: the listing is not ours; other errors are the database's. */
int sync_apply_record(Sync *s, const SourceRecord *record, Error *err);
/* Those that were kept back and did not come again. */
int sync_apply_deferred(Sync *s, Error *err);
void sync_drop_deferred(Sync *s);
/* Whether those who come and go are told: not while a baseline is taken, unless news of the first one
 * were asked for. */
bool sync_arrivals_are_news(const Sync *s);
/* A listing of another scope has brought or removed somebody, which is not told: from then on the
 * snapshot is of no one scope. */
int sync_leave_scope(Sync *s, Error *err);
/* Appends an account-level event. */
int sync_tell(Sync *s, EventKind kind, const char *detail_json, Error *err);
/* Appends the events of one user's change. */
int sync_tell_user(Sync *s, UserChange change, const User *old, const User *new,
                   const UserDates *old_dates, const UserDates *new_dates, int64_t now, Error *err);

/* sync-gone.c: a complete listing has ended; looks for users that it lacks, and removes them or holds
 * them, a portion at a time.  Returns a SyncStep or <0. */
int sync_gone_step(Sync *s, Error *err);

/* sync-finish.c: writes the end of the run (account, run, account-level events).  A failure is committed
 * at once, the end of a complete run by the caller. */
int sync_record_complete(Sync *s, Error *err);
int sync_record_failure(Sync *s, const Error *why, Error *err);
