/* SPDX-License-Identifier: Apache-2.0 */
/* From the log to requests: which events the next one tells, and what becomes of those given up. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/timefmt.h"
#include "base/timespan.h"
#include "daemon/hook-internal.h"

#define PORTION_SCAN 2000       /* rows looked at for them */
#define PARCEL_BYTES (1u << 20) /* text of one request's events, about */
#define LASTING_REPEATS 4       /* an alert ends by itself if it is not told again so many times */

FormatSettings hook_format_settings(const Hook *h) {
        int64_t lasting = (int64_t) (h->config->repeat / USEC_PER_MSEC) * LASTING_REPEATS;
        int64_t now = time_now_ms();

        return (FormatSettings){ .minimal = h->minimal,
                                 .list = h->config->batch > 1,
                                 .routing_key = h->config->routing_key,
                                 .now = now,
                                 .lasting_until = now + lasting };
}

/* ---- reading ---- */

/* Formats of alerts have nothing to say about an event that neither begins nor ends one.  1, 0 or
 * -ENOMEM. */
static int wants(const Hook *h, const Event *e) {
        Alert a;

        return h->format->style != FORMAT_ALERTS ? 1 : alert_from_event(e, &a);
}

/* Leaves those that the webhook is told of. */
static int sift(const Hook *h, EventPage *page) {
        size_t kept = 0;
        int r = 0;

        for (size_t i = 0; i < page->n; i++) {
                int wanted = wants(h, page->events[i]);

                if (wanted > 0)
                        page->events[kept++] = page->events[i];
                else
                        event_free(page->events[i]);
                r = wanted < 0 ? wanted : r;
        }
        page->n = kept;
        return r;
}

bool hook_is_for(const Hook *h, const char *account) {
        const TextList *list = &h->config->accounts;

        for (size_t i = 0; i < list->count; i++)
                if (strcmp(list->items[i], account) == 0)
                        return true;
        return list->count == 0;
}

/* The accounts that it is told of; 0: all.  Their keys stay, while a reload that failed half way may
 * have given them other names than this configuration. */
static size_t wanted_accounts(const Hook *h, int64_t *ret) {
        const Config *config = h->world->config;
        size_t n = 0;

        for (size_t i = 0; h->config->accounts.count > 0 && i < config->n_accounts; i++)
                if (hook_is_for(h, config->accounts[i].name))
                        ret[n++] = h->world->keys[i];
        assert(n > 0 || h->config->accounts.count == 0); /* the configuration was checked */
        return n;
}

int hook_read_portion(Hook *h, int64_t after, int64_t limit, size_t max, EventPage *ret,
                      Error *err) {
        CLEANUP_FREE int64_t *accounts = calloc(h->world->config->n_accounts + 1, sizeof *accounts);

        if (!accounts)
                return error_set(err, -ENOMEM, "out of memory");

        const EventQuery q = { .after = after,
                               .upto = limit,
                               .kinds = h->mask,
                               .accounts = accounts,
                               .n_accounts = wanted_accounts(h, accounts),
                               .max = max,
                               .max_bytes = PARCEL_BYTES,
                               .max_scan = PORTION_SCAN };
        int r = store_events_read(h->world->store, &q, ret, err);

        if (r < 0 || (r = sift(h, ret)) >= 0)
                return r;
        events_free(ret->events, ret->n);
        *ret = (EventPage){ 0 };
        return error_set(err, r, "out of memory");
}

static void drop_queue(Hook *h) {
        for (size_t i = h->at; i < h->n_queue; i++)
                event_free(h->queue[i]);
        free(h->queue);
        h->queue = NULL;
        h->n_queue = h->at = 0;
}

void hook_drop(Hook *h, bool keep_parcel) {
        drop_queue(h);
        if (!keep_parcel || h->digest_stale)
                h->parcel = (Parcel){ 0 };
        if (h->parcel.upto && h->format->style == FORMAT_DIGEST)
                return;
        h->digest_stale = false;
        digest_clear(&h->digest);
        webhook_id_clear(&h->ids);
        h->first_run = h->last_run = 0;
        h->hold_until = 0;
        h->read_to = h->state.cursor;
}

void hook_reread(Hook *h) {
        bool digest = h->format->style == FORMAT_DIGEST;

        switch (h->phase) {
        case HOOK_IDLE:
        case HOOK_WAITING:
                hook_drop(h, !digest);
                hook_poke(h);
                break;
        case HOOK_SENDING:
                h->digest_stale = digest;
                while (h->n_queue - h->at > h->parcel.events)
                        event_free(h->queue[--h->n_queue]);
                h->read_to = h->parcel.upto ? h->parcel.upto : h->state.cursor;
                break;
        case HOOK_BURYING: /* that reads for itself */
        case HOOK_STOPPED:
                break;
        }
}

/* Puts a page's events behind those in the queue; takes them over, also when it fails. */
static int enqueue(Hook *h, EventPage *page) {
        size_t left = h->n_queue - h->at;
        Event **queue = page->events;

        if (left > 0) {
                queue = calloc(left + page->n + 1, sizeof *queue);
                if (!queue) {
                        events_free(page->events, page->n);
                        return -ENOMEM;
                }
                memcpy(queue, h->queue + h->at, left * sizeof *queue);
                memcpy(queue + left, page->events, page->n * sizeof *queue);
                free(page->events);
        }
        free(h->queue);
        h->queue = queue;
        h->at = 0;
        h->n_queue = left + page->n;
        h->read_to = page->upto;
        return 0;
}

/* Reads until there are so many events, or about PARCEL_BYTES of them, or no more.  Of a request that
 * failed (up to limit, else 0) everything is read, whatever it takes.  Returns a HookWork: what is
 * in the way of more events, or HOOK_READY. */
static int fill(Hook *h, size_t want, int64_t limit, Error *err) {
        size_t bytes = 0;

        while (h->n_queue - h->at < want && (limit || bytes < PARCEL_BYTES)) {
                size_t missing = want - (h->n_queue - h->at);
                EventPage page = { 0 };
                bool end, empty;
                int r;

                r = hook_read_portion(h, h->read_to, limit,
                                      missing > HOOK_PORTION ? missing : HOOK_PORTION, &page, err);
                if (r < 0)
                        return r;
                end = page.end;
                empty = page.n == 0;
                bytes += page.bytes;
                if (enqueue(h, &page) < 0)
                        return error_set(err, -ENOMEM, "out of memory");
                if (end)
                        return HOOK_NOTHING;
                if (empty) /* many rows that are not for this webhook: others have their turn */
                        return HOOK_MORE;
        }
        return HOOK_READY;
}

/* ---- requests ---- */

static size_t most_events(const Hook *h) {
        if (h->state.cursor < h->singly_until)
                return 1;
        return h->format->most ? h->format->most : h->config->batch;
}

void hook_move_cursor(Hook *h, int64_t seq) {
        if (seq <= h->state.cursor)
                return;
        h->state.cursor = seq;
        h->unsaved = true;
        h->world->on_changed(h->world->userdata);
}

/* A new parcel of what stands first in the queue. */
static void take(Hook *h, size_t most) {
        Event *const *first = h->queue + h->at;
        size_t left = h->n_queue - h->at, n = 0, bytes = 0;

        while (n < left && n < most && bytes < PARCEL_BYTES)
                bytes += first[n++]->packed;
        h->parcel = (Parcel){ .upto = n == left ? h->read_to : first[n - 1]->seq,
                              .first = first[0]->seq,
                              .events = n,
                              .newest = first[n - 1]->time };
        hook_move_cursor(h, h->parcel.first - 1); /* over what is not for this webhook */
}

static int prepare_events(Hook *h, Error *err) {
        bool again = h->parcel.upto != 0;
        size_t want = again ? h->parcel.events : most_events(h), have;
        int r = fill(h, want, h->parcel.upto, err);

        if (r < 0)
                return r;
        have = h->n_queue - h->at;
        if (have > 0 && !again) {
                take(h, want);
                return HOOK_READY;
        }
        if (again && (r == HOOK_READY || (r == HOOK_NOTHING && have > 0))) {
                if (have < h->parcel.events)
                        h->parcel.events = have; /* somebody has deleted events */
                return HOOK_READY;
        }
        if (again && r == HOOK_NOTHING) { /* all of them */
                hook_finish_parcel(h);
                return HOOK_MORE;
        }
        if (have == 0)
                hook_move_cursor(h, h->read_to);
        return r;
}

bool hook_may_read_ahead(const Hook *h) {
        return h->format->style != FORMAT_DIGEST && !h->repeating &&
               h->n_queue - h->at < h->parcel.events + most_events(h);
}

void hook_read_ahead(Hook *h) {
        if (hook_may_read_ahead(h)) /* what fails is tried again when its turn comes */
                (void) fill(h, h->parcel.events + most_events(h), 0, NULL);
}

void hook_finish_parcel(Hook *h) {
        int64_t upto = h->parcel.upto;

        for (size_t i = 0; i < h->parcel.events && h->at < h->n_queue; i++)
                event_free(h->queue[h->at++]);
        hook_move_cursor(h, upto);
        h->parcel = (Parcel){ 0 };
        if (h->at == h->n_queue)
                drop_queue(h);
        if (h->format->style == FORMAT_DIGEST)
                hook_drop(h, false);
}

int hook_prepare(Hook *h, Error *err) {
        return h->format->style == FORMAT_DIGEST ? hook_prepare_digest(h, err)
                                                 : prepare_events(h, err);
}

/* ---- bodies ---- */

static int render_alerts(Hook *h, const FormatSettings *settings, char **ret) {
        CLEANUP_FREE Alert *alerts = calloc(h->parcel.events, sizeof *alerts);

        if (!alerts)
                return -ENOMEM;
        for (size_t i = 0; i < h->parcel.events; i++) {
                int r = alert_from_event(h->queue[h->at + i], &alerts[i]);

                assert(r != 0); /* wants() */
                if (r < 0)
                        return r;
        }
        return h->format->render_alerts(settings, alerts, h->parcel.events, ret);
}

static int render(Hook *h, char **ret) {
        const FormatSettings settings = hook_format_settings(h);

        switch (h->format->style) {
        case FORMAT_EVENTS:
                return h->format->render_events(&settings, h->queue + h->at, h->parcel.events, ret);
        case FORMAT_DIGEST:
                return h->format->render_digest(&settings, &h->digest, ret);
        case FORMAT_ALERTS:
                return render_alerts(h, &settings, ret);
        }
        abort();
}

static int make_id(Hook *h, char id[static WEBHOOK_ID_SIZE]) {
        WebhookIdMaker ids = { 0 };
        int r = 0;

        if (h->format->style == FORMAT_DIGEST)
                return webhook_id_write(&h->ids, id);
        for (size_t i = 0; i < h->parcel.events && r >= 0; i++)
                r = webhook_id_add(&ids, h->queue[h->at + i]);
        if (r >= 0)
                r = webhook_id_write(&ids, id);
        webhook_id_clear(&ids);
        return r;
}

int hook_render(Hook *h, char **ret_body, char id[static WEBHOOK_ID_SIZE], Error *err) {
        if (make_id(h, id) < 0 || render(h, ret_body) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        return 0;
}

/* ---- dead letters ---- */

/* How many of the first events of a page are given up. */
static size_t count_given_up(const Hook *h, const EventPage *page) {
        size_t n = 0;

        while (n < page->n &&
               (page->events[n]->seq <= h->parcel.upto ||
                (h->bury_before && hook_waited_by(h, page->events[n]->time, h->bury_before))))
                n++;
        return n;
}

/* Dead letters and the cursor that passes them are one transaction. */
static int bury_page(Hook *h, const EventPage *page, size_t n, int64_t cursor, Error *err) {
        Store *s = h->world->store;
        SinkState state = h->state;
        int r = store_begin(s, err);

        for (size_t i = 0; i < n && r >= 0; i++)
                r = store_dead_letter_add(s, h->sink, page->events[i]->seq, h->given_up,
                                          time_now_ms(), err);
        state.cursor = cursor;
        if (r >= 0)
                r = store_sink_put(s, h->sink, &state, err);
        if (r >= 0)
                return store_commit(s, err);
        store_rollback(s);
        return r;
}

int hook_bury_some(Hook *h, Error *err) {
        EventPage page = { 0 };
        int64_t cursor;
        bool done;
        size_t n;
        int r;

        h->awaits_commit = store_in_transaction(h->world->store);
        if (h->awaits_commit)
                return HOOK_LATER;
        r = hook_read_portion(h, h->state.cursor, h->bury_before ? 0 : h->parcel.upto, HOOK_PORTION,
                              &page, err);
        if (r < 0)
                return r;
        n = count_given_up(h, &page);
        done = n < page.n || page.end;
        cursor = n < page.n ? page.events[n]->seq - 1 : page.upto;
        if (done && cursor < h->parcel.upto)
                cursor = h->parcel.upto;
        r = bury_page(h, &page, n, cursor, err);
        if (r >= 0 && n > 0)
                h->dead_last = page.events[n - 1]->seq;
        events_free(page.events, page.n);
        if (r < 0)
                return r;
        h->dead_untold += n;
        h->state.cursor = cursor;
        if (!done)
                return HOOK_MORE;
        hook_drop(h, false);
        return HOOK_NOTHING;
}
