/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said only once every file is read: values that others default to, and checks across
 * keys and sections. */
#include "conf/config-internal.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/text.h"

/* A file in a folder that systemd sets: a colon list (systemd.exec(5)), of which the first is ours. */
static int settle_path(const char *variable, const char *name, const char *otherwise, size_t max,
                       char **slot) {
        const char *dirs = getenv(variable);
        size_t len = dirs ? strcspn(dirs, ":") : 0;

        if (len == 0 || *dirs != '/' || len + strlen(name) + 2 > max)
                *slot = strdup(otherwise);
        else if (asprintf(slot, "%.*s/%s", (int) len, dirs, name) < 0)
                *slot = NULL;
        return *slot ? 0 : -ENOMEM;
}

static int settle_database(Config *c) {
        return settle_path("STATE_DIRECTORY", "roster.db", LOCALSTATEDIR "/lib/rosterd/roster.db",
                           PATH_MAX, &c->database);
}

/* That of the service, so that rosterctl finds it without the service's environment. */
static int settle_control_socket(Config *c) {
        return settle_path("RUNTIME_DIRECTORY", "control", CONFIG_CONTROL_SOCKET,
                           sizeof((struct sockaddr_un *) NULL)->sun_path, &c->control_socket);
}

static bool is_set(Section *s, const char *key) {
        return loader_given(s, config_key_find(s->kind, key))->set;
}

int loader_settle(Loader *l) {
        Config *c = l->config;

        if ((!c->database && settle_database(c) < 0) ||
            (!c->control_socket && settle_control_socket(c) < 0))
                return -ENOMEM;
        for (size_t i = 0; i < l->n_sections; i++) {
                Section *s = &l->sections[i];

                if (s->kind == SECTION_ACCOUNT && !is_set(s, "interval"))
                        c->accounts[s->index].interval = c->interval;
                if (s->kind == SECTION_ACCOUNT && !is_set(s, "allow_http"))
                        c->accounts[s->index].allow_http = c->allow_http;
                if (s->kind == SECTION_WEBHOOK && !is_set(s, "allow_http"))
                        c->webhooks[s->index].allow_http = c->allow_http;
        }
        return 0;
}

/* Where a key was given, else where its section begins. */
static Place place_of(Section *s, const char *key) {
        const Given *g = loader_given(s, config_key_find(s->kind, key));

        return g->place.line ? g->place : s->first;
}

static void check_required(Loader *l, Section *s) {
        for (size_t i = 0; i < config_n_keys; i++) {
                const ConfigKey *k = &config_keys[i];

                if (k->kind == s->kind && (k->flags & KEY_REQUIRED) && !is_set(s, k->name))
                        loader_complain(l, -EINVAL, place_of(s, k->name), s, k->name,
                                        loader_given(s, k)->place.line
                                                ? "is empty; it is required"
                                                : "is missing; it is required");
        }
}

static void check_plain_http(Loader *l, Section *s, const char *key, const char *url, bool allowed,
                             bool hidden) {
        char shown[72];

        if (!url || allowed || !url_is_plain_remote(url))
                return;
        loader_complain(l, -EINVAL, place_of(s, key), s, key,
                        "%s%s%s is plain http to another machine; write https://, or set "
                        "allow_http = yes",
                        hidden ? "" : "\"",
                        hidden ? "the value" : text_clean(shown, sizeof shown, url, strlen(url)),
                        hidden ? "" : "\"");
}

static void check_keys(Loader *l, Section *s) {
        bool id = is_set(s, "access_key_id"), secret = is_set(s, "secret_access_key");

        if (id && !secret)
                loader_complain(l, -EINVAL, place_of(s, "access_key_id"), s, "access_key_id",
                                "is given without secret_access_key; give both or neither");
        if (secret && !id)
                loader_complain(l, -EINVAL, place_of(s, "secret_access_key"), s,
                                "secret_access_key",
                                "is given without access_key_id; give both or neither");
        if (is_set(s, "session_token") && !id && !secret)
                loader_complain(l, -EINVAL, place_of(s, "session_token"), s, "session_token",
                                "is given without access_key_id and secret_access_key");
}

/* Where the keys come from is said once, and what belongs to a role only with one. */
static void check_role(Loader *l, Section *s) {
        static const char *const sources[] = { "access_key_id", "profile", "credential_source" };
        static const char *const of_role[] = { "external_id", "role_session_name",
                                               "credential_source" };

        for (size_t i = 0; i < 3; i++)
                for (size_t k = i + 1; k < 3 && is_set(s, sources[i]); k++)
                        if (is_set(s, sources[k]))
                                loader_complain(l, -EINVAL, place_of(s, sources[k]), s, sources[k],
                                                "is given besides %s; credentials come from one "
                                                "of them",
                                                sources[i]);
        for (size_t i = 0; i < 3; i++)
                if (is_set(s, of_role[i]) && !is_set(s, "role_arn"))
                        loader_complain(l, -EINVAL, place_of(s, of_role[i]), s, of_role[i],
                                        "is given without role_arn, which it belongs to");
}

static void check_twin(Loader *l, Section *s, size_t before) {
        const AccountConfig *a = loader_target(l, s);

        for (size_t i = 0; i < before; i++) {
                const Section *t = &l->sections[i];
                const AccountConfig *b = loader_target(l, t);

                if (t->kind != SECTION_ACCOUNT || !a->account_id || !b->account_id ||
                    strcmp(a->account_id, b->account_id) != 0 ||
                    strcmp(a->source, b->source) != 0 || strcmp(a->endpoint, b->endpoint) != 0)
                        continue;
                loader_complain(l, -EINVAL, s->first, s, NULL,
                                "has the same source, account_id and endpoint as [account %s] "
                                "(%s:%u); one section is enough",
                                t->name, l->files[t->first.file], t->first.line);
                return;
        }
}

static void check_webhook_accounts(Loader *l, Section *s) {
        const WebhookConfig *w = loader_target(l, s);
        const char *names[CONFIG_SECTION_MAX], *meant;
        size_t n = 0;

        for (size_t i = 0; i < l->config->n_accounts && n < CONFIG_SECTION_MAX; i++)
                names[n++] = l->config->accounts[i].name;
        for (size_t i = 0; i < w->accounts.count; i++) {
                const char *name = w->accounts.items[i];

                if (config_account(l->config, name))
                        continue;
                meant = text_did_you_mean(name, names, n);
                loader_complain(l, -EINVAL, place_of(s, "accounts"), s, "accounts",
                                "there is no [account %s]%s%s%s", name,
                                meant ? "; did you mean " : "", meant ? meant : "",
                                meant ? "?" : "");
        }
}

/* The event types that pagerduty and alertmanager make alerts of; sink/alert.c says how they end. */
const char *const config_alert_events[] = { "user.suspended", "sync.failed", "sync.removals_held" };
const size_t config_n_alert_events = sizeof config_alert_events / sizeof config_alert_events[0];

static bool raises_alerts(const WebhookConfig *w) {
        for (size_t i = 0; i < w->events.count; i++)
                for (size_t k = 0; k < config_n_alert_events; k++)
                        if (fnmatch(w->events.items[i], config_alert_events[k], 0) == 0)
                                return true;
        return false;
}

/* A key that this format has no use for would be a promise that is not kept. */
static void check_format_key(Loader *l, Section *s, const char *key, bool used,
                             const char *formats) {
        if (is_set(s, key) && !used)
                loader_complain(l, -EINVAL, place_of(s, key), s, key, "is only for format = %s",
                                formats);
}

static void check_webhook_format(Loader *l, Section *s) {
        const WebhookConfig *w = loader_target(l, s);
        bool pagerduty = w->format == WEBHOOK_PAGERDUTY;
        bool alertmanager = w->format == WEBHOOK_ALERTMANAGER;

        check_format_key(l, s, "batch",
                         w->format == WEBHOOK_JSON || w->format == WEBHOOK_CLOUDEVENTS,
                         "json or cloudevents");
        check_format_key(l, s, "repeat", alertmanager, "alertmanager");
        check_format_key(l, s, "routing_key", pagerduty, "pagerduty");
        if (pagerduty && !is_set(s, "routing_key"))
                loader_complain(l, -EINVAL, place_of(s, "routing_key"), s, "routing_key",
                                "is missing; format = pagerduty requires it");
        if ((pagerduty || alertmanager) && !raises_alerts(w))
                loader_complain(l, -EINVAL, place_of(s, "events"), s, "events",
                                "names nothing that %s makes an alert of: user.suspended, "
                                "sync.failed and sync.removals_held",
                                pagerduty ? "pagerduty" : "alertmanager");
}

void loader_check(Loader *l) {
        Config *c = l->config;

        for (size_t i = 0; i < l->n_sections; i++) {
                Section *s = &l->sections[i];

                check_required(l, s);
                if (s->kind == SECTION_ACCOUNT) {
                        const AccountConfig *a = &c->accounts[s->index];

                        check_plain_http(l, s, "endpoint", a->endpoint, a->allow_http, false);
                        check_keys(l, s);
                        check_role(l, s);
                        check_twin(l, s, i);
                } else if (s->kind == SECTION_WEBHOOK) {
                        const WebhookConfig *w = &c->webhooks[s->index];

                        check_plain_http(l, s, "url", w->url, w->allow_http, true);
                        check_webhook_accounts(l, s);
                        check_webhook_format(l, s);
                }
        }
        if (c->n_accounts == 0 && !l->lost_sections)
                loader_complain_file(l, -EINVAL, c->path,
                                     "has no [account NAME] section; at least one is needed, with "
                                     "its account_id");
}
