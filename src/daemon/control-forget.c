/* SPDX-License-Identifier: Apache-2.0 */
/* An account that is no longer configured is forgotten, a portion in each turn of the loop.  Once
 * begun, it goes on without the client that has asked for it. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "daemon/control-internal.h"
#include "daemon/log.h"

typedef struct Forget {
        Control *control;
        Client *client; /* NULL: it has gone */
        char *name;
        uid_t uid;
        StoreForget work;
        sd_event_source *step;
} Forget;

static void forget_free(Forget *f) {
        if (!f)
                return;
        (void) sd_event_source_disable_unref(f->step);
        free(f->name);
        free(f);
}

void control_forget_stop(Control *c) {
        forget_free(take_ptr(c->forget));
}

void control_forget_leave(Control *c, const Client *k) {
        if (c->forget && c->forget->client == k)
                c->forget->client = NULL;
}

static json_object *figures(const StoreForget *work) {
        const ControlFigure all[] = { { "users", work->users },
                                      { "events", work->events },
                                      { "runs", work->runs } };

        return control_figures(all, sizeof all / sizeof all[0]);
}

static void end(Forget *f, const Error *why) {
        webhooks_reread(f->control->webhooks); /* what they have read meanwhile */
        if (why) {
                log_line(LOG_WARNING, LOG_ID_FORGET_FAILED, f->name,
                         "%s could not be forgotten, or not all of it: %s", f->name, why->msg);
                if (f->client)
                        client_refuse(f->client, CONTROL_FAILED, "%s: %s", f->name, why->msg);
        } else {
                log_line(LOG_NOTICE, LOG_ID_FORGOTTEN, f->name,
                         "%s was forgotten, as uid %u has asked: %" PRId64 " user%s, %" PRId64
                         " event%s and %" PRId64 " run%s were deleted",
                         f->name, (unsigned) f->uid, f->work.users, text_plural(f->work.users),
                         f->work.events, text_plural(f->work.events), f->work.runs,
                         text_plural(f->work.runs));
                if (f->client)
                        client_end(f->client, CONTROL_RESULT, figures(&f->work));
        }
        control_forget_stop(f->control);
}

/* A commit of its own each, so that the runs' transaction is out of the way. */
static int on_step(sd_event_source *source, void *userdata) {
        Forget *f = userdata;
        const SyncWorld *w = f->control->world;
        Error err = { 0 };
        int r = batch_flush(w->batch, &err);

        if (r >= 0)
                r = store_forget_step(w->store, &f->work, &err);
        if (r != STORE_FORGET_MORE) {
                end(f, r < 0 ? &err : NULL);
                return 0;
        }
        if (f->client && f->client->out.len < BACKLOG_MAX)
                client_say(f->client, CONTROL_PROGRESS, figures(&f->work));
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int begin(Client *k, const char *name, int64_t key, Error *err) {
        Control *c = k->control;
        Forget *f = calloc(1, sizeof *f);
        int r;

        if (!f)
                return error_set(err, -ENOMEM, "out of memory");
        *f = (Forget){ .control = c,
                       .client = k,
                       .name = strdup(name),
                       .uid = k->uid,
                       .work = { .account = key } };
        r = f->name ? sd_event_add_defer(c->world->event, &f->step, on_step, f) : -ENOMEM;
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(f->step, true);
        /* after whatever else there is to do */
        if (r >= 0)
                r = sd_event_source_set_priority(f->step, SD_EVENT_PRIORITY_IDLE);
        if (r < 0) {
                forget_free(f);
                return error_set(err, r, "cannot begin: %s", strerror(-r));
        }
        (void) sd_event_source_set_description(f->step, "control-forget");
        c->forget = f;
        webhooks_reread(c->webhooks);
        return 0;
}

void control_forget(Client *k, const ControlRequest *r) {
        int64_t key = 0;
        bool active = false;
        Error err = { 0 };
        char shown[80];
        int rc = store_account_find(k->control->world->store, r->account, &key, &active, &err);

        if (rc == -ENOENT)
                client_refuse(k, CONTROL_NO_SUCH_ACCOUNT, "there is no account %s in the database",
                              text_clean(shown, sizeof shown, r->account, strlen(r->account)));
        else if (rc >= 0 && active)
                client_refuse(k, CONTROL_NOT_NOW,
                              "%s is configured; take [account %s] out of the configuration and "
                              "reload rosterd first",
                              r->account, r->account);
        else if (rc >= 0 && k->control->forget)
                client_refuse(k, CONTROL_BUSY, "%s is being forgotten; wait until that is done",
                              k->control->forget->name);
        else if (rc < 0 || begin(k, r->account, key, &err) < 0)
                client_refuse(k, CONTROL_FAILED, "%s", err.msg);
}
