/* SPDX-License-Identifier: Apache-2.0 */
/* The interface under /_control/ by which tests and demos say what the service shall do. */
#pragma once

#include "emulator.h"

/* Takes e->lock.  Returns the HTTP status; `out` is the JSON answer. */
unsigned control_answer(Emulator *e, const char *method, const char *uri, const Buf *body,
                        Buf *out);

/* One call from within, with e->lock held: a change below /_control/accounts/{id}/.  Anything else is
 * refused. */
unsigned control_change_now(Emulator *e, const char *method, const char *path, json_object *body,
                            Buf *out);

/* Inside of the control interface: one call, taken apart. */
#define CONTROL_SEGMENTS 5

typedef struct ControlCall {
        Emulator *e;
        const char *method;
        char *segments[CONTROL_SEGMENTS]; /* decoded, behind /_control/ */
        size_t n_segments;
        json_object *query; /* the decoded parameters, all strings */
        json_object *body;  /* NULL where there was none */
        const Buf *raw_body;
        Buf *out;
} ControlCall;

/* Each returns an HTTP status. */
unsigned control_fail(const ControlCall *c, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));
/* Takes `o`. */
unsigned control_reply(const ControlCall *c, json_object *o);

bool control_is(const ControlCall *c, const char *method, size_t n_segments, const char *last);
int64_t control_number(const ControlCall *c, const char *name, int64_t otherwise);
const char *control_text(const ControlCall *c, const char *name, const char *otherwise);
json_object *control_member(const ControlCall *c, const char *name);
/* "position" of the body as an index: "front", "back" (the default) or a number. */
size_t control_position(const ControlCall *c, const Account *a);

/* control-config.c: /_control/config and /_control/credentials */
unsigned control_config(const ControlCall *c);
/* control-users.c: everything below /_control/accounts/{id} */
unsigned control_account(const ControlCall *c, Account *a);
/* control-change.c: what changes many users or their order; 0: not one of its paths */
unsigned control_change(const ControlCall *c, Account *a);
/* A merge patch applied to users[at]; false: that one is not a JSON object. */
bool control_patch_user(Account *a, size_t at, json_object *patch);
