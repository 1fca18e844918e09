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
        bool works;
        char line[512];
} Check;

typedef struct Checks {
        sd_event *event;
        Http *http;
        Credentials *credentials;
        Check *each;
        size_t left;
} Checks;

static void checks_clear(Checks *c) {
        credentials_free(c->credentials);
        http_free(c->http);
        (void) sd_event_unref(c->event);
        free(c->each);
}

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
        if (--check->all->left == 0)
                (void) sd_event_exit(check->all->event, 0);
}

static int set_up(Checks *c, const Config *config, Error *err) {
        int r = sd_event_default(&c->event);

        (void) signal(SIGPIPE, SIG_IGN);
        if (r < 0)
                return error_set(err, r, "cannot set up the event loop: %s", strerror(-r));
        c->each = calloc(config->n_accounts, sizeof *c->each);
        if (!c->each)
                return error_set(err, -ENOMEM, "out of memory");
        r = http_new(c->event, &c->http, err);
        return r < 0 ? r : credentials_new(c->event, c->http, &c->credentials, err);
}

int check_credentials(const Config *config, Error *err) {
        CLEANUP(checks_clear) Checks c = { .left = config->n_accounts };
        int failed = 0, r = set_up(&c, config, err);

        for (size_t i = 0; i < config->n_accounts && r >= 0; i++) {
                c.each[i].all = &c;
                r = credentials_get(c.credentials, &config->accounts[i], NULL, on_ready, &c.each[i],
                                    &c.each[i].request, err);
        }
        if (r < 0)
                return r;
        r = sd_event_loop(c.event);
        if (r < 0)
                return error_set(err, r, "the event loop failed: %s", strerror(-r));
        for (size_t i = 0; i < config->n_accounts; i++) {
                printf("%s: %s\n", config->accounts[i].name, c.each[i].line);
                failed += !c.each[i].works;
        }
        return failed;
}
