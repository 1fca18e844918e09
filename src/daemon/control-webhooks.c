/* SPDX-License-Identifier: Apache-2.0 */
/* A webhook is tried out, or told events again. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/timefmt.h"
#include "daemon/control-internal.h"
#include "daemon/log.h"
#include "sink/sample.h"

/* One request that is under way. */
typedef struct Trial {
        Client *client;
        Config *config; /* a reference: a reload may come before the answer */
        const WebhookConfig *webhook;
        Sample sample;
        HttpCall *call;
} Trial;

void trial_free(Trial *t) {
        if (!t)
                return;
        if (t->call)
                http_cancel(t->call);
        sample_clear(&t->sample);
        config_unref(t->config);
        free(t);
}
DEFINE_CLEANUP(Trial *, trial_free)

/* NULL: the client was refused. */
static const WebhookConfig *find(Client *k, const char *name) {
        const Config *config = k->control->config;
        CLEANUP_FREE const char **names = calloc(config->n_webhooks + 1, sizeof *names);
        const char *meant;
        char shown[80];

        for (size_t i = 0; i < config->n_webhooks; i++) {
                if (strcmp(config->webhooks[i].name, name) == 0)
                        return &config->webhooks[i];
                if (names)
                        names[i] = config->webhooks[i].name;
        }
        meant = names ? text_did_you_mean(name, names, config->n_webhooks) : NULL;
        client_refuse(k, CONTROL_NO_SUCH_WEBHOOK,
                      "there is no [webhook %s] in the configuration%s%s%s",
                      text_clean(shown, sizeof shown, name, strlen(name)),
                      meant ? "; did you mean " : "", meant ? meant : "", meant ? "?" : "");
        return NULL;
}

/* ---- test-webhook ---- */

static void on_answer(const HttpResult *res, void *userdata) {
        CLEANUP(trial_freep) Trial *t = userdata;
        Client *k = t->client;
        char host[128];
        WebhookAnswer a;
        json_object *o;

        t->call = NULL;
        k->trial = NULL;
        webhook_judge(t->webhook, res, time_now_ms(), &a);
        (void) webhook_host(t->webhook->url, host, sizeof host);
        if (a.verdict != WEBHOOK_TAKEN) {
                client_refuse(k, CONTROL_NOT_NOW, "webhook %s (%s) did not take it: %s",
                              t->webhook->name, host, a.reason);
                return;
        }
        o = control_figures((ControlFigure[]){ { "status", res->status } }, 1);
        if (!control_put(o, "host", json_object_new_string(host))) {
                (void) json_object_put(o);
                o = NULL;
        }
        client_end(k, CONTROL_RESULT, o);
}

static int begin(Trial *t, Error *err) {
        const Control *c = t->client->control;
        WebhookRequest request;
        int64_t now = time_now_ms();
        int r = sample_make(t->webhook, c->config->personal_data == PERSONAL_DATA_MINIMAL, now,
                            &t->sample, err);

        if (r < 0)
                return r;
        request = (WebhookRequest){ t->sample.id, t->sample.content_type, t->sample.body,
                                    strlen(t->sample.body) };
        return webhook_post(c->world->http, t->webhook, &request, now, on_answer, t, &t->call, err);
}

void control_test_webhook(Client *k, const ControlRequest *r) {
        CLEANUP(trial_freep) Trial *t = NULL;
        const WebhookConfig *webhook = find(k, r->webhook);
        Error err = { 0 };

        if (!webhook)
                return;
        t = calloc(1, sizeof *t);
        if (!t) {
                client_refuse(k, CONTROL_FAILED, "out of memory");
                return;
        }
        *t = (Trial){ .client = k, .config = config_ref(k->control->config), .webhook = webhook };
        if (begin(t, &err) < 0) {
                client_refuse(k, CONTROL_FAILED, "%s", err.msg);
                return;
        }
        k->trial = take_ptr(t);
        client_say(k, CONTROL_PROGRESS,
                   json_object_new_object()); /* the receiver may take its time */
}

/* ---- replay-webhook ---- */

/* What lies before and behind; refuses and returns false if the seq is neither. */
static bool check_seq(Client *k, const char *name, int64_t from) {
        const Webhooks *w = k->control->webhooks;
        int64_t next = 1;

        for (size_t i = 0; i < webhooks_count(w); i++) {
                WebhookFigures f = webhooks_figures(w, i);

                if (strcmp(f.name, name) == 0)
                        next = f.state->cursor + 1;
        }
        if (from <= next)
                return true;
        client_refuse(k, CONTROL_NOT_NOW,
                      "webhook %s has yet to be told event %" PRId64 ": a replay goes back, and "
                      "passes over nothing",
                      name, next);
        return false;
}

static int replay(const Control *c, const char *name, int64_t from, Error *err) {
        int r = batch_flush(c->world->batch, err);

        return r < 0 ? r : webhooks_replay(c->webhooks, name, from, err);
}

void control_replay_webhook(Client *k, const ControlRequest *r) {
        Error err = { 0 };

        if (!find(k, r->webhook) || !check_seq(k, r->webhook, r->from))
                return;
        if (replay(k->control, r->webhook, r->from, &err) < 0) {
                client_refuse(k, CONTROL_FAILED, "%s", err.msg);
                return;
        }
        log_webhook(LOG_NOTICE, LOG_ID_WEBHOOK_REPLAYED, r->webhook,
                    "webhook %s is told the events from %" PRId64 " on again, as uid %u has asked",
                    r->webhook, r->from, (unsigned) k->uid);
        client_end(k, CONTROL_RESULT, json_object_new_object());
}
