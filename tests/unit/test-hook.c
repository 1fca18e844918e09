/* SPDX-License-Identifier: Apache-2.0 */
/* A webhook's turns: it is told what is committed while somebody goes on writing, and lets others have
 * their turn.  And when it gives up. */
#include "test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/rand.h"
#include "base/timefmt.h"
#include "base/timespan.h"
#include "daemon/hook-internal.h"
#include "store/store-internal.h"

#define HOUR (INT64_C(3600) * 1000)
#define DAY (24 * HOUR)

typedef struct Fixture {
        char dir[40], url[64];
        HookWorld world;
        Config config;
        int64_t account;
        unsigned users; /* so many there have been */
        int64_t run;    /* that events are of, or 0 */
        int fd;         /* bound; refuses what comes until it listens */
} Fixture;

/* Seconds by which the clocks are off. */
static int64_t wall_shift, boot_shift;

int clock_gettime(clockid_t clock, struct timespec *ts) {
        int r = (int) syscall(SYS_clock_gettime, clock, ts);

        if (clock == CLOCK_REALTIME)
                ts->tv_sec += wall_shift;
        else if (clock == CLOCK_BOOTTIME)
                ts->tv_sec += boot_shift;
        return r;
}

static void nothing(void *userdata) {
        (void) userdata;
}

static void bind_somewhere(Fixture *f) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof a;

        f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(f->fd >= 0);
        assert_int_equal(bind(f->fd, (struct sockaddr *) &a, sizeof a), 0);
        assert_int_equal(getsockname(f->fd, (struct sockaddr *) &a, &size), 0);
        (void) snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/", ntohs(a.sin_port));
}

static int setup(void **state) {
        static const AccountIdentity acme = { "acme", "chime", "https://e", "id-1" };
        static Fixture f;
        char path[64];
        Error err = { 0 };

        f = (Fixture){ .dir = "/tmp/test-hook-XXXXXX",
                       .world = { .on_changed = nothing, .on_rest = nothing } };
        assert_non_null(mkdtemp(f.dir));
        (void) snprintf(path, sizeof path, "%s/roster.db", f.dir);
        assert_true(sd_event_new(&f.world.event) >= 0);
        assert_ok(http_new(f.world.event, &f.world.http, &err), err);
        assert_ok(store_open(path, &f.world.store, &err), err);
        assert_ok(store_accounts_apply(f.world.store, &acme, 1, &f.account, &err), err);
        f.world.config = &f.config;
        f.world.keys = &f.account;
        bind_somewhere(&f);
        *state = &f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;
        char command[64];

        wall_shift = boot_shift = 0;
        (void) close(f->fd);
        http_free(f->world.http);
        store_close(f->world.store);
        (void) sd_event_unref(f->world.event);
        (void) snprintf(command, sizeof command, "rm -r %s", f->dir);
        return system(command);
}

static void append_about(Fixture *f, EventKind kind, char *user, int64_t age) {
        char id[EVENT_ID_SIZE];
        Event e = { .kind = kind, .time = time_now_ms() - age, .user_id = user, .run = f->run };
        Error err = { 0 };

        random_event_id(id);
        memcpy(e.id, id, sizeof e.id);
        assert_ok(store_event_append(f->world.store, f->account, &e, &err), err);
}

/* In the open transaction; each about somebody else. */
static void append(Fixture *f, int n) {
        char user[16];

        for (int i = 0; i < n; i++) {
                (void) snprintf(user, sizeof user, "u%u", f->users++);
                append_about(f, EVENT_USER_SUSPENDED, user, 99 * DAY);
        }
}

static void append_committed(Fixture *f, int n) {
        Error err = { 0 };

        assert_ok(store_begin(f->world.store, &err), err);
        append(f, n);
        assert_ok(store_commit(f->world.store, &err), err);
}

/* From the first event on.  The configuration is the caller's. */
static Hook *new_hook(Fixture *f, WebhookConfig *config, char **events, WebhookFormat format) {
        static char name[] = "ops", no_proxy[] = "";
        Hook *h = NULL;
        Error err = { 0 };

        *config = (WebhookConfig){ .name = name,
                                   .url = f->url,
                                   .format = format,
                                   .events = { events, 1 },
                                   .batch = 1,
                                   .timeout = 10 * USEC_PER_SEC,
                                   .give_up_after = 3 * USEC_PER_DAY,
                                   .replay_from = 1,
                                   .repeat = USEC_PER_HOUR,
                                   .proxy = no_proxy,
                                   .allow_http = true };
        assert_ok(hook_new(&f->world, config, false, &h, &err), err);
        return h;
}

/* Whether a request comes. */
static bool is_told(Fixture *f) {
        int client = -1;

        for (int i = 0; i < 250 && client < 0; i++) {
                assert_true(sd_event_run(f->world.event, 100 * USEC_PER_MSEC) >= 0);
                client = accept(f->fd, NULL, NULL);
        }
        if (client >= 0)
                (void) close(client);
        return client >= 0;
}

static int64_t dead_letters(Fixture *f) {
        int64_t n = -1;
        Error err = { 0 };

        assert_ok(store_dead_letters_count(f->world.store, "webhook:ops", &n, &err), err);
        return n;
}

static void wait_for_phase(Fixture *f, const Hook *h, HookPhase phase) {
        for (int i = 0; i < 1000 && h->phase != phase; i++)
                assert_true(sd_event_run(f->world.event, 100 * USEC_PER_MSEC) >= 0);
        assert_int_equal(h->phase, phase);
}

static void wait_for_digest(Fixture *f, const Hook *h, size_t events) {
        for (int i = 0; i < 250 && h->digest.events < events; i++)
                assert_true(sd_event_run(f->world.event, 100 * USEC_PER_MSEC) >= 0);
        assert_true(h->digest.events >= events);
}

/* A digest is held so long, whoever writes meanwhile; and tells only what is committed. */
static void test_a_digest_while_a_transaction_is_open(void **state) {
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        Error err = { 0 };
        Hook *h;

        assert_int_equal(listen(f->fd, 1), 0);
        append_committed(f, 1);
        assert_ok(store_begin(f->world.store, &err), err);
        append(f, 1);
        h = new_hook(f, &config, wanted, WEBHOOK_SLACK);
        wait_for_digest(f, h, 1);
        assert_int_equal(h->phase, HOOK_IDLE); /* the run may have more to tell */
        assert_ok(store_commit(f->world.store, &err), err);
        assert_ok(store_begin(f->world.store, &err), err);
        append(f, 1);
        hook_poke(h);
        wait_for_digest(f, h, 2);
        assert_int_equal(h->phase, HOOK_IDLE);
        h->hold_until = 1;
        hook_poke(h);
        assert_true(is_told(f));
        assert_int_equal(h->digest.events, 2);
        hook_free(h);
        store_rollback(f->world.store);
}

/* What is due is not held up by what is still to be read. */
static void test_a_digest_of_a_long_log(void **state) {
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        Hook *h;

        append_committed(f, 2000);
        h = new_hook(f, &config, wanted, WEBHOOK_SLACK);
        wait_for_digest(f, h, 1);
        h->hold_until = 1;
        for (int i = 0; i < 250 && h->parcel.upto == 0; i++)
                assert_true(sd_event_run(f->world.event, 100 * USEC_PER_MSEC) >= 0);
        assert_in_range(h->parcel.upto, 1, 1000);
        hook_free(h);
}

/* A digest ends before what becomes of somebody next, and waits no longer then. */
static void test_a_digest_tells_of_nobody_twice(void **state) {
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        Error err = { 0 };
        Hook *h;

        assert_ok(store_begin(f->world.store, &err), err);
        append_about(f, EVENT_USER_ADDED, (char[]){ "ana" }, 0);
        append_about(f, EVENT_USER_SUSPENDED, (char[]){ "ana" }, 0);
        append_about(f, EVENT_USER_SUSPENDED, (char[]){ "bo" }, 0);
        append_about(f, EVENT_USER_REINSTATED, (char[]){ "ana" }, 0);
        append_about(f, EVENT_USER_SUSPENDED, (char[]){ "ana" }, 0);
        assert_ok(store_commit(f->world.store, &err), err);
        assert_ok(store_begin(f->world.store, &err), err); /* a run goes on */
        h = new_hook(f, &config, wanted, WEBHOOK_SLACK);
        wait_for_phase(f, h, HOOK_SENDING);
        assert_int_equal(h->digest.events, 3);
        assert_int_equal(h->parcel.upto, 3);
        http_cancel(take_ptr(h->call));
        free(take_ptr(h->body));
        h->phase = HOOK_IDLE;
        hook_finish_parcel(h);
        assert_int_equal(hook_state(h)->cursor, 3);
        hook_poke(h);
        wait_for_phase(f, h, HOOK_SENDING);
        assert_int_equal(h->digest.events, 1);
        assert_int_equal(h->parcel.upto, 4);
        hook_free(h);
        store_rollback(f->world.store);
}

/* Nor does that make the next one wait longer: what is bounded is how often the wait is over in vain. */
static void test_a_full_digest_was_not_early(void **state) {
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        Error err = { 0 };
        int64_t run = 0;
        Hook *h;

        assert_ok(store_begin(f->world.store, &err), err);
        assert_ok(store_run_open(f->world.store, f->account, time_now_ms(), &run, &err), err);
        f->run = run;
        append_about(f, EVENT_USER_SUSPENDED, (char[]){ "ana" }, 0);
        append_about(f, EVENT_USER_REINSTATED, (char[]){ "ana" }, 0);
        assert_ok(store_commit(f->world.store, &err), err);
        h = new_hook(f, &config, wanted, WEBHOOK_SLACK);
        h->early = 1;
        wait_for_phase(f, h, HOOK_SENDING);
        assert_int_equal(h->parcel.upto, 1);
        assert_int_equal(h->early, 1);
        hook_free(h);
}

static void test_told_while_a_transaction_is_open(void **state) {
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        Error err = { 0 };
        Hook *h;

        assert_int_equal(listen(f->fd, 1), 0);
        append_committed(f, 1);
        assert_ok(store_begin(f->world.store, &err), err);
        append(f, 1);
        h = new_hook(f, &config, wanted, WEBHOOK_JSON);
        assert_true(is_told(f));
        hook_free(h);
        store_rollback(f->world.store);
}

/* By a reload that webhooks have not heard of. */
static void test_told_of_a_renamed_account(void **state) {
        static const AccountIdentity renamed = { "beta", "chime", "https://e", "id-1" };
        char *wanted[] = { (char[]){ "user.*" } }, *only[] = { (char[]){ "acme" } };
        AccountConfig acme = { .name = only[0] };
        Fixture *f = *state;
        WebhookConfig config;
        int64_t key;
        Error err = { 0 };
        Hook *h;

        assert_int_equal(listen(f->fd, 1), 0);
        f->config.accounts = &acme;
        f->config.n_accounts = 1;
        h = new_hook(f, &config, wanted, WEBHOOK_JSON);
        config.accounts = (TextList){ only, 1 };
        assert_ok(store_accounts_apply(f->world.store, &renamed, 1, &key, &err), err);
        assert_int_equal(key, f->account);
        append_committed(f, 1);
        assert_true(is_told(f));
        hook_free(h);
}

/* The log can be read, but not who is suspended: nothing works again until that does, too. */
static void test_a_round_that_cannot_be_read(void **state) {
        static const char index[] =
                "CREATE INDEX user_suspended ON user_data (user_registration_status)"
                " WHERE removed_at IS NULL AND user_registration_status = 'Suspended'";
        char *wanted[] = { (char[]){ "user.suspended" } };
        Fixture *f = *state;
        WebhookConfig config;
        Error err = { 0 };
        Hook *h;

        assert_ok(store_exec_sql(f->world.store, "DROP INDEX user_suspended", "x", &err), err);
        h = new_hook(f, &config, wanted, WEBHOOK_ALERTMANAGER);
        for (unsigned times = 1; times <= 3; times++) {
                for (int i = 0; i < 100 && h->store_failures < times; i++)
                        assert_true(sd_event_run(f->world.event, USEC_PER_SEC) >= 0);
                assert_int_equal(h->store_failures, times);
                hook_poke(h);
        }
        assert_ok(store_exec_sql(f->world.store, index, "x", &err), err);
        for (int i = 0; i < 100 && h->store_failures > 0; i++)
                assert_true(sd_event_run(f->world.event, USEC_PER_SEC) >= 0);
        assert_int_equal(h->store_failures, 0);
        hook_free(h);
}

static int on_turn(sd_event_source *source, void *userdata) {
        (void) source;
        *(bool *) userdata = true;
        return 0;
}

/* A log of which it wants nothing is read in many portions, and does not hold up what came later. */
static void test_others_have_their_turn(void **state) {
        char *unwanted[] = { (char[]){ "sync.failed" } };
        sd_event_source *other = NULL;
        Fixture *f = *state;
        WebhookConfig config;
        bool had_turn = false;
        int turns = 0;
        Hook *h;

        append_committed(f, 40000);
        h = new_hook(f, &config, unwanted, WEBHOOK_JSON);
        assert_true(sd_event_run(f->world.event, 0) > 0);
        assert_false(hook_is_at_rest(h));
        assert_true(sd_event_add_defer(f->world.event, &other, on_turn, &had_turn) >= 0);
        while (!had_turn && turns++ < 5)
                assert_true(sd_event_run(f->world.event, 0) > 0);
        assert_true(had_turn);
        assert_false(hook_is_at_rest(h));
        while (!hook_is_at_rest(h) && turns++ < 1000)
                assert_true(sd_event_run(f->world.event, USEC_PER_SEC) >= 0);
        assert_true(hook_is_at_rest(h));
        (void) sd_event_source_unref(other);
        hook_free(h);
}

/* Nor does it starve itself while somebody goes on writing, who begins a transaction as soon as one is
 * committed. */
static void commit_and_go_on(Fixture *f, Hook *h) {
        Error err = { 0 };

        assert_ok(store_commit(f->world.store, &err), err);
        hook_committed(h);
        assert_ok(store_begin(f->world.store, &err), err);
        for (int i = 0; i < 3; i++)
                assert_true(sd_event_run(f->world.event, 0) >= 0);
}

static void test_given_up_while_transactions_are_open(void **state) {
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        Error err = { 0 };
        Hook *h;

        append_committed(f, 300);
        assert_ok(store_begin(f->world.store, &err), err);
        h = new_hook(f, &config, wanted, WEBHOOK_JSON);
        h->phase = HOOK_BURYING;
        h->bury_before = time_now_ms();
        for (int i = 0; i < 6 && h->phase == HOOK_BURYING; i++)
                commit_and_go_on(f, h);
        assert_int_not_equal(h->phase, HOOK_BURYING);
        assert_int_equal(h->state.cursor, 300);
        hook_free(h);
        store_rollback(f->world.store);
        assert_int_equal(dead_letters(f), 300);
}

static void test_a_round_while_transactions_are_open(void **state) {
        char *wanted[] = { (char[]){ "user.suspended" } };
        Fixture *f = *state;
        WebhookConfig config;
        Error err = { 0 };
        Hook *h;

        assert_ok(store_begin(f->world.store, &err), err);
        h = new_hook(f, &config, wanted, WEBHOOK_ALERTMANAGER);
        assert_true(sd_event_run(f->world.event, 0) >= 0);
        assert_true(h->repeat_due);
        for (int i = 0; i < 3 && h->repeat_due; i++)
                commit_and_go_on(f, h);
        assert_false(h->repeat_due); /* nobody is suspended */
        hook_free(h);
        store_rollback(f->world.store);
}

/* ---- what is deleted ---- */

static void delete_event(Fixture *f, int64_t seq) {
        char sql[64];
        Error err = { 0 };

        (void) snprintf(sql, sizeof sql, "DELETE FROM event_data WHERE seq = %d", (int) seq);
        assert_ok(store_exec_sql(f->world.store, sql, "deleting", &err), err);
}

static void test_what_was_read_ahead_is_read_anew(void **state) {
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        Hook *h;

        assert_int_equal(listen(f->fd, 1), 0);
        append_committed(f, 3);
        h = new_hook(f, &config, wanted, WEBHOOK_JSON);
        wait_for_phase(f, h, HOOK_SENDING);
        assert_int_equal(h->n_queue - h->at, 3);
        delete_event(f, 2);
        hook_reread(h);
        assert_int_equal(h->n_queue - h->at, 1); /* what is under way */
        hook_read_ahead(h);
        assert_int_equal(h->n_queue - h->at, 2);
        assert_int_equal(h->queue[h->at]->seq, 1);
        assert_int_equal(h->queue[h->at + 1]->seq, 3);
        hook_free(h);
}

/* While it is held, while it is under way, and while it waits to be sent again. */
static void test_a_digest_is_made_anew(void **state) {
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        Error err = { 0 };
        Hook *h;

        assert_int_equal(listen(f->fd, 1), 0);
        append_committed(f, 4);
        assert_ok(store_begin(f->world.store, &err), err); /* a run goes on */
        h = new_hook(f, &config, wanted, WEBHOOK_SLACK);
        wait_for_digest(f, h, 4);
        store_rollback(f->world.store);
        delete_event(f, 1);
        hook_reread(h);
        wait_for_phase(f, h, HOOK_SENDING);
        assert_int_equal(h->digest.events, 3);
        delete_event(f, 2);
        hook_reread(h);
        assert_true(is_told(f)); /* and does not answer */
        wait_for_phase(f, h, HOOK_WAITING);
        hook_configure(h, &config, false); /* tries at once */
        wait_for_phase(f, h, HOOK_SENDING);
        assert_int_equal(h->digest.events, 2);
        assert_true(is_told(f));
        wait_for_phase(f, h, HOOK_WAITING);
        delete_event(f, 3);
        hook_reread(h);
        hook_configure(h, &config, false);
        wait_for_phase(f, h, HOOK_SENDING);
        assert_int_equal(h->digest.events, 1);
        assert_int_equal(h->parcel.first, 4);
        hook_free(h);
}

/* ---- giving up ---- */

/* So it was left by an earlier life: so long ago it began to fail, and was due again. */
static void leave(Fixture *f, int64_t attempts, int64_t since, int64_t due) {
        const SinkState state = { .attempts = attempts,
                                  .failing_since = time_now_ms() - since,
                                  .next_attempt_at = time_now_ms() - due };
        SinkState opened = { 0 };
        Error err = { 0 };

        assert_ok(store_sink_open(f->world.store, "webhook:ops", 0, &opened, &err), err);
        sink_state_clear(&opened);
        assert_ok(store_sink_put(f->world.store, "webhook:ops", &state, &err), err);
}

static bool has_failed(const Hook *h, int64_t attempts) {
        return h->state.attempts >= attempts && h->phase == HOOK_WAITING;
}

/* The next attempt is made, and fails. */
static void fail_once(Fixture *f, Hook *h) {
        const int64_t attempts = h->state.attempts + 1;

        for (int i = 0; i < 1000 && !has_failed(h, attempts); i++)
                assert_true(sd_event_run(f->world.event, 100 * USEC_PER_MSEC) >= 0);
        assert_int_equal(h->state.attempts, attempts);
}

static void test_one_failure_gives_up(void **state) {
        static const struct {
                const char *what;
                bool once;
                int64_t attempts, since, due, dead;
        } cases[] = {
                { "it has failed for long", true, 50, 4 * DAY, 0, 1 },
                { "not for long enough", true, 50, 2 * DAY, 0, 0 },
                { "too few attempts", true, 8, 4 * DAY, 0, 0 },
                { "the machine was off", true, 50, 5 * DAY, 4 * DAY, 0 },
                { "it is called once an hour", true, 71, 3 * DAY, HOUR, 1 },
                { "the clock was set back", true, 50, -400 * DAY, 0, 0 },
                { "rosterd was started a moment ago", false, 50, 4 * DAY, 0, 0 },
        };
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        int64_t next;
        Error err = { 0 };

        append_committed(f, 1);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                Hook *h;

                leave(f, cases[i].attempts, cases[i].since, cases[i].due);
                f->world.once = cases[i].once;
                h = new_hook(f, &config, wanted, WEBHOOK_JSON);
                fail_once(f, h);
                assert_true(h->state.failing_since <= time_now_ms());
                hook_free(h);
                if (dead_letters(f) != cases[i].dead)
                        fail_msg("%s: %d dead letters", cases[i].what, (int) dead_letters(f));
                assert_ok(store_sink_replay(f->world.store, "webhook:ops", 1, &next, &err), err);
        }
}

/* The rest of a minute is told at its end. */
static void test_dead_letters_are_told(void **state) {
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        Hook *h = new_hook(f, &config, wanted, WEBHOOK_JSON);

        h->dead_untold = 1;
        hook_tell_dead(h);
        assert_int_equal(h->dead_untold, 0);
        h->dead_untold = 2;
        hook_tell_dead(h);
        assert_int_equal(h->dead_untold, 2);
        assert_true(sd_event_source_set_time_relative(h->dead_timer, 0) >= 0);
        for (int i = 0; i < 100 && h->dead_untold > 0; i++)
                assert_true(sd_event_run(f->world.event, USEC_PER_SEC) >= 0);
        assert_int_equal(h->dead_untold, 0);
        hook_free(h);
}

/* How often the log says so when one more attempt fails. */
static int said(Fixture *f, Hook *h, const char *what) {
        int old = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), n = 0;
        FILE *log = tmpfile();
        char line[512];

        assert_non_null(log);
        assert_true(old >= 0 && dup2(fileno(log), STDERR_FILENO) >= 0);
        if (h->phase == HOOK_WAITING)
                hook_configure(h, h->config, false); /* tries at once */
        fail_once(f, h);
        assert_true(dup2(old, STDERR_FILENO) >= 0);
        (void) close(old);
        rewind(log);
        while (fgets(line, sizeof line, log))
                n += strstr(line, what) != NULL;
        (void) fclose(log);
        return n;
}

/* Once a day, whatever the wall clock says. */
static void test_a_failure_is_told_once_a_day(void **state) {
        static const struct {
                int64_t hours, shift; /* so much later; the clock is set by so many days */
                int said;
        } steps[] = { { 0, 0, 1 }, { 1, 0, 0 }, { 1, -30, 0 }, { 23, 0, 1 },
                      { 1, 0, 0 }, { 0, 9, 0 }, { 24, 0, 1 } };
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        Hook *h;

        append_committed(f, 1);
        h = new_hook(f, &config, wanted, WEBHOOK_JSON);
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
                int n;

                boot_shift += steps[i].hours * 3600;
                wall_shift += steps[i].hours * 3600 + steps[i].shift * 86400;
                n = said(f, h, "does not take events");
                if (n != steps[i].said)
                        fail_msg("step %zu: said %d times", i, n);
        }
        hook_free(h);
}

/* Called from a timer once a day, each life has one attempt. */
static void test_once_gives_up_in_the_end(void **state) {
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        int lives = 0;

        append_committed(f, 1);
        f->world.once = true;
        while (dead_letters(f) == 0 && lives++ < 30) {
                Hook *h = new_hook(f, &config, wanted, WEBHOOK_JSON);
                SinkState s;

                fail_once(f, h);
                s = h->state;
                hook_free(h);
                if (dead_letters(f) == 0)
                        leave(f, s.attempts, time_now_ms() - s.failing_since + DAY,
                              time_now_ms() - s.next_attempt_at + DAY);
        }
        assert_in_range(lives, 10, 12);
}

/* After a restart it takes ten attempts, and after a pause ten more. */
static void test_ten_attempts_of_this_life(void **state) {
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        Hook *h;

        append_committed(f, 1);
        leave(f, 50, 4 * DAY, 0);
        h = new_hook(f, &config, wanted, WEBHOOK_JSON);
        for (int i = 0; i < 9; i++) {
                fail_once(f, h);
                hook_configure(h, &config, false); /* tries at once */
        }
        h->state.next_attempt_at -= 4 * DAY; /* the machine slept */
        for (int i = 0; i < 9; i++) {
                fail_once(f, h);
                hook_configure(h, &config, false);
        }
        assert_int_equal(dead_letters(f), 0);
        h->state.failing_since -= 4 * DAY;
        fail_once(f, h);
        assert_int_equal(dead_letters(f), 1);
        hook_free(h);
}

static void set_clock(Fixture *f, Hook *h, int64_t by) {
        wall_shift += by / 1000;
        fail_once(f, h);
        hook_configure(h, h->config, false); /* tries at once */
}

/* The receiver is dead for days when the clock is set: that makes no event older. */
static void test_a_clock_set_forward_gives_nothing_up(void **state) {
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        Error err = { 0 };
        int times = 0;
        Hook *h;

        assert_ok(store_begin(f->world.store, &err), err);
        append_about(f, EVENT_USER_SUSPENDED, (char[]){ "ana" }, HOUR);
        append_about(f, EVENT_USER_SUSPENDED, (char[]){ "bo" }, HOUR);
        assert_ok(store_commit(f->world.store, &err), err);
        leave(f, 50, 3 * DAY + HOUR, 0);
        h = new_hook(f, &config, wanted, WEBHOOK_JSON);
        set_clock(f, h, 0);
        set_clock(f, h, 400 * DAY);
        for (int i = 0; i < 12; i++)
                set_clock(f, h, 0);
        assert_int_equal(dead_letters(f), 0);
        while (dead_letters(f) == 0 && times++ < 20) /* time goes on */
                set_clock(f, h, 7 * HOUR);
        assert_in_range(times, 8, 11);
        assert_int_equal(dead_letters(f), 2);
        hook_free(h);
}

/* What is told when the pause is over, before the first attempt, has not waited for as long as that. */
static void test_a_pause_counts_for_what_came_before_it(void **state) {
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        Error err = { 0 };
        int times = 0;
        Hook *h;

        leave(f, 50, 4 * DAY, 400 * DAY);
        assert_ok(store_begin(f->world.store, &err), err);
        append_about(f, EVENT_USER_SUSPENDED, (char[]){ "ana" }, 0);
        assert_ok(store_commit(f->world.store, &err), err);
        h = new_hook(f, &config, wanted, WEBHOOK_JSON);
        wall_shift += 10; /* the attempt takes its time */
        while (dead_letters(f) == 0 && times++ < 20)
                set_clock(f, h, 7 * HOUR);
        assert_in_range(times, 10, 14);
        hook_free(h);
}

/* Nor does it keep them once the clock is right again. */
static void test_a_clock_set_back_again(void **state) {
        char *wanted[] = { (char[]){ "user.*" } };
        Fixture *f = *state;
        WebhookConfig config;
        int times = 0;
        Hook *h;

        append_committed(f, 1);
        leave(f, 50, 3 * DAY, 0);
        h = new_hook(f, &config, wanted, WEBHOOK_JSON);
        set_clock(f, h, 400 * DAY);
        set_clock(f, h, -400 * DAY);
        while (dead_letters(f) == 0 && times++ < 20)
                set_clock(f, h, 7 * HOUR);
        assert_in_range(times, 9, 12);
        hook_free(h);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_told_while_a_transaction_is_open),
                T(test_a_digest_while_a_transaction_is_open),
                T(test_a_digest_of_a_long_log),
                T(test_a_digest_tells_of_nobody_twice),
                T(test_a_full_digest_was_not_early),
                T(test_told_of_a_renamed_account),
                T(test_a_round_that_cannot_be_read),
                T(test_others_have_their_turn),
                T(test_given_up_while_transactions_are_open),
                T(test_a_round_while_transactions_are_open),
                T(test_what_was_read_ahead_is_read_anew),
                T(test_a_digest_is_made_anew),
                T(test_one_failure_gives_up),
                T(test_dead_letters_are_told),
                T(test_a_failure_is_told_once_a_day),
                T(test_once_gives_up_in_the_end),
                T(test_ten_attempts_of_this_life),
                T(test_a_clock_set_forward_gives_nothing_up),
                T(test_a_pause_counts_for_what_came_before_it),
                T(test_a_clock_set_back_again),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
