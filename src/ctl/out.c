/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/out.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/store-target.h"

#define WIDTH_DEFAULT 80

static unsigned terminal_width(int fd) {
        struct winsize size = { 0 };

        return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : WIDTH_DEFAULT;
}

void out_init(Out *o) {
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        *o = (Out){ .fd = STDOUT_FILENO, .terminal = isatty(STDOUT_FILENO), .unicode = true };
        if (o->terminal) {
                o->width = terminal_width(o->fd);
                o->colour = !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
                o->unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
        }
        o->buf = malloc(OUT_BUFFER);
        if (!o->buf)
                o->failed = ENOMEM;
}

static int fail(Error *err, int error, const char *what, const char *path) {
        return error_set(err, -error, "cannot %s %s: %s", what, path, strerror(error));
}

/* A link to a file is followed: what it leads to is replaced, not the link.  Owned by the caller. */
static char *follow_link(const char *path) {
        struct stat link;

        return lstat(path, &link) == 0 && S_ISLNK(link.st_mode) ? realpath(path, NULL)
                                                                : strdup(path);
}

int out_open_file(Out *o, const char *path, Error *err) {
        struct stat st;
        bool device = stat(path, &st) == 0 && !S_ISREG(st.st_mode);

        assert(o->len == 0 && !o->path);
        o->path = device ? strdup(path) : follow_link(path);
        if (!o->path)
                return fail(err, errno, "open", path);
        if (device) { /* or a pipe: written to as it is */
                o->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
                if (o->fd < 0)
                        return fail(err, errno, "open", path);
        } else {
                int fd = target_create(o->path, &o->temporary);

                if (fd < 0)
                        return fail(err, -fd, "create", path);
                o->fd = fd;
        }
        o->terminal = o->colour = false;
        o->unicode = true;
        o->width = 0;
        return 0;
}

void out_flush(Out *o) {
        size_t at = 0;

        while (!o->failed && at < o->len) {
                ssize_t n = write(o->fd, o->buf + at, o->len - at);

                if (n >= 0)
                        at += (size_t) n;
                else if (errno != EINTR)
                        o->failed = errno;
        }
        o->len = 0;
}

void out_write_slowly(Out *o, const char *data, size_t len) {
        while (!o->failed && len > 0) {
                size_t part = OUT_BUFFER - o->len < len ? OUT_BUFFER - o->len : len;

                memcpy(o->buf + o->len, data, part);
                o->len += part;
                data += part;
                len -= part;
                if (o->len == OUT_BUFFER)
                        out_flush(o);
        }
}

void out_text(Out *o, const char *text) {
        out_write(o, text, strlen(text));
}

void out_pad(Out *o, char c, size_t n) {
        char run[64];

        memset(run, c, sizeof run);
        for (; n > sizeof run; n -= sizeof run)
                out_write(o, run, sizeof run);
        out_write(o, run, n);
}

void out_printf(Out *o, const char *fmt, ...) {
        CLEANUP_FREE char *text = NULL;
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vasprintf(&text, fmt, ap);
        va_end(ap);
        if (n < 0) {
                text = NULL;
                o->failed = o->failed ? o->failed : ENOMEM;
                return;
        }
        out_write(o, text, (size_t) n);
}

bool out_failed(const Out *o) {
        return o->failed != 0;
}

int out_finish(Out *o, Error *err) {
        const char *path = o->path ? o->path : "the output";
        int r;

        out_flush(o);
        if (!o->failed && o->temporary && fsync(o->fd) < 0)
                o->failed = errno;
        if (!o->failed && o->path && close(o->fd) < 0)
                o->failed = errno;
        if (o->path)
                o->fd = -1;
        if (o->failed) { /* for whatever reason: an exit status of its own */
                (void) fail(err, o->failed, "write", path);
                return o->failed == ENOMEM ? -ENOMEM : -ENOSPC;
        }
        r = o->temporary ? target_rename(o->temporary, o->path) : 0;
        if (r < 0)
                return fail(err, -r, "give its name to", path);
        free(take_ptr(o->temporary));
        return 0;
}

void out_clear(Out *o) {
        if (o->temporary)
                target_remove();
        if (o->path && o->fd > STDOUT_FILENO)
                (void) close(o->fd);
        free(o->temporary);
        free(o->path);
        free(o->buf);
        *o = (Out){ 0 };
}
