/* SPDX-License-Identifier: Apache-2.0 */
/* From the log to a digest: one message of many events, which waits for the runs that it tells of. */
#include <time.h>

#include "base/timespan.h"
#include "daemon/hook-internal.h"

#define HOLD_FIRST (10 * USEC_PER_SEC)
#define HOLD_MOST (10 * USEC_PER_MINUTE)

static uint64_t boot_usec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

static uint64_t hold_time(const Hook *h) {
        uint64_t hold = HOLD_FIRST << (h->early < 10 ? h->early : 10);

        return hold < HOLD_MOST ? hold : HOLD_MOST;
}

static int digest_portion(Hook *h, EventPage *page, Error *err) {
        int r = 0;

        for (size_t i = 0; i < page->n && r >= 0; i++) {
                const Event *e = page->events[i];

                r = digest_add(&h->digest, e, h->minimal);
                if (r < 0)
                        break;
                r = webhook_id_add(&h->ids, e);
                if (h->digest.events == 1) {
                        h->parcel.first = e->seq;
                        h->first_run = e->run;
                        h->hold_until = boot_usec() + hold_time(h);
                        hook_move_cursor(h, e->seq - 1);
                }
                if (e->run && e->run < h->first_run)
                        h->first_run = e->run;
                if (e->run > h->last_run)
                        h->last_run = e->run;
                h->parcel.newest = e->time;
        }
        events_free(page->events, page->n);
        if (r < 0) { /* half a portion: begin anew */
                hook_drop(h, false);
                return error_set(err, r, "out of memory");
        }
        h->read_to = page->upto;
        return 0;
}

/* All of it is read, or it is due.  A digest waits for the runs that it tells of, that one mass change
 * is one message; but not for long, that whoever is suspended is told soon.  That a run has ended may
 * be in the open transaction, with events that are not read yet. */
static int close_digest(Hook *h, Error *err) {
        bool running = false;
        int r;

        if (h->digest.events == 0) {
                hook_move_cursor(h, h->read_to);
                return HOOK_NOTHING;
        }
        r = store_run_is_running(h->world->store, h->first_run, h->last_run, &running, err);
        if (r < 0)
                return r;
        if ((running || store_in_transaction(h->world->store)) && boot_usec() < h->hold_until) {
                uint64_t left = h->hold_until - boot_usec();

                (void) sd_event_source_set_time_relative(h->timer, left < h->hold_until ? left : 0);
                (void) sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
                return HOOK_LATER;
        }
        h->early = running ? h->early + 1 : 0;
        h->parcel.upto = h->read_to;
        h->parcel.events = h->digest.events;
        return HOOK_READY;
}

int hook_prepare_digest(Hook *h, Error *err) {
        EventPage page = { 0 };
        bool end, due;
        int r;

        if (h->parcel.upto)
                return HOOK_READY;
        r = hook_read_portion(h, h->read_to, 0, HOOK_PORTION, &page, err);
        if (r < 0)
                return r;
        end = page.end;
        r = digest_portion(h, &page, err);
        if (r < 0)
                return r;
        due = h->digest.events > 0 && boot_usec() >= h->hold_until;
        return end || due ? close_digest(h, err) : HOOK_MORE;
}
