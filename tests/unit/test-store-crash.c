/* SPDX-License-Identifier: Apache-2.0 */
/* The store when things end badly: killed at every step, a full disk, and what people in the file's
 * group can read meanwhile.  SIGKILL proves the death of a process, not of the power: that rests on
 * synchronous = FULL. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare */
#endif
#include "test.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "store/store-internal.h"

#define T0 INT64_C(1767225600000)
#define WRITER 65533 /* stands for the user and group rosterd */
#define PERSON 65534 /* somebody in that group */

typedef struct Fixture {
        char dir[40], path[64];
} Fixture;

static int setup(void **state) {
        static Fixture f;

        f = (Fixture){ .dir = "/tmp/test-crash-XXXXXX" };
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

/* ---- killed at every step ---- */

static int tell(Store *s, int64_t account, int64_t run, EventKind kind, const char *id,
                int64_t *last_seq, Error *err) {
        Event e = { .kind = kind, .time = T0, .run = run };
        int r;

        random_event_id(e.id);
        e.user_id = (char *) (uintptr_t) id;
        r = store_event_append(s, account, &e, err);
        if (r < 0)
                return r;
        if (e.seq <= *last_seq)
                return -EEXIST;
        *last_seq = e.seq;
        return 0;
}

/* Brings one user to where it ends up, as a run does: each step with its event. */
static int bring(Store *s, int64_t account, int64_t run, const char *id, bool suspend, bool remove,
                 int64_t *last_seq, Error *err) {
        CLEANUP(stored_user_clear) StoredUser u = { 0 };
        UserDates dates = { .first_seen_at = T0, .last_changed_at = T0 };
        int r = store_user_find(s, account, id, 0, &u, err);

        if (r == STORE_ABSENT) {
                CLEANUP(user_clear) User fresh = { 0 };
                int64_t row;

                if (user_set(&fresh, USER_FIELD_USER_ID, id) < 0)
                        return -ENOMEM;
                r = store_user_insert(s, account, &fresh, &dates, (RecordMark){ 0 }, &row, err);
                if (r >= 0)
                        r = tell(s, account, run, EVENT_USER_ADDED, id, last_seq, err);
                if (r >= 0)
                        r = store_user_find(s, account, id, 0, &u, err);
        }
        if (r >= 0 && suspend && !user_get(&u.user, USER_FIELD_USER_REGISTRATION_STATUS)) {
                if (user_set(&u.user, USER_FIELD_USER_REGISTRATION_STATUS, "Suspended") < 0)
                        return -ENOMEM;
                r = store_user_update(s, account, &u, (RecordMark){ 0 }, err);
                if (r >= 0)
                        r = tell(s, account, run, EVENT_USER_SUSPENDED, id, last_seq, err);
        }
        if (r >= 0 && remove && u.dates.removed_at == TIME_NONE) {
                u.dates.removed_at = T0;
                r = store_user_update(s, account, &u, (RecordMark){ 0 }, err);
                if (r >= 0)
                        r = tell(s, account, run, EVENT_USER_REMOVED, id, last_seq, err);
        }
        return r;
}

/* A run in two transactions, then what stands around it. */
static int one_run(Store *s, Error *err) {
        const AccountIdentity list[] = { { "acme", "chime", "https://e", "id-1" },
                                         { "beta", "chime", "https://e", "id-2" } };
        AccountState state = { .last_attempt_at = T0 };
        RunCounters counters = { .pages = 1 };
        int64_t keys[2], run = 0, seq = 0, cursor = 0;
        int r = store_accounts_apply(s, list, 2, keys, err);

        if (r >= 0)
                r = store_event_last_seq(s, &seq, err);
        if (r >= 0)
                r = store_cursor_open(s, "journal", 0, &cursor, err);
        if (r >= 0)
                r = store_runs_interrupt(s, 0, "killed", T0, err);
        if (r >= 0)
                r = store_begin(s, err);
        if (r >= 0)
                r = store_run_open(s, keys[0], T0, &run, err);
        if (r >= 0)
                r = bring(s, keys[0], run, "u1", false, false, &seq, err);
        if (r >= 0)
                r = bring(s, keys[0], run, "u2", false, false, &seq, err);
        if (r >= 0)
                r = store_commit(s, err);
        if (r >= 0)
                r = store_begin(s, err);
        if (r >= 0)
                r = bring(s, keys[0], run, "u1", true, false, &seq, err);
        if (r >= 0)
                r = bring(s, keys[0], run, "u2", false, true, &seq, err);
        if (r >= 0)
                r = store_account_put(s, keys[0], &state, err);
        if (r >= 0)
                r = store_run_close(s, run, &counters, RUN_COMPLETE, NULL, T0, err);
        if (r >= 0)
                r = store_commit(s, err);
        return r < 0 ? r : store_cursor_move(s, "journal", 1, err);
}

static int steps_left;

static void die_in_time(void) {
        if (--steps_left == 0)
                (void) raise(SIGKILL); /* no atexit, no flush, no destructor */
}

/* All of the work: to the end, or to its death at step die_at.  Retention deletes the first event. */
static int work(const char *path, int die_at) {
        Store *s = NULL;
        Error err = { 0 };
        bool more = false;
        int r;

        steps_left = die_at;
        store_test_after_write = die_at ? die_in_time : NULL;
        r = store_open(path, &s, &err);
        if (r >= 0)
                r = one_run(s, &err);
        if (r >= 0)
                r = store_prune(s, T0 + 1, 10, &more, &err);
        store_close(s);
        if (r < 0)
                fprintf(stderr, "%s\n", err.msg);
        return r;
}

static int64_t count(Store *s, const char *sql) {
        int64_t n = -1;
        Error err = { 0 };

        assert_ok(store_number(s, sql, &n, &err), err);
        return n;
}

/* Whatever has happened: the file is sound, and there is an event for each change and no other. */
static void check_whole(const char *path) {
        CLEANUP(store_closep) Store *s = NULL;
        Error err = { 0 };

        assert_ok(store_open(path, &s, &err), err);
        assert_int_equal(count(s, "SELECT count(*) FROM pragma_integrity_check"
                                  " WHERE integrity_check = 'ok'"),
                         1);
        assert_int_equal(count(s, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
        assert_int_equal(count(s, "SELECT count(*) FROM user_data u WHERE"
                                  " (u.user_registration_status IS NOT NULL) <> (SELECT count(*)"
                                  " FROM events WHERE user_id = u.user_id"
                                  " AND type = 'user.suspended')"
                                  " OR (u.removed_at IS NOT NULL) <> (SELECT count(*) FROM events"
                                  " WHERE user_id = u.user_id AND type = 'user.removed')"),
                         0);
        /* retention has taken the event of the first user's arrival, or not yet */
        assert_int_equal(count(s, "SELECT (SELECT count(*) FROM user_data) - (SELECT count(*)"
                                  " FROM events WHERE type = 'user.added') - ((SELECT"
                                  " ifnull(max(seq), 0) FROM events) > 0 AND (SELECT"
                                  " min(seq) FROM events) > 1)"),
                         0);
        /* both users of the first transaction, or none */
        assert_int_equal(count(s, "SELECT count(*) IN (0, 2) FROM user_data"), 1);
        assert_int_equal(count(s, "SELECT count(*) IN (0, 2) FROM accounts"), 1);
        /* numbers go on where they were */
        assert_int_equal(count(s, "SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name ="
                                  " 'event_data'), 0) >= (SELECT ifnull(max(seq), 0) FROM events)"),
                         1);
}

static void check_done(const char *path) {
        CLEANUP(store_closep) Store *s = NULL;
        Error err = { 0 };

        assert_ok(store_open(path, &s, &err), err);
        assert_int_equal(count(s, "SELECT count(*) FROM events"), 3);
        assert_int_equal(count(s, "SELECT min(seq) FROM events"), 2);
        assert_int_equal(count(s, "SELECT max(seq) FROM events"), 4);
        assert_int_equal(count(s, "SELECT count(*) FROM suspended_users"), 1);
        assert_int_equal(count(s, "SELECT count(*) FROM former_users"), 1);
        assert_int_equal(count(s, "SELECT count(*) FROM runs WHERE outcome = 'running'"), 0);
}

/* At step 1, 2, 3 … until one outlives it; after each death the file is whole, and the same work can
 * be done again, with the same result as if nobody had died. */
static void test_kill_at_every_step(void **state) {
        Fixture *f = *state;
        int died = 0;

        for (int at = 1;; at++) {
                char command[80];
                int status;
                pid_t pid = fork();

                if (pid == 0)
                        _exit(work(f->path, at) == 0 ? 0 : 1);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                check_whole(f->path);
                assert_int_equal(work(f->path, 0), 0);
                check_whole(f->path);
                check_done(f->path);
                (void) snprintf(command, sizeof command, "rm -f %s/*", f->dir);
                assert_int_equal(system(command), 0);

                if (WIFEXITED(status)) {
                        assert_int_equal(WEXITSTATUS(status), 0);
                        break;
                }
                died++;
        }
        assert_true(died > 80); /* every statement of the schema, and 30 of the work */
}

/* ---- who may read, and when ---- */

/* Reads as a person of the group does: no right to write anything.  The number of users, or the
 * SQLite code as a negative number. */
static int read_as_person(const char *path) {
        int pipes[2], n = -9999;
        pid_t pid;

        assert_int_equal(pipe(pipes), 0);
        pid = fork();
        if (pid == 0) {
                sqlite3 *db = NULL;
                sqlite3_stmt *st = NULL;

                if (setgroups(0, NULL) < 0 || setgid(WRITER) < 0 || setuid(PERSON) < 0)
                        _exit(1);
                if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
                    sqlite3_prepare_v2(db, "SELECT count(*) FROM users", -1, &st, NULL) ==
                            SQLITE_OK &&
                    sqlite3_step(st) == SQLITE_ROW)
                        n = sqlite3_column_int(st, 0);
                else
                        n = -sqlite3_extended_errcode(db);
                (void) sqlite3_finalize(st);
                (void) sqlite3_close(db);
                _exit(write(pipes[1], &n, sizeof n) == sizeof n ? 0 : 1);
        }
        (void) close(pipes[1]);
        assert_int_equal(read(pipes[0], &n, sizeof n), sizeof n);
        (void) close(pipes[0]);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        return n;
}

/* A process that does what the letters say, as the user rosterd, and answers each with its result. */
typedef struct Writer {
        pid_t pid;
        int orders, answers;
} Writer;

static int add_users(Store *s, int64_t account, int n, Error *err) {
        static int next;
        UserDates dates = { .first_seen_at = T0, .last_changed_at = T0 };
        int r = 0;

        for (int i = 0; i < n && r == 0; i++) {
                User u = { 0 };
                int64_t row;
                char id[32];

                (void) snprintf(id, sizeof id, "%ld-%d", (long) getpid(), next++);
                u.value[USER_FIELD_USER_ID] = id;
                r = store_user_insert(s, account, &u, &dates, (RecordMark){ 0 }, &row, err);
        }
        return r;
}

static void obey(const char *path, int orders, int answers) {
        const AccountIdentity acme = { "acme", "chime", "https://e", "id-1" };
        Store *s = NULL;
        Error err = { 0 };
        int64_t account = 0;
        char order;

        if (setgroups(0, NULL) < 0 || setgid(WRITER) < 0 || setuid(WRITER) < 0)
                _exit(1);
        (void) umask(0077);
        while (read(orders, &order, 1) == 1) {
                int r = -EINVAL;

                switch (order) {
                case 'o': /* open */
                        r = store_open(path, &s, &err);
                        break;
                case 'a': /* account */
                        r = store_accounts_apply(s, &acme, 1, &account, &err);
                        break;
                case '+': /* one more user */
                        r = add_users(s, account, 1, &err);
                        break;
                case 'b': /* begin, with more than the page cache holds */
                        r = store_exec_sql(s, "PRAGMA cache_size = 10", "x", &err);
                        if (r >= 0)
                                r = store_begin(s, &err);
                        if (r >= 0)
                                r = add_users(s, account, 2000, &err);
                        break;
                case 'r':
                        store_rollback(s);
                        r = 0;
                        break;
                case 'k': /* checkpoint */
                        store_checkpoint(s);
                        r = 0;
                        break;
                case 'c': /* close */
                        store_close(s);
                        r = 0;
                        break;
                default:
                        break;
                }
                if (r < 0)
                        fprintf(stderr, "%c: %s\n", order, err.msg);
                if (write(answers, &r, sizeof r) != sizeof r)
                        _exit(1);
        }
        _exit(0);
}

static Writer writer_start(const char *path) {
        int orders[2], answers[2];
        Writer w;

        assert_int_equal(pipe(orders), 0);
        assert_int_equal(pipe(answers), 0);
        w.pid = fork();
        if (w.pid == 0) {
                (void) close(orders[1]);
                (void) close(answers[0]);
                obey(path, orders[0], answers[1]);
        }
        (void) close(orders[0]);
        (void) close(answers[1]);
        w.orders = orders[1];
        w.answers = answers[0];
        return w;
}

static void writer_do(Writer *w, const char *orders) {
        for (; *orders; orders++) {
                int r = -1;

                assert_int_equal(write(w->orders, orders, 1), 1);
                assert_int_equal(read(w->answers, &r, sizeof r), sizeof r);
                assert_int_equal(r, 0);
        }
}

static void writer_end(Writer *w, bool violently) {
        if (violently)
                assert_int_equal(kill(w->pid, SIGKILL), 0);
        (void) close(w->orders);
        assert_int_equal(waitpid(w->pid, NULL, 0), w->pid);
        (void) close(w->answers);
}

/* In each state that the files can be in.  The writer's directory is not writable to the reader, nor
 * are the files. */
static void test_group_reads_at_any_time(void **state) {
        Fixture *f = *state;
        Writer w;

        if (geteuid() != 0)
                skip();
        assert_int_equal(chown(f->dir, WRITER, WRITER), 0);
        assert_int_equal(chmod(f->dir, 0750), 0);

        w = writer_start(f->path);
        writer_do(&w, "o");
        assert_int_equal(read_as_person(f->path), 0); /* running, new */
        writer_do(&w, "a+");
        assert_int_equal(read_as_person(f->path), 1); /* after commits */
        writer_do(&w, "b");
        assert_int_equal(read_as_person(f->path), 1); /* while it writes */
        writer_do(&w, "rk");
        assert_int_equal(read_as_person(f->path), 1); /* the WAL is empty */
        writer_do(&w, "+");
        assert_int_equal(read_as_person(f->path), 2);
        writer_do(&w, "c");
        writer_end(&w, false);
        assert_int_equal(read_as_person(f->path), 2); /* stopped */

        w = writer_start(f->path);
        writer_do(&w, "o");
        assert_int_equal(read_as_person(f->path), 2); /* started again */
        writer_do(&w, "a");
        assert_int_equal(read_as_person(f->path), 2); /* after the very first commit */
        writer_do(&w, "+");
        assert_int_equal(read_as_person(f->path), 3);
        writer_end(&w, true);
        assert_int_equal(read_as_person(f->path), 3); /* killed, with a WAL */

        w = writer_start(f->path);
        writer_do(&w, "oa+b");
        writer_end(&w, true);
        assert_int_equal(read_as_person(f->path), 4); /* killed while it wrote */

        w = writer_start(f->path);
        writer_do(&w, "oa+c");
        assert_int_equal(read_as_person(f->path), 5);
        writer_end(&w, true);
        assert_int_equal(read_as_person(f->path), 5); /* closed, then killed */
}

/* A reader who stays connected keeps the last checkpoint from happening, and nobody else out. */
static void test_lasting_reader(void **state) {
        Fixture *f = *state;
        sqlite3 *db = NULL;
        sqlite3_stmt *st = NULL;
        Writer w;

        if (geteuid() != 0)
                skip();
        assert_int_equal(chown(f->dir, WRITER, WRITER), 0);
        assert_int_equal(chmod(f->dir, 0750), 0);
        w = writer_start(f->path);
        writer_do(&w, "oa+");
        assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, "SELECT * FROM users", -1, &st, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        writer_do(&w, "++kc");
        writer_end(&w, false);
        assert_int_equal(read_as_person(f->path), 3);
        w = writer_start(f->path);
        writer_do(&w, "oa+");
        assert_int_equal(read_as_person(f->path), 4);
        writer_end(&w, true);
        assert_int_equal(read_as_person(f->path), 4);
        (void) sqlite3_finalize(st);
        (void) sqlite3_close(db);
        assert_int_equal(read_as_person(f->path), 4);
}

/* ---- a full or read-only disk ---- */

#define EXPECT(condition)                                                 \
        do {                                                              \
                if (!(condition)) {                                       \
                        fprintf(stderr, "%s: %s\n", #condition, err.msg); \
                        return 1;                                         \
                }                                                         \
        } while (0)

/* Runs in a mount namespace of its own, on a disk of 1 MiB. */
static int on_small_disk(const char *dir, const char *path) {
        const AccountIdentity acme = { "acme", "chime", "https://e", "id-1" };
        CLEANUP(store_closep) Store *s = NULL;
        Error err = { 0 };
        int64_t account = 0, before = 0, after = 0;
        char ballast[80], command[160];
        bool open;
        int r;

        (void) snprintf(ballast, sizeof ballast, "%s/ballast", dir);
        (void) snprintf(command, sizeof command, "head -c 2M /dev/zero >%s 2>/dev/null", ballast);
        (void) !system(command);
        EXPECT(store_open(path, &s, &err) == -ENOSPC);
        EXPECT(strstr(err.msg, "free some") && strstr(err.msg, path));
        (void) snprintf(command, sizeof command, "head -c 400K /dev/zero >%s", ballast);
        EXPECT(system(command) == 0);

        EXPECT(store_open(path, &s, &err) == 0);
        EXPECT(store_accounts_apply(s, &acme, 1, &account, &err) == 0);
        EXPECT(add_users(s, account, 10, &err) == 0);
        EXPECT(store_begin(s, &err) == 0);
        r = add_users(s, account, 100000, &err);
        if (r == 0)
                r = store_commit(s, &err);
        EXPECT(r == -ENOSPC);
        open = store_in_transaction(s);
        EXPECT(open == !sqlite3_get_autocommit(s->db));
        EXPECT(open || store_commit(s, &err) == -EIO);
        store_rollback(s);
        EXPECT(store_users_count(s, account, &before, &err) == 0 && before == 10);

        (void) unlink(ballast);
        EXPECT(add_users(s, account, 5, &err) == 0);
        EXPECT(store_users_count(s, account, &after, &err) == 0 && after == 15);
        store_close(s);
        s = NULL;
        EXPECT(mount("none", dir, "tmpfs", MS_REMOUNT | MS_RDONLY, "") == 0);
        EXPECT(store_open(path, &s, &err) == -EROFS);
        return 0;
}

static void test_small_disk(void **state) {
        Fixture *f = *state;
        int status;
        pid_t pid;

        if (geteuid() != 0)
                skip();
        pid = fork();
        if (pid == 0) {
                if (unshare(CLONE_NEWNS) < 0 ||
                    mount("none", "/", "none", MS_REC | MS_PRIVATE, "") < 0 ||
                    mount("none", f->dir, "tmpfs", 0, "size=1m") < 0)
                        _exit(77); /* not allowed here */
                _exit(on_small_disk(f->dir, f->path));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
                skip();
        assert_int_equal(WEXITSTATUS(status), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_kill_at_every_step),
                T(test_group_reads_at_any_time),
                T(test_lasting_reader),
                T(test_small_disk),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
