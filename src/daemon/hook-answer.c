/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer changes for a webhook, and what the log says of it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "base/timespan.h"
#include "daemon/hook-internal.h"
#include "daemon/log.h"

#define GIVE_UP_ATTEMPTS 10        /* a quarter of an hour of backoff */
#define FAILURE_AGAIN USEC_PER_DAY /* a failure that lasts is told so often */
#define TELL_AGAIN USEC_PER_MINUTE /* dead letters, refusals */

void hook_forget_failures(Hook *h) {
        h->state.attempts = 0;
        h->failures = h->paused = 0;
        h->state.failing_since = h->state.next_attempt_at = TIME_NONE;
        h->failure_told_at = 0;
}

static void taken(Hook *h) {
        if (h->state.attempts > 0)
                log_webhook(LOG_NOTICE, LOG_ID_WEBHOOK_RECOVERED, h->name,
                            "webhook %s (%s) takes events again after %" PRId64 " failed %s",
                            h->name, h->host, h->state.attempts,
                            h->state.attempts == 1 ? "attempt" : "attempts");
        free(take_ptr(h->state.last_error));
        hook_forget_failures(h);
        h->state.last_success_at = time_now_ms();
        hook_changed(h);
        if (h->repeating)
                hook_repeat_taken(h);
        else
                hook_finish_parcel(h);
}

/* Whether it is to be told now; *told_at is of CLOCK_BOOTTIME, for the wall clock may be set. */
static bool is_due(uint64_t *told_at, uint64_t again) {
        uint64_t now = clock_usec(CLOCK_BOOTTIME);

        if (*told_at && now - *told_at < again)
                return false;
        *told_at = now;
        return true;
}

static void remember_failure(Hook *h, const char *reason) {
        free(h->state.last_error);
        h->state.last_error = strdup(reason); /* without memory it is merely not remembered */
        hook_changed(h);
}

static void tell_failure(Hook *h, const char *reason, uint64_t delay) {
        char again[32];
        bool first = is_due(&h->failure_told_at, FAILURE_AGAIN);

        timespan_format((delay / USEC_PER_SEC + 1) * USEC_PER_SEC, again, sizeof again);
        log_webhook(
                first ? LOG_WARNING : LOG_DEBUG, LOG_ID_WEBHOOK_FAILING, h->name,
                "webhook %s (%s) does not take events; they are kept, next attempt within %s: %s",
                h->name, h->host, again, reason);
}

/* How many attempts it takes to give up: those that the backoff makes in give_up_after, but no more
 * than ten.  Time alone does not say that a receiver was tried: the machine may have been off. */
static int64_t attempts_needed(const Hook *h) {
        uint64_t seconds = h->config->give_up_after / USEC_PER_SEC;
        int64_t n = 1;

        for (; seconds > 1 && n < GIVE_UP_ATTEMPTS; seconds /= 2)
                n++;
        return n;
}

/* An attempt that comes much too late: the machine was off or asleep, or its clock was set, or
 * rosterd runs from a timer.  Of the time in which nobody tried, no more counts than belongs to one
 * attempt. */
static void count_failure(Hook *h, int64_t now, int64_t patience) {
        int64_t late = now - h->state.next_attempt_at, most = patience / attempts_needed(h);

        if (h->state.attempts++ == 0)
                h->state.failing_since = now;
        else if (late > most) {
                h->state.failing_since += late - most;
                h->failures = 0;
                h->paused = late - most;
                h->paused_until = now;
        }
        if (h->state.failing_since > now)
                h->state.failing_since = now;
        if (h->paused_until > now) /* the clock was set back: that was no pause */
                h->paused = 0;
        h->failures++;
}

bool hook_waited_by(const Hook *h, int64_t time, int64_t then) {
        int64_t in_pause = h->paused_until - time;

        if (in_pause > 0) /* what came within it has not waited for all of it */
                time += in_pause < h->paused ? in_pause : h->paused;
        return time <= then;
}

/* It has failed for as long as it may, and the events are as old.  With --once a life has one
 * attempt, so that those of all lives count. */
static bool is_given_up(const Hook *h, int64_t now, int64_t patience) {
        int64_t attempts = h->world->once ? h->state.attempts : h->failures;

        return !h->repeating && attempts >= attempts_needed(h) &&
               now - h->state.failing_since >= patience &&
               hook_waited_by(h, h->parcel.newest, now - patience);
}

/* Gives the parcel up, and what was told before that time (0: nothing more). */
static void bury(Hook *h, const char *reason, int64_t before, uint64_t wait) {
        (void) snprintf(h->given_up, sizeof h->given_up, "%s", reason);
        h->bury_before = before;
        h->bury_wait = wait;
        h->phase = HOOK_BURYING;
        hook_poke(h);
}

void hook_failed(Hook *h, const WebhookAnswer *a) {
        int64_t now = time_now_ms(),
                patience = (int64_t) (h->config->give_up_after / USEC_PER_MSEC);
        uint64_t delay;

        count_failure(h, now, patience);
        remember_failure(h, a->reason);
        delay = webhook_backoff(h->state.attempts, a->retry_after);
        if (h->format->repeats && delay > h->config->repeat)
                delay = h->config->repeat; /* alerts that last must not end meanwhile */
        h->state.next_attempt_at = now + (int64_t) (delay / USEC_PER_MSEC);
        if (is_given_up(h, now, patience)) {
                bury(h, a->reason, now - patience, delay);
                return;
        }
        tell_failure(h, a->reason, delay);
        h->repeating = false;
        hook_drop(h, true);
        hook_wait(h, delay);
}

/* Alerts that last: the round goes on with the next ones. */
static void refused_repeat(Hook *h, const WebhookAnswer *a) {
        if (is_due(&h->refusal_told_at, TELL_AGAIN))
                log_webhook(LOG_WARNING, LOG_ID_WEBHOOK_FAILING, h->name,
                            "webhook %s (%s) refuses alerts that last: %s", h->name, h->host,
                            a->reason);
        hook_repeat_taken(h);
}

/* Of a batch that is refused, one event may be to blame: each is tried alone. */
static void refused(Hook *h, const WebhookAnswer *a) {
        hook_forget_failures(h);
        remember_failure(h, a->reason);
        if (h->repeating) {
                refused_repeat(h, a);
        } else if (h->parcel.events == 1 || h->format->style == FORMAT_DIGEST) {
                bury(h, a->reason, 0, 0);
        } else {
                h->singly_until = h->parcel.upto;
                hook_drop(h, false);
        }
}

static void gone(Hook *h, const WebhookAnswer *a) {
        char text[sizeof a->reason + 32];

        h->phase = HOOK_STOPPED;
        h->repeating = false;
        hook_drop(h, false);
        hook_forget_failures(h);
        (void) snprintf(text, sizeof text, "stopped until a reload: %s", a->reason);
        remember_failure(h, text);
        log_webhook(LOG_ERR, LOG_ID_WEBHOOK_STOPPED, h->name,
                    "webhook %s (%s) is stopped until the configuration is reloaded; events are "
                    "kept: %s",
                    h->name, h->host, a->reason);
        hook_rest(h);
}

void hook_answered(Hook *h, const WebhookAnswer *a) {
        switch (a->verdict) {
        case WEBHOOK_TAKEN:
                taken(h);
                break;
        case WEBHOOK_RETRY:
                hook_failed(h, a);
                break;
        case WEBHOOK_REFUSED:
                refused(h, a);
                break;
        case WEBHOOK_GONE:
                gone(h, a);
                break;
        }
}

static void say_dead(Hook *h) {
        log_webhook(LOG_WARNING, LOG_ID_WEBHOOK_DEAD_LETTER, h->name,
                    "webhook %s (%s): %" PRIu64 " %s given up, the last with seq %" PRId64
                    ", and kept as dead %s: %s",
                    h->name, h->host, h->dead_untold,
                    h->dead_untold == 1 ? "event was" : "events were", h->dead_last,
                    h->dead_untold == 1 ? "letter" : "letters", h->given_up);
        h->dead_untold = 0;
}

static int on_tell_again(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        hook_tell_dead(userdata);
        return 0;
}

int hook_answer_open(Hook *h) {
        int r = sd_event_add_time_relative(h->world->event, &h->dead_timer, CLOCK_BOOTTIME, 0, 0,
                                           on_tell_again, h);

        if (r >= 0)
                r = sd_event_source_set_enabled(h->dead_timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        (void) sd_event_source_set_exit_on_failure(h->dead_timer, true);
        (void) sd_event_source_set_description(h->dead_timer, "hook-dead");
        return 0;
}

void hook_answer_close(Hook *h) {
        if (h->dead_untold > 0)
                say_dead(h);
        (void) sd_event_source_disable_unref(h->dead_timer);
}

void hook_tell_dead(Hook *h) {
        if (h->dead_untold == 0 || sd_event_source_get_enabled(h->dead_timer, NULL) > 0)
                return;
        say_dead(h);
        (void) sd_event_source_set_time_relative(h->dead_timer, TELL_AGAIN);
        (void) sd_event_source_set_enabled(h->dead_timer, SD_EVENT_ONESHOT);
}
