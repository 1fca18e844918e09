/* SPDX-License-Identifier: Apache-2.0 */
/* The language of the control socket, and the buffers that its lines wait in. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "control/protocol.h"

#define N(array) (sizeof(array) / sizeof(array)[0])

/* ---- buffers ---- */

/* Many small pieces in, pieces of other sizes out: the bytes come in order and none is lost. */
static void test_buffer_keeps_order(void **state) {
        Buffer b = { 0 };
        unsigned char in = 0, out = 0;

        (void) state;
        for (int round = 0; round < 2000; round++) {
                char piece[64];
                size_t n = (size_t) round % sizeof piece, take;

                for (size_t i = 0; i < n; i++)
                        piece[i] = (char) in++;
                assert_int_equal(buffer_append(&b, piece, n, 100000), 0);
                take = b.len < (size_t) round % 61 ? b.len : (size_t) round % 61;
                for (size_t i = 0; i < take; i++)
                        assert_int_equal((unsigned char) buffer_front(&b)[i], out++);
                buffer_take(&b, take);
        }
        assert_true(b.room < 8192); /* what was taken makes room */
        while (b.len > 0) {
                assert_int_equal((unsigned char) *buffer_front(&b), out++);
                buffer_take(&b, 1);
        }
        assert_int_equal(in, out);
        buffer_clear(&b);
}

static void test_buffer_is_bounded(void **state) {
        Buffer b = { 0 };

        (void) state;
        assert_int_equal(buffer_append(&b, "12345678", 8, 10), 0);
        assert_int_equal(buffer_append(&b, "abc", 3, 10), -ENOBUFS);
        assert_int_equal(b.len, 8);
        assert_int_equal(buffer_append(&b, "ab", 2, 10), 0);
        assert_int_equal(buffer_append(&b, "x", 1, 10), -ENOBUFS);
        assert_int_equal(buffer_append(&b, "", 0, 5), 0); /* nothing fits anywhere */
        buffer_take(&b, 1);
        assert_int_equal(buffer_append(&b, "x", 1, 10), 0);
        assert_memory_equal(buffer_front(&b), "2345678abx", 10);
        buffer_clear(&b);
        assert_int_equal(buffer_append(&b, "again", 5, 10), 0);
        buffer_clear(&b);
}

static void test_buffer_line(void **state) {
        Buffer b = { 0 };

        (void) state;
        assert_int_equal(buffer_line(&b), 0);
        assert_int_equal(buffer_append(&b, "one", 3, 100), 0);
        assert_int_equal(buffer_line(&b), 3); /* none yet */
        assert_int_equal(b.len, 3);
        assert_int_equal(buffer_append(&b, "\n\ntwo", 5, 100), 0);
        assert_int_equal(buffer_line(&b), 3);
        buffer_take(&b, 4);
        assert_int_equal(buffer_line(&b), 0);
        buffer_clear(&b);
}

/* ---- requests ---- */

static void test_requests_come_back(void **state) {
        const char *accounts[] = { "acme", "glöbex \"quoted\"" };
        const ControlRequest requests[] = {
                { .verb = CONTROL_STATUS },
                { .verb = CONTROL_STATUS, .database = "/var/lib/rosterd/roster.db" },
                { .verb = CONTROL_SYNC },
                { .verb = CONTROL_SYNC, .accounts = accounts, .n_accounts = 2, .wait = true },
                { .verb = CONTROL_ACCEPT_REMOVALS, .account = "acme" },
                { .verb = CONTROL_FORGET, .account = "acme", .database = "/x" },
                { .verb = CONTROL_TEST_WEBHOOK, .webhook = "ops" },
                { .verb = CONTROL_REPLAY_WEBHOOK, .webhook = "ops", .from = INT64_MAX },
        };

        (void) state;
        for (size_t i = 0; i < N(requests); i++) {
                CLEANUP_FREE char *line = control_request_format(&requests[i]);
                CLEANUP(control_request_clear) ControlRequest r = { 0 };
                const ControlRequest *in = &requests[i];
                Error err = { 0 };

                print_message("  %s", line);
                assert_non_null(line);
                assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
                assert_ok(control_request_parse(line, strlen(line), &r, &err), err);
                assert_int_equal(r.verb, in->verb);
                assert_int_equal(r.wait, in->wait);
                assert_int_equal(r.n_accounts, in->n_accounts);
                for (size_t k = 0; k < r.n_accounts; k++)
                        assert_string_equal(r.accounts[k], in->accounts[k]);
                assert_int_equal(r.from, in->from);
                assert_true(!r.webhook == !in->webhook);
                if (r.webhook)
                        assert_string_equal(r.webhook, in->webhook);
                assert_true(!r.account == !in->account && !r.database == !in->database);
                if (r.account)
                        assert_string_equal(r.account, in->account);
                if (r.database)
                        assert_string_equal(r.database, in->database);
        }
}

/* Whatever a client may send: the rest of the cases stand in tests/integration/test_control.py. */
static void test_bad_requests(void **state) {
        static const struct {
                const char *line, *said;
        } cases[] = {
                { "", "the line is not one JSON object" },
                { "{} x", "the line is not one JSON object" },
                { "{\"request\":\"status\"", "the line is not one JSON object" },
                { "{}", "there is no \"request\" in it" },
                { "{\"request\":null}", "there is no \"request\" in it" },
                { "{\"request\":\"x\\u001b[31m\"}",
                  "\"x?[31m\" is a request that this rosterd does not know; restart it after an "
                  "upgrade" },
                { "{\"request\":\"status\",\"\\n\":1}", "\"\" does not belong to this request" },
                { "{\"request\":\"forget\"}", "\"account\" is missing" },
                { "{\"request\":\"sync\",\"wait\":1}", "\"wait\" is neither true nor false" },
                { "{\"request\":\"sync\",\"accounts\":{}}", "\"accounts\" is not a list of names" },
                { "{\"request\":\"sync\",\"accounts\":[\"a\",null]}",
                  "\"accounts\" is not a list of names" },
                { "{\"request\":\"test-webhook\"}", "\"webhook\" is missing" },
                { "{\"request\":\"replay-webhook\",\"webhook\":\"w\"}", "\"from\" is missing" },
                { "{\"request\":\"replay-webhook\",\"webhook\":\"w\",\"from\":0}",
                  "\"from\" is not the seq of an event" },
                { "{\"request\":\"replay-webhook\",\"webhook\":\"w\",\"from\":\"1\"}",
                  "\"from\" is not the seq of an event" },
                { "{\"request\":\"forget\",\"account\":\"a\\u0000b\"}",
                  "\"account\" is not a text" },
        };

        (void) state;
        for (size_t i = 0; i < N(cases); i++) {
                ControlRequest r = { .verb = CONTROL_FORGET };
                Error err = { 0 };

                print_message("  %s\n", cases[i].line);
                assert_int_equal(control_request_parse(cases[i].line, strlen(cases[i].line), &r,
                                                       &err),
                                 -EBADMSG);
                assert_string_equal(err.msg, cases[i].said);
                assert_int_equal(r.verb, CONTROL_FORGET); /* untouched */
                assert_null(r.json);
        }
}

/* Each prefix, and each byte replaced, of a good request is taken or refused in peace. */
static void test_damaged_requests(void **state) {
        static const char good[] =
                "{\"request\":\"sync\",\"accounts\":[\"acme\",\"b\"],\"wait\":true}\n";
        static const char others[] = "\"{}[]\\\0\n\xff,:0";

        (void) state;
        for (size_t at = 0; at < sizeof good - 1; at++)
                for (size_t k = 0; k < sizeof others; k++) {
                        CLEANUP(control_request_clear) ControlRequest r = { 0 };
                        char line[sizeof good];
                        size_t len = k == 0 ? at : sizeof good - 1;

                        memcpy(line, good, sizeof good);
                        if (k > 0)
                                line[at] = others[k - 1];
                        (void) control_request_parse(line, len, &r, NULL);
                        if (k == 0 && at < sizeof good - 2)
                                assert_null(r.json);
                }
}

/* ---- answers ---- */

static void test_answers_come_back(void **state) {
        (void) state;
        for (int kind = 0; kind < CONTROL_ANSWER_COUNT; kind++) {
                CLEANUP_FREE char *line =
                        control_answer_format((ControlAnswerKind) kind,
                                              control_error_json("failed", "no luck\n\"at all\""));
                json_object *body = NULL, *message = NULL;
                Error err = { 0 };

                assert_non_null(line);
                assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
                assert_int_equal(control_answer_parse(line, strlen(line), &body, &err), kind);
                assert_true(json_object_object_get_ex(body, "message", &message));
                assert_string_equal(json_object_get_string(message), "no luck\n\"at all\"");
                (void) json_object_put(body);
        }
}

static void test_bad_answers(void **state) {
        static const char *const lines[] = { "", "ok\n", "{\"result\":3}\n", "{\"outcome\":{}}\n" };

        (void) state;
        for (size_t i = 0; i < N(lines); i++) {
                json_object *body = NULL;
                Error err = { 0 };

                assert_int_equal(control_answer_parse(lines[i], strlen(lines[i]), &body, &err),
                                 -EBADMSG);
                assert_null(body);
        }
}

static void test_accounts_come_back(void **state) {
        const ControlAccount in = { .account = "acme",
                                    .state = CONTROL_STATE_FAILED,
                                    .error = "out of luck",
                                    .next_run_ms = 1,
                                    .run_id = 2,
                                    .elapsed_ms = 3,
                                    .pages = 4,
                                    .users = 5,
                                    .added = 6,
                                    .changed = 7,
                                    .removed = 8,
                                    .retries = 9,
                                    .throttled = 10,
                                    .expected = 11,
                                    .held = 12 };
        json_object *o = control_account_json(&in);
        ControlAccount out;

        (void) state;
        assert_non_null(o);
        assert_int_equal(control_account_parse(o, &out), 0);
        assert_string_equal(out.account, in.account);
        assert_string_equal(out.error, in.error);
        assert_int_equal(out.state, in.state);
#define SAME(member) assert_int_equal(out.member, in.member)
        SAME(next_run_ms), SAME(run_id), SAME(elapsed_ms), SAME(pages), SAME(users), SAME(added);
        SAME(changed), SAME(removed), SAME(retries), SAME(throttled), SAME(expected), SAME(held);
#undef SAME
        (void) json_object_object_add(o, "state", json_object_new_string("dancing"));
        assert_int_equal(control_account_parse(o, &out), -EBADMSG);
        (void) json_object_put(o);
}

static void test_percent_and_rate(void **state) {
        ControlAccount a = { .state = CONTROL_STATE_RUNNING };

        (void) state;
        assert_int_equal(control_account_percent(&a), -1); /* the first run */
        assert_true(control_account_rate(&a) < 0);
        a.expected = 1000;
        a.elapsed_ms = 500;
        assert_int_equal(control_account_percent(&a), 0);
        a.users = 250;
        assert_int_equal(control_account_percent(&a), 25);
        assert_true(control_account_rate(&a) == 500);
        a.users = 5000; /* many have come since */
        assert_int_equal(control_account_percent(&a), 99);
        a.users = INT64_MIN; /* what no rosterd says */
        assert_int_equal(control_account_percent(&a), -1);
        assert_true(control_account_rate(&a) < 0);
        a.state = CONTROL_STATE_COMPLETE;
        assert_int_equal(control_account_percent(&a), 100);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_buffer_keeps_order),
                cmocka_unit_test(test_buffer_is_bounded),
                cmocka_unit_test(test_buffer_line),
                cmocka_unit_test(test_requests_come_back),
                cmocka_unit_test(test_bad_requests),
                cmocka_unit_test(test_damaged_requests),
                cmocka_unit_test(test_answers_come_back),
                cmocka_unit_test(test_bad_answers),
                cmocka_unit_test(test_accounts_come_back),
                cmocka_unit_test(test_percent_and_rate),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
