/* SPDX-License-Identifier: Apache-2.0 */
/* Helper programs on the loop: how they end, and that they do. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/timespan.h"
#include "net/aws-process.h"

/* What came of one run. */
typedef struct Run {
        sd_event *event;
        AwsProcess *process;
        int calls, code;
        char out[256], said[256], error[256];
        size_t out_len;
} Run;

static void on_done(const AwsProcessResult *res, void *userdata) {
        Run *run = userdata;

        run->calls++;
        run->code = res->code;
        run->out_len = res->out_len;
        assert_int_equal(res->out[res->out_len], '\0');
        (void) snprintf(run->out, sizeof run->out, "%.200s", res->out);
        (void) snprintf(run->said, sizeof run->said, "%s", res->said);
        (void) snprintf(run->error, sizeof run->error, "%s", res->error.msg);
        aws_process_free(run->process); /* allowed here */
        run->process = NULL;
        (void) sd_event_exit(run->event, 0);
}

static int start(Run *run, const char *command, uint64_t timeout, Error *err) {
        *run = (Run){ 0 };
        assert_int_equal(sd_event_new(&run->event), 0);
        return aws_process_start(run->event, command, timeout, on_done, run, &run->process, err);
}

/* To its end. */
static void go(Run *run, const char *command, uint64_t timeout) {
        Error err = { 0 };

        assert_ok(start(run, command, timeout, &err), err);
        assert_int_equal(run->calls, 0);
        assert_int_equal(sd_event_loop(run->event), 0);
        assert_int_equal(run->calls, 1);
        sd_event_unref(run->event);
}

static void test_output(void **state) {
        Run run;

        (void) state;
        go(&run, "printf '%s-%s' a\\ b \"c d\"", USEC_PER_MINUTE);
        assert_int_equal(run.code, 0);
        assert_string_equal(run.out, "a b-c d");
        go(&run, "sh -c 'echo out; echo err >&2'", USEC_PER_MINUTE);
        assert_string_equal(run.out, "out\n");
        assert_string_equal(run.said, "err");
        go(&run, "true", USEC_PER_MINUTE);
        assert_int_equal(run.code, 0);
        assert_int_equal(run.out_len, 0);
        go(&run, "head -c 65536 /dev/zero", USEC_PER_MINUTE);
        assert_int_equal(run.code, 0);
        assert_int_equal(run.out_len, 65536);
}

/* Valgrind makes a fork of the vfork within posix_spawn(), and nothing comes back but the status. */
static void cannot_start(const char *command, int code) {
        Error err = { 0 };
        Run run;
        int r = start(&run, command, USEC_PER_MINUTE, &err);

        if (r < 0) {
                assert_int_equal(r, code);
                assert_non_null(strstr(err.msg, "it cannot be started: "));
        } else {
                assert_int_equal(sd_event_loop(run.event), 0);
                assert_string_equal(run.error, "it ended with status 127");
        }
        sd_event_unref(run.event);
}

static void test_failures(void **state) {
        Error err = { 0 };
        Run run;

        (void) state;
        go(&run, "sh -c 'echo why >&2; exit 7'", USEC_PER_MINUTE);
        assert_int_equal(run.code, -EIO);
        assert_string_equal(run.error, "it ended with status 7");
        assert_string_equal(run.said, "why");
        go(&run, "sh -c 'kill -TERM $$'", USEC_PER_MINUTE);
        assert_string_equal(run.error, "it was ended by signal 15");
        go(&run, "head -c 65537 /dev/zero", USEC_PER_MINUTE);
        assert_string_equal(run.error, "it printed more than 65536 bytes and was killed");
        go(&run, "cat /dev/zero", USEC_PER_MINUTE);
        assert_string_equal(run.error, "it printed more than 65536 bytes and was killed");

        assert_int_equal(start(&run, "'", USEC_PER_MINUTE, &err), -EINVAL);
        sd_event_unref(run.event);
        assert_int_equal(start(&run, " ", USEC_PER_MINUTE, &err), -EINVAL);
        assert_string_equal(err.msg, "is empty");
        sd_event_unref(run.event);
        cannot_start("/no/such/program", -ENOENT);
        cannot_start("/dev/null", -EACCES);
}

static bool is_gone(pid_t pid) {
        char path[64], line[256] = "";
        const char *state;
        FILE *f;

        (void) snprintf(path, sizeof path, "/proc/%d/stat", (int) pid);
        f = fopen(path, "r");
        if (!f)
                return true;
        (void) !fgets(line, sizeof line, f);
        (void) fclose(f);
        state = strrchr(line, ')');
        return !state || state[2] == 'Z' || state[2] == 'X';
}

static void assert_gone(pid_t pid) {
        for (int i = 0; i < 2500 && !is_gone(pid); i++)
                (void) usleep(10000);
        assert_true(is_gone(pid));
}

static void test_timeout(void **state) {
        Run run;

        (void) state;
        go(&run, "sh -c 'echo begun; sleep 600'", 200 * USEC_PER_MSEC);
        assert_int_equal(run.code, -ETIMEDOUT);
        assert_string_equal(run.error, "it did not end within 200ms and was killed");
        /* deaf to SIGTERM, and with a child */
        go(&run, "sh -c 'trap \"\" TERM INT; sleep 600 & echo $!; wait'", USEC_PER_SEC);
        assert_int_equal(run.code, -ETIMEDOUT);
        assert_true(strtol(run.out, NULL, 10) > 1);
        assert_gone((pid_t) strtol(run.out, NULL, 10));
}

/* What it has started may go on, and may keep its pipes. */
static void test_agent(void **state) {
        pid_t agent;
        Run run;

        (void) state;
        go(&run, "sh -c 'sleep 600 & echo $!'", USEC_PER_MINUTE);
        assert_int_equal(run.code, 0);
        agent = (pid_t) strtol(run.out, NULL, 10);
        assert_true(agent > 1);
        assert_false(is_gone(agent));
        assert_int_equal(kill(agent, SIGKILL), 0);
}

/* Freed while it runs: it and its child are gone, and on_done never runs. */
static void test_cancel(void **state) {
        char path[] = "/tmp/rosterd-test-XXXXXX", command[256];
        Error err = { 0 };
        int pids[2] = { 0 };
        FILE *f = NULL;
        Run run;

        (void) state;
        assert_non_null(mkdtemp(path));
        (void) snprintf(command, sizeof command,
                        "sh -c 'sleep 600 & echo $$ $! >%s/new; mv %s/new %s/pids; wait'", path,
                        path, path);
        assert_ok(start(&run, command, USEC_PER_MINUTE, &err), err);
        (void) snprintf(command, sizeof command, "%s/pids", path);
        for (int i = 0; i < 2500 && !(f = fopen(command, "r")); i++)
                (void) usleep(10000);
        assert_non_null(f);
        /* NOLINTNEXTLINE(cert-err34-c): this test's own numbers */
        assert_int_equal(fscanf(f, "%d %d", &pids[0], &pids[1]), 2);
        (void) fclose(f);
        aws_process_free(run.process);
        assert_gone(pids[0]);
        assert_gone(pids[1]);
        assert_int_equal(run.calls, 0);
        sd_event_unref(run.event);
        (void) unlink(command);
        (void) rmdir(path);
}

/* What a process must not inherit is in test_credentials.py; here, that all is given back. */
static void test_nothing_is_left(void **state) {
        int before = dup(0), after;
        Run run;

        (void) state;
        (void) close(before);
        for (int i = 0; i < 20; i++)
                go(&run, i % 2 ? "false" : "echo x", USEC_PER_MINUTE);
        after = dup(0);
        (void) close(after);
        assert_int_equal(before, after);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_output),  cmocka_unit_test(test_failures),
                cmocka_unit_test(test_timeout), cmocka_unit_test(test_cancel),
                cmocka_unit_test(test_agent),   cmocka_unit_test(test_nothing_is_left),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
