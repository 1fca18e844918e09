/* SPDX-License-Identifier: Apache-2.0 */
/* The roster as it was: random histories are written as a sync writes them, the roster is noted after
 * each step, and asked for again once everything has happened. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "store/store-internal.h"
#include "store/store-read.h"

#define T0 INT64_C(1767225600000) /* 2026-01-01T00:00:00.000Z */
#define PEOPLE 9
#define STEPS 90
#define HISTORIES 3

static const AccountIdentity accounts[] = { { "acme", "chime", "https://e", "id-1" },
                                            { "rooms", "chime", "https://e", "id-2" } };

typedef struct World {
        char dir[40], path[64];
        Store *store, *reader;
        int64_t account[2], row[2][PEOPLE]; /* row 0: never seen */
        bool quiet[2][PEOPLE];              /* left without a word: stays away */
        int64_t now;
        uint32_t random;
} World;

/* xorshift32: the same history for the same seed. */
static unsigned below(World *w, unsigned limit) {
        w->random ^= w->random << 13;
        w->random ^= w->random >> 17;
        w->random ^= w->random << 5;
        return w->random % limit;
}

/* ---- what a sync would do ---- */

static void scramble(World *w, User *u, unsigned fields) {
        static const char *const words[] = { NULL,           "Registered",         "Suspended",
                                             "Unregistered", "Ana \"x\" \\ Pérez", "a@b.example" };
        static const char *const times[] = { NULL, "2026-01-02T03:04:05.000Z",
                                             "2020-02-29T23:59:59.999Z" };
        static const char *const objects[] = { NULL, "{\"Shoe\":42}", "{\"A\":[1.50,\"ü\",null]}" };

        for (unsigned i = 0; i < USER_FIELD_COUNT; i++) {
                const char *text = NULL;

                if (i == USER_FIELD_USER_ID || i == USER_FIELD_PERSONAL_PIN ||
                    below(w, USER_FIELD_COUNT) >= fields)
                        continue;
                switch (user_fields[i].type) {
                case FIELD_TEXT:
                        text = words[below(w, 6)];
                        break;
                case FIELD_TIME:
                        text = times[below(w, 3)];
                        break;
                case FIELD_BOOL:
                        text = (const char *[]){ NULL, "0", "1" }[below(w, 3)];
                        break;
                case FIELD_JSON:
                        text = objects[below(w, 3)];
                        break;
                }
                assert_int_equal(user_set(u, i, text), 0);
        }
}

/* As sync_tell_user() does. */
static void tell(World *w, int a, UserChange change, const User *old, const User *new,
                 const UserDates *old_dates, const UserDates *new_dates) {
        EventPlan plan[EVENT_PLAN_MAX];
        size_t n = event_plan(change, old, new, plan);
        Error err = { 0 };

        for (size_t i = 0; i < n; i++) {
                CLEANUP(event_freep) Event *e = NULL;

                assert_int_equal(event_for_user(&plan[i], old, new, i == 0 ? old_dates : NULL,
                                                new_dates, 0, w->now, &e),
                                 0);
                assert_ok(store_event_append(w->store, w->account[a], e, &err), err);
        }
}

static void arrive(World *w, int a, int p, bool quiet) {
        CLEANUP(user_clear) User u = { 0 };
        UserDates dates = { .first_seen_at = w->now, .last_changed_at = w->now };
        char id[16];
        Error err = { 0 };

        (void) snprintf(id, sizeof id, "user-%d", p);
        assert_int_equal(user_set(&u, USER_FIELD_USER_ID, id), 0);
        scramble(w, &u, USER_FIELD_COUNT);
        assert_ok(store_user_insert(w->store, w->account[a], &u, &dates, (RecordMark){ 0 },
                                    &w->row[a][p], &err),
                  err);
        if (!quiet)
                tell(w, a, USER_CHANGE_ADDED, NULL, &u, NULL, &dates);
}

static void leave(World *w, int a, int p, StoredUser *u, bool quiet) {
        UserDates before = u->dates;
        Error err = { 0 };

        u->dates.removed_at = w->now;
        assert_ok(store_user_update(w->store, w->account[a], u, (RecordMark){ 0 }, &err), err);
        w->quiet[a][p] = quiet;
        if (!quiet)
                tell(w, a, USER_CHANGE_REMOVED, &u->user, NULL, &before, &u->dates);
}

static void come_or_change(World *w, int a, StoredUser *u, bool former, bool quiet) {
        CLEANUP(stored_user_clear) StoredUser fresh = { .row = u->row, .dates = u->dates };
        Error err = { 0 };

        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                assert_int_equal(user_set(&fresh.user, i, u->user.value[i]), 0);
        scramble(w, &fresh.user, below(w, 4));
        if (!former && user_diff(&u->user, &fresh.user) == 0)
                return;
        fresh.dates.removed_at = TIME_NONE;
        fresh.dates.last_changed_at = w->now;
        assert_ok(store_user_update(w->store, w->account[a], &fresh, (RecordMark){ 0 }, &err), err);
        if (!quiet)
                tell(w, a, former ? USER_CHANGE_RETURNED : USER_CHANGE_UPDATED, &u->user,
                     &fresh.user, &u->dates, &fresh.dates);
}

/* Something happens to somebody.  A baseline is quiet: arrivals, returns and removals then are not
 * told. */
static void happen(World *w) {
        CLEANUP(stored_user_clear) StoredUser u = { 0 };
        int a = (int) below(w, 2), p = (int) below(w, PEOPLE);
        bool quiet = below(w, 12) == 0;
        Error err = { 0 };
        int r;

        if (w->row[a][p] == 0) {
                arrive(w, a, p, quiet);
                return;
        }
        r = store_user_by_row(w->store, w->row[a][p], &u, &err);
        assert_ok(r, err);
        if (r == STORE_FORMER && w->quiet[a][p])
                return;
        if (r == STORE_LISTED && below(w, 5) == 0)
                leave(w, a, p, &u, quiet && below(w, 2) == 0);
        else
                come_or_change(w, a, &u, r == STORE_FORMER, r == STORE_FORMER && quiet);
}

/* ---- the rosters of each time ---- */

static char *print_rows(Rows *rows) {
        Error err = { 0 };
        const Cell *cells = NULL;
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);
        int r;

        assert_non_null(f);
        while ((r = rows_next(rows, &cells, &err)) == ROWS_ROW) {
                for (size_t i = 0; i < rows_columns(rows); i++)
                        fprintf(f, "%s=%d:%s|", rows_column(rows, i), (int) cells[i].type,
                                cells[i].text ? cells[i].text : "");
                fputc('\n', f);
        }
        assert_ok(r, err);
        rows_free(rows);
        assert_int_equal(fclose(f), 0);
        return text;
}

static char *present(World *w, bool former) {
        Rows *rows = NULL;
        Error err = { 0 };

        assert_ok(store_read_users(w->reader, &(UserFilter){ .former = former }, false, &rows,
                                   &err),
                  err);
        return print_rows(rows);
}

static char *past(World *w, const UserFilter *f, int64_t at) {
        Rows *rows = NULL;
        Error err = { 0 };
        int r = store_read_users_as_of(w->reader, f, at, &rows, &err);

        if (r == -ERANGE && strstr(err.msg, "is not known")) /* nobody had come yet */
                return strdup("");
        assert_ok(r, err);
        return print_rows(rows);
}

static void compare(World *w, int64_t at, const char *listed, const char *former) {
        CLEANUP_FREE char *l = past(w, &(UserFilter){ 0 }, at);
        CLEANUP_FREE char *f = past(w, &(UserFilter){ .former = true }, at);

        assert_string_equal(l, listed);
        assert_string_equal(f, former);
}

/* ---- the world ---- */

static void world_begin(World *w, uint32_t seed) {
        Error err = { 0 };

        *w = (World){ .dir = "/tmp/test-past-XXXXXX", .now = T0, .random = seed };
        assert_non_null(mkdtemp(w->dir));
        (void) snprintf(w->path, sizeof w->path, "%s/roster.db", w->dir);
        assert_ok(store_open(w->path, &w->store, &err), err);
        assert_ok(store_accounts_apply(w->store, accounts, 2, w->account, &err), err);
        assert_ok(store_open_reader(w->path, &w->reader, &err), err);
}

static void world_end(World *w) {
        char command[64];

        store_close(w->reader);
        store_close(w->store);
        (void) snprintf(command, sizeof command, "rm -r %s", w->dir);
        assert_int_equal(system(command), 0);
}

static void replay(uint32_t seed) {
        static char *listed[STEPS], *former[STEPS];
        static int64_t time[STEPS];
        World w;
        Error err = { 0 };

        world_begin(&w, seed);
        for (int i = 0; i < STEPS; i++) {
                w.now += 1 + below(&w, 3) * 4000;
                assert_ok(store_begin(w.store, &err), err);
                for (unsigned n = 1 + below(&w, 4); n > 0; n--)
                        happen(&w);
                assert_ok(store_commit(w.store, &err), err);
                time[i] = w.now;
                listed[i] = present(&w, false);
                former[i] = present(&w, true);
        }
        for (int i = 0; i < STEPS; i++) {
                compare(&w, time[i], listed[i], former[i]);
                if (i + 1 < STEPS && time[i + 1] - 1 > time[i]) /* right up to the next */
                        compare(&w, time[i + 1] - 1, listed[i], former[i]);
        }
        compare(&w, T0, "", "");
        for (int i = 0; i < STEPS; i++) {
                free(listed[i]);
                free(former[i]);
        }
        world_end(&w);
}

static void test_random_histories(void **state) {
        (void) state;
        for (uint32_t seed = 1; seed <= HISTORIES; seed++)
                replay(seed * 2654435761u);
}

/* ---- filters ---- */

static size_t lines(const char *text) {
        size_t n = 0;

        for (; *text; text++)
                n += *text == '\n';
        return n;
}

static void test_filters_look_at_the_values_of_then(void **state) {
        static const char *const globs[] = { "ANA@x.example", "ana*", "*@X.EXAMPLE" };
        CLEANUP(stored_user_clear) StoredUser u = { 0 };
        World w;
        Error err = { 0 };

        (void) state;
        world_begin(&w, 7);
        arrive(&w, 0, 1, false);
        assert_ok(store_user_by_row(w.store, w.row[0][1], &u, &err), err);
        for (int i = 0; i < 2; i++) {
                CLEANUP(user_clear) User old = u.user;
                UserDates before = u.dates;

                u.user = (User){ 0 };
                w.now += 1000;
                assert_int_equal(user_set(&u.user, USER_FIELD_USER_ID, "user-1"), 0);
                assert_int_equal(user_set(&u.user, USER_FIELD_PRIMARY_EMAIL,
                                          i ? "bo@y.example" : "Ana@x.example"),
                                 0);
                assert_int_equal(user_set(&u.user, USER_FIELD_USER_REGISTRATION_STATUS,
                                          i ? "Suspended" : "Registered"),
                                 0);
                u.dates.last_changed_at = w.now;
                assert_ok(store_user_update(w.store, w.account[0], &u, (RecordMark){ 0 }, &err),
                          err);
                tell(&w, 0, USER_CHANGE_UPDATED, &old, &u.user, &before, &u.dates);
        }
        for (size_t i = 0; i < 3; i++) {
                CLEANUP_FREE char *then = past(&w, &(UserFilter){ .email = globs[i] }, T0 + 1500);
                CLEANUP_FREE char *now = past(&w, &(UserFilter){ .email = globs[i] }, w.now);

                assert_int_equal(lines(then), 1);
                assert_int_equal(lines(now), 0);
        }
        {
                UserFilter f = { .registration = "Registered", .account = "acme" };
                CLEANUP_FREE char *then = past(&w, &f, T0 + 1500);
                CLEANUP_FREE char *now = past(&w, &f, w.now);

                assert_int_equal(lines(then), 1);
                assert_int_equal(lines(now), 0);
        }
        {
                CLEANUP_FREE char *other = past(&w, &(UserFilter){ .account = "rooms" }, w.now);

                assert_string_equal(other, "");
        }
        world_end(&w);
}

/* ---- what retention has taken ---- */

static void test_a_time_beyond_retention_is_refused(void **state) {
        Error err = { 0 };
        bool more = true;
        Rows *rows = NULL;
        World w;

        (void) state;
        world_begin(&w, 11);
        for (int i = 0; i < 20; i++) {
                w.now += 1000;
                happen(&w);
        }
        while (more)
                assert_ok(store_prune(w.store, T0 + 10000, 1000, &more, &err), err);
        assert_int_equal(store_read_users_as_of(w.reader, &(UserFilter){ 0 }, T0 + 5000, &rows,
                                                &err),
                         -ERANGE);
        assert_non_null(strstr(err.msg, "2026-01-01T00:00:05.000Z cannot be rebuilt"));
        free(past(&w, &(UserFilter){ 0 }, T0 + 15000));
        more = true;
        while (more) /* nothing is left: only what has not changed since can be told */
                assert_ok(store_prune(w.store, w.now + 1000, 1000, &more, &err), err);
        assert_int_equal(store_read_users_as_of(w.reader, &(UserFilter){ 0 }, T0 + 15000, &rows,
                                                &err),
                         -ERANGE);
        free(past(&w, &(UserFilter){ 0 }, w.now));
        world_end(&w);
}

/* ---- undoing ---- */

static void test_what_is_no_event_is_refused(void **state) {
        static const char *const bad[] = { "",
                                           "{}",
                                           "[1]",
                                           "[{\"field\":\"extra\"}]",
                                           "[{\"field\":1,\"old\":null}]",
                                           "[{\"field\":\"display_name\",\"old\":7}]",
                                           "[{\"field\":\"last_changed_at\",\"old\":\"noon\"}]" };
        CLEANUP(user_clear) User u = { 0 };
        UserDates d = { 0 };

        (void) state;
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
                if (event_undo(bad[i], &u, &d) != -EBADMSG)
                        fail_msg("taken: %s", bad[i]);
        assert_int_equal(event_undo("[{\"field\":\"of_tomorrow\",\"old\":{}}]", &u, &d), 0);
        assert_int_equal(event_image_read("[]", &u, &d), -EBADMSG);
}

/* As deep as a record may be (32), in the wrapping that events put around it. */
static void test_the_deepest_extra_comes_back(void **state) {
        CLEANUP(user_clear) User old = { 0 }, new = { 0 }, u = { 0 };
        CLEANUP(event_freep) Event *e = NULL;
        const EventPlan plan = { EVENT_USER_UPDATED, FIELD_BIT(USER_FIELD_EXTRA) };
        const UserDates before = { T0, T0, TIME_NONE }, after = { T0, T0 + 1000, TIME_NONE };
        char extra[80] = "{\"e\":";
        UserDates d = { 0 };

        (void) state;
        (void) memset(extra + 5, '[', 31);
        (void) memset(extra + 36, ']', 31);
        extra[67] = '}';
        assert_int_equal(user_set(&old, USER_FIELD_USER_ID, "u"), 0);
        assert_int_equal(user_set(&old, USER_FIELD_EXTRA, extra), 0);
        assert_int_equal(user_set(&new, USER_FIELD_USER_ID, "u"), 0);
        assert_int_equal(event_for_user(&plan, &old, &new, &before, &after, 1, T0, &e), 0);
        assert_int_equal(event_image_read(e->user, &u, &d), 0);
        assert_int_equal(event_undo(e->changes, &u, &d), 0);
        assert_string_equal(user_get(&u, USER_FIELD_EXTRA), extra);
        event_freep(&e);

        e = NULL;
        assert_int_equal(event_for_user(&plan, &new, &old, &before, &after, 1, T0, &e), 0);
        assert_int_equal(event_image_read(e->user, &u, &d), 0);
        assert_string_equal(user_get(&u, USER_FIELD_EXTRA), extra);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random_histories),
                cmocka_unit_test(test_filters_look_at_the_values_of_then),
                cmocka_unit_test(test_a_time_beyond_retention_is_refused),
                cmocka_unit_test(test_what_is_no_event_is_refused),
                cmocka_unit_test(test_the_deepest_extra_comes_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
