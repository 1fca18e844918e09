/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by hook*.c and nobody else.  hook.c has the life of a webhook: sending, waiting, giving up.
 * hook-answer.c has what an answer changes.  hook-read.c turns the log into requests, and into dead letters.  hook-repeat.c tells lasting
 * alerts again. */

#include "daemon/hook.h"
#include "daemon/portion.h"
#include "sink/format.h"
#include "sink/webhook.h"

typedef enum HookPhase {
        HOOK_IDLE,    /* reads on when poked; its timer may be set for a digest that is held */
        HOOK_SENDING, /* a request is in flight */
        HOOK_WAITING, /* for the next attempt, or for the store */
        HOOK_BURYING, /* gives up what the request told, a portion at a time */
        HOOK_STOPPED, /* by a 410 */
} HookPhase;

/* What a request tells, or told: all events of this webhook after the cursor up to upto.  While it
 * fails it stays as it is, so that it is repeated under its own id. */
typedef struct Parcel {
        int64_t upto;   /* 0: there is none */
        int64_t first;  /* seq of the first event */
        size_t events;  /* how many */
        int64_t newest; /* time of the last one; wall clock, ms */
} Parcel;

struct Hook {
        const HookWorld *world;
        const WebhookConfig *config;
        const Format *format;
        char *name, *sink;
        char host[160]; /* all of the URL that may be shown */
        EventMask mask;
        bool minimal;

        SinkState state;
        int64_t failures; /* in a row, of this life, without a long pause between them */
        bool unsaved;     /* it has changed since it was saved */
        /* The latest pause: how much of it does not count, and its end; wall clock, ms. */
        int64_t paused, paused_until;

        HookPhase phase;
        bool poked;         /* the step is due */
        bool awaits_commit; /* there is something to do that an open transaction is in the way of */
        PortionSource step;
        sd_event_source *timer;
        HttpCall *call;
        char *body; /* of the call */
        Parcel parcel;
        int64_t singly_until; /* up to this seq one event a request: a batch of them was refused */
        unsigned store_failures; /* in a row */

        /* Read, not yet finished with (formats of events and alerts). */
        Event **queue;
        size_t n_queue, at;
        int64_t read_to; /* all up to this seq has been read */

        /* What runs brought (formats that sum up). */
        Digest digest;
        bool digest_stale; /* it is not to be sent again */
        WebhookIdMaker ids;
        int64_t first_run, last_run; /* that the digest tells of */
        uint64_t hold_until;         /* CLOCK_BOOTTIME, µs; 0: nothing is held */
        unsigned early;              /* digests that came due while their runs went on */

        /* Alerts that last (hook-repeat.c). */
        sd_event_source *repeat_timer;
        bool repeat_due, repeating; /* a round is due; its request is in flight */
        int64_t repeat_row;         /* the round has got this far */
        int64_t repeat_next;        /* and this far, once the request in flight is taken */

        /* What is being given up, and why: the parcel, and what is older than this, if not 0. */
        char given_up[256];
        int64_t bury_before; /* wall clock, ms */
        uint64_t bury_wait;  /* then the next attempt is due in so many µs; 0: at once */
        uint64_t failure_told_at, refusal_told_at; /* CLOCK_BOOTTIME, µs; 0: not yet */
        sd_event_source *dead_timer; /* runs while nothing more is to be said of dead letters */
        uint64_t dead_untold;        /* of which nothing was said */
        int64_t dead_last;           /* seq of the last one */
};

/* What there is to do. */
typedef enum HookWork {
        HOOK_NOTHING, /* all is told */
        HOOK_READY,   /* the parcel can be sent */
        HOOK_MORE,    /* go on reading in the next turn */
        HOOK_LATER,   /* the timer, or the end of the open transaction comes */
} HookWork;

/* hook.c */

/* The state is to be saved. */
void hook_changed(Hook *h);
/* There is nothing more to do for now. */
void hook_rest(Hook *h);
/* The next attempt is due in so many microseconds. */
void hook_wait(Hook *h, uint64_t delay);

/* hook-answer.c */

/* Of the request that told the parcel, or of a round's: the phase is idle, and may be another after
 * it. */
void hook_answered(Hook *h, const WebhookAnswer *a);
/* Likewise for one that could not even be made. */
void hook_failed(Hook *h, const WebhookAnswer *a);
/* The receiver has answered, or somebody has mended something: it counts as failing no more. */
void hook_forget_failures(Hook *h);
/* Says in the log how many events were given up: at once, but for the rest of a minute only at its
 * end, or when the webhook is closed. */
void hook_tell_dead(Hook *h);
/* Whether what was told at that time had been waiting by then; a pause in which nobody tried makes
 * nothing older.  Wall clock, ms. */
bool hook_waited_by(const Hook *h, int64_t time, int64_t then);
int hook_answer_open(Hook *h);
void hook_answer_close(Hook *h);

/* hook-read.c */

/* Whether the webhook is told of the account of this name. */
bool hook_is_for(const Hook *h, const char *account);

/* Up to max events from after on; at most up to limit, if that is not 0.  0 or -errno. */
#define HOOK_PORTION 128 /* events read at a time, at least */
int hook_read_portion(Hook *h, int64_t after, int64_t limit, size_t max, EventPage *ret,
                      Error *err);
/* To seq, unless it is there or beyond already. */
void hook_move_cursor(Hook *h, int64_t seq);

/* Makes the next parcel, or the one that failed again.  A HookWork, or -errno of the store. */
int hook_prepare(Hook *h, Error *err);
/* While a request is in flight: reads what the next one will tell, if that is not there already. */
bool hook_may_read_ahead(const Hook *h);
void hook_read_ahead(Hook *h);
/* The parcel's body and id; *ret_body is the caller's. */
int hook_render(Hook *h, char **ret_body, char id[static WEBHOOK_ID_SIZE], Error *err);
/* The parcel is finished with: moves the cursor over it. */
void hook_finish_parcel(Hook *h);
/* Makes dead letters of some of what is given up.  HOOK_MORE, HOOK_LATER, HOOK_NOTHING (done), or
 * -errno. */
int hook_bury_some(Hook *h, Error *err);
/* Forgets what was read; the parcel too unless it is to be sent again. */
void hook_drop(Hook *h, bool keep_parcel);
FormatSettings hook_format_settings(const Hook *h);

/* hook-digest.c: hook_prepare() for formats that are digests. */
int hook_prepare_digest(Hook *h, Error *err);

/* hook-repeat.c */
int hook_repeat_open(Hook *h, Error *err);
/* Begins a round of telling lasting alerts again, if the format does so. */
void hook_repeat_start(Hook *h);
/* The next request of the round: HOOK_READY with *ret_body (the caller's), HOOK_MORE, HOOK_LATER,
 * HOOK_NOTHING (the round is over), or -errno. */
int hook_repeat_prepare(Hook *h, char **ret_body, Error *err);
/* Its answer came: go on, or end the round. */
void hook_repeat_taken(Hook *h);
void hook_repeat_end(Hook *h);
