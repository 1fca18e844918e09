/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one webhook.  Everything that may lead to a request ends in advance(), and every
 * request ends in on_answer(). */
#include "daemon/hook-internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "base/timespan.h"
#include "daemon/log.h"

#define WAIT_MOST (70 * USEC_PER_MINUTE) /* an hour of Retry-After and its tenth; after a restart */
#define STORE_RETRY_FIRST USEC_PER_SEC
#define STORE_RETRY_MOST (60 * USEC_PER_SEC)

static void advance(Hook *h);

void hook_changed(Hook *h) {
        h->unsaved = true;
        h->world->on_changed(h->world->userdata);
}

void hook_rest(Hook *h) {
        h->world->on_rest(h->world->userdata);
}

static void set_timer(Hook *h, uint64_t delay) {
        (void) sd_event_source_set_time_relative(h->timer, delay);
        (void) sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
}

void hook_wait(Hook *h, uint64_t delay) {
        h->phase = HOOK_WAITING;
        set_timer(h, delay);
        hook_rest(h);
}

void hook_poke(Hook *h) {
        h->poked = true;
        portion_arm(&h->step);
}

/* The store, not the receiver, is in the way; nothing is lost by waiting. */
static void wait_for_store(Hook *h, const Error *err) {
        if (h->store_failures++ == 0)
                log_webhook(LOG_ERR, LOG_ID_STORE_FAILED, h->name,
                            "events wait for webhook %s; they are kept: %s", h->name, err->msg);
        set_timer(h, backoff_full_jitter(STORE_RETRY_FIRST, STORE_RETRY_MOST, h->store_failures));
        hook_rest(h);
}

static void store_works(Hook *h) {
        if (h->store_failures > 0)
                log_webhook(LOG_NOTICE, LOG_ID_STORE_RECOVERED, h->name,
                            "webhook %s can go on: the database works again", h->name);
        h->store_failures = 0;
}

/* ---- requests ---- */

static void on_answer(const HttpResult *res, void *userdata) {
        WebhookAnswer a;
        Hook *h = userdata;

        assert(h->phase == HOOK_SENDING);
        h->call = NULL;
        free(take_ptr(h->body));
        h->phase = HOOK_IDLE;
        webhook_judge(h->config, res, time_now_ms(), &a);
        hook_answered(h, &a);
        advance(h);
}

static int post(Hook *h, const char *id, Error *err) {
        const WebhookRequest req = { .id = id,
                                     .content_type = h->config->batch > 1
                                                             ? h->format->list_content_type
                                                             : h->format->content_type,
                                     .body = h->body,
                                     .len = strlen(h->body) };

        return webhook_post(h->world->http, h->config, &req, time_now_ms(), on_answer, h, &h->call,
                            err);
}

/* Sends h->body, if r says that there is one.  A request that cannot even be made is tried again
 * like one that failed. */
static void send_or_wait(Hook *h, int r, const char *id, Error *err) {
        WebhookAnswer a = { .verdict = WEBHOOK_RETRY };

        if (r >= 0)
                r = post(h, id, err);
        h->phase = HOOK_SENDING;
        if (r >= 0) {
                if (hook_may_read_ahead(h))
                        hook_poke(h);
                return;
        }
        h->phase = HOOK_IDLE;
        free(take_ptr(h->body));
        (void) snprintf(a.reason, sizeof a.reason, "%s", err->msg);
        hook_failed(h, &a);
}

static void send_parcel(Hook *h) {
        char id[WEBHOOK_ID_SIZE] = "";
        Error err = { 0 };
        int r = hook_render(h, &h->body, id, &err);

        send_or_wait(h, r, id, &err);
}

/* Goes on with the round.  Returns false once it is over. */
static bool send_repeat(Hook *h) {
        char id[WEBHOOK_ID_SIZE];
        Error err = { 0 };
        int r = hook_repeat_prepare(h, &h->body, &err);

        if (r < 0) {
                wait_for_store(h, &err);
                return true;
        }
        switch (r) {
        case HOOK_READY:
                break;
        case HOOK_MORE:
                hook_repeat_taken(h);
                hook_poke(h);
                return true;
        case HOOK_LATER:
                return true;
        default:
                hook_repeat_end(h);
                return false;
        }
        store_works(h);
        h->repeating = true;
        random_event_id(id); /* it tells no event, so that nobody may take it for a repetition */
        send_or_wait(h, 0, id, &err);
        return true;
}

/* ---- dead letters ---- */

/* Returns whether all are buried. */
static bool bury_some(Hook *h) {
        Error err = { 0 };

        switch (hook_bury_some(h, &err)) {
        case HOOK_NOTHING:
                store_works(h);
                hook_tell_dead(h);
                h->phase = HOOK_IDLE;
                if (h->bury_wait)
                        hook_wait(h, h->bury_wait);
                return true;
        case HOOK_MORE:
                hook_poke(h);
                return false;
        case HOOK_LATER:
                return false;
        default:
                wait_for_store(h, &err);
                return false;
        }
}

/* ---- what comes next ---- */

static void advance_idle(Hook *h) {
        Error err = { 0 };
        int r = hook_prepare(h, &err);

        if (r < 0) {
                wait_for_store(h, &err);
        } else if (r == HOOK_READY) {
                store_works(h);
                send_parcel(h);
        } else if (r == HOOK_MORE) {
                hook_poke(h);
        } else if (r == HOOK_NOTHING && (!h->repeat_due || !send_repeat(h))) {
                store_works(h);
                hook_rest(h);
        }
}

static void advance(Hook *h) {
        if (h->phase == HOOK_BURYING && !bury_some(h))
                return;
        if (h->phase == HOOK_IDLE)
                advance_idle(h);
        else if (h->phase == HOOK_SENDING)
                hook_read_ahead(h);
}

/* A run that is fast has a transaction open in nearly every turn.  Once the loop has ended it is too
 * late for requests. */
void hook_committed(Hook *h) {
        bool at_once = h->awaits_commit && sd_event_get_state(h->world->event) != SD_EVENT_FINISHED;

        h->awaits_commit = false;
        if (at_once)
                advance(h);
        else
                hook_poke(h);
}

static int on_step(void *userdata) {
        Hook *h = userdata;

        h->poked = false;
        advance(h);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Hook *h = userdata;

        (void) source;
        (void) usec;
        if (h->phase == HOOK_WAITING)
                h->phase = HOOK_IDLE;
        advance(h);
        return 0;
}

/* ---- setting up ---- */

static int open_state(Hook *h, Error *err) {
        uint64_t from = h->config->replay_from;
        int64_t start = 0, last = 0, left;
        int r = store_event_last_seq(h->world->store, &last, err);

        if (r < 0)
                return r;
        if (from == REPLAY_FROM_NOW || from > (uint64_t) last)
                start = last;
        else if (from > 0)
                start = (int64_t) from - 1;
        r = store_sink_open(h->world->store, h->sink, start, &h->state, err);
        if (r < 0)
                return r;
        h->read_to = h->state.cursor;
        left = h->state.next_attempt_at - time_now_ms();
        if (h->state.attempts > 0 && h->state.next_attempt_at != TIME_NONE && left > 0) {
                uint64_t delay = (uint64_t) left * USEC_PER_MSEC;

                h->phase = HOOK_WAITING;
                set_timer(h, delay < WAIT_MOST ? delay : WAIT_MOST);
        }
        return 0;
}

static int add_sources(Hook *h, Error *err) {
        sd_event *event = h->world->event;
        int r = sd_event_add_time_relative(event, &h->timer, CLOCK_BOOTTIME, 0, 1, on_timer, h);

        if (r >= 0)
                r = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = hook_answer_open(h);
        if (r < 0)
                return error_set(err, r, "cannot set up webhook %s: %s", h->name, strerror(-r));
        (void) sd_event_source_set_exit_on_failure(h->timer, true);
        (void) sd_event_source_set_description(h->timer, "hook-timer");
        h->step = (PortionSource){
                .event = event, .on_portion = on_step, .userdata = h, .description = "hook-step"
        };
        return hook_repeat_open(h, err);
}

static void use_config(Hook *h, const WebhookConfig *config, bool minimal) {
        h->config = config;
        h->format = &formats[config->format];
        h->mask = format_event_mask(h->format, webhook_event_mask(config));
        h->minimal = minimal;
        (void) webhook_host(config->url, h->host, sizeof h->host);
}

int hook_new(const HookWorld *world, const WebhookConfig *config, bool minimal, Hook **ret,
             Error *err) {
        CLEANUP(hook_freep) Hook *h = calloc(1, sizeof *h);
        int r;

        if (!h || !(h->name = strdup(config->name)) ||
            asprintf(&h->sink, SINK_WEBHOOK "%s", config->name) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        h->world = world;
        use_config(h, config, minimal);
        r = add_sources(h, err);
        if (r >= 0)
                r = open_state(h, err);
        if (r < 0)
                return r;
        hook_repeat_start(h);
        hook_poke(h);
        *ret = take_ptr(h);
        return 0;
}

void hook_free(Hook *h) {
        if (!h)
                return;
        if (h->call)
                http_cancel(h->call);
        free(h->body);
        hook_answer_close(h);
        portion_disarm(&h->step);
        (void) sd_event_source_disable_unref(h->timer);
        (void) sd_event_source_disable_unref(h->repeat_timer);
        hook_drop(h, false);
        sink_state_clear(&h->state);
        free(h->name);
        free(h->sink);
        free(h);
}

/* Ends what is under way; the cursor stays. */
static void reset(Hook *h) {
        if (h->call)
                http_cancel(take_ptr(h->call));
        free(take_ptr(h->body));
        h->phase = HOOK_IDLE;
        h->repeating = false;
        h->singly_until = 0;
        hook_drop(h, false);
}

void hook_configure(Hook *h, const WebhookConfig *config, bool minimal) {
        if (!webhook_config_equal(h->config, config) || h->minimal != minimal) {
                reset(h);
                hook_forget_failures(h);
        } else if (h->phase == HOOK_WAITING || h->phase == HOOK_STOPPED)
                h->phase = HOOK_IDLE;
        use_config(h, config, minimal);
        hook_repeat_start(h);
        hook_poke(h);
}

int hook_replay(Hook *h, int64_t seq, Error *err) {
        int64_t next;
        int r = store_sink_put(h->world->store, h->sink, &h->state,
                               err); /* to go back from there */

        if (r >= 0)
                r = store_sink_replay(h->world->store, h->sink, seq, &next, err);
        if (r < 0)
                return r;
        h->state.cursor = seq - 1;
        hook_forget_failures(h);
        reset(h);
        hook_poke(h);
        return 0;
}

/* ---- what others see ---- */

const char *hook_name(const Hook *h) {
        return h->name;
}

const char *hook_sink(const Hook *h) {
        return h->sink;
}

const SinkState *hook_state(const Hook *h) {
        return &h->state;
}

bool hook_is_stopped(const Hook *h) {
        return h->phase == HOOK_STOPPED;
}

bool hook_is_at_rest(const Hook *h) {
        if (h->phase == HOOK_WAITING || h->phase == HOOK_STOPPED || h->store_failures > 0)
                return true;
        return h->phase == HOOK_IDLE && !h->poked && !h->repeat_due && h->hold_until == 0;
}

int hook_save(Hook *h, Error *err) {
        return h->unsaved ? store_sink_put(h->world->store, h->sink, &h->state, err) : 0;
}

void hook_saved(Hook *h) {
        h->unsaved = false;
}
