/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by control*.c and nobody else. */

#include <sys/types.h>

#include "base/buffer.h"
#include "control/protocol.h"
#include "daemon/control.h"

#define CLIENTS_MAX 64
#define BACKLOG_MAX ((size_t) 65536) /* beyond it a client misses progress, until it has read on */

/* One connection; control-client.c. */
typedef struct Client {
        Control *control;
        struct Client *next;
        int fd;
        uid_t uid;
        sd_event_source *io, *timer;
        Buffer in, out;
        bool asked;          /* its request was read; nothing more is */
        bool ended;          /* its last line is in out */
        bool broken;         /* it goes as soon as the loop is back */
        struct Watch *watch; /* waits for runs */
        struct Trial *trial; /* waits for the answer of a webhook */
} Client;

struct Control {
        const SyncWorld *world;
        Config *config;
        Schedule *schedule;
        Webhooks *webhooks;
        char *path;
        int lock, fd;
        bool bound;  /* path is ours */
        gid_t group; /* of the socket: its members may ask */
        sd_event_source *io, *rest, *tick;
        Client *clients;
        size_t n_clients;
        struct Forget *forget; /* goes on; NULL: none */
};

/* ---- control-client.c ---- */

/* Takes over fd. */
int client_new(Control *c, int fd, uid_t uid, Error *err);
void client_free(Client *k);

/* Queues one line; takes over body.  Nothing happens to k before the loop is back. */
void client_say(Client *k, ControlAnswerKind kind, json_object *body);
/* The same, and it is the last one. */
void client_end(Client *k, ControlAnswerKind kind, json_object *body);
void client_refuse(Client *k, const char *code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
/* Writes what it takes at once. */
void client_flush(Client *k);

/* ---- control-requests.c ---- */

/* Answers, or sees to it that an answer comes. */
void control_handle(Client *k, const char *line, size_t len);
/* There is no such account in the configuration; did you mean … */
void control_refuse_account(Client *k, const char *name);

/* ---- control-sync.c: those who wait for runs ---- */

void control_sync(Client *k, const ControlRequest *r);
void watch_free(struct Watch *w);
/* What an account is doing, as protocol.h has it.  Borrowed from the schedule. */
ControlAccount control_account(const ScheduleView *view);
/* Tells progress; runs from control.c's timer.  Whether anybody still waits. */
bool control_tell_progress(Control *c);
/* The configuration has changed. */
void control_recheck_watches(Control *c);

/* ---- control-webhooks.c ---- */

void control_test_webhook(Client *k, const ControlRequest *r);
void control_replay_webhook(Client *k, const ControlRequest *r);
void trial_free(struct Trial *t);

/* ---- control-forget.c: an account is forgotten, step by step ---- */

void control_forget(Client *k, const ControlRequest *r);
/* The client is gone; the work goes on. */
void control_forget_leave(Control *c, const Client *k);
void control_forget_stop(Control *c);
