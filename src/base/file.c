/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static void close_fd(int *fd) {
        if (*fd >= 0)
                (void) close(*fd);
}

static int fail(Error *err, const char *what) {
        int e = errno;

        return error_set(err, -e, "%s: %s", what, strerror(e));
}

int file_read(const char *path, size_t max, char **ret, size_t *ret_len, Error *err) {
        CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        CLEANUP_FREE char *buf = NULL;
        struct stat st;
        size_t len = 0;

        if (fd < 0)
                return fail(err, "cannot open");
        if (fstat(fd, &st) < 0)
                return fail(err, "cannot stat");
        if (!S_ISREG(st.st_mode))
                return error_set(err, -EINVAL, "is not a regular file");

        buf = malloc(max + 1);
        if (!buf)
                return error_set(err, -ENOMEM, "out of memory");
        for (;;) {
                char spill;
                ssize_t n = len < max ? read(fd, buf + len, max - len) : read(fd, &spill, 1);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return fail(err, "cannot read");
                if (n == 0)
                        break;
                if (len == max)
                        return error_set(err, -EFBIG, "is larger than %zu bytes", max);
                len += (size_t) n;
        }
        buf[len] = '\0';

        *ret = take_ptr(buf);
        if (ret_len)
                *ret_len = len;
        return 0;
}

static int write_all(int fd, const char *data, size_t len, Error *err) {
        while (len > 0) {
                ssize_t n = write(fd, data, len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return fail(err, "cannot write");
                data += n;
                len -= (size_t) n;
        }
        return fsync(fd) < 0 ? fail(err, "cannot sync") : 0;
}

int file_write_atomic(const char *path, const char *data, size_t len, mode_t mode, Error *err) {
        char tmp[PATH_MAX];
        CLEANUP(close_fd) int fd = -1;
        int n = snprintf(tmp, sizeof tmp, "%s.XXXXXX", path), r;

        if (n < 0 || (size_t) n >= sizeof tmp)
                return error_set(err, -ENAMETOOLONG, "path too long");
        fd = mkostemp(tmp, O_CLOEXEC);
        if (fd < 0)
                return fail(err, "cannot create a file beside it");
        r = fchmod(fd, mode) < 0 ? fail(err, "cannot set its mode") : write_all(fd, data, len, err);
        if (r == 0 && rename(tmp, path) < 0)
                r = fail(err, "cannot rename");
        if (r < 0)
                (void) unlink(tmp);
        return r;
}

void file_hold_standard(void) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
                        (void) open("/dev/null", O_RDONLY | O_NOCTTY);
}
