/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of the database, made while rosterd goes on writing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store-read-internal.h"
#include "store/store-target.h"

static int cannot(Error *err, int error, const char *what, const char *path) {
        return error_set(err, -error, "cannot %s the backup %s: %s", what, path, strerror(error));
}

/* A log that an older database left beside path would be taken for one of the copy. */
static int check_beside(const char *path, Error *err) {
        static const char *const logs[] = { "-wal", "-journal" };

        for (size_t i = 0; i < sizeof logs / sizeof logs[0]; i++) {
                CLEANUP_FREE char *beside = NULL;
                struct stat st;

                if (asprintf(&beside, "%s%s", path, logs[i]) < 0) {
                        beside = NULL;
                        return error_set(err, -ENOMEM, "out of memory");
                }
                if (lstat(beside, &st) == 0 && st.st_size > 0)
                        return error_set(err, -EEXIST,
                                         "%s would change what the backup holds; remove it, or"
                                         " name another file",
                                         beside);
        }
        return 0;
}

static int check_target(const Store *s, const char *path, Error *err) {
        struct stat st;
        int r = target_check(s, path, err);

        if (r >= 0 && stat(path, &st) == 0 && !S_ISREG(st.st_mode))
                r = error_set(err, S_ISDIR(st.st_mode) ? -EISDIR : -EEXIST,
                              "%s is %s; name a file for the backup", path,
                              S_ISDIR(st.st_mode) ? "a directory" : "no regular file");
        return r < 0 ? r : check_beside(path, err);
}

/* What failed on the side of the copy. */
static int copy_error(sqlite3 *copy, const char *path, Error *err) {
        int error = sqlite3_system_errno(copy);

        if ((sqlite3_errcode(copy) & 0xff) == SQLITE_FULL)
                error = ENOSPC;
        return error ? cannot(err, error, "write", path)
                     : error_set(err, -EIO, "cannot write the backup %s: %s", path,
                                 sqlite3_errmsg(copy));
}

/* All pages in one go: they are those of one instant, and readers do not hinder the writer. */
static int copy_pages(Store *s, sqlite3 *copy, const char *path, Error *err) {
        sqlite3_backup *b = sqlite3_backup_init(copy, "main", s->db, "main");
        int rc;

        if (!b)
                return copy_error(copy, path, err);
        (void) sqlite3_backup_step(b, -1);
        rc = sqlite3_backup_finish(b);
        if (rc == SQLITE_OK)
                return 0;
        if (sqlite3_errcode(s->db) != SQLITE_OK && sqlite3_errcode(copy) == SQLITE_OK)
                return store_error(s, err, "reading it for the backup");
        return copy_error(copy, path, err);
}

static void close_db(sqlite3 *db) {
        (void) sqlite3_close(db);
}
DEFINE_CLEANUP(sqlite3 *, close_db)

/* A copy that stands alone: without a write-ahead log beside it, it opens anywhere. */
static int write_copy(Store *s, const char *temporary, const char *path, Error *err) {
        CLEANUP(close_dbp) sqlite3 *copy = NULL;
        int r;

        if (sqlite3_open_v2(temporary, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL))
                return copy ? copy_error(copy, path, err)
                            : error_set(err, -ENOMEM, "out of memory");
        r = copy_pages(s, copy, path, err);
        if (r >= 0 && sqlite3_exec(copy, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL))
                r = copy_error(copy, path, err);
        return r;
}

/* On failure the error is that of the close or the sync, which may be the first to meet a full disk. */
static int settle(const char *temporary, const char *path, Error *err) {
        int fd = open(temporary, O_RDWR | O_CLOEXEC), r = 0, error;

        if (fd < 0)
                return cannot(err, errno, "sync", path);
        if (fsync(fd) < 0)
                r = cannot(err, errno, "sync", path);
        if (close(fd) < 0 && r == 0)
                r = cannot(err, errno, "write", path);
        if (r == 0)
                r = check_beside(path, err);
        if (r == 0 && (error = -target_rename(temporary, path)) != 0)
                r = cannot(err, error, "give its name to", path);
        return r;
}

int store_backup(Store *s, const char *path, Error *err) {
        CLEANUP_FREE char *temporary = NULL;
        int fd, r = check_target(s, path, err);

        if (r < 0)
                return r;
        fd = target_create(path, &temporary);
        if (fd < 0)
                return cannot(err, -fd, "create", path);
        (void) close(fd);
        r = write_copy(s, temporary, path, err);
        if (r >= 0)
                r = settle(temporary, path, err);
        if (r < 0)
                target_remove();
        return r;
}
