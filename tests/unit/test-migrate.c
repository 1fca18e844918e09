/* SPDX-License-Identifier: Apache-2.0 */
/* What store_open makes of what it finds: older schemas, newer ones, other files, other processes. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store-read-internal.h"

#define N(array) (sizeof(array) / sizeof(array)[0])
#define NOBODY 65534

typedef struct Fixture {
        char dir[40], path[64];
} Fixture;

static int setup(void **state) {
        static Fixture f;

        f = (Fixture){ .dir = "/tmp/test-migrate-XXXXXX" };
        assert_non_null(mkdtemp(f.dir));
        (void) snprintf(f.path, sizeof f.path, "%s/roster.db", f.dir);
        *state = &f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;
        char command[64];

        (void) snprintf(command, sizeof command, "rm -r %s", f->dir);
        return system(command) == 0 ? 0 : -1;
}

/* Another program's view of the file: runs sql, and returns the first column of the last row. */
static char *other_program(const char *path, const char *sql) {
        static char out[8192];
        sqlite3 *db = NULL;
        sqlite3_stmt *st = NULL;

        out[0] = '\0';
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        while (*sql) {
                if (sqlite3_prepare_v2(db, sql, -1, &st, &sql) != SQLITE_OK)
                        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
                while (sqlite3_step(st) == SQLITE_ROW)
                        (void) snprintf(out, sizeof out, "%s",
                                        (const char *) sqlite3_column_text(st, 0));
                assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
        }
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        return out;
}

static size_t read_all(const char *path, char *out, size_t size) {
        FILE *file = fopen(path, "re");
        size_t n;

        if (!file)
                fail_msg("%s: %s", path, strerror(errno));
        n = fread(out, 1, size, file);
        (void) fclose(file);
        return n;
}

static void write_all(const char *path, const char *data, size_t size) {
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        assert_int_equal(fwrite(data, 1, size, file), size);
        assert_int_equal(fclose(file), 0);
}

static int open_and_close(const char *path, const Migrations *m, Error *err) {
        Store *s = NULL;
        int r = store_open_with(path, m, &s, err);

        assert_true(r < 0 ? !s : !!s);
        store_close(s);
        return r;
}

/* Refused with these words, and not a byte of it changed. */
static void check_refused(const char *path, int code, const char *words) {
        static char before[1 << 16], after[1 << 16];
        Error err = { 0 };
        size_t n = read_all(path, before, sizeof before);
        int r = open_and_close(path, &store_migrations, &err);

        if (r != code || !strstr(err.msg, words))
                fail_msg("%d: %s", r, err.msg);
        assert_int_equal(read_all(path, after, sizeof after), n);
        assert_memory_equal(before, after, n);
}

/* ---- migrations ---- */

#define STEP_1                                            \
        "CREATE TABLE a (x INTEGER PRIMARY KEY, y TEXT);" \
        "CREATE TABLE b (x INTEGER REFERENCES a (x));"
#define STEP_2 "ALTER TABLE a ADD COLUMN z TEXT; UPDATE a SET z = y || '!';"
#define STEP_3                                                                                \
        "CREATE TABLE a2 (x INTEGER PRIMARY KEY, z TEXT); INSERT INTO a2 SELECT x, z FROM a;" \
        "DROP TABLE a; ALTER TABLE a2 RENAME TO a;"

static const char *const three[] = { STEP_1, STEP_2, STEP_3 };
static const char *const failing[] = { STEP_1, STEP_2, "DELETE FROM a; SELECT nonsense FROM a;" };
static const char *const orphaning[] = { STEP_1, "DELETE FROM a;" };

#define FILL "INSERT INTO a (x, y) VALUES (1, 'one'); INSERT INTO b VALUES (1);"
#define SEEN "SELECT (SELECT group_concat(sql, ';') FROM sqlite_schema) || (SELECT count(*) FROM a)"

static void test_steps(void **state) {
        const Migrations first = { three, 1 }, all = { three, 3 };
        Fixture *f = *state;
        Error err = { 0 };

        assert_ok(open_and_close(f->path, &first, &err), err);
        assert_string_equal(other_program(f->path, "PRAGMA user_version"), "1");
        (void) other_program(f->path, FILL);
        assert_ok(open_and_close(f->path, &all, &err), err);
        assert_string_equal(other_program(f->path, "PRAGMA user_version"), "3");
        assert_string_equal(other_program(f->path, "SELECT z FROM a"), "one!");
        assert_string_equal(other_program(f->path, "SELECT x FROM b"), "1");
        assert_ok(open_and_close(f->path, &all, &err), err); /* nothing left to do */
}

/* A step that fails, or leaves rows that refer to nothing: all of it is undone. */
static void test_failing_step(void **state) {
        const Migrations first = { three, 1 }, bad = { failing, 3 }, orphans = { orphaning, 2 };
        Fixture *f = *state;
        char before[256];
        Error err = { 0 };

        assert_ok(open_and_close(f->path, &first, &err), err);
        (void) other_program(f->path, FILL);
        (void) snprintf(before, sizeof before, "%s", other_program(f->path, SEEN));

        assert_true(open_and_close(f->path, &bad, &err) < 0);
        assert_non_null(strstr(err.msg, "schema version 2 to 3"));
        assert_non_null(strstr(err.msg, "nonsense"));
        assert_string_equal(other_program(f->path, SEEN), before);
        assert_int_equal(open_and_close(f->path, &orphans, &err), -EUCLEAN);
        assert_string_equal(other_program(f->path, SEEN), before);
        assert_string_equal(other_program(f->path, "PRAGMA user_version"), "1");
        assert_ok(open_and_close(f->path, &first, &err), err);
}

static int steps_left;

static void die_in_time(void) {
        if (--steps_left == 0)
                (void) raise(SIGKILL);
}

/* Killed after each statement of a migration: either version, whole, and it can be done again. */
static void test_killed_migration(void **state) {
        const Migrations first = { three, 1 }, all = { three, 3 };
        Fixture *f = *state;
        Error err = { 0 };
        bool died = true;
        int old = 0, at = 1;

        for (; died; at++) {
                int status;
                pid_t pid;

                (void) unlink(f->path);
                assert_ok(open_and_close(f->path, &first, &err), err);
                (void) other_program(f->path, FILL);
                pid = fork();
                if (pid == 0) {
                        steps_left = at;
                        store_test_after_write = die_in_time;
                        _exit(open_and_close(f->path, &all, &err) == 0 ? 0 : 1);
                }
                assert_int_equal(waitpid(pid, &status, 0), pid);
                died = WIFSIGNALED(status);
                if (!died)
                        assert_int_equal(status, 0);
                if (strcmp(other_program(f->path, "PRAGMA user_version"), "1") == 0) {
                        assert_string_equal(other_program(f->path, "SELECT y FROM a"), "one");
                        old++;
                }
                assert_string_equal(other_program(f->path, "PRAGMA integrity_check"), "ok");
                assert_ok(open_and_close(f->path, &all, &err), err);
                assert_string_equal(other_program(f->path, "SELECT z FROM a"), "one!");
        }
        assert_true(old > 8 && old < at - 2); /* it died before and after the commit */
}

/* The first schema has shipped: it never changes.  A new version is a new step. */
static void test_first_schema_is_frozen(void **state) {
        const Migrations first = { store_migrations.steps, 1 };
        const char *srcdir = getenv("srcdir");
        static char want[1 << 16], got[1 << 16];
        Fixture *f = *state;
        CLEANUP(store_closep) Store *s = NULL;
        sqlite3_stmt *st = NULL;
        Error err = { 0 };
        char path[512];
        size_t at = 0;

        (void) snprintf(path, sizeof path, "%s/tests/unit/data/schema-v1.sql",
                        srcdir ? srcdir : ".");
        want[read_all(path, want, sizeof want - 1)] = '\0';
        assert_ok(store_open_with(f->path, &first, &s, &err), err);
        assert_int_equal(sqlite3_prepare_v2(s->db,
                                            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL"
                                            " ORDER BY type DESC, name",
                                            -1, &st, NULL),
                         SQLITE_OK);
        while (sqlite3_step(st) == SQLITE_ROW && at < sizeof got)
                at += (size_t) snprintf(got + at, sizeof got - at, "%s;\n",
                                        (const char *) sqlite3_column_text(st, 0));
        (void) sqlite3_finalize(st);
        if (strcmp(got, want) != 0)
                fail_msg("the first schema differs from %s; it is now\n%s", path, got);
}

/* rosterctl may be newer than the rosterd that runs. */
static void check_read(const char *path) {
        CLEANUP(store_closep) Store *reader = NULL;
        CLEANUP(rows_freep) Rows *rows = NULL;
        const Cell *cells = NULL;
        Error err = { 0 };

        assert_ok(store_open_reader(path, &reader, &err), err);
        assert_ok(store_read_users(reader, &(UserFilter){ 0 }, true, &rows, &err), err);
        assert_int_equal(rows_next(rows, &cells, &err), ROWS_ROW);
        assert_non_null(cells[rows_columns(rows) - 1].text);
}

/* From each version that has shipped: the users stay, nobody has a mark yet, and the schema is that of
 * a new database. */
static void test_from_each_version(void **state) {
        static const char fill[] =
                "INSERT INTO account_data (account, source, active) VALUES ('acme', 'chime', 1);"
                "INSERT INTO user_data (account_key, user_id, display_name, missing, first_seen_at,"
                " last_changed_at) VALUES (1, 'ana', 'Ana', 1, '2026-01-01T00:00:00.000Z', 'x');"
                "INSERT INTO user_data (account_key, user_id, first_seen_at, last_changed_at,"
                " removed_at) VALUES (1, 'bob', 'x', 'x', '2026-01-01T00:00:00.000Z')";
        static const char whole[] = "SELECT group_concat(sql, ';') FROM (SELECT sql FROM"
                                    " sqlite_schema WHERE name LIKE 'user_%' ORDER BY name)";
        Fixture *f = *state;
        char want[8192];
        Error err = { 0 };

        assert_ok(open_and_close(f->path, &store_migrations, &err), err);
        (void) snprintf(want, sizeof want, "%s", other_program(f->path, whole));
        for (int version = 1; version < store_migrations.n; version++) {
                const Migrations old = { store_migrations.steps, version };

                (void) unlink(f->path);
                assert_ok(open_and_close(f->path, &old, &err), err);
                (void) other_program(f->path, fill);
                check_read(f->path);
                assert_ok(open_and_close(f->path, &store_migrations, &err), err);
                check_read(f->path);
                assert_string_equal(other_program(f->path, whole), want);
                assert_string_equal(other_program(f->path, "PRAGMA integrity_check"), "ok");
                assert_string_equal(other_program(f->path, "SELECT display_name || missing FROM"
                                                           " user_data WHERE removed_at IS NULL"),
                                    "Ana1");
                assert_string_equal(other_program(f->path, "SELECT user_id FROM former_users"),
                                    "bob");
                assert_string_equal(other_program(f->path, "SELECT count(*) FROM mark_data"), "0");
        }
}

/* Those who may read the database could have used the key that was in it once, and the marks. */
static void test_nothing_is_left_of_the_key(void **state) {
        static const char fill[] =
                "INSERT INTO mark_data (marks) SELECT CAST(printf('%.*c', 4032, 'm')"
                " AS BLOB) FROM sqlite_schema";
        const Migrations old = { store_migrations.steps, 4 };
        static char data[1 << 20];
        Fixture *f = *state;
        char key[512];
        Error err = { 0 };
        size_t n;

        assert_ok(open_and_close(f->path, &old, &err), err);
        (void) snprintf(key, sizeof key, "%s",
                        other_program(f->path,
                                      "UPDATE mark_key_data SET key = CAST(printf('%.*c',"
                                      " 192, 'k') AS BLOB); SELECT key FROM mark_key_data"));
        (void) other_program(f->path, fill);
        n = read_all(f->path, data, sizeof data);
        assert_non_null(memmem(data, n, key, 192));
        assert_non_null(memmem(data, n, "mmmmmmmmmmmmmmmm", 16));
        assert_ok(open_and_close(f->path, &store_migrations, &err), err);
        n = read_all(f->path, data, sizeof data);
        assert_true(n < sizeof data);
        assert_null(memmem(data, n, key, 192));
        assert_null(memmem(data, n, "mmmmmmmmmmmmmmmm", 16));
}

/* ---- what is refused ---- */

static void test_newer(void **state) {
        static const char *const steps[] = { STEP_1,
                                             STEP_2,
                                             STEP_3,
                                             "CREATE TABLE c (x)",
                                             "CREATE TABLE d (x)",
                                             "CREATE TABLE e (x)",
                                             "CREATE TABLE f (x)" };
        const Migrations all = { steps, 7 };
        Fixture *f = *state;
        Error err = { 0 };

        assert_ok(open_and_close(f->path, &all, &err), err);
        check_refused(f->path, -EPROTONOSUPPORT, "version 7");
        assert_int_equal(open_and_close(f->path, &store_migrations, &err), -EPROTONOSUPPORT);
        assert_non_null(strstr(err.msg, "up to 6"));
}

static void test_foreign_files(void **state) {
        static const char text[] = "To whom it may concern: this is no database at all, but a"
                                   " letter, and a rather long one too, so that it is longer than"
                                   " the header of a database.";
        Fixture *f = *state;

        write_all(f->path, text, sizeof text - 1);
        check_refused(f->path, -EMEDIUMTYPE, "is not a database");
        (void) unlink(f->path);
        (void) other_program(f->path, "CREATE TABLE bookmarks (url TEXT)");
        check_refused(f->path, -EMEDIUMTYPE, "another program's");
        (void) unlink(f->path);
        (void) other_program(f->path, "PRAGMA application_id = 252006674; CREATE TABLE x (y)");
        check_refused(f->path, -EMEDIUMTYPE, "another program's");
        (void) unlink(f->path);
        (void) other_program(f->path, "PRAGMA user_version = 1");
        check_refused(f->path, -EMEDIUMTYPE, "another program's");
}

static void test_empty_file(void **state) {
        Fixture *f = *state;
        Error err = { 0 };

        write_all(f->path, "", 0);
        assert_ok(open_and_close(f->path, &store_migrations, &err), err);
        assert_string_equal(other_program(f->path, "SELECT count(*) FROM users"), "0");
}

static void test_damaged(void **state) {
        static char data[1 << 20];
        Fixture *f = *state;
        Error err = { 0 };
        size_t n;

        assert_ok(open_and_close(f->path, &store_migrations, &err), err);
        n = read_all(f->path, data, sizeof data);
        assert_true(n > 12288 && n < sizeof data);
        write_all(f->path, data, n / 2 / 4096 * 4096); /* cut */
        check_refused(f->path, -EUCLEAN, "is damaged");
        memset(data + 100, 0x5a, 3996); /* the header is whole, the rest of the page is not */
        write_all(f->path, data, n);
        check_refused(f->path, -EUCLEAN, "is damaged");
        memset(data, 0, 100);
        write_all(f->path, data, n);
        check_refused(f->path, -EMEDIUMTYPE, "is not a database");
}

static void test_paths(void **state) {
        Fixture *f = *state;
        char path[128];
        Error err = { 0 };

        assert_int_equal(open_and_close(f->dir, &store_migrations, &err), -EMEDIUMTYPE);
        assert_non_null(strstr(err.msg, "is a directory"));
        (void) snprintf(path, sizeof path, "%s/missing/roster.db", f->dir);
        assert_int_equal(open_and_close(path, &store_migrations, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "does not exist; create it"));
}

/* Opens path as somebody who owns nothing of it; returns the errno. */
static int open_as_nobody(const char *path) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                Error err = { 0 };

                if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
                        _exit(255);
                (void) open_and_close(path, &store_migrations, &err);
                _exit(strstr(err.msg, "permission denied") ? -err.code : 255);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static void test_permissions(void **state) {
        Fixture *f = *state;
        char lock[80];
        Error err = { 0 };

        if (geteuid() != 0)
                skip();
        assert_ok(open_and_close(f->path, &store_migrations, &err), err);
        assert_int_equal(chmod(f->dir, 0755), 0);
        assert_int_equal(open_as_nobody(f->path), EACCES); /* the lock file */
        (void) snprintf(lock, sizeof lock, "%s.lock", f->path);
        assert_int_equal(chown(lock, NOBODY, NOBODY), 0);
        assert_int_equal(open_as_nobody(f->path), EACCES); /* the file, unreadable */
        assert_int_equal(chmod(f->path, 0644), 0);
        assert_int_equal(open_as_nobody(f->path), EACCES); /* the file, readable */
}

/* ---- modes and the lock ---- */

static void check_modes(Fixture *f, mode_t mask) {
        static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };
        CLEANUP(store_closep) Store *s = NULL;
        Error err = { 0 };
        mode_t before = umask(mask);
        int r = store_open(f->path, &s, &err);

        (void) umask(before);
        assert_ok(r, err);
        for (size_t i = 0; i < N(suffixes); i++) {
                char path[80];
                struct stat st;

                (void) snprintf(path, sizeof path, "%s%s", f->path, suffixes[i]);
                if (stat(path, &st) < 0)
                        fail_msg("%s: %s", path, strerror(errno));
                assert_int_equal(st.st_mode & 07777, 0640);
        }
}

static void test_modes(void **state) {
        Fixture *f = *state;
        char command[80];

        check_modes(f, 0077);
        (void) snprintf(command, sizeof command, "rm %s/*", f->dir);
        assert_int_equal(system(command), 0);
        check_modes(f, 0);
}

static void test_lock(void **state) {
        Fixture *f = *state;
        Store *s = NULL;
        Error err = { 0 };
        char words[64], byte;
        int pipes[2];
        pid_t pid;

        assert_ok(store_open(f->path, &s, &err), err);
        assert_int_equal(open_and_close(f->path, &store_migrations, &err), -EBUSY);
        (void) snprintf(words, sizeof words, "in use by rosterd, pid %ld; stop it first",
                        (long) getpid());
        assert_non_null(strstr(err.msg, words));
        store_close(s);

        /* the lock goes with its holder, however that ends */
        assert_int_equal(pipe(pipes), 0);
        pid = fork();
        if (pid == 0) {
                s = NULL;
                (void) (store_open(f->path, &s, &err) < 0 || write(pipes[1], "x", 1) < 0);
                (void) pause();
                _exit(1);
        }
        assert_int_equal(read(pipes[0], &byte, 1), 1);
        assert_int_equal(open_and_close(f->path, &store_migrations, &err), -EBUSY);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_ok(open_and_close(f->path, &store_migrations, &err), err);
        (void) close(pipes[0]);
        (void) close(pipes[1]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_steps),
                T(test_failing_step),
                T(test_killed_migration),
                T(test_first_schema_is_frozen),
                T(test_from_each_version),
                T(test_nothing_is_left_of_the_key),
                T(test_newer),
                T(test_foreign_files),
                T(test_empty_file),
                T(test_damaged),
                T(test_paths),
                T(test_permissions),
                T(test_modes),
                T(test_lock),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
