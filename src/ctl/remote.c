/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end of the control socket; and what a command that writes does where nobody listens. */
#include "ctl/remote.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/text.h"

#define PATIENCE_STATUS 3000 /* the same where the database can tell as much */
#define PATIENCE 30000       /* ms until the first answer; a run may then take its time */

struct Remote {
        int fd;
        char *path;
        Buffer in;
        json_object *body; /* of the last answer */
        bool answered;
        int patience; /* ms until the first answer */
};

void remote_free(Remote *r) {
        if (!r)
                return;
        (void) json_object_put(r->body);
        if (r->fd >= 0)
                (void) close(r->fd);
        buffer_clear(&r->in);
        free(r->path);
        free(r);
}

static int failed(const Remote *r, int error, Error *err) {
        switch (error) {
        case ENOENT:
        case ENOTDIR:
        case ECONNREFUSED:
                return error_set(err, E_UNAVAILABLE,
                                 "rosterd does not run: nobody listens at %s; start it (systemctl "
                                 "start rosterd)",
                                 r->path);
        case EACCES:
        case EPERM:
                return error_set(err, -EACCES,
                                 "you may not ask rosterd: %s: permission denied; join its group "
                                 "(usermod -aG rosterd YOU, then log in again)",
                                 r->path);
        default:
                return error_set(err, -EIO, "rosterd cannot be asked over %s: %s", r->path,
                                 strerror(error));
        }
}

static int dial(Remote *r, Error *err) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const struct timeval patience = { .tv_sec = r->patience / 1000 };

        if (strlen(r->path) >= sizeof address.sun_path)
                return failed(r, ENAMETOOLONG, err);
        memcpy(address.sun_path, r->path, strlen(r->path));
        r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (r->fd >= 0)
                (void) setsockopt(r->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (r->fd < 0 || connect(r->fd, (const struct sockaddr *) &address, sizeof address) < 0)
                return failed(r, errno, err);
        return 0;
}

static int send_request(Remote *r, const ControlRequest *request, Error *err) {
        CLEANUP_FREE char *line = control_request_format(request);
        size_t len = line ? strlen(line) : 0;

        if (!line)
                return error_set(err, -ENOMEM, "out of memory");
        if (len > CONTROL_LINE_MAX)
                return error_set(err, E_USAGE, "that is more than rosterd takes at once");
        for (size_t at = 0; at < len;) {
                ssize_t n = send(r->fd, line + at, len - at, MSG_NOSIGNAL);

                if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
                        return 0; /* it may have said why */
                if (n < 0 && errno != EINTR)
                        return failed(r, errno, err);
                at += n > 0 ? (size_t) n : 0;
        }
        return 0;
}

int remote_ask(Ctl *c, const ControlRequest *request, Remote **ret, Error *err) {
        CLEANUP(remote_freep) Remote *r = calloc(1, sizeof *r);
        CLEANUP_FREE char *database = NULL;
        ControlRequest full = *request;
        const char *path = NULL;
        int rc;

        if (!r)
                return error_set(err, -ENOMEM, "out of memory");
        r->fd = -1;
        r->patience = request->verb == CONTROL_STATUS ? PATIENCE_STATUS : PATIENCE;
        rc = ctl_database(c, &path, err);
        if (rc < 0)
                return rc;
        database = realpath(path, NULL);
        full.database = database ? database : path;
        r->path = strdup(ctl_control_socket(c));
        if (!r->path)
                return error_set(err, -ENOMEM, "out of memory");
        rc = dial(r, err);
        if (rc >= 0)
                rc = send_request(r, &full, err);
        if (rc < 0)
                return rc;
        *ret = take_ptr(r);
        return 0;
}

/* ---- answers ---- */

static int more(Remote *r, Error *err) {
        struct pollfd poll_for = { .fd = r->fd, .events = POLLIN };
        char portion[65536];
        ssize_t n;
        int rc = poll(&poll_for, 1, r->answered ? -1 : r->patience);

        if (rc == 0)
                return error_set(err, -ETIME, "rosterd does not answer");
        if (rc < 0)
                return errno == EINTR ? 0 : failed(r, errno, err);
        n = recv(r->fd, portion, sizeof portion, 0);
        if (n == 0 || (n < 0 && (errno == ECONNRESET || errno == EPIPE)))
                return error_set(err, -EIO, "rosterd ended before it had answered");
        if (n < 0)
                return errno == EINTR ? 0 : failed(r, errno, err);
        return buffer_append(&r->in, portion, (size_t) n, CONTROL_ANSWER_MAX) < 0
                       ? error_set(err, -EIO, "the answer of rosterd is too long")
                       : 0;
}

/* What rosterd would not do, as our own failure. */
static int refusal(json_object *body, Error *err) {
        static const struct {
                const char *word;
                int code;
        } codes[] = {
                { CONTROL_DENIED, -EACCES },           { CONTROL_BUSY, -EBUSY },
                { CONTROL_NOT_NOW, E_ABSENT },         { CONTROL_NO_SUCH_ACCOUNT, E_ABSENT },
                { CONTROL_NO_SUCH_WEBHOOK, E_ABSENT }, { CONTROL_OTHER_DATABASE, E_UNAVAILABLE },
        };
        const char *word = remote_text(body, "code"), *message = remote_text(body, "message");
        char clean[sizeof err->msg];
        int code = -EIO;

        for (size_t i = 0; word && i < sizeof codes / sizeof codes[0]; i++)
                if (strcmp(word, codes[i].word) == 0)
                        code = codes[i].code;
        if (!message || !*text_clean(clean, sizeof clean, message, strlen(message)))
                return error_set(err, code, "rosterd would not do it");
        return error_set(err, code, "%s", clean);
}

int remote_next(Remote *r, json_object **ret_body, Error *err) {
        size_t len;
        int kind;

        while ((len = buffer_line(&r->in)) == r->in.len) {
                int rc = more(r, err);

                if (rc < 0)
                        return rc;
        }
        (void) json_object_put(take_ptr(r->body));
        kind = control_answer_parse(buffer_front(&r->in), len, &r->body, err);
        buffer_take(&r->in, len + 1);
        if (kind < 0)
                return error_set(err, -EIO, "rosterd has answered something else");
        r->answered = true;
        if (kind == CONTROL_ERROR)
                return refusal(r->body, err);
        *ret_body = r->body;
        return kind;
}

int64_t remote_number(json_object *body, const char *name) {
        json_object *member = NULL;

        return json_object_object_get_ex(body, name, &member) ? json_object_get_int64(member) : 0;
}

const char *remote_text(json_object *body, const char *name) {
        json_object *member = NULL;

        return json_object_object_get_ex(body, name, &member) &&
                               json_object_is_type(member, json_type_string)
                       ? json_object_get_string(member)
                       : NULL;
}

/* ---- without a rosterd ---- */

/* The files that come into being must belong to whom rosterd runs as. */
static int become_owner(const char *path, Error *err) {
        struct stat st;

        if (stat(path, &st) < 0) {
                if (errno == ENOENT || errno == ENOTDIR)
                        return error_set(err, -ENOENT,
                                         "there is no database %s; start rosterd once, or name "
                                         "another with --database",
                                         path);
                return error_set(err, -errno, "the database %s cannot be written: %s", path,
                                 strerror(errno));
        }
        if (geteuid() != 0 || st.st_uid == 0)
                return 0;
        if (setgroups(0, NULL) < 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) < 0 ||
            setresuid(st.st_uid, st.st_uid, st.st_uid) < 0)
                return error_set(err, -errno, "cannot act as the owner of %s: %s", path,
                                 strerror(errno));
        return 0;
}

int remote_open_writer(Ctl *c, Store **ret, Error *err) {
        const char *path = NULL;
        int r = ctl_database(c, &path, err);

        ctl_close_store(c);
        if (r >= 0)
                r = become_owner(path, err);
        if (r < 0)
                return r;
        r = store_open(path, ret, err);
        if (r == -EACCES)
                return error_set(err, r,
                                 "rosterd does not run, and you may not write the database %s "
                                 "yourself; start rosterd, or do it as root",
                                 path);
        return r;
}
