/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket, from both ends.  What rosterd takes for a request is written as a line and
 * read again, and is the same; and rosterctl reads the same bytes as answers, in portions of any size,
 * and never says anything that is not clean. */
#include <errno.h>
#include <string.h>

#include "control/protocol.h"
#include "fuzz.h"

/* For the client itself, which has its answers from a socket: here they have come already. */
#include "ctl/remote.c" /* NOLINT(bugprone-suspicious-include): as it says */

/* ---- requests ---- */

static bool text_equal(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool request_equal(const ControlRequest *a, const ControlRequest *b) {
        if (a->verb != b->verb || !text_equal(a->database, b->database) ||
            !text_equal(a->account, b->account) || !text_equal(a->webhook, b->webhook) ||
            a->from != b->from || a->n_accounts != b->n_accounts || a->wait != b->wait)
                return false;
        for (size_t i = 0; i < a->n_accounts; i++)
                if (!text_equal(a->accounts[i], b->accounts[i]))
                        return false;
        return true;
}

/* What rosterd relies on, whatever was sent. */
static void check_request(const ControlRequest *r) {
        bool about_account = r->verb == CONTROL_ACCEPT_REMOVALS || r->verb == CONTROL_FORGET;
        bool about_webhook = r->verb == CONTROL_TEST_WEBHOOK || r->verb == CONTROL_REPLAY_WEBHOOK;

        demand(r->verb < CONTROL_VERB_COUNT);
        demand((r->account != NULL) == about_account);
        demand((r->webhook != NULL) == about_webhook);
        demand((r->from > 0) == (r->verb == CONTROL_REPLAY_WEBHOOK));
        demand(r->verb == CONTROL_SYNC || (!r->wait && r->n_accounts == 0));
        for (size_t i = 0; i < r->n_accounts; i++)
                demand(r->accounts[i] != NULL);
}

static void check_as_request(const char *line, size_t len) {
        CLEANUP(control_request_clear) ControlRequest r = { 0 }, again = { 0 };
        CLEANUP_FREE char *text = NULL;
        Error err = { 0 };
        int rc = control_request_parse(line, len, &r, &err);

        if (rc < 0) {
                demand(rc == -EBADMSG && *err.msg && fuzz_is_clean(err.msg));
                return;
        }
        check_request(&r);
        text = control_request_format(&r);
        demand(text && strchr(text, '\n') == text + strlen(text) - 1);
        demand(control_request_parse(text, strlen(text), &again, &err) == 0);
        demand(request_equal(&r, &again));
}

/* ---- answers ---- */

/* An account's row, as status and sync show it. */
static void check_account(json_object *row) {
        CLEANUP_JSON json_object *written = NULL;
        ControlAccount a = { 0 }, again = { 0 };

        if (control_account_parse(row, &a) < 0)
                return;
        demand(a.account && a.state < CONTROL_STATE_COUNT);
        demand(control_account_percent(&a) >= -1 && control_account_percent(&a) <= 100);
        demand(a.elapsed_ms > 0 || control_account_rate(&a) < 0);
        written = control_account_json(&a);
        demand(written && control_account_parse(written, &again) == 0);
        demand(text_equal(a.account, again.account) && text_equal(a.error, again.error));
        demand(a.state == again.state && a.users == again.users && a.held == again.held &&
               a.next_run_ms == again.next_run_ms && a.expected == again.expected);
}

static void check_body(json_object *body) {
        json_object *list = NULL;

        check_account(body);
        (void) remote_number(body, "removed");
        (void) remote_text(body, "message");
        if (!json_object_object_get_ex(body, "accounts", &list) ||
            !json_object_is_type(list, json_type_array))
                return;
        for (size_t i = 0; i < json_object_array_length(list); i++)
                check_account(json_object_array_get_idx(list, i));
}

/* The lines of it, one by one, until one says that it is the last, or nothing is left. */
static void check_as_answers(Remote *r) {
        while (buffer_line(&r->in) < r->in.len) {
                json_object *body = NULL;
                Error err = { 0 };
                int kind = remote_next(r, &body, &err);

                if (kind < 0) {
                        demand(*err.msg && fuzz_is_clean(err.msg));
                        break;
                }
                demand(kind == CONTROL_PROGRESS || kind == CONTROL_RESULT);
                check_body(body);
        }
}

/* The first byte: how many bytes come at a time. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = input_of(data, size);
        size_t portion = (size_t) input_byte(&in) + 1, len = 0;
        CLEANUP_FREE char *text = input_rest(&in, &len);
        size_t first = strcspn(text, "\n");
        Remote r = { .fd = -1 };

        if (len > CONTROL_LINE_MAX)
                return 0;
        check_as_request(text, first < len ? first : len);
        for (size_t at = 0; at < len; at += portion) {
                size_t n = len - at < portion ? len - at : portion;

                demand(buffer_append(&r.in, text + at, n, CONTROL_ANSWER_MAX) == 0);
        }
        check_as_answers(&r);
        (void) json_object_put(r.body);
        buffer_clear(&r.in);
        return 0;
}
