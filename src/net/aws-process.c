/* SPDX-License-Identifier: Apache-2.0 */
#include "net/aws-process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/shellsplit.h"
#include "base/timespan.h"

#define OUT_MAX (64u << 10)
#define REAP_PATIENCE_MS 200
#define KILL_PATIENCE (2 * USEC_PER_SEC)
#define SAID_MAX 2048 /* of stderr is kept; the rest is read and dropped */

/* One pipe from the helper. */
typedef struct Stream {
        AwsProcess *process;
        int fd; /* -1: it has ended */
        sd_event_source *io;
        char *data;
        size_t len, max;
} Stream;

struct AwsProcess {
        sd_event *event;
        AwsProcessDone on_done;
        void *userdata;
        pid_t pid; /* 0: not started, or over; not reaped before, so that its group is its own */
        Stream out, err;
        sd_event_source *child, *timer;
        uint64_t timeout;
        bool too_long, too_late;
};

/* ---- the end ---- */

static void stream_close(Stream *s) {
        (void) sd_event_source_disable_unref(take_ptr(s->io));
        if (s->fd >= 0)
                (void) close(s->fd);
        s->fd = -1;
}

static void stream_free(Stream *s) {
        stream_close(s);
        if (s->data)
                explicit_bzero(s->data, s->max + 1);
        free(s->data);
}

/* With all that it has started, unless that went into a group of its own. */
static void kill_group(const AwsProcess *p) {
        if (p->pid > 0)
                (void) kill(-p->pid, SIGKILL);
}

/* What was killed ends at once, unless it has become another user's or hangs in the kernel: such a
 * one is left to itself. */
static void reap_killed(AwsProcess *p) {
        const struct timespec moment = { .tv_nsec = 1000000 };

        for (int i = 0; p->pid > 0 && i < REAP_PATIENCE_MS; i++) {
                siginfo_t si = { 0 };

                if (waitid(P_PID, (id_t) p->pid, &si, WEXITED | WNOHANG) < 0 || si.si_pid != 0)
                        p->pid = 0;
                else
                        (void) nanosleep(&moment, NULL);
        }
}

void aws_process_free(AwsProcess *p) {
        if (!p)
                return;
        (void) sd_event_source_disable_unref(p->child);
        (void) sd_event_source_disable_unref(p->timer);
        kill_group(p);
        reap_killed(p);
        stream_free(&p->out);
        stream_free(&p->err);
        (void) sd_event_unref(p->event);
        free(p);
}

/* si is NULL where the end was not seen. */
static int judge(const AwsProcess *p, const siginfo_t *si, Error *err) {
        char span[32];

        timespan_format(p->timeout, span, sizeof span);
        if (p->too_late || !si)
                return error_set(err, -ETIMEDOUT, "it did not end within %s and was killed", span);
        if (p->too_long)
                return error_set(err, -EFBIG, "it printed more than %u bytes and was killed",
                                 OUT_MAX);
        if (si->si_code != CLD_EXITED)
                return error_set(err, -EIO, "it was ended by signal %d", si->si_status);
        if (si->si_status != 0)
                return error_set(err, -EIO, "it ended with status %d", si->si_status);
        return 0;
}

static void finish(AwsProcess *p, const siginfo_t *si) {
        AwsProcessResult res = { .out = p->out.data, .out_len = p->out.len };
        char said[200];

        stream_close(&p->out);
        stream_close(&p->err);
        (void) sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
        p->out.data[p->out.len] = '\0';
        res.said = aws_mask(said, sizeof said, p->err.data, p->err.len, AWS_WORD_SHOWN);
        res.code = judge(p, si, &res.error);
        p->on_done(&res, p->userdata);
}

/* ---- what happens ---- */

/* Reads once.  Returns false when there is nothing more, for now or for ever. */
static bool read_some(Stream *s) {
        AwsProcess *p = s->process;
        char spill[4096];
        size_t room = s->max - s->len;
        ssize_t n;

        if (s->fd < 0)
                return false;
        n = room > 0 ? read(s->fd, s->data + s->len, room) : read(s->fd, spill, sizeof spill);
        if (n < 0 && errno == EINTR)
                return true;
        if (n < 0 && errno == EAGAIN)
                return false;
        if (n <= 0) {
                stream_close(s);
                return false;
        }
        if (room > 0)
                s->len += (size_t) n;
        else {
                explicit_bzero(spill, sizeof spill);
                if (s == &p->out && !p->too_long) {
                        p->too_long = true;
                        kill_group(p);
                }
        }
        return true;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        (void) source;
        (void) fd;
        (void) revents;
        (void) read_some(userdata);
        return 0;
}

/* It has ended.  What it printed is in the pipes; whoever else still has them, say an agent that it
 * has started, is not waited for.  sd-event reaps it after this. */
static int on_child(sd_event_source *source, const siginfo_t *si, void *userdata) {
        AwsProcess *p = userdata;

        (void) source;
        for (int i = 0; i < 2 * (int) (OUT_MAX / 4096) && read_some(&p->out); i++)
                ;
        for (int i = 0; i < 16 && read_some(&p->err); i++)
                ;
        if (p->too_late || p->too_long)
                kill_group(p); /* those that it has left behind, too */
        p->pid = 0;
        finish(p, si);
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        AwsProcess *p = userdata;

        (void) usec;
        kill_group(p);
        if (p->too_late || sd_event_source_set_time_relative(source, KILL_PATIENCE) < 0 ||
            sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) < 0)
                finish(p, NULL);
        else
                p->too_late = true;
        return 0;
}

/* ---- the start ---- */

/* The environment without what is not the helper's: rosterd's own keys and systemd's sockets.
 * Texts are borrowed. */
static char **helper_environment(void) {
        static const char *const ours[] = {
                "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=",
                "AWS_SESSION_TOKEN=", "AWS_SECURITY_TOKEN=",
                "NOTIFY_SOCKET=",     "AWS_CONTAINER_AUTHORIZATION_TOKEN=",
                "WATCHDOG_USEC=",     "WATCHDOG_PID=",
                "LISTEN_FDS=",        "LISTEN_PID=",
        };
        size_t n = 0, kept = 0;
        char **env;

        while (environ[n])
                n++;
        env = calloc(n + 1, sizeof *env);
        for (size_t i = 0; env && i < n; i++) {
                bool keep = true;

                for (size_t k = 0; k < sizeof ours / sizeof ours[0]; k++)
                        keep = keep && strncmp(environ[i], ours[k], strlen(ours[k])) != 0;
                if (keep)
                        env[kept++] = environ[i];
        }
        return env;
}

/* Returns an errno or 0, as posix_spawn does. */
static int spawn(AwsProcess *p, char *const *argv, char *const *env, int out, int err_fd) {
        posix_spawn_file_actions_t files;
        posix_spawnattr_t attr;
        sigset_t none, all;
        int e;

        if (posix_spawn_file_actions_init(&files) != 0)
                return ENOMEM;
        if (posix_spawnattr_init(&attr) != 0) {
                (void) posix_spawn_file_actions_destroy(&files);
                return ENOMEM;
        }
        (void) sigemptyset(&none);
        (void) sigfillset(&all);
        e = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (e == 0)
                e = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
        if (e == 0)
                e = posix_spawn_file_actions_adddup2(&files, err_fd, STDERR_FILENO);
        if (e == 0)
                e = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
        if (e == 0)
                e = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                            POSIX_SPAWN_SETSIGDEF);
        if (e == 0)
                e = posix_spawnattr_setpgroup(&attr, 0);
        if (e == 0)
                e = posix_spawnattr_setsigmask(&attr, &none);
        if (e == 0)
                e = posix_spawnattr_setsigdefault(&attr, &all);
        if (e == 0)
                e = posix_spawnp(&p->pid, argv[0], &files, &attr, argv, env);
        (void) posix_spawnattr_destroy(&attr);
        (void) posix_spawn_file_actions_destroy(&files);
        return e;
}

/* Makes a pipe: its reading end becomes the stream's, the other one is returned. */
static int stream_open(AwsProcess *p, Stream *s, size_t max, Error *err) {
        int ends[2], r;

        *s = (Stream){ .process = p, .fd = -1, .max = max, .data = malloc(max + 1) };
        if (!s->data)
                return error_set(err, -ENOMEM, "out of memory");
        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
        s->fd = ends[0];
        r = fcntl(s->fd, F_SETFL, O_NONBLOCK) < 0
                    ? -errno
                    : sd_event_add_io(p->event, &s->io, s->fd, EPOLLIN, on_readable, s);
        if (r < 0) {
                (void) close(ends[1]);
                return error_set(err, r, "cannot watch a pipe: %s", strerror(-r));
        }
        (void) sd_event_source_set_exit_on_failure(s->io, true);
        (void) sd_event_source_set_description(s->io, "aws-process-pipe");
        return ends[1];
}

static int watch(AwsProcess *p, Error *err) {
        int r = sd_event_add_child(p->event, &p->child, p->pid, WEXITED, on_child, p);

        if (r >= 0)
                r = sd_event_add_time_relative(p->event, &p->timer, CLOCK_BOOTTIME, p->timeout,
                                               USEC_PER_MSEC, on_timeout, p);
        if (r < 0)
                return error_set(err, r, "cannot watch it: %s", strerror(-r));
        (void) sd_event_source_set_exit_on_failure(p->child, true);
        (void) sd_event_source_set_exit_on_failure(p->timer, true);
        (void) sd_event_source_set_description(p->child, "aws-process");
        (void) sd_event_source_set_description(p->timer, "aws-process-timeout");
        return 0;
}

static int start(AwsProcess *p, const Words *argv, Error *err) {
        CLEANUP_FREE char **env = helper_environment();
        int out, said, e;

        if (!env)
                return error_set(err, -ENOMEM, "out of memory");
        out = stream_open(p, &p->out, OUT_MAX, err);
        if (out < 0)
                return out;
        said = stream_open(p, &p->err, SAID_MAX, err);
        if (said < 0) {
                (void) close(out);
                return said;
        }
        e = spawn(p, argv->items, env, out, said);
        (void) close(out);
        (void) close(said);
        if (e != 0) {
                p->pid = 0;
                return error_set(err, -e, "it cannot be started: %s", strerror(e));
        }
        return watch(p, err);
}

int aws_process_start(sd_event *event, const char *command, uint64_t timeout,
                      AwsProcessDone on_done, void *userdata, AwsProcess **ret, Error *err) {
        CLEANUP(aws_process_freep) AwsProcess *p = NULL;
        CLEANUP(words_clear) Words argv = { 0 };
        sigset_t child;
        int r = shell_split(command, &argv, err);

        if (r < 0)
                return r;
        if (argv.count == 0)
                return error_set(err, -EINVAL, "is empty");
        p = calloc(1, sizeof *p);
        if (!p)
                return error_set(err, -ENOMEM, "out of memory");
        p->out.fd = p->err.fd = -1;
        p->event = sd_event_ref(event);
        p->timeout = timeout;
        p->on_done = on_done;
        p->userdata = userdata;
        (void) sigemptyset(&child);
        (void) sigaddset(&child, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &child, NULL);
        r = start(p, &argv, err);
        if (r < 0)
                return r;
        *ret = take_ptr(p);
        return 0;
}
