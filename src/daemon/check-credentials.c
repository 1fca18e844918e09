/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/check-credentials.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "daemon/credentials.h"

/* What became of one account. */
typedef struct Check {
        struct Checks *all;
        CredentialsRequest *request;
        const AccountConfig *account;
        bool works;
        char line[512];
} Check;

typedef struct Checks {
        sd_event *event;
        Http *http;
        Credentials *credentials;
        Check *each;
        size_t n, begun, ended, most;
} Checks;

static void checks_clear(Checks *c) {
        credentials_free(c->credentials);
        http_free(c->http);
        (void) sd_event_unref(c->event);
        free(c->each);
}

static void begin(Checks *c);

static void on_ready(const CredentialsAnswer *answer, void *userdata) {
        Check *check = userdata;
        char id[AWS_ID_SHOWN_SIZE], until[TIME_TEXT_SIZE + 8] = "", when[TIME_TEXT_SIZE];

        check->works = answer->keys != NULL;
        if (answer->keys) {
                aws_id_show(answer->keys->access_key_id, id);
                if (answer->keys->expires != TIME_NONE) {
                        time_format(answer->keys->expires, when);
                        (void) snprintf(until, sizeof until, " until %s", when);
                }
                (void) snprintf(check->line, sizeof check->line, "%s: works: %s%s",
                                answer->provider, id, until);
        } else
                (void) snprintf(check->line, sizeof check->line, "%s%sdoes not work: %s",
                                answer->provider, *answer->provider ? ": " : "", answer->error.msg);
        check->all->ended++;
        begin(check->all);
}

/* Begins what is not yet begun, as many at a time as syncs may be. */
static void begin(Checks *c) {
        while (c->begun < c->n && c->begun - c->ended < c->most) {
                Check *check = &c->each[c->begun++];
                Error err = { 0 };

                if (credentials_get(c->credentials, check->account, NULL, on_ready, check,
                                    &check->request, &err) >= 0)
                        continue;
                (void) snprintf(check->line, sizeof check->line, "does not work: %s", err.msg);
                c->ended++;
        }
        if (c->ended == c->n)
                (void) sd_event_exit(c->event, 0);
}

/* What runs, say a helper program, ends with us. */
static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        (void) si;
        (void) userdata;
        return sd_event_exit(sd_event_source_get_event(source), -EINTR);
}

static int watch_signals(sd_event *event) {
        static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
        sigset_t mask;
        int r = 0;

        (void) signal(SIGPIPE, SIG_IGN);
        (void) sigemptyset(&mask);
        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
                (void) sigaddset(&mask, signals[i]);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        for (size_t i = 0; i < sizeof signals / sizeof signals[0] && r >= 0; i++)
                r = sd_event_add_signal(event, NULL, signals[i], on_signal, NULL);
        return r;
}

static int set_up(Checks *c, const Config *config, Error *err) {
        int r = sd_event_default(&c->event);

        if (r >= 0)
                r = watch_signals(c->event);
        if (r < 0)
                return error_set(err, r, "cannot set up the event loop: %s", strerror(-r));
        c->each = calloc(config->n_accounts, sizeof *c->each);
        if (!c->each)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; i < config->n_accounts; i++)
                c->each[i] = (Check){ .all = c, .account = &config->accounts[i] };
        r = http_new(c->event, &c->http, err);
        return r < 0 ? r : credentials_new(c->event, c->http, false, &c->credentials, err);
}

int check_credentials(const Config *config, Error *err) {
        CLEANUP(checks_clear) Checks c = { .n = config->n_accounts, .most = config->concurrency };
        int failed = 0, r = set_up(&c, config, err);

        if (r < 0)
                return r;
        begin(&c);
        r = sd_event_loop(c.event);
        if (r == -EINTR)
                return error_set(err, r, "interrupted");
        if (r < 0)
                return error_set(err, r, "the event loop failed: %s", strerror(-r));
        for (size_t i = 0; i < config->n_accounts; i++) {
                printf("%s: %s\n", config->accounts[i].name, c.each[i].line);
                failed += !c.each[i].works;
        }
        return failed;
}
