/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/retention.h"

#include <errno.h>
#include <time.h>

#include "base/timefmt.h"
#include "base/timespan.h"
#include "daemon/log.h"

#define FIRST_ROUND USEC_PER_MINUTE
#define ROUND USEC_PER_HOUR
#define STEP_PAUSE (200 * USEC_PER_MSEC)
#define STEP_ROWS 500
#define ROUND_STEPS 100
#define SINK_AGE ((int64_t) (RETENTION_SINK_DAYS * USEC_PER_DAY / USEC_PER_MSEC))

struct Retention {
        Store *store;
        sd_event_source *timer;
        uint64_t age;
};

/* Ages are counted back from the last complete listing.  The service takes no request whose time is
 * wrong by more than minutes (Signature Version 4), so that a clock that is years ahead, as after a
 * start without a battery, takes nothing. */
static int delete_before(Retention *r, int64_t now, bool *ret_more, Error *err) {
        int rc = store_sinks_forget(r->store, now - SINK_AGE, err);

        return rc < 0 ? rc
                      : store_prune(r->store, now - (int64_t) (r->age / USEC_PER_MSEC), STEP_ROWS,
                                    ret_more, err);
}

/* Deletes one step's worth.  Returns whether there is more to delete. */
static bool step(Retention *r) {
        int64_t now = time_now_ms(), last = TIME_NONE;
        Error err = { 0 };
        bool more = false;
        int rc;

        /* A transaction of the runs is open: this is not urgent enough to be undone with it. */
        if (store_in_transaction(r->store))
                return true;
        rc = store_last_complete(r->store, &last, &err);
        if (rc >= 0 && last != TIME_NONE)
                rc = delete_before(r, last < now ? last : now, &more, &err);
        if (rc >= 0)
                return more;
        log_line(LOG_WARNING, NULL, NULL, "old events stay for now: %s", err.msg);
        return false;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) usec;
        if (sd_event_source_set_time_relative(source, step(userdata) ? STEP_PAUSE : ROUND) < 0)
                return -EIO;
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void retention_round(Retention *r) {
        for (int i = 0; i < ROUND_STEPS && step(r); i++)
                ;
}

int retention_new(sd_event *event, Store *store, Retention **ret, Error *err) {
        CLEANUP(retention_freep) Retention *r = calloc(1, sizeof *r);
        int rc;

        if (!r)
                return error_set(err, -ENOMEM, "out of memory");
        r->store = store;
        rc = sd_event_add_time_relative(event, &r->timer, CLOCK_BOOTTIME, FIRST_ROUND, 0, on_timer,
                                        r);
        if (rc < 0 || (rc = sd_event_source_set_exit_on_failure(r->timer, true)) < 0)
                return error_set(err, rc, "cannot set up the retention timer");
        (void) sd_event_source_set_description(r->timer, "retention");
        *ret = take_ptr(r);
        return 0;
}

void retention_free(Retention *r) {
        if (!r)
                return;
        (void) sd_event_source_disable_unref(r->timer);
        free(r);
}

void retention_set_age(Retention *r, uint64_t age) {
        r->age = age;
}
