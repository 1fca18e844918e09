/* SPDX-License-Identifier: Apache-2.0 */
/* From the log to a digest: one message of many events, which waits for the runs that it tells of. */
#include "base/timespan.h"
#include "daemon/hook-internal.h"

#define HOLD_FIRST (10 * USEC_PER_SEC)
#define HOLD_MOST (10 * USEC_PER_MINUTE)

static uint64_t hold_time(const Hook *h) {
        uint64_t hold = HOLD_FIRST << (h->early < 10 ? h->early : 10);

        return hold < HOLD_MOST ? hold : HOLD_MOST;
}

static int digest_event(Hook *h, const Event *e) {
        int r = digest_add(&h->digest, e, h->minimal);

        if (r == DIGEST_FULL)
                return r;
        if (r >= 0)
                r = webhook_id_add(&h->ids, e);
        if (r < 0)
                return r;
        if (h->digest.events == 1) {
                h->parcel.first = e->seq;
                h->first_run = e->run;
                h->hold_until = clock_usec(CLOCK_BOOTTIME) + hold_time(h);
                hook_move_cursor(h, e->seq - 1);
        }
        if (e->run && e->run < h->first_run)
                h->first_run = e->run;
        if (e->run > h->last_run)
                h->last_run = e->run;
        h->parcel.newest = e->time;
        h->read_to = e->seq;
        return DIGEST_ADDED;
}

/* A DigestAdd or -errno. */
static int digest_portion(Hook *h, EventPage *page, Error *err) {
        int r = DIGEST_ADDED;

        for (size_t i = 0; i < page->n && r == DIGEST_ADDED; i++)
                r = digest_event(h, page->events[i]);
        if (r == DIGEST_ADDED)
                h->read_to = page->upto;
        events_free(page->events, page->n);
        if (r >= 0)
                return r;
        hook_drop(h, false); /* half a portion: begin anew */
        return error_set(err, r, "out of memory");
}

/* All of it is read, or it is due, or full.  A digest waits for the runs that it tells of, that one
 * mass change is one message; but not for long, that whoever is suspended is told soon.  That a run has
 * ended may be in the open transaction, with events that are not read yet. */
static int close_digest(Hook *h, bool full, Error *err) {
        bool running = false;
        int r;

        if (h->digest.events == 0) {
                hook_move_cursor(h, h->read_to);
                return HOOK_NOTHING;
        }
        r = store_run_is_running(h->world->store, h->first_run, h->last_run, &running, err);
        if (r < 0)
                return r;
        if (!full && (running || store_in_transaction(h->world->store)) &&
            clock_usec(CLOCK_BOOTTIME) < h->hold_until) {
                uint64_t left = h->hold_until - clock_usec(CLOCK_BOOTTIME);

                (void) sd_event_source_set_time_relative(h->timer, left < h->hold_until ? left : 0);
                (void) sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
                return HOOK_LATER;
        }
        h->early = running ? h->early + !full : 0;
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
        due = h->digest.events > 0 && clock_usec(CLOCK_BOOTTIME) >= h->hold_until;
        return r == DIGEST_FULL || end || due ? close_digest(h, r == DIGEST_FULL, err) : HOOK_MORE;
}
