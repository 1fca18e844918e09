/* SPDX-License-Identifier: Apache-2.0 */
/* LD_PRELOAD: watches what one process writes, syncs and sends, numbers these steps, and can kill the
 * process at one of them, or let them fail.
 *
 *   CRASH_DIR       the folder whose files are watched; requests and lines on stderr are always
 *   CRASH_LOG       file that each step is appended to, as a Step, the file's name and the data
 *   CRASH_BEFORE=N  SIGKILL in place of step N (the first is 1)
 *   CRASH_AFTER=N   SIGKILL right after it
 *   CRASH_FAIL_AT=N step N fails, and is logged as a STEP_FAILED
 *   CRASH_FAIL      as long as this file exists, the steps whose letters it holds fail; with a "1"
 *                   in it, only the first one
 *   CRASH_ERRNO     what they fail with
 *   CRASH_TERM      SIGTERM right after each line on stderr that holds this text
 *
 * -shm files are left out: what is in them does not outlive the machine.  The process under test does
 * all of this in one thread. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FDS 1024
#define MAX_DATA (1u << 20)
#define NEEDS_MODE(flags) (((flags) &O_CREAT) || ((flags) &O_TMPFILE) == O_TMPFILE)

/* One record of the log; crash.py reads them. */
typedef struct Step {
        uint32_t kind; /* a letter */
        uint32_t name_len, data_len;
        int32_t fd;
        uint64_t offset; /* or the new size */
} Step;

enum {
        STEP_CREATE = 'c',
        STEP_WRITE = 'w',
        STEP_TRUNCATE = 't',
        STEP_SYNC = 's', /* name "": the folder itself */
        STEP_UNLINK = 'u',
        STEP_RENAME = 'r', /* the data is the new name */
        STEP_SEND = 'n',
        STEP_SAY = 'e',
        STEP_FAILED = 'f', /* by CRASH_FAIL_AT; the data is its letter */
};

static char names[MAX_FDS][64]; /* of open files of the folder, below it; "/" for the folder */
static uint64_t count;
static int log_fd = -1;

/* The next definition of the function that is called as FUNCTION here. */
#define REAL(function) ((__typeof__(&(function))) dlsym(RTLD_NEXT, #function))

static uint64_t number(const char *variable) {
        const char *text = getenv(variable);

        return text ? strtoull(text, NULL, 10) : 0;
}

/* The name below the folder of a path, or NULL. */
static const char *watched(const char *path) {
        const char *dir = getenv("CRASH_DIR");
        size_t len = dir ? strlen(dir) : 0, path_len = strlen(path);

        if (len == 0 || strncmp(path, dir, len) != 0)
                return NULL;
        if (path[len] == '\0')
                return "/";
        if (path[len] != '/' || path_len - len - 1 >= sizeof names[0])
                return NULL;
        if (path_len > 4 && strcmp(path + path_len - 4, "-shm") == 0)
                return NULL;
        return path + len + 1;
}

static const char *name_of(int fd) {
        return fd >= 0 && fd < MAX_FDS && names[fd][0] ? names[fd] : NULL;
}

/* Whether a step is to fail; errno is then set. */
static bool must_fail(char kind) {
        const char *path = getenv("CRASH_FAIL");
        char kinds[32] = "";
        int fd = path ? (int) syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;

        if (fd < 0)
                return false;
        (void) !read(fd, kinds, sizeof kinds - 1);
        (void) syscall(SYS_close, fd);
        if (!strchr(kinds, kind))
                return false;
        if (strchr(kinds, '1'))
                (void) syscall(SYS_unlinkat, AT_FDCWD, path, 0);
        errno = (int) number("CRASH_ERRNO");
        return true;
}

static const char *shown(const char *name) {
        return strcmp(name, "/") == 0 ? "" : name;
}

static void append(const Step *step, const char *name, const void *data) {
        struct iovec parts[] = { { (void *) (uintptr_t) step, sizeof *step },
                                 { (void *) (uintptr_t) name, step->name_len },
                                 { (void *) (uintptr_t) data, step->data_len } };
        const char *path = getenv("CRASH_LOG");
        ssize_t size = (ssize_t) (sizeof *step + step->name_len + step->data_len);

        if (path && log_fd < 0)
                log_fd = (int) syscall(SYS_openat, AT_FDCWD, path,
                                       O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (log_fd >= 0 && writev(log_fd, parts, 3) != size)
                abort();
}

/* Before the step: counts it.  Returns false if it is to fail. */
static bool step_begins(char kind, const char *name) {
        if (must_fail(kind))
                return false;
        count++;
        if (count == number("CRASH_BEFORE"))
                (void) kill(getpid(), SIGKILL);
        if (count != number("CRASH_FAIL_AT"))
                return true;
        append(&(Step){ .kind = STEP_FAILED,
                        .name_len = (uint32_t) strlen(shown(name)),
                        .data_len = sizeof kind },
               shown(name), &kind);
        errno = (int) number("CRASH_ERRNO");
        return false;
}

/* After it: writes it down. */
static void step_done(char kind, const char *name, int fd, uint64_t offset, const void *data,
                      size_t len) {
        int saved = errno;

        append(&(Step){ .kind = (uint32_t) kind,
                        .name_len = (uint32_t) strlen(shown(name)),
                        .data_len = (uint32_t) (len < MAX_DATA ? len : MAX_DATA),
                        .fd = fd,
                        .offset = offset },
               shown(name), data);
        if (count == number("CRASH_AFTER"))
                (void) kill(getpid(), SIGKILL);
        errno = saved;
}

/* ---- files ---- */

static int open_watched(const char *path, int flags, mode_t mode) {
        const char *name = watched(path);
        bool creates = name && (flags & O_CREAT) && access(path, F_OK) < 0;
        int fd;

        if (creates && !step_begins(STEP_CREATE, name))
                return -1;
        fd = (int) syscall(SYS_openat, AT_FDCWD, path, flags, mode);
        if (fd >= 0 && fd < MAX_FDS)
                (void) snprintf(names[fd], sizeof names[fd], "%s", name ? name : "");
        if (creates && fd >= 0)
                step_done(STEP_CREATE, name, fd, 0, NULL, 0);
        return fd;
}

int open(const char *path, int flags, ...) {
        va_list ap;
        mode_t mode = 0;

        va_start(ap, flags);
        if (NEEDS_MODE(flags))
                mode = va_arg(ap, mode_t);
        va_end(ap);
        return open_watched(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int close(int fd) {
        if (name_of(fd))
                names[fd][0] = '\0';
        return REAL(close)(fd);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset) {
        const char *name = name_of(fd);
        ssize_t n;

        if (name && !step_begins(STEP_WRITE, name))
                return -1;
        n = syscall(SYS_pwrite64, fd, data, len, offset);
        if (name && n > 0)
                step_done(STEP_WRITE, name, fd, (uint64_t) offset, data, (size_t) n);
        return n;
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset) {
        return pwrite(fd, data, len, offset);
}

int ftruncate(int fd, off_t size) {
        const char *name = name_of(fd);
        int r;

        if (name && !step_begins(STEP_TRUNCATE, name))
                return -1;
        r = (int) syscall(SYS_ftruncate, fd, size);
        if (name && r == 0)
                step_done(STEP_TRUNCATE, name, fd, (uint64_t) size, NULL, 0);
        return r;
}

int ftruncate64(int fd, off64_t size) {
        return ftruncate(fd, size);
}

static int sync_watched(int fd, long call) {
        const char *name = name_of(fd);
        int r;

        if (name && !step_begins(STEP_SYNC, name))
                return -1;
        r = (int) syscall(call, fd);
        if (name && r == 0)
                step_done(STEP_SYNC, name, fd, 0, NULL, 0);
        return r;
}

int fsync(int fd) {
        return sync_watched(fd, SYS_fsync);
}

int fdatasync(int fd) {
        return sync_watched(fd, SYS_fdatasync);
}

int unlink(const char *path) {
        const char *name = watched(path);
        int r;

        if (name && !step_begins(STEP_UNLINK, name))
                return -1;
        r = (int) syscall(SYS_unlinkat, AT_FDCWD, path, 0);
        if (name && r == 0)
                step_done(STEP_UNLINK, name, -1, 0, NULL, 0);
        return r;
}

int rename(const char *from, const char *to) {
        const char *name = watched(from), *other = watched(to);
        int r;

        if (name && other && !step_begins(STEP_RENAME, name))
                return -1;
        r = (int) syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
        if (name && other && r == 0)
                step_done(STEP_RENAME, name, -1, 0, other, strlen(other));
        return r;
}

/* ---- what others see ---- */

ssize_t send(int fd, const void *data, size_t len, int flags) {
        ssize_t n;

        if (!step_begins(STEP_SEND, ""))
                return -1;
        n = REAL(send)(fd, data, len, flags);
        if (n > 0)
                step_done(STEP_SEND, "", fd, 0, data, (size_t) n);
        else
                count--; /* it is tried again */
        return n;
}

int vfprintf(FILE *f, const char *format, va_list ap) {
        const char *term = getenv("CRASH_TERM");
        char text[4096];
        va_list copy;
        int n;

        if (f != stderr)
                return REAL(vfprintf)(f, format, ap);
        va_copy(copy, ap);
        (void) vsnprintf(text, sizeof text, format, copy);
        va_end(copy);
        if (!step_begins(STEP_SAY, ""))
                return -1;
        n = REAL(vfprintf)(f, format, ap);
        step_done(STEP_SAY, "", STDERR_FILENO, 0, text, strlen(text));
        if (term && strstr(text, term))
                (void) kill(getpid(), SIGTERM);
        return n;
}

/* The sanitizers' own fprintf comes first and calls vfprintf. */
int fprintf(FILE *f, const char *format, ...) {
        va_list ap;
        int n;

        va_start(ap, format);
        n = vfprintf(f, format, ap);
        va_end(ap);
        return n;
}

/* What _FORTIFY_SOURCE makes of it. */
int __fprintf_chk(FILE *f, int flag, const char *format, ...);
int __fprintf_chk(FILE *f, int flag, const char *format, ...) {
        va_list ap;
        int n;

        (void) flag;
        va_start(ap, format);
        n = vfprintf(f, format, ap);
        va_end(ap);
        return n;
}
