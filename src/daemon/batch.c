/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/batch.h"

#include <errno.h>
#include <time.h>

#include "base/timespan.h"

#define BATCH_AGE (500 * USEC_PER_MSEC)
#define QUIET_AGE (2 * USEC_PER_SEC)

struct Batch {
        Store *store;
        sd_event_source *timer;
        bool quiet; /* the open transaction has no news yet */
        BatchCommitted on_committed;
        BatchLost on_lost;
        void *userdata;
};

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Batch *b = userdata;

        (void) source;
        (void) usec;
        (void) batch_flush(b, NULL); /* a failure has gone to on_lost */
        return 0;
}

int batch_new(sd_event *event, Store *store, BatchCommitted on_committed, BatchLost on_lost,
              void *userdata, Batch **ret, Error *err) {
        CLEANUP(batch_freep) Batch *b = calloc(1, sizeof *b);
        int r;

        if (!b)
                return error_set(err, -ENOMEM, "out of memory");
        *b = (Batch){ .store = store,
                      .on_committed = on_committed,
                      .on_lost = on_lost,
                      .userdata = userdata };
        r = sd_event_add_time_relative(event, &b->timer, CLOCK_MONOTONIC, 0, 1, on_timer, b);
        if (r < 0 || (r = sd_event_source_set_enabled(b->timer, SD_EVENT_OFF)) < 0 ||
            (r = sd_event_source_set_exit_on_failure(b->timer, true)) < 0)
                return error_set(err, r, "cannot set up the commit timer");
        (void) sd_event_source_set_description(b->timer, "batch-commit");
        *ret = take_ptr(b);
        return 0;
}

void batch_free(Batch *b) {
        if (!b)
                return;
        store_rollback(b->store);
        (void) sd_event_source_disable_unref(b->timer);
        free(b);
}

static int set_timer(Batch *b, uint64_t age, Error *err) {
        /* Once the loop has ended no timer can be set, and none is needed: whoever writes then, to
         * record how runs were interrupted, flushes. */
        if (sd_event_get_state(sd_event_source_get_event(b->timer)) == SD_EVENT_FINISHED)
                return 0;
        if (sd_event_source_set_time_relative(b->timer, age) < 0 ||
            sd_event_source_set_enabled(b->timer, SD_EVENT_ONESHOT) < 0) {
                store_rollback(b->store);
                return error_set(err, -EIO, "cannot set the commit timer");
        }
        return 0;
}

static int begin(Batch *b, bool quiet, Error *err) {
        int r;

        if (store_in_transaction(b->store) && (quiet || !b->quiet))
                return 0;
        r = store_begin(b->store, err); /* joins an open one */
        if (r < 0)
                return r;
        b->quiet = quiet;
        return set_timer(b, quiet ? QUIET_AGE : BATCH_AGE, err);
}

int batch_write(Batch *b, Error *err) {
        return begin(b, false, err);
}

int batch_write_quietly(Batch *b, Error *err) {
        return begin(b, true, err);
}

int batch_flush(Batch *b, Error *err) {
        Error why = { 0 };
        int r;

        (void) sd_event_source_set_enabled(b->timer, SD_EVENT_OFF);
        if (!store_in_transaction(b->store))
                return 0;
        r = store_commit(b->store, &why);
        if (r < 0) {
                if (err)
                        *err = why;
                batch_lose(b, &why);
                return r;
        }
        b->on_committed(b->userdata);
        return 0;
}

void batch_lose(Batch *b, const Error *why) {
        (void) sd_event_source_set_enabled(b->timer, SD_EVENT_OFF);
        store_rollback(b->store);
        b->on_lost(why, b->userdata);
}
