/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store-target.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store-read-internal.h"

/* What is beside a database. */
static const char *const suffixes[] = { "", "-wal", "-shm", "-journal", ".key", ".lock" };
#define N_SUFFIXES (sizeof suffixes / sizeof suffixes[0])
#define N_OF_SQLITE (N_SUFFIXES - 1)

/* ---- what must not be replaced ---- */

static bool is_same_file(const char *a, const char *b) {
        struct stat x, y;

        return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The folder of a path, owned by the caller; *ret_name is what follows. */
static char *split(const char *path, const char **ret_name) {
        const char *slash = strrchr(path, '/');

        *ret_name = slash ? slash + 1 : path;
        return slash ? strndup(path, (size_t) (slash - path) + 1) : strdup(".");
}

/* 1: the two are one file, or would be if they existed. */
static int is_same_place(const char *a, const char *b) {
        const char *a_name, *b_name;
        CLEANUP_FREE char *a_folder = split(a, &a_name), *b_folder = split(b, &b_name);

        if (!a_folder || !b_folder)
                return -ENOMEM;
        return is_same_file(a, b) ||
               (strcmp(a_name, b_name) == 0 && is_same_file(a_folder, b_folder));
}

static int check_against(const char *database, const char *path, Error *err) {
        size_t size = strlen(database) + sizeof "-journal";
        CLEANUP_FREE char *beside = malloc(size);

        for (size_t i = 0; i < N_SUFFIXES; i++) {
                int same = -ENOMEM;

                if (beside) {
                        (void) snprintf(beside, size, "%s%s", database, suffixes[i]);
                        same = is_same_place(path, beside);
                }
                if (same < 0)
                        return error_set(err, same, "out of memory");
                if (same)
                        return error_set(err, -EEXIST,
                                         "%s is the database itself%s%s; name another"
                                         " file",
                                         path, i ? ", its " : "", suffixes[i]);
        }
        return 0;
}

int target_check(const Store *s, const char *path, Error *err) {
        const char *real = sqlite3_db_filename(s->db, "main"); /* where links lead */
        int r = check_against(s->path, path, err);

        return r >= 0 && real && *real ? check_against(real, path, err) : r;
}

/* ---- files that are not whole yet ---- */

/* What a signal removes: the file and what SQLite puts beside it; NULL: nothing. */
static char *unfinished[N_OF_SQLITE];

static void remove_and_end(int sig) {
        for (size_t i = 0; i < N_OF_SQLITE; i++)
                if (unfinished[i])
                        (void) unlink(unfinished[i]);
        (void) raise(sig); /* comes when we return, and then ends us */
}

static void forget(void) {
        for (size_t i = 0; i < N_OF_SQLITE; i++)
                free(take_ptr(unfinished[i]));
}

static int remember(const char *temporary) {
        for (size_t i = 0; i < N_OF_SQLITE; i++)
                if (asprintf(&unfinished[i], "%s%s", temporary, suffixes[i]) < 0) {
                        unfinished[i] = NULL;
                        return -ENOMEM;
                }
        return 0;
}

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

/* Whoever ignores a signal (nohup) goes on ignoring it. */
static void handle_signals(void) {
        struct sigaction now, ours = { .sa_handler = remove_and_end,
                                       .sa_flags = (int) SA_RESETHAND | SA_RESTART };

        (void) sigemptyset(&ours.sa_mask);
        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
                if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
                        (void) sigaction(signals[i], &ours, NULL);
}

static void block_signals(sigset_t *before) {
        sigset_t set;

        (void) sigemptyset(&set);
        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
                (void) sigaddset(&set, signals[i]);
        (void) sigprocmask(SIG_BLOCK, &set, before);
}

int target_create(const char *path, char **ret_temporary) {
        CLEANUP_FREE char *temporary = NULL;
        sigset_t before;
        int fd, r;

        if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
                temporary = NULL;
                return -ENOMEM;
        }
        handle_signals();
        block_signals(&before);
        fd = mkostemp(temporary, O_CLOEXEC);
        r = fd < 0 ? -errno : remember(temporary);
        if (r < 0)
                forget();
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        if (r < 0) {
                if (fd >= 0) {
                        (void) close(fd);
                        (void) unlink(temporary);
                }
                return r;
        }
        *ret_temporary = take_ptr(temporary);
        return fd;
}

/* The names in the folder of path outlive a power cut from now on.  A folder that may not be read, or
 * of a file system that has nothing to sync there, cannot have that; 0 all the same. */
static int sync_folder(const char *path) {
        const char *slash = strrchr(path, '/');
        size_t len = slash == path ? 1 : slash ? (size_t) (slash - path) : 0;
        CLEANUP_FREE char *folder = len > 0 ? strndup(path, len) : strdup(".");
        int fd, r = 0;

        if (!folder)
                return -ENOMEM;
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == EACCES ? 0 : -errno;
        if (fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
                r = -errno;
        (void) close(fd);
        return r;
}

int target_rename(const char *temporary, const char *path) {
        sigset_t before;
        int r = 0;

        block_signals(&before);
        if (rename(temporary, path) < 0)
                r = -errno;
        else
                forget();
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        return r < 0 ? r : sync_folder(path);
}

void target_remove(void) {
        sigset_t before;

        block_signals(&before);
        for (size_t i = 0; i < N_OF_SQLITE; i++)
                if (unfinished[i])
                        (void) unlink(unfinished[i]);
        forget();
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
}
