/* SPDX-License-Identifier: Apache-2.0 */
/* Scripted misbehaviour: a list of rules, the first that matches a request is applied to it. */
#pragma once

#include "listing.h"

typedef struct FaultAction FaultAction;

struct Fault {
        Fault *next;
        uint64_t id;
        const FaultAction *action;
        json_object *spec; /* as it was given: the actions read their details from it */
        char *account;     /* NULL: any */
        int64_t page;      /* 0: any */
        int64_t request;   /* n-th request since the reset (of that account when one is named) */
        int has_token;     /* -1: any */
        int64_t after;     /* matching requests still to be let through */
        int64_t times;     /* still to be applied; -1: always */
        uint64_t applied;
};

/* NULL: `err` says what is wrong with the description. */
Fault *fault_add(Emulator *e, json_object *spec, Buf *err);
bool fault_remove(Emulator *e, uint64_t id);
void faults_clear(Emulator *e);
json_object *faults_to_json(const Emulator *e);

/* Counts the rule that applies as used.  NULL: none. */
Fault *fault_take(Emulator *e, const Account *a, const Position *p);

/* One page that is about to be made, for an action to spoil. */
typedef struct FaultCall {
        Emulator *e;
        Account *account;
        const Query *query;
        const Position *position;
        const Fault *fault;
        Answer *answer;
} FaultCall;

/* Makes the answer; e->lock is held. */
void fault_apply(const FaultCall *c);

/* fault-actions.c: what there is to choose from, by name.  NULL: no such action. */
struct FaultAction {
        const char *name;
        void (*apply)(const FaultCall *c);
        bool needs_token; /* only for requests that carry a token */
};
const FaultAction *fault_action_find(const char *name);

/* A detail of the rule, or the default. */
int64_t fault_number(const Fault *f, const char *name, int64_t otherwise);
const char *fault_text(const Fault *f, const char *name, const char *otherwise);
bool fault_flag(const Fault *f, const char *name);
/* The page that would have been sent. */
void fault_render_normal(const FaultCall *c);
