/* SPDX-License-Identifier: Apache-2.0 */
#include "control/protocol.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/jsonread.h"
#include "base/jsontext.h"
#include "base/text.h"

#define DEPTH_MAX 8

static void json_put(json_object **o) {
        (void) json_object_put(*o);
}

/* ---- any line ---- */

/* One JSON object and nothing else. */
static int parse_object(const char *line, size_t len, json_object **ret, Error *err) {
        CLEANUP(json_put) json_object *o = NULL;
        json_tokener *tok = json_tokener_new_ex(DEPTH_MAX);
        size_t end = 0;
        int r;

        if (!tok)
                return error_set(err, -ENOMEM, "out of memory");
        json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        r = jsonread(tok, line, len, &o, &end);
        json_tokener_free(tok);

        if (r == -ENOMEM)
                return error_set(err, r, "out of memory");
        while (r >= 0 && end < len && strchr(" \t\r\n", line[end]))
                end++;
        if (r < 0 || end != len || !json_object_is_type(o, json_type_object))
                return error_set(err, -EBADMSG, "the line is not one JSON object");
        *ret = take_ptr(o);
        return 0;
}

/* A text without NUL in it. */
static const char *text_of(json_object *o) {
        const char *text =
                json_object_is_type(o, json_type_string) ? json_object_get_string(o) : NULL;

        return text && strlen(text) == (size_t) json_object_get_string_len(o) ? text : NULL;
}

static char *format_line(json_object *o) {
        const char *text =
                o ? jsontext_of(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE) : NULL;
        size_t len = text ? strlen(text) : 0;
        char *line = text ? malloc(len + 2) : NULL;

        if (line)
                (void) snprintf(line, len + 2, "%s\n", text);
        return line;
}

bool control_put(json_object *o, const char *name, json_object *value) {
        if (o && value && json_object_object_add(o, name, value) == 0)
                return true;
        (void) json_object_put(value);
        return false;
}

/* ---- requests ---- */

enum {
        TAKES_ACCOUNT = 1 << 0, /* and needs it */
        TAKES_ACCOUNTS = 1 << 1,
        TAKES_WAIT = 1 << 2,
        TAKES_WEBHOOK = 1 << 3, /* and needs it */
        TAKES_FROM = 1 << 4,    /* likewise */
};

static const struct {
        const char *word;
        unsigned takes;
} verbs[CONTROL_VERB_COUNT] = {
        [CONTROL_STATUS] = { "status", 0 },
        [CONTROL_SYNC] = { "sync", TAKES_ACCOUNTS | TAKES_WAIT },
        [CONTROL_ACCEPT_REMOVALS] = { "accept-removals", TAKES_ACCOUNT },
        [CONTROL_FORGET] = { "forget", TAKES_ACCOUNT },
        [CONTROL_TEST_WEBHOOK] = { "test-webhook", TAKES_WEBHOOK },
        [CONTROL_REPLAY_WEBHOOK] = { "replay-webhook", TAKES_WEBHOOK | TAKES_FROM },
};

static int bad(Error *err, const char *member, const char *what) {
        char shown[40];

        return error_set(err, -EBADMSG, "\"%s\" %s",
                         text_clean(shown, sizeof shown, member, strlen(member)), what);
}

static int parse_verb(json_object *o, ControlVerb *ret, Error *err) {
        json_object *member = NULL;
        const char *word = NULL;

        if (json_object_object_get_ex(o, "request", &member))
                word = text_of(member);
        if (!word)
                return error_set(err, -EBADMSG, "there is no \"request\" in it");
        for (unsigned v = 0; v < CONTROL_VERB_COUNT; v++)
                if (strcmp(word, verbs[v].word) == 0) {
                        *ret = (ControlVerb) v;
                        return 0;
                }
        return bad(err, word,
                   "is a request that this rosterd does not know; restart it after an upgrade");
}

static int parse_accounts(ControlRequest *r, json_object *list, Error *err) {
        size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

        if (n == 0)
                return bad(err, "accounts", "is not a list of names");
        r->accounts = calloc(n, sizeof *r->accounts);
        if (!r->accounts)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; i < n; i++) {
                r->accounts[i] = text_of(json_object_array_get_idx(list, i));
                if (!r->accounts[i])
                        return bad(err, "accounts", "is not a list of names");
        }
        r->n_accounts = n;
        return 0;
}

static int parse_text(const char **slot, const char *name, json_object *value, Error *err) {
        *slot = text_of(value);
        return *slot ? 0 : bad(err, name, "is not a text");
}

/* An unknown member is refused: to leave it out might do something else than was asked for. */
static int parse_member(ControlRequest *r, const char *name, json_object *value, Error *err) {
        unsigned takes = verbs[r->verb].takes;

        if (strcmp(name, "request") == 0)
                return 0;
        if (strcmp(name, "database") == 0)
                return parse_text(&r->database, name, value, err);
        if (strcmp(name, "account") == 0 && (takes & TAKES_ACCOUNT))
                return parse_text(&r->account, name, value, err);
        if (strcmp(name, "accounts") == 0 && (takes & TAKES_ACCOUNTS))
                return parse_accounts(r, value, err);
        if (strcmp(name, "webhook") == 0 && (takes & TAKES_WEBHOOK))
                return parse_text(&r->webhook, name, value, err);
        if (strcmp(name, "from") == 0 && (takes & TAKES_FROM)) {
                r->from = json_object_is_type(value, json_type_int) ? json_object_get_int64(value)
                                                                    : 0;
                return r->from > 0 ? 0 : bad(err, name, "is not the seq of an event");
        }
        if (strcmp(name, "wait") == 0 && (takes & TAKES_WAIT)) {
                if (!json_object_is_type(value, json_type_boolean))
                        return bad(err, name, "is neither true nor false");
                r->wait = json_object_get_boolean(value);
                return 0;
        }
        return bad(err, name, "does not belong to this request");
}

int control_request_parse(const char *line, size_t len, ControlRequest *ret, Error *err) {
        CLEANUP(control_request_clear) ControlRequest r = { 0 };
        int rc = parse_object(line, len, &r.json, err);

        if (rc >= 0)
                rc = parse_verb(r.json, &r.verb, err);
        if (rc < 0)
                return rc;
        json_object_object_foreach(r.json, name, value) {
                rc = parse_member(&r, name, value, err);
                if (rc < 0)
                        return rc;
        }
        if ((verbs[r.verb].takes & TAKES_ACCOUNT) && !r.account)
                return bad(err, "account", "is missing");
        if ((verbs[r.verb].takes & TAKES_WEBHOOK) && !r.webhook)
                return bad(err, "webhook", "is missing");
        if ((verbs[r.verb].takes & TAKES_FROM) && !r.from)
                return bad(err, "from", "is missing");
        *ret = r;
        r = (ControlRequest){ 0 };
        return 0;
}

void control_request_clear(ControlRequest *r) {
        free(r->accounts);
        (void) json_object_put(r->json);
        *r = (ControlRequest){ 0 };
}

static bool put_accounts(json_object *o, const ControlRequest *r) {
        json_object *list = json_object_new_array();

        for (size_t i = 0; list && i < r->n_accounts; i++) {
                json_object *name = json_object_new_string(r->accounts[i]);

                if (!name || json_object_array_add(list, name) < 0) {
                        (void) json_object_put(name);
                        (void) json_object_put(take_ptr(list));
                }
        }
        return control_put(o, "accounts", list);
}

char *control_request_format(const ControlRequest *r) {
        CLEANUP(json_put) json_object *o = json_object_new_object();
        bool good = control_put(o, "request", json_object_new_string(verbs[r->verb].word));

        if (r->database)
                good = good && control_put(o, "database", json_object_new_string(r->database));
        if (r->account)
                good = good && control_put(o, "account", json_object_new_string(r->account));
        if (r->webhook)
                good = good && control_put(o, "webhook", json_object_new_string(r->webhook));
        if (r->from)
                good = good && control_put(o, "from", json_object_new_int64(r->from));
        if (r->n_accounts)
                good = good && put_accounts(o, r);
        if (r->wait)
                good = good && control_put(o, "wait", json_object_new_boolean(1));
        return good ? format_line(o) : NULL;
}

/* ---- answers ---- */

static const char *const answer_words[CONTROL_ANSWER_COUNT] = {
        [CONTROL_PROGRESS] = "progress",
        [CONTROL_RESULT] = "result",
        [CONTROL_ERROR] = "error",
};

char *control_answer_format(ControlAnswerKind kind, json_object *body) {
        CLEANUP(json_put) json_object *o = json_object_new_object();

        return control_put(o, answer_words[kind], body) ? format_line(o) : NULL;
}

int control_answer_parse(const char *line, size_t len, json_object **ret_body, Error *err) {
        CLEANUP(json_put) json_object *o = NULL;
        int r = parse_object(line, len, &o, err);

        for (int kind = 0; r >= 0 && kind < CONTROL_ANSWER_COUNT; kind++) {
                json_object *body = NULL;

                if (json_object_object_get_ex(o, answer_words[kind], &body) &&
                    json_object_is_type(body, json_type_object)) {
                        *ret_body = json_object_get(body);
                        return kind;
                }
        }
        return r < 0 ? r : error_set(err, -EBADMSG, "the line is no answer to a request");
}

json_object *control_figures(const ControlFigure *figures, size_t n) {
        CLEANUP(json_put) json_object *o = json_object_new_object();

        for (size_t i = 0; i < n; i++)
                if (!control_put(o, figures[i].name, json_object_new_int64(figures[i].number)))
                        return NULL;
        return take_ptr(o);
}

json_object *control_error_json(const char *code, const char *message) {
        CLEANUP(json_put) json_object *o = json_object_new_object();

        return control_put(o, "code", json_object_new_string(code)) &&
                               control_put(o, "message", json_object_new_string(message))
                       ? take_ptr(o)
                       : NULL;
}

/* ---- what an account is doing ---- */

static const char *const state_words[CONTROL_STATE_COUNT] = {
        [CONTROL_STATE_IDLE] = "idle",       [CONTROL_STATE_QUEUED] = "queued",
        [CONTROL_STATE_RUNNING] = "running", [CONTROL_STATE_COMPLETE] = "complete",
        [CONTROL_STATE_FAILED] = "failed",
};

static const struct {
        const char *name;
        size_t offset;
} numbers[] = {
#define NUMBER(member) \
        { #member, offsetof(ControlAccount, member) }
        NUMBER(next_run_ms), NUMBER(run_id),    NUMBER(elapsed_ms), NUMBER(pages),
        NUMBER(users),       NUMBER(added),     NUMBER(changed),    NUMBER(removed),
        NUMBER(retries),     NUMBER(throttled), NUMBER(expected),   NUMBER(held),
#undef NUMBER
};
#define N_NUMBERS (sizeof numbers / sizeof numbers[0])

json_object *control_account_json(const ControlAccount *a) {
        CLEANUP(json_put) json_object *o = json_object_new_object();
        bool good = control_put(o, "account", json_object_new_string(a->account)) &&
                    control_put(o, "state", json_object_new_string(state_words[a->state]));

        for (size_t i = 0; i < N_NUMBERS; i++)
                good = good &&
                       control_put(o, numbers[i].name,
                                   json_object_new_int64(
                                           *(const int64_t *) (const void *) ((const char *) a +
                                                                              numbers[i].offset)));
        if (a->error)
                good = good && control_put(o, "error", json_object_new_string(a->error));
        return good ? take_ptr(o) : NULL;
}

int control_account_parse(json_object *json, ControlAccount *ret) {
        ControlAccount a = { .next_run_ms = -1, .state = CONTROL_STATE_COUNT };
        json_object *member = NULL;
        const char *state = NULL;

        if (json_object_object_get_ex(json, "account", &member))
                a.account = text_of(member);
        if (json_object_object_get_ex(json, "state", &member))
                state = text_of(member);
        if (json_object_object_get_ex(json, "error", &member))
                a.error = text_of(member);
        for (unsigned i = 0; state && i < CONTROL_STATE_COUNT; i++)
                if (strcmp(state, state_words[i]) == 0)
                        a.state = (ControlState) i;
        if (!a.account || a.state == CONTROL_STATE_COUNT)
                return -EBADMSG;
        for (size_t i = 0; i < N_NUMBERS; i++)
                if (json_object_object_get_ex(json, numbers[i].name, &member))
                        *(int64_t *) (void *) ((char *) &a + numbers[i].offset) =
                                json_object_get_int64(member);
        *ret = a;
        return 0;
}

double control_account_rate(const ControlAccount *a) {
        return a->elapsed_ms > 0 && a->users >= 0
                       ? (double) a->users * 1000 / (double) a->elapsed_ms
                       : -1;
}

int control_account_percent(const ControlAccount *a) {
        if (a->state == CONTROL_STATE_COMPLETE)
                return 100;
        if (a->expected <= 0 || a->users < 0)
                return -1;
        return a->users >= a->expected ? 99
                                       : (int) ((double) a->users * 100 / (double) a->expected);
}
