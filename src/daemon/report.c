/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memstream.h"
#include "base/text.h"
#include "base/timespan.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/service.h"

#define RUN_DELAY USEC_PER_SEC
#define WEBHOOKS_DELAY (10 * USEC_PER_SEC) /* they change with each event */

struct Report {
        Store *store;
        Metrics *metrics;
        sd_event_source *timer;
        const Config *config;
        const int64_t *keys;
        const Schedule *schedule;
        const Webhooks *webhooks;
        bool metrics_failing; /* and said so */
        bool refused;         /* the last reload */
};

static void write_metrics(Report *r) {
        Error err = { 0 };

        if (metrics_write(r->metrics, r->config, r->keys, r->webhooks, &err) >= 0) {
                r->metrics_failing = false;
                return;
        }
        if (!r->metrics_failing)
                log_line(LOG_WARNING, NULL, NULL, "cannot write metrics_file: %s", err.msg);
        r->metrics_failing = true;
}

static void print_failing(FILE *f, const char *what, size_t n, const char *name) {
        if (n > 0)
                fprintf(f, "; %zu %sfailing: %s%s", n, what, name, n > 1 ? " and others" : "");
}

static void print_webhooks(const Report *r, FILE *f) {
        const char *name = NULL;
        size_t failing = 0;

        for (size_t i = 0; i < webhooks_count(r->webhooks); i++) {
                WebhookFigures w = webhooks_figures(r->webhooks, i);

                if (w.state->attempts > 0 || w.stopped) {
                        failing++;
                        name = w.name;
                }
        }
        print_failing(f, failing == 1 ? "webhook " : "webhooks ", failing, name);
}

/* "1204 users of 2 accounts; syncing acme; 1 failing: globex; 1 webhook failing: ops" */
static void print_status(Report *r, FILE *f) {
        ScheduleCounts c = schedule_counts(r->schedule);
        size_t failing = 0;
        const char *name = NULL;
        int64_t users = 0;

        for (size_t i = 0; i < r->config->n_accounts; i++) {
                AccountState state = { 0 };
                ScheduleView view;

                if (!schedule_view(r->schedule, i, &view) ||
                    store_account_get(r->store, view.key, &state, NULL) < 0)
                        continue;
                if (view.users < 0)
                        (void) store_users_count(r->store, view.key, &view.users, NULL);
                users += view.users > 0 ? view.users : 0;
                if (state.failures > 0) {
                        failing++;
                        name = r->config->accounts[i].name;
                }
                account_state_clear(&state);
        }
        fprintf(f, "%" PRId64 " user%s of %zu %s", users, text_plural(users), c.accounts,
                c.accounts == 1 ? "account" : "accounts");
        if (c.running > 0)
                fprintf(f, "; syncing %s%s", c.running_name,
                        c.running + c.queued > 1 ? " and others" : "");
        print_failing(f, "", failing, name);
        print_webhooks(r, f);
        if (r->refused)
                fputs("; the new configuration was refused", f);
}

static void tell_status(Report *r) {
        CLEANUP_FREE char *text = NULL;
        char clean[512];
        size_t len = 0;
        FILE *f = service_is_managed() ? memstream_open(&text, &len) : NULL;

        if (!f)
                return;
        print_status(r, f);
        if (fclose(f) == 0)
                service_status(text_clean(clean, sizeof clean, text, len));
}

void report_now(Report *r) {
        (void) sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
        write_metrics(r);
        tell_status(r);
        store_release_pages(r->store); /* a run has ended: we are at rest, or soon will be */
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        report_now(userdata);
        return 0;
}

int report_new(sd_event *event, Store *store, Report **ret, Error *err) {
        CLEANUP(report_freep) Report *r = calloc(1, sizeof *r);
        int rc;

        if (!r)
                return error_set(err, -ENOMEM, "out of memory");
        r->store = store;
        rc = metrics_new(store, &r->metrics, err);
        if (rc < 0)
                return rc;
        rc = sd_event_add_time_relative(event, &r->timer, CLOCK_MONOTONIC, 0, 0, on_timer, r);
        if (rc < 0 || (rc = sd_event_source_set_enabled(r->timer, SD_EVENT_OFF)) < 0 ||
            (rc = sd_event_source_set_exit_on_failure(r->timer, true)) < 0)
                return error_set(err, rc, "cannot set up the report timer");
        (void) sd_event_source_set_description(r->timer, "report");
        *ret = take_ptr(r);
        return 0;
}

void report_free(Report *r) {
        if (!r)
                return;
        (void) sd_event_source_disable_unref(r->timer);
        metrics_free(r->metrics);
        free(r);
}

void report_use(Report *r, const Config *config, const int64_t *keys, const Schedule *schedule,
                const Webhooks *webhooks) {
        r->webhooks = webhooks;
        r->config = config;
        r->keys = keys;
        r->schedule = schedule;
}

/* By then at the latest; sooner if it is under way. */
static void report_within(Report *r, uint64_t delay) {
        uint64_t due = 0, now = 0;
        int enabled = SD_EVENT_OFF;

        (void) sd_event_now(sd_event_source_get_event(r->timer), CLOCK_MONOTONIC, &now);
        (void) sd_event_source_get_time(r->timer, &due);
        if (sd_event_source_get_enabled(r->timer, &enabled) > 0 && enabled != SD_EVENT_OFF &&
            due <= now + delay)
                return;
        (void) sd_event_source_set_time(r->timer, now + delay);
        (void) sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

void report_webhooks(Report *r) {
        report_within(r, WEBHOOKS_DELAY);
}

void report_refused(Report *r, bool refused) {
        r->refused = refused;
}

void report_run(Report *r, const char *account, const SyncResult *result) {
        metrics_count_run(r->metrics, account, result);
        report_within(r, RUN_DELAY);
}
