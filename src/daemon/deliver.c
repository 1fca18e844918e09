/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/deliver.h"

#include <errno.h>
#include <string.h>

#include "base/timespan.h"
#include "daemon/log.h"
#include "daemon/portion.h"
#include "sink/sink.h"

#define PORTION 128
/* Events told and not written down, for that is a commit: after a crash they are told again, and so is
 * what was told while a run's transaction was open. */
#define UNSAVED_MAX 1024
#define RETRY_FIRST USEC_PER_SEC
#define RETRY_MOST (60 * USEC_PER_SEC)

/* One sink at its place in the log. */
typedef struct Reader {
        Deliver *deliver;
        const Sink *sink;
        int64_t cursor;
        size_t unsaved; /* so many events have been told since the cursor was written down */
        bool overdue;   /* and that has failed */
        PortionSource step;
        sd_event_source *timer;
        unsigned failures; /* in a row */
} Reader;

struct Deliver {
        Store *store;
        SinkSettings settings;
        Reader *readers;
        size_t n;
};

typedef enum Portion {
        PORTION_EMPTY,  /* all is told */
        PORTION_TOLD,   /* and there may be more */
        PORTION_FAILED, /* later */
} Portion;

/* Writes the cursor down.  Until that works, only it is tried again, not the telling.  It is no part of
 * the transaction of a run, which may be undone: the commit pokes, and then it is saved. */
static int save_cursor(Reader *r, Error *err) {
        int rc;

        if (r->unsaved == 0 || store_in_transaction(r->deliver->store))
                return 0;
        rc = store_cursor_move(r->deliver->store, r->sink->name, r->cursor, err);
        r->overdue = rc < 0;
        if (rc >= 0)
                r->unsaved = 0;
        return rc;
}

/* Tells up to one portion.  *ret_empty: there is no more to tell, and the cursor is saved. */
static int tell_some(Reader *r, bool *ret_empty, Error *err) {
        const EventQuery q = { .after = r->cursor, .kinds = EVENT_MASK_ALL, .max = PORTION };
        EventPage page = { 0 };
        size_t told = 0;
        int rc = r->overdue || r->unsaved >= UNSAVED_MAX ? save_cursor(r, err) : 0;

        if (rc >= 0)
                rc = store_events_read(r->deliver->store, &q, &page, err);
        if (rc < 0)
                return rc;
        if (page.n > 0)
                told = r->sink->tell(page.events, page.n, &r->deliver->settings, err);
        if (told > 0) {
                r->cursor = page.events[told - 1]->seq;
                r->unsaved += told;
        }
        events_free(page.events, page.n);
        *ret_empty = page.n < PORTION;
        if (told < page.n) {
                (void) save_cursor(r, NULL);
                return err->code;
        }
        return page.n < PORTION ? save_cursor(r, err) : 0;
}

static Portion tell_portion(Reader *r) {
        Error err = { 0 };
        bool empty = false;

        if (tell_some(r, &empty, &err) < 0) {
                if (r->failures++ == 0)
                        log_line(LOG_ERR, LOG_ID_STORE_FAILED, NULL,
                                 "events cannot be told to the %s for now; they are kept: %s",
                                 r->sink->name, err.msg);
                return PORTION_FAILED;
        }
        if (r->failures > 0)
                log_line(LOG_NOTICE, LOG_ID_STORE_RECOVERED, NULL,
                         "events can be told to the %s again", r->sink->name);
        r->failures = 0;
        return empty ? PORTION_EMPTY : PORTION_TOLD;
}

static int on_step(void *userdata) {
        Reader *r = userdata;
        bool waits = r->overdue && store_in_transaction(r->deliver->store);

        switch (waits ? PORTION_FAILED : tell_portion(r)) {
        case PORTION_EMPTY:
                return 0;
        case PORTION_TOLD:
                portion_arm(&r->step);
                return 0;
        case PORTION_FAILED:
                break;
        }
        (void) sd_event_source_set_time_relative(r->timer,
                                                 backoff_full_jitter(RETRY_FIRST, RETRY_MOST,
                                                                     r->failures));
        return sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        Reader *r = userdata;

        (void) source;
        (void) usec;
        portion_arm(&r->step);
        return 0;
}

static int reader_open(Reader *r, sd_event *event, Error *err) {
        int rc = store_cursor_open(r->deliver->store, r->sink->name, 0, &r->cursor, err);

        if (rc < 0)
                return rc;
        r->step = (PortionSource){
                .event = event, .on_portion = on_step, .userdata = r, .description = "deliver-step"
        };
        rc = sd_event_add_time_relative(event, &r->timer, CLOCK_MONOTONIC, 0, 0, on_retry, r);
        if (rc >= 0)
                rc = sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
        if (rc < 0)
                return error_set(err, rc, "cannot set up delivery: %s", strerror(-rc));
        (void) sd_event_source_set_exit_on_failure(r->timer, true);
        (void) sd_event_source_set_description(r->timer, "deliver-retry");
        portion_arm(&r->step);
        return 0;
}

int deliver_new(sd_event *event, Store *store, Deliver **ret, Error *err) {
        CLEANUP(deliver_freep) Deliver *d = calloc(1, sizeof *d);

        if (!d || !(d->readers = calloc(n_sinks, sizeof *d->readers)))
                return error_set(err, -ENOMEM, "out of memory");
        d->store = store;
        for (; d->n < n_sinks; d->n++) {
                Reader *r = &d->readers[d->n];
                int rc;

                r->deliver = d;
                r->sink = &sinks[d->n];
                rc = reader_open(r, event, err);
                if (rc < 0)
                        return rc;
        }
        *ret = take_ptr(d);
        return 0;
}

void deliver_free(Deliver *d) {
        if (!d)
                return;
        for (size_t i = 0; i < n_sinks && d->readers; i++) {
                portion_disarm(&d->readers[i].step);
                (void) sd_event_source_disable_unref(d->readers[i].timer);
        }
        free(d->readers);
        free(d);
}

void deliver_set_minimal(Deliver *d, bool minimal) {
        d->settings.minimal = minimal;
}

void deliver_poke(Deliver *d) {
        for (size_t i = 0; i < d->n; i++) {
                Reader *r = &d->readers[i];
                bool overdue = r->overdue;

                (void) save_cursor(r, NULL); /* what fails is said in the step */
                if (r->failures == 0 || (overdue && !r->overdue)) /* else its timer wakes it */
                        portion_arm(&r->step);
        }
}

bool deliver_drain(Deliver *d, uint64_t most) {
        uint64_t begin = clock_usec(CLOCK_MONOTONIC);
        bool all = true;

        for (size_t i = 0; i < d->n; i++) {
                Portion p;

                do
                        p = tell_portion(&d->readers[i]);
                while (p == PORTION_TOLD && clock_usec(CLOCK_MONOTONIC) - begin < most);
                (void) save_cursor(&d->readers[i], NULL); /* else some are told twice */
                all = all && p == PORTION_EMPTY;
        }
        return all;
}
