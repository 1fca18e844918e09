/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: a line comes in, lines go out, and neither may take its time.  Once the line has
 * come nothing more is read, so that one who goes on writing blocks itself. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/timespan.h"
#include "daemon/control-internal.h"

#define REQUEST_TIME (5 * USEC_PER_SEC) /* until its line is there, whole */
#define KERNEL_BUFFER 65536             /* of what is sent; about */
#define STALL_TIME (10 * USEC_PER_SEC)  /* without reading any of what waits for it */

static void set_timer(Client *k, uint64_t delay) {
        (void) sd_event_source_set_time_relative(k->timer, delay);
        (void) sd_event_source_set_enabled(k->timer, SD_EVENT_ONESHOT);
}

/* It may be in use further up: it goes when the loop is back. */
static void give_up(Client *k) {
        k->broken = true;
        set_timer(k, 0);
}

void client_free(Client *k) {
        Client **at = &k->control->clients;

        while (*at != k)
                at = &(*at)->next;
        *at = k->next;
        k->control->n_clients--;
        watch_free(k->watch);
        trial_free(k->trial);
        control_forget_leave(k->control, k);
        (void) sd_event_source_disable_unref(k->io);
        (void) sd_event_source_disable_unref(k->timer);
        (void) close(k->fd);
        buffer_clear(&k->in);
        buffer_clear(&k->out);
        free(k);
}

/* ---- out ---- */

/* Nothing is read while an answer is under way; that the client goes is told in any case. */
static void want_write(Client *k) {
        if (k->out.len == 0 || k->broken)
                return;
        (void) sd_event_source_set_io_events(k->io, EPOLLOUT);
        set_timer(k, STALL_TIME);
}

void client_say(Client *k, ControlAnswerKind kind, json_object *body) {
        CLEANUP_FREE char *line = control_answer_format(kind, body);

        assert(!k->ended);
        if (k->broken)
                return;
        if (!line || buffer_append(&k->out, line, strlen(line), CONTROL_ANSWER_MAX) < 0)
                give_up(k);
        else if (k->out.len == strlen(line)) /* else it is waiting already */
                want_write(k);
}

void client_end(Client *k, ControlAnswerKind kind, json_object *body) {
        client_say(k, kind, body);
        k->ended = true;
}

void client_refuse(Client *k, const char *code, const char *fmt, ...) {
        char message[512];
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(message, sizeof message, fmt, ap);
        va_end(ap);
        client_end(k, CONTROL_ERROR, control_error_json(code, message));
}

void client_flush(Client *k) {
        while (k->out.len > 0 && !k->broken) {
                ssize_t n =
                        send(k->fd, buffer_front(&k->out), k->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        k->broken = errno != EAGAIN;
                        return;
                }
                buffer_take(&k->out, (size_t) n);
                set_timer(k, STALL_TIME);
        }
}

/* Returns whether k is still there. */
static bool write_on(Client *k) {
        client_flush(k);
        if (k->broken || (k->ended && k->out.len == 0)) {
                client_free(k);
                return false;
        }
        if (k->out.len == 0) {
                (void) sd_event_source_set_io_events(k->io, 0);
                (void) sd_event_source_set_enabled(k->timer, SD_EVENT_OFF);
        }
        return true;
}

/* ---- in ---- */

static void take_request(Client *k) {
        size_t len = buffer_line(&k->in);

        k->asked = true;
        (void) sd_event_source_set_io_events(k->io, 0);
        (void) sd_event_source_set_enabled(k->timer, SD_EVENT_OFF);
        if (len + 1 < k->in.len)
                client_refuse(k, CONTROL_BAD_REQUEST, "a connection takes one line");
        else
                control_handle(k, buffer_front(&k->in), len);
        buffer_clear(&k->in);
}

static void refuse_size(Client *k) {
        k->asked = true;
        client_refuse(k, CONTROL_BAD_REQUEST, "a request has at most %zu bytes", CONTROL_LINE_MAX);
        buffer_clear(&k->in);
}

/* Reads a portion; the loop comes back for more. */
static void read_on(Client *k) {
        char portion[4096];
        ssize_t n = recv(k->fd, portion, sizeof portion, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) { /* it has gone, or will never end its line */
                k->broken = true;
                return;
        }
        if (buffer_append(&k->in, portion, (size_t) n, CONTROL_LINE_MAX) < 0)
                refuse_size(k);
        else if (buffer_line(&k->in) < k->in.len)
                take_request(k);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Client *k = userdata;

        (void) source;
        (void) fd;
        if (revents & (EPOLLHUP | EPOLLERR))
                k->broken = true;
        else if ((revents & EPOLLIN) && !k->asked)
                read_on(k);
        if (k->broken || (revents & EPOLLOUT))
                (void) write_on(k);
        return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
        Client *k = userdata;

        (void) source;
        (void) usec;
        if (k->asked || k->broken)
                client_free(k);
        else {
                k->asked = true;
                client_refuse(k, CONTROL_BAD_REQUEST, "no request has come");
        }
        return 0;
}

int client_new(Control *c, int fd, uid_t uid, Error *err) {
        Client *k = calloc(1, sizeof *k);
        int size = KERNEL_BUFFER, r;

        (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        if (!k) {
                (void) close(fd);
                return error_set(err, -ENOMEM, "out of memory");
        }
        *k = (Client){ .control = c, .next = c->clients, .fd = fd, .uid = uid };
        c->clients = k;
        c->n_clients++;
        r = sd_event_add_io(c->world->event, &k->io, fd, EPOLLIN, on_io, k);
        if (r >= 0)
                r = sd_event_add_time_relative(c->world->event, &k->timer, CLOCK_MONOTONIC,
                                               REQUEST_TIME, 0, on_time, k);
        if (r < 0) {
                client_free(k);
                return error_set(err, r, "cannot watch a connection: %s", strerror(-r));
        }
        (void) sd_event_source_set_exit_on_failure(k->io, true);
        (void) sd_event_source_set_exit_on_failure(k->timer, true);
        (void) sd_event_source_set_description(k->io, "control-client");
        (void) sd_event_source_set_description(k->timer, "control-client-time");
        return 0;
}
