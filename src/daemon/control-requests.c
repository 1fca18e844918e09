/* SPDX-License-Identifier: Apache-2.0 */
/* What is done about each request: one handler each, and one row of the table. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "config.h"
#include "daemon/control-internal.h"
#include "daemon/log.h"

/* ---- status ---- */

static json_object *accounts_json(const Control *c) {
        json_object *list = json_object_new_array();
        ScheduleView view;

        for (size_t i = 0; list && schedule_view(c->schedule, i, &view); i++) {
                ControlAccount a = control_account(&view);
                json_object *o = control_account_json(&a);

                if (!o || json_object_array_add(list, o) < 0) {
                        (void) json_object_put(o);
                        (void) json_object_put(list);
                        return NULL;
                }
        }
        return list;
}

static void handle_status(Client *k, const ControlRequest *r) {
        const Control *c = k->control;
        json_object *o = json_object_new_object();

        (void) r;
        if (control_put(o, "version", json_object_new_string(PACKAGE_VERSION)) &&
            control_put(o, "pid", json_object_new_int64(getpid())) &&
            control_put(o, "config", json_object_new_string(c->config->path)) &&
            control_put(o, "database", json_object_new_string(c->config->database)) &&
            control_put(o, "accounts", accounts_json(c)))
                client_end(k, CONTROL_RESULT, o);
        else {
                (void) json_object_put(o);
                client_refuse(k, CONTROL_FAILED, "out of memory");
        }
}

/* ---- accept-removals ---- */

/* The account of this name in the schedule; refuses and returns false if there is none. */
static bool find_account(Client *k, const char *name, size_t *ret_i, ScheduleView *ret) {
        for (size_t i = 0; schedule_view(k->control->schedule, i, ret); i++)
                if (strcmp(ret->account->name, name) == 0) {
                        *ret_i = i;
                        return true;
                }
        control_refuse_account(k, name);
        return false;
}

static void handle_accept_removals(Client *k, const ControlRequest *r) {
        const SyncWorld *w = k->control->world;
        ScheduleView view;
        Error err = { 0 };
        int64_t held = 0;
        size_t i;
        int rc;

        if (!find_account(k, r->account, &i, &view))
                return;
        rc = batch_write(w->batch, &err);
        if (rc >= 0)
                rc = store_removals_accept(w->store, view.key, &held, &err);
        if (rc >= 0)
                rc = batch_flush(w->batch, &err);
        if (rc == -ENODATA)
                client_refuse(k, CONTROL_NOT_NOW, "no removals of %s are held", r->account);
        else if (rc < 0) {
                batch_lose(w->batch, &err);
                client_refuse(k, CONTROL_FAILED, "%s", err.msg);
        }
        if (rc < 0)
                return;
        if (view.run)
                sync_accept_removals(view.run, held);
        log_line(LOG_NOTICE, LOG_ID_REMOVALS_ACCEPTED, r->account,
                 "%s: the removal of %" PRId64 " user%s was accepted, by uid %u", r->account, held,
                 text_plural(held), (unsigned) k->uid);
        schedule_ask(k->control->schedule, i);
        client_end(k, CONTROL_RESULT, control_figures((ControlFigure[]){ { "held", held } }, 1));
}

/* ---- all of them ---- */

typedef void (*Handler)(Client *k, const ControlRequest *r);

static const Handler handlers[CONTROL_VERB_COUNT] = {
        [CONTROL_STATUS] = handle_status,
        [CONTROL_SYNC] = control_sync,
        [CONTROL_ACCEPT_REMOVALS] = handle_accept_removals,
        [CONTROL_FORGET] = control_forget,
        [CONTROL_TEST_WEBHOOK] = control_test_webhook,
        [CONTROL_REPLAY_WEBHOOK] = control_replay_webhook,
};

void control_refuse_account(Client *k, const char *name) {
        const Config *config = k->control->config;
        CLEANUP_FREE const char **names = calloc(config->n_accounts + 1, sizeof *names);
        const char *meant;
        char shown[80];

        for (size_t i = 0; names && i < config->n_accounts; i++)
                names[i] = config->accounts[i].name;
        meant = names ? text_did_you_mean(name, names, config->n_accounts) : NULL;
        client_refuse(k, CONTROL_NO_SUCH_ACCOUNT,
                      "there is no [account %s] in the configuration%s%s%s",
                      text_clean(shown, sizeof shown, name, strlen(name)),
                      meant ? "; did you mean " : "", meant ? meant : "", meant ? "?" : "");
}

/* A client that means another database must not have its work done in this one. */
static bool means_our_database(Client *k, const char *database) {
        const char *path = k->control->config->database;
        CLEANUP_FREE char *ours = realpath(path, NULL);

        if (!database || (ours && strcmp(database, ours) == 0))
                return true;
        client_refuse(k, CONTROL_OTHER_DATABASE,
                      "the rosterd that runs keeps another database, %s; leave out --database, or "
                      "name the configuration of the rosterd that you mean with --config",
                      path);
        return false;
}

void control_handle(Client *k, const char *line, size_t len) {
        CLEANUP(control_request_clear) ControlRequest r = { 0 };
        Error err = { 0 };

        if (control_request_parse(line, len, &r, &err) < 0)
                client_refuse(k, CONTROL_BAD_REQUEST, "%s", err.msg);
        else if (means_our_database(k, r.database))
                handlers[r.verb](k, &r);
}
