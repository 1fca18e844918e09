/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

/* What rosterctl and rosterd say to each other over the control socket.  A connection is one request:
 * the client sends one line of JSON,
 *
 *     {"request":"sync","accounts":["acme"],"wait":true}
 *
 * and rosterd answers with lines of JSON and closes: any number of {"progress":{…}}, then one
 * {"result":{…}} or {"error":{"code":"…","message":"…"}}.  The message is a sentence for people. */

#define CONTROL_LINE_MAX ((size_t) 65536) /* of a request, with its newline */
#define CONTROL_ANSWER_MAX ((size_t) 1 << 22)

typedef enum ControlVerb {
        CONTROL_STATUS,
        CONTROL_SYNC,
        CONTROL_ACCEPT_REMOVALS,
        CONTROL_FORGET,
        CONTROL_TEST_WEBHOOK,
        CONTROL_REPLAY_WEBHOOK,
        CONTROL_VERB_COUNT,
} ControlVerb;

/* Which members a verb has stands in protocol.c; the others are 0. */
typedef struct ControlRequest {
        ControlVerb verb;
        const char *database; /* the file that is meant, canonical; NULL: whichever rosterd keeps */
        const char *account;  /* the one that is meant */
        const char *webhook;  /* likewise */
        int64_t from;         /* seq of the first event, from 1 */
        const char **accounts; /* those that are meant; none: all */
        size_t n_accounts;
        bool wait;         /* answer when it is done, with progress on the way */
        json_object *json; /* owns the texts of a request that was parsed */
} ControlRequest;

/* Reads one line (newline or not).  Texts belong to *ret; give it to control_request_clear.  Returns 0,
 * -EBADMSG (no such request, and err says why) or -ENOMEM. */
int control_request_parse(const char *line, size_t len, ControlRequest *ret, Error *err);
void control_request_clear(ControlRequest *r);

/* The request as a line with its newline, for the caller to free; NULL: out of memory. */
char *control_request_format(const ControlRequest *r);

/* The words of "code" in an error. */
#define CONTROL_BAD_REQUEST "bad-request"
#define CONTROL_DENIED "denied"
#define CONTROL_BUSY "busy"
#define CONTROL_OTHER_DATABASE "other-database"
#define CONTROL_NO_SUCH_ACCOUNT "no-such-account"
#define CONTROL_NO_SUCH_WEBHOOK "no-such-webhook"
#define CONTROL_NOT_NOW "not-now" /* it makes no sense in the present state; the message says why */
#define CONTROL_FAILED "failed"

typedef enum ControlAnswerKind {
        CONTROL_PROGRESS,
        CONTROL_RESULT,
        CONTROL_ERROR,
        CONTROL_ANSWER_COUNT,
} ControlAnswerKind;

/* One line of an answer, with its newline, for the caller to free; takes over body.  NULL: out of
 * memory. */
char *control_answer_format(ControlAnswerKind kind, json_object *body);
/* *ret_body is the caller's.  Returns a ControlAnswerKind, -EBADMSG or -ENOMEM. */
int control_answer_parse(const char *line, size_t len, json_object **ret_body, Error *err);

/* Adds a member, and takes over value, which may be NULL; so may o.  False: out of memory. */
bool control_put(json_object *o, const char *name, json_object *value);

/* A body of these numbers.  NULL: out of memory. */
typedef struct ControlFigure {
        const char *name;
        int64_t number;
} ControlFigure;
json_object *control_figures(const ControlFigure *figures, size_t n);

/* The body of an error.  NULL: out of memory. */
json_object *control_error_json(const char *code, const char *message);

/* What an account is doing, in `progress` of a sync and in the list that answers `status`. */
typedef enum ControlState {
        CONTROL_STATE_IDLE,
        CONTROL_STATE_QUEUED,
        CONTROL_STATE_RUNNING,
        /* ends of a run that was waited for */
        CONTROL_STATE_COMPLETE,
        CONTROL_STATE_FAILED, /* failed, or the account was taken out of the configuration */
        CONTROL_STATE_COUNT,
} ControlState;

typedef struct ControlAccount {
        const char *account;
        ControlState state;
        const char *error;   /* of CONTROL_STATE_FAILED; else NULL */
        int64_t next_run_ms; /* until the next run is due; -1: unknown */
        /* of the run that goes on or has ended; 0 before its start */
        int64_t run_id, elapsed_ms, pages, users, added, changed, removed, retries, throttled;
        int64_t expected; /* users of the last complete run; 0: there was none */
        int64_t held;     /* users whose removal is held, once a run has ended */
} ControlAccount;

/* NULL: out of memory. */
json_object *control_account_json(const ControlAccount *a);
/* Texts are borrowed from json.  -EBADMSG if it is none. */
int control_account_parse(json_object *json, ControlAccount *ret);

/* Users a second, and how much of the listing has come; -1 while that cannot be said.  A listing that
 * is longer than the last is at 99 until it ends. */
double control_account_rate(const ControlAccount *a);
int control_account_percent(const ControlAccount *a);
