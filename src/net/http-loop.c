/* SPDX-License-Identifier: Apache-2.0 */
/* curl's multi interface on one sd-event loop.
 *
 * curl says which sockets it wants watched (on_curl_socket) and when it wants to be called at the
 * latest (on_curl_timer); the loop tells curl what happened (drive), and every turn ends with
 * reap(), which hands out all calls that have finished.  Callbacks of curl never call back into
 * curl: they only arm.  Callbacks of callers run in reap() alone, outside of curl, so that they may
 * start and cancel calls as they like. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/timespan.h"
#include "net/http-internal.h"

/* Connections to one host at a time, as many as accounts may sync at once: a call must not use up
 * its time waiting for a connection.  And how many idle ones are kept. */
#define HTTP_HOST_CONNECTIONS 64L
#define HTTP_IDLE_CONNECTIONS 32L

/* What a body that nobody needs is waited for: one that ends keeps its connection. */
#define HTTP_BODY_PATIENCE USEC_PER_SEC

#define AT_ONCE UINT64_C(0)
#define NEVER UINT64_MAX

/* ---- curl's timer ---- */

static int set_sources(Http *h, int now, int timer) {
        int r = sd_event_source_set_enabled(h->now, now);

        return r < 0 ? r : sd_event_source_set_enabled(h->timer, timer);
}

/* Whether the timer runs, and not for longer than need be. */
static bool timer_suffices(const Http *h) {
        uint64_t time = 0;
        int enabled = SD_EVENT_OFF;

        return sd_event_source_get_enabled(h->timer, &enabled) >= 0 && enabled != SD_EVENT_OFF &&
               sd_event_source_get_time(h->timer, &time) >= 0 && time <= h->due;
}

/* Sees to it that curl is called as it wants.  Done when a turn is over, for within one curl changes its
 * mind several times, and to set a timer costs as much as to send a request.  For that reason, too, a
 * timer that comes too early may stay while calls are under way: curl then asks for what it needs. */
static int keep_time(Http *h) {
        int r;

        if (h->due == NEVER)
                return set_sources(h, SD_EVENT_OFF, SD_EVENT_OFF);
        if (h->due == AT_ONCE)
                return sd_event_source_set_enabled(h->now, SD_EVENT_ONESHOT);
        if (timer_suffices(h))
                return sd_event_source_set_enabled(h->now, SD_EVENT_OFF);
        r = sd_event_source_set_time(h->timer, h->due);
        return r < 0 ? r : set_sources(h, SD_EVENT_OFF, SD_EVENT_ONESHOT);
}

/* Of curl's timeout_ms; -1 is never. */
static uint64_t due_in(const Http *h, long timeout_ms) {
        uint64_t now = 0;

        if (timeout_ms <= 0)
                return timeout_ms < 0 ? NEVER : AT_ONCE;
        (void) sd_event_now(h->event, CLOCK_MONOTONIC, &now);
        return now + (uint64_t) timeout_ms * USEC_PER_MSEC;
}

/* ---- loop and curl ---- */

static void end_call(HttpCall *call, CURLcode code) {
        CLEANUP(http_call_freep) HttpCall *c = call;
        Http *h = c->http;
        char reason[HTTP_REASON_SIZE];
        HttpResult res;

        http_call_detach(c);
        res = http_call_result(c, code, reason);
        assert(!h->reaping);
        h->reaping = true;
        c->on_done(&res, c->userdata);
        h->reaping = false;
}

/* Hands out every finished call.  The loop asks curl anew each time, for on_done may have cancelled
 * a call that had finished as well. */
static void reap(Http *h) {
        CURLMsg *m;
        int left;

        while ((m = curl_multi_info_read(h->multi, &left))) {
                void *private = NULL;

                assert(m->msg == CURLMSG_DONE);
                (void) curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **) &private);
                end_call(private, m->data.result);
        }
}

static int on_late(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        end_call(userdata, CURLE_OPERATION_TIMEDOUT);
        return 0;
}

void http_call_hasten(HttpCall *c) {
        if (c->late || sd_event_add_time_relative(c->http->event, &c->late, CLOCK_MONOTONIC,
                                                  HTTP_BODY_PATIENCE, 0, on_late, c) < 0)
                return; /* without memory its own time ends it */
        (void) sd_event_source_set_exit_on_failure(c->late, true);
        (void) sd_event_source_set_description(c->late, "http-late");
}

/* When an address does not answer, libcurl 7.88 closes the socket and tries the next address whenever
 * the call has its next turn: which it does not ask for, so that time runs out. */
static void push_on(Http *h) {
        for (HttpCall *c = h->calls; c; c = c->next) {
                if (!c->lost_socket)
                        continue;
                c->lost_socket = false;
                /* a change of this state is what asks for a turn; there is nothing to pause yet */
                (void) curl_easy_pause(c->easy, CURLPAUSE_SEND);
                (void) curl_easy_pause(c->easy, CURLPAUSE_CONT);
        }
}

static int turn(Http *h, curl_socket_t fd, int what) {
        int running;

        if (fd == CURL_SOCKET_TIMEOUT)
                h->due = NEVER; /* unless curl says so anew */
        if (curl_multi_socket_action(h->multi, fd, what, &running) != CURLM_OK)
                return -EIO; /* exit_on_failure turns this into a loud exit */
        reap(h);
        push_on(h);
        return 0;
}

/* What on_done has started gets its first turn at once, so that it is on its way before anybody works
 * on. */
static int drive(Http *h, curl_socket_t fd, int what) {
        int r;

        h->driven = true;
        r = turn(h, fd, what);
        if (r >= 0 && h->due == AT_ONCE)
                r = turn(h, CURL_SOCKET_TIMEOUT, 0);
        h->driven = false;
        return r < 0 ? r : keep_time(h);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        int what = (revents & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (revents & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (revents & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

        (void) source;
        return drive(userdata, fd, what);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        return drive(userdata, CURL_SOCKET_TIMEOUT, 0);
}

static int on_now(sd_event_source *source, void *userdata) {
        (void) source;
        return drive(userdata, CURL_SOCKET_TIMEOUT, 0);
}

static void note_lost_socket(CURL *easy) {
        void *private = NULL;

        /* curl's own handles have none */
        if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &private) == CURLE_OK && private)
                ((HttpCall *) private)->lost_socket = true;
}

/* curl -> loop: watch this socket so.  The source travels as curl's socketp. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socketp) {
        CLEANUP(sd_event_source_unrefp) sd_event_source *fresh = NULL;
        sd_event_source *io = socketp;
        Http *h = userdata;
        uint32_t events = (what & CURL_POLL_IN ? (uint32_t) EPOLLIN : 0u) |
                          (what & CURL_POLL_OUT ? (uint32_t) EPOLLOUT : 0u);

        if (what == CURL_POLL_REMOVE) {
                note_lost_socket(easy);
                (void) sd_event_source_disable_unref(io);
                return 0;
        }
        if (io)
                return sd_event_source_set_io_events(io, events) < 0 ? -1 : 0;

        if (sd_event_add_io(h->event, &fresh, fd, events, on_io, h) < 0 ||
            sd_event_source_set_exit_on_failure(fresh, true) < 0 ||
            curl_multi_assign(h->multi, fd, fresh) != CURLM_OK)
                return -1;
        (void) sd_event_source_set_description(fresh, "http-io");
        (void) take_ptr(fresh); /* curl holds it until CURL_POLL_REMOVE */
        return 0;
}

/* curl -> loop: call me in timeout_ms; -1 is never. */
static int on_curl_timer(CURLM *multi, long timeout_ms, void *userdata) {
        Http *h = userdata;

        (void) multi;
        h->due = due_in(h, timeout_ms);
        return !h->driven && keep_time(h) < 0 ? -1 : 0;
}

/* ---- the client ---- */

/* A source that waits until it is enabled. */
static int make_ready(sd_event_source *source, const char *name) {
        int r = sd_event_source_set_enabled(source, SD_EVENT_OFF);

        (void) sd_event_source_set_description(source, name);
        return r < 0 ? r : sd_event_source_set_exit_on_failure(source, true);
}

int http_new(sd_event *event, Http **ret, Error *err) {
        CLEANUP(http_freep) Http *h = NULL;
        int r;

        assert(event);
        assert(ret);

        h = calloc(1, sizeof *h);
        if (!h)
                return error_set(err, -ENOMEM, "out of memory");
        h->event = sd_event_ref(event);
        h->due = NEVER;

        /* An accuracy of 1 µs: the default lets a timer come 250 ms late, and every call begins
         * with one. */
        r = sd_event_add_time(event, &h->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_timer, h);
        if (r >= 0)
                r = make_ready(h->timer, "http-timer");
        if (r >= 0)
                r = sd_event_add_defer(event, &h->now, on_now, h);
        if (r >= 0)
                r = make_ready(h->now, "http-now");
        if (r < 0)
                return error_set(err, r, "cannot set up a timer: %s", strerror(-r));

        if (http_memory_init() != CURLE_OK)
                return error_set(err, -ENOMEM, "cannot set up libcurl");
        h->multi = curl_multi_init();
        if (!h->multi ||
            curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) != CURLM_OK ||
            curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h) != CURLM_OK ||
            curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) != CURLM_OK ||
            curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h) != CURLM_OK ||
            curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, HTTP_HOST_CONNECTIONS) !=
                    CURLM_OK ||
            curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, HTTP_IDLE_CONNECTIONS) != CURLM_OK)
                return error_set(err, -ENOMEM, "cannot set up libcurl");

        *ret = take_ptr(h);
        return 0;
}

void http_free(Http *h) {
        if (!h)
                return;
        assert(!h->reaping);

        while (h->calls)
                http_call_free(h->calls);
        if (h->multi)
                (void) curl_multi_cleanup(h->multi); /* calls back: timer and event come after */
        (void) sd_event_source_disable_unref(h->timer);
        (void) sd_event_source_disable_unref(h->now);
        (void) sd_event_unref(h->event);
        free(h);
}
