/* SPDX-License-Identifier: Apache-2.0 */
/* The socket itself: who may connect, and how many at once. */
#include "daemon/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/timespan.h"
#include "daemon/control-internal.h"
#include "daemon/log.h"

#define SOCKET_MODE 0660
#define LOCK_MODE 0640
#define ACCEPT_REST USEC_PER_SEC /* after a failure that is ours, such as too many open files */
#define TICK (200 * USEC_PER_MSEC)
#define GROUPS_MAX 65536 /* NGROUPS_MAX of the kernel */

/* ---- who may ask ---- */

/* Supplementary groups as the kernel has them: the service may see another /etc/group, or, with
 * PrivateUsers=, no users but its own. */
static bool is_in_group(int fd, gid_t group) {
        CLEANUP_FREE gid_t *groups = NULL;
        socklen_t len = 0;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE ||
            len > GROUPS_MAX * sizeof *groups)
                return false;
        groups = malloc(len);
        if (!groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
                return false;
        for (size_t i = 0; i < len / sizeof *groups; i++)
                if (groups[i] == group)
                        return true;
        return false;
}

/* The mode of the socket says the same; this holds even where somebody has changed it. */
static bool may_ask(const Control *c, int fd, uid_t *ret_uid) {
        struct ucred peer;
        socklen_t len = sizeof peer;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
                return false;
        *ret_uid = peer.uid;
        return peer.uid == 0 || peer.uid == geteuid() || peer.gid == c->group ||
               is_in_group(fd, c->group);
}

/* ---- connections ---- */

static void turn_away(int fd, const char *code, const char *message) {
        CLEANUP_FREE char *line =
                control_answer_format(CONTROL_ERROR, control_error_json(code, message));

        if (line) /* it has room for so little */
                (void) send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
        (void) close(fd);
}

static void take_rest(Control *c) {
        (void) sd_event_source_set_enabled(c->io, SD_EVENT_OFF);
        (void) sd_event_source_set_time_relative(c->rest, ACCEPT_REST);
        (void) sd_event_source_set_enabled(c->rest, SD_EVENT_ONESHOT);
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Control *c = userdata;
        int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        uid_t uid = (uid_t) -1;
        Error err = { 0 };

        (void) source;
        (void) revents;
        if (peer < 0) {
                if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                        take_rest(c);
        } else if (!may_ask(c, peer, &uid))
                turn_away(peer, CONTROL_DENIED,
                          "only root and members of the socket's group may ask rosterd");
        else if (c->n_clients >= CLIENTS_MAX)
                turn_away(peer, CONTROL_BUSY, "too many others ask rosterd just now; try again");
        else if (client_new(c, peer, uid, &err) < 0)
                log_line(LOG_WARNING, NULL, NULL, "a request could not be taken: %s", err.msg);
        return 0;
}

static int on_rested(sd_event_source *source, uint64_t usec, void *userdata) {
        Control *c = userdata;

        (void) source;
        (void) usec;
        return sd_event_source_set_enabled(c->io, SD_EVENT_ON);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) usec;
        if (!control_tell_progress(userdata))
                return 0;
        if (sd_event_source_set_time_relative(source, TICK) < 0)
                return -EIO;
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- set-up ---- */

static int failed(const Control *c, const char *what, Error *err) {
        int e = errno;
        bool denied = e == EACCES || e == EPERM || e == EROFS;

        return error_set(err, -e, "cannot %s the control socket %s: %s%s", what, c->path,
                         strerror(e),
                         denied ? "; give its directory to the user that rosterd runs as, or set "
                                  "control_socket"
                                : "");
}

/* Whoever holds it may take away a socket that a killed process has left. */
static int take_lock(Control *c, Error *err) {
        CLEANUP_FREE char *path = NULL;

        if (asprintf(&path, "%s.lock", c->path) < 0) {
                path = NULL;
                return error_set(err, -ENOMEM, "out of memory");
        }
        c->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, LOCK_MODE);
        if (c->lock < 0 && errno == ENOENT)
                return error_set(
                        err, -ENOENT,
                        "the directory of the control socket %s does not exist; create it, "
                        "owned by the user that rosterd runs as, or set control_socket",
                        c->path);
        if (c->lock < 0)
                return failed(c, "lock", err);
        if (flock(c->lock, LOCK_EX | LOCK_NB) == 0)
                return 0;
        if (errno != EWOULDBLOCK)
                return failed(c, "lock", err);
        return error_set(err, -EBUSY, "another rosterd listens at the control socket %s", c->path);
}

/* Never removes what is no socket. */
static int remove_old(const Control *c, Error *err) {
        struct stat st;

        if (lstat(c->path, &st) < 0)
                return errno == ENOENT ? 0 : failed(c, "look for", err);
        if (!S_ISSOCK(st.st_mode))
                return error_set(err, -EEXIST, "%s is there already and is no socket", c->path);
        return unlink(c->path) < 0 ? failed(c, "replace", err) : 0;
}

static int open_socket(Control *c, Error *err) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct stat st;
        int r;

        if (strlen(c->path) >= sizeof address.sun_path)
                return error_set(err, -ENAMETOOLONG, "%s is too long for a socket", c->path);
        memcpy(address.sun_path, c->path, strlen(c->path));
        r = take_lock(c, err);
        if (r >= 0)
                r = remove_old(c, err);
        if (r < 0)
                return r;
        c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (c->fd < 0 || bind(c->fd, (const struct sockaddr *) &address, sizeof address) < 0)
                return failed(c, "make", err);
        c->bound = true;
        /* nobody gets in before listen() */
        if (chmod(c->path, SOCKET_MODE) < 0 || stat(c->path, &st) < 0 ||
            listen(c->fd, SOMAXCONN) < 0)
                return failed(c, "set up", err);
        c->group = st.st_gid;
        return 0;
}

static int add_timer(Control *c, clockid_t clock, sd_event_time_handler_t handler, const char *name,
                     sd_event_source **ret) {
        int r = sd_event_add_time_relative(c->world->event, ret, clock, 0, 0, handler, c);

        if (r >= 0)
                r = sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(*ret, true);
        if (r >= 0)
                (void) sd_event_source_set_description(*ret, name);
        return r;
}

int control_new(const SyncWorld *world, const char *path, Control **ret, Error *err) {
        CLEANUP(control_freep) Control *c = calloc(1, sizeof *c);
        int r;

        if (!c)
                return error_set(err, -ENOMEM, "out of memory");
        c->world = world;
        c->fd = c->lock = -1;
        c->path = strdup(path);
        if (!c->path)
                return error_set(err, -ENOMEM, "out of memory");
        r = open_socket(c, err);
        if (r < 0)
                return r;
        r = sd_event_add_io(world->event, &c->io, c->fd, EPOLLIN, on_connection, c);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(c->io, true);
        if (r >= 0)
                r = add_timer(c, CLOCK_MONOTONIC, on_rested, "control-rest", &c->rest);
        if (r >= 0)
                r = add_timer(c, CLOCK_MONOTONIC, on_tick, "control-progress", &c->tick);
        if (r < 0)
                return error_set(err, r, "cannot set up the control socket: %s", strerror(-r));
        (void) sd_event_source_set_description(c->io, "control");
        *ret = take_ptr(c);
        return 0;
}

void control_free(Control *c) {
        if (!c)
                return;
        while (c->clients) {
                Client *k = c->clients;

                if (!k->ended)
                        client_refuse(k, CONTROL_FAILED, "rosterd is stopping");
                client_flush(k);
                client_free(k);
        }
        control_forget_stop(c);
        (void) sd_event_source_disable_unref(c->io);
        (void) sd_event_source_disable_unref(c->rest);
        (void) sd_event_source_disable_unref(c->tick);
        if (c->bound)
                (void) unlink(c->path);
        if (c->fd >= 0)
                (void) close(c->fd);
        if (c->lock >= 0)
                (void) close(c->lock);
        free(c->path);
        free(c);
}

void control_use(Control *c, Config *config, Schedule *schedule, Webhooks *webhooks) {
        if (!c)
                return;
        c->config = config;
        c->schedule = schedule;
        c->webhooks = webhooks;
        control_recheck_watches(c);
}
