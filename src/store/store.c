/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing, transactions, and what SQLite's errors mean.
 *
 * Members of the file's group read it with any SQLite program, while we run and while we do not,
 * without being allowed to write anything.  Such a reader can create neither the -wal nor the -shm
 * file, so both stay when we close (SQLITE_FCNTL_PERSIST_WAL), the -wal file empty. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store-internal.h"

#define FILE_MODE 0640
#define BUSY_TIMEOUT 2000 /* ms */

void (*store_test_after_write)(void);

/* ---- errors ---- */

int store_error_errno(const char *path, int error, Error *err) {
        switch (error) {
        case ENOENT:
        case ENOTDIR:
                return error_set(err, -ENOENT,
                                 "the directory of the database %s does not exist; create it, owned"
                                 " by the user that rosterd runs as, mode 0750",
                                 path);
        case EACCES:
        case EPERM:
                return error_set(err, -EACCES,
                                 "the database %s cannot be written: permission denied; give it and"
                                 " its directory to the user that rosterd runs as",
                                 path);
        case EROFS:
                return error_set(err, -EROFS,
                                 "the database %s is on a read-only file system; mount it writable,"
                                 " or set another path",
                                 path);
        case EISDIR:
                return error_set(err, -EMEDIUMTYPE,
                                 "the database %s is a directory; name a file in it", path);
        case ENOSPC:
        case EDQUOT:
                return error_set(err, -ENOSPC,
                                 "no space is left for the database %s; free some on its file"
                                 " system",
                                 path);
        case ENOMEM:
                return error_set(err, -ENOMEM, "out of memory");
        default:
                return error_set(err, -EIO, "the database %s cannot be used: %s", path,
                                 strerror(error));
        }
}

int store_error_reading(const char *path, int error, Error *err) {
        switch (error) {
        case ENOENT:
        case ENOTDIR:
                return error_set(err, -ENOENT,
                                 "there is no database %s; start rosterd once, or name another"
                                 " with --database",
                                 path);
        case EACCES:
        case EPERM:
                return error_set(err, -EACCES,
                                 "the database %s cannot be read: permission denied; join its"
                                 " group (usermod -aG rosterd YOU, then log in again)",
                                 path);
        default:
                return store_error_errno(path, error, err);
        }
}

static int system_error(Store *s, Error *err, const char *what) {
        int last = errno, error = sqlite3_system_errno(s->db);

        /* SQLite does not keep it of a commit, which begins with errno 0. */
        if (error == 0 && (last == EROFS || last == EDQUOT))
                error = last;
        if (s->reader && (error == EACCES || error == EPERM))
                return store_error_reading(s->path, error, err);
        switch (error) {
        case ENOENT: /* the file is open, so it cannot be that */
        case 0:
                return error_set(err, -EIO,
                                 "the database %s cannot be used: %s while %s; look at the disk and"
                                 " the kernel's log",
                                 s->path, sqlite3_errmsg(s->db), what);
        default:
                return store_error_errno(s->path, error, err);
        }
}

#undef store_error
int store_error(Store *s, Error *err, const char *what) {
        int rc = sqlite3_extended_errcode(s->db);

        switch (rc & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return error_set(err, -EBUSY,
                                 "the database %s is being written by another program; end its"
                                 " transaction",
                                 s->path);
        case SQLITE_NOMEM:
                return error_set(err, -ENOMEM, "out of memory");
        case SQLITE_FULL:
                return store_error_errno(s->path, ENOSPC, err);
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return error_set(err, -EUCLEAN,
                                 "the database %s is damaged (%s while %s); restore a backup or"
                                 " move the file away: rosterd never deletes it",
                                 s->path, sqlite3_errmsg(s->db), what);
        case SQLITE_READONLY:
                if (!s->reader)
                        return store_error_errno(s->path,
                                                 sqlite3_system_errno(s->db) == EROFS ? EROFS
                                                                                      : EACCES,
                                                 err);
                return store_error_reading(s->path, EACCES, err);
        case SQLITE_PERM:
        case SQLITE_AUTH:
                return s->reader ? store_error_reading(s->path, EACCES, err)
                                 : store_error_errno(s->path, EACCES, err);
        case SQLITE_CANTOPEN:
        case SQLITE_IOERR:
        case SQLITE_PROTOCOL:
                return system_error(s, err, what);
        case SQLITE_CONSTRAINT:
                return error_set(err, -EINVAL, "the database %s refused %s: %s", s->path, what,
                                 sqlite3_errmsg(s->db));
        default:
                return error_set(err, -EIO, "the database %s: %s while %s (SQLite %d)", s->path,
                                 sqlite3_errmsg(s->db), what, rc);
        }
}

/* ---- the lock ---- */

static int say_locked(Store *s, int fd, Error *err) {
        char pid[16] = "";
        ssize_t n = pread(fd, pid, sizeof pid - 1, 0);

        pid[n > 0 ? strspn(pid, "0123456789") : 0] = '\0';
        return error_set(err, -EBUSY, "the database %s is in use by rosterd, pid %s; stop it first",
                         s->path, *pid ? pid : "unknown");
}

/* flock, for the lock must end with the process however it ends; the file itself stays. */
static int take_lock(Store *s, Error *err) {
        size_t size = strlen(s->path) + sizeof ".lock";
        CLEANUP_FREE char *path = malloc(size);
        char pid[16];
        int n = snprintf(pid, sizeof pid, "%ld\n", (long) getpid());

        if (!path)
                return error_set(err, -ENOMEM, "out of memory");
        (void) snprintf(path, size, "%s.lock", s->path);
        s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
        if (s->lock < 0)
                return store_error_errno(s->path, errno, err);
        if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? say_locked(s, s->lock, err)
                                            : store_error_errno(s->path, errno, err);
        if (fchmod(s->lock, FILE_MODE) < 0 || ftruncate(s->lock, 0) < 0 ||
            pwrite(s->lock, pid, (size_t) n, 0) != n)
                return store_error_errno(s->path, errno, err);
        return 0;
}

/* ---- opening ---- */

/* Creates the file with its mode, which SQLite would take from the umask; -wal and -shm follow. */
static int create_file(Store *s, Error *err) {
        int fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE), r = 0;

        if (fd < 0)
                return errno == EEXIST ? 0 : store_error_errno(s->path, errno, err);
        if (fchmod(fd, FILE_MODE) < 0)
                r = store_error_errno(s->path, errno, err);
        (void) close(fd);
        store_wrote();
        return r;
}

static int open_file(Store *s, Error *err) {
        struct stat st;
        int rc;

        if (stat(s->path, &st) == 0 && S_ISDIR(st.st_mode))
                return store_error_errno(s->path, EISDIR, err);
        rc = take_lock(s, err);
        if (rc < 0)
                return rc;
        rc = create_file(s, err);
        if (rc < 0)
                return rc;

        rc = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        if (!s->db)
                return error_set(err, -ENOMEM, "out of memory");
        if (rc != SQLITE_OK)
                return store_error(s, err, "opening it");
        if (sqlite3_db_readonly(s->db, "main")) /* SQLite falls back to reading */
                return store_error_errno(s->path, access(s->path, W_OK) < 0 ? errno : EACCES, err);
        (void) sqlite3_extended_result_codes(s->db, 1);
        (void) sqlite3_busy_timeout(s->db, BUSY_TIMEOUT);
        return 0;
}

/* Text that is no database at all says NOTADB at the first look. */
static int check_file(Store *s, const Migrations *m, int *ret_version, Error *err) {
        int r = store_schema_check(s, m, ret_version, err);

        if (r == -EUCLEAN && sqlite3_errcode(s->db) == SQLITE_NOTADB)
                return error_set(err, -EMEDIUMTYPE,
                                 "%s is not a database; name another file, or restore a backup if"
                                 " it was one: rosterd never deletes it",
                                 s->path);
        return r;
}

/* auto_vacuum must come first: it can be chosen only for an empty file.  What SQLite is told of
 * trust is for a file that others may have written. */
static const char settings[] =
        "PRAGMA auto_vacuum = INCREMENTAL;"
        "PRAGMA journal_mode = WAL;"
        "PRAGMA synchronous = FULL;" /* an event is told only once it is durable */
        "PRAGMA journal_size_limit = 16777216;"
        "PRAGMA wal_autocheckpoint = 4000;"
        "PRAGMA mmap_size = 0;" /* a file that is cut would be a SIGBUS */
        "PRAGMA temp_store = MEMORY;"
        "PRAGMA secure_delete = FAST;" /* a wiped PIN is gone */
        "PRAGMA trusted_schema = OFF;"
        "PRAGMA cell_size_check = ON;"
        "PRAGMA foreign_keys = OFF;";

/* SQLite answers with the mode that it could get. */
static int check_wal(Store *s, Error *err) {
        CLEANUP(stmt_finalizep) sqlite3_stmt *st = NULL;
        const char *mode = NULL;

        if (sqlite3_prepare_v2(s->db, "PRAGMA journal_mode", -1, &st, NULL) == SQLITE_OK &&
            sqlite3_step(st) == SQLITE_ROW)
                mode = (const char *) sqlite3_column_text(st, 0);
        if (!mode)
                return store_error(s, err, "setting it up");
        if (strcmp(mode, "wal") != 0)
                return error_set(
                        err, -EIO,
                        "the database %s cannot have a write-ahead log: its file system has"
                        " no shared memory; put it on a local disk",
                        s->path);
        return 0;
}

static int set_up(Store *s, const Migrations *m, Error *err) {
        int version = 0, on = 1, r;

        r = check_file(s, m, &version, err);
        if (r >= 0)
                r = store_exec_sql(s, settings, "setting it up", err);
        if (r >= 0)
                r = store_cache_init(s, err);
        if (r < 0)
                return r;
        r = check_wal(s, err);
        if (r < 0)
                return r;
        (void) sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        (void) sqlite3_file_control(s->db, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
        r = store_schema_migrate(s, m, version, err);
        if (r >= 0)
                r = store_exec_sql(s, "PRAGMA foreign_keys = ON;", "setting it up", err);
        /* They guard against corrections by hand: whatever is written here says what becomes of the
         * mark. */
        (void) sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
        return r;
}

int store_open_with(const char *path, const Migrations *migrations, Store **ret, Error *err) {
        CLEANUP(store_closep) Store *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return error_set(err, -ENOMEM, "out of memory");
        s->lock = -1;
        s->path = strdup(path);
        if (!s->path)
                return error_set(err, -ENOMEM, "out of memory");
        r = open_file(s, err);
        if (r >= 0)
                r = set_up(s, migrations, err);
        if (r < 0)
                return r;
        *ret = take_ptr(s);
        return 0;
}

int store_open(const char *path, Store **ret, Error *err) {
        return store_open_with(path, &store_migrations, ret, err);
}

void store_checkpoint(Store *s) {
        /* Readers may keep it from being whole; it is then done later. */
        (void) sqlite3_busy_timeout(s->db, 0);
        (void) sqlite3_wal_checkpoint_v2(s->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        (void) sqlite3_busy_timeout(s->db, BUSY_TIMEOUT);
        store_wrote();
}

void store_close(Store *s) {
        if (!s)
                return;
        if (s->db) {
                store_rollback(s);
                for (int i = 0; i < STMT_COUNT; i++)
                        (void) sqlite3_finalize(s->stmts[i]);
                (void) sqlite3_close(s->db); /* checkpoints */
                store_wrote();
        }
        if (s->lock >= 0)
                (void) close(s->lock);
        free(s->path);
        free(s);
}

/* ---- transactions ---- */

bool store_in_transaction(const Store *s) {
        /* SQLite itself rolls back after some errors (a full disk), so ask it. */
        return !sqlite3_get_autocommit(s->db);
}

int store_begin(Store *s, Error *err) {
        CLEANUP(stmt_releasep) sqlite3_stmt *undo = NULL;
        int r;

        if (store_in_transaction(s))
                return 0;
        /* there may be no memory to make it when it is needed */
        r = store_stmt(s, STMT_ROLLBACK, &undo, err);
        if (r >= 0)
                r = store_exec(s, STMT_BEGIN, "beginning to write", err);
        if (r < 0)
                return r;
        s->first_appended = 0;
        store_marks_drop(s);
        return 0;
}

int store_commit(Store *s, Error *err) {
        int r;

        if (!store_in_transaction(s))
                return error_set(err, -EIO,
                                 "nothing to commit to the database %s: an earlier failure has"
                                 " undone it",
                                 s->path);
        r = store_marks_flush(s, err);
        errno = 0; /* see system_error() */
        if (r >= 0)
                r = store_exec(s, STMT_COMMIT, "committing", err);
        if (r < 0)
                store_rollback(s);
        else
                store_cache_committed(s);
        return r;
}

void store_rollback(Store *s) {
        CLEANUP(stmt_releasep) sqlite3_stmt *st = NULL;

        if (store_in_transaction(s) && store_stmt(s, STMT_ROLLBACK, &st, NULL) >= 0)
                (void) sqlite3_step(st);
        s->spoilt = store_in_transaction(s);
}

int store_begin_own(Store *s, bool *ret_own, Error *err) {
        bool own = !store_in_transaction(s);
        int r = store_begin(s, err);

        if (r >= 0)
                *ret_own = own;
        return r;
}

int store_end_own(Store *s, bool own, int r, Error *err) {
        int committed;

        if (!own)
                return r;
        if (r < 0) {
                store_rollback(s);
                return r;
        }
        committed = store_commit(s, err);
        return committed < 0 ? committed : r;
}
