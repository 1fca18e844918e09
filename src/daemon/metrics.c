/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memstream.h"
#include "base/timefmt.h"
#include "config.h"

/* Since the start of the process, by account. */
typedef struct Totals {
        char *account;
        int64_t complete, failed, pages, retries, throttled, skipped;
} Totals;

struct Metrics {
        Store *store;
        Totals *totals;
        size_t n;
};

/* What is known of one account when the file is written. */
typedef struct Figures {
        const char *account;
        AccountState state;
        RunSummary last;
        Totals totals;
} Figures;

/* THE table of metrics that an account has one of. */
typedef double (*Figure)(const Figures *f);

/* Whole seconds, as the store's times are milliseconds. */
static int64_t seconds(int64_t ms) {
        return ms / 1000;
}

#define FIGURE(name, expr)                     \
        static double name(const Figures *f) { \
                return (double) (expr);        \
        }
FIGURE(last_complete, seconds(f->state.last_complete_at))
FIGURE(last_attempt, seconds(f->state.last_attempt_at))
FIGURE(failing, f->state.failures)
FIGURE(held, f->state.held_removals)
FIGURE(run_ms, f->last.finished_at - f->last.started_at)
FIGURE(run_pages, f->last.counters.pages)
FIGURE(run_users, f->last.counters.users)
FIGURE(runs_complete, f->totals.complete)
FIGURE(runs_failed, f->totals.failed)
FIGURE(pages, f->totals.pages)
FIGURE(retries, f->totals.retries)
FIGURE(throttled, f->totals.throttled)
FIGURE(skipped, f->totals.skipped)

static double run_seconds(const Figures *f) {
        return run_ms(f) < 0 ? 0 : run_ms(f) / 1000; /* the clock may have been set back */
}

static const struct {
        const char *name, *type, *help;
        Figure value;
} table[] = {
        { "rosterd_last_complete_timestamp_seconds", "gauge",
          "When the last complete listing ended; 0: never.", last_complete },
        { "rosterd_last_attempt_timestamp_seconds", "gauge", "When the last run started; 0: never.",
          last_attempt },
        { "rosterd_failed_runs_in_a_row", "gauge", "Runs that failed since the last complete one.",
          failing },
        { "rosterd_held_removals", "gauge", "Users whose removal is held by max_removals.", held },
        { "rosterd_last_run_duration_seconds", "gauge", "How long the last run took.",
          run_seconds },
        { "rosterd_last_run_pages", "gauge", "Pages of the last run.", run_pages },
        { "rosterd_last_run_users", "gauge", "Users that the last run saw.", run_users },
        { "rosterd_runs_complete_total", "counter", "Complete runs since the start.",
          runs_complete },
        { "rosterd_runs_failed_total", "counter", "Failed runs since the start.", runs_failed },
        { "rosterd_pages_total", "counter", "Pages read since the start.", pages },
        { "rosterd_retries_total", "counter", "Requests made again since the start.", retries },
        { "rosterd_throttled_total", "counter", "Requests that the service throttled.", throttled },
        { "rosterd_skipped_records_total", "counter", "Records that could not be read.", skipped },
};

int metrics_new(Store *store, Metrics **ret, Error *err) {
        Metrics *m = calloc(1, sizeof *m);

        if (!m)
                return error_set(err, -ENOMEM, "out of memory");
        m->store = store;
        *ret = m;
        return 0;
}

void metrics_free(Metrics *m) {
        if (!m)
                return;
        for (size_t i = 0; i < m->n; i++)
                free(m->totals[i].account);
        free(m->totals);
        free(m);
}

static Totals *totals_of(Metrics *m, const char *account) {
        Totals *bigger;

        for (size_t i = 0; i < m->n; i++)
                if (strcmp(m->totals[i].account, account) == 0)
                        return &m->totals[i];
        bigger = reallocarray(m->totals, m->n + 1, sizeof *bigger);
        if (!bigger)
                return NULL;
        m->totals = bigger;
        m->totals[m->n] = (Totals){ .account = strdup(account) };
        return m->totals[m->n].account ? &m->totals[m->n++] : NULL;
}

void metrics_count_run(Metrics *m, const char *account, const SyncResult *result) {
        Totals *t = totals_of(m, account);

        if (!t)
                return; /* without memory a figure is the least that is lost */
        t->complete += result->outcome == RUN_COMPLETE;
        t->failed += result->outcome == RUN_FAILED;
        t->pages += result->counters.pages;
        t->retries += result->counters.retries;
        t->throttled += result->counters.throttled;
        t->skipped += result->skipped;
}

/* A label value: backslash, quote and newline are escaped (text format 0.0.4). */
static void put_label(FILE *f, const char *name, const char *value) {
        fprintf(f, "%s=\"", name);
        for (; value && *value; value++)
                if (*value == '\n')
                        fputs("\\n", f);
                else {
                        if (*value == '"' || *value == '\\')
                                fputc('\\', f);
                        fputc(*value, f);
                }
        fputc('"', f);
}

static void put_head(FILE *f, const char *name, const char *type, const char *help) {
        fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_accounts(FILE *f, const Figures *figures, size_t n) {
        for (size_t k = 0; k < sizeof table / sizeof table[0]; k++) {
                put_head(f, table[k].name, table[k].type, table[k].help);
                for (size_t i = 0; i < n; i++) {
                        fprintf(f, "%s{", table[k].name);
                        put_label(f, "account", figures[i].account);
                        fprintf(f, "} %.15g\n", table[k].value(&figures[i]));
                }
        }
}

static int put_users(Metrics *m, FILE *f, Error *err) {
        StatusCount *counts = NULL;
        size_t n = 0;
        int r = store_status_counts(m->store, 0, &counts, &n, err);

        if (r < 0)
                return r;
        put_head(f, "rosterd_users", "gauge", "Users on the latest listing, by status.");
        for (size_t i = 0; i < n; i++) {
                fputs("rosterd_users{", f);
                put_label(f, "account", counts[i].account);
                fputc(',', f);
                put_label(f, "registration", counts[i].registration);
                fputc(',', f);
                put_label(f, "invitation", counts[i].invitation);
                fprintf(f, "} %" PRId64 "\n", counts[i].users);
        }
        status_counts_free(counts, n);
        return 0;
}

/* ---- webhooks ---- */

/* What is known of one webhook when the file is written. */
typedef struct HookFigures {
        WebhookFigures now;
        int64_t pending, dead;
} HookFigures;

#define HOOK_FIGURE(name, expr)                    \
        static double name(const HookFigures *f) { \
                return (double) (expr);            \
        }
HOOK_FIGURE(hook_pending, f->pending)
HOOK_FIGURE(hook_dead, f->dead)
HOOK_FIGURE(hook_failing, f->now.state->attempts)
HOOK_FIGURE(hook_success, seconds(f->now.state->last_success_at))
HOOK_FIGURE(hook_stopped, f->now.stopped)

static const struct {
        const char *name, *help;
        double (*value)(const HookFigures *f);
} hook_table[] = {
        { "rosterd_webhook_pending_events", "Events after the last that it has finished with.",
          hook_pending },
        { "rosterd_webhook_failed_attempts_in_a_row",
          "Attempts that failed since it last took one.", hook_failing },
        { "rosterd_webhook_last_success_timestamp_seconds", "When it last took an event; 0: never.",
          hook_success },
        { "rosterd_webhook_dead_letters", "Events that were given up and are still kept.",
          hook_dead },
        { "rosterd_webhook_stopped", "1 while it is stopped because it answered 410.",
          hook_stopped },
};

static int put_webhooks(Metrics *m, FILE *f, const Webhooks *webhooks, Error *err) {
        size_t n = webhooks_count(webhooks);
        CLEANUP_FREE HookFigures *figures = calloc(n + 1, sizeof *figures);
        int r = 0;

        if (!figures)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; i < n && r >= 0; i++) {
                HookFigures *w = &figures[i];

                w->now = webhooks_figures(webhooks, i);
                r = store_events_pending(m->store, w->now.state->cursor, &w->pending, err);
                if (r >= 0)
                        r = store_dead_letters_count(m->store, w->now.sink, &w->dead, err);
        }
        if (r < 0)
                return r;
        for (size_t k = 0; n > 0 && k < sizeof hook_table / sizeof hook_table[0]; k++) {
                put_head(f, hook_table[k].name, "gauge", hook_table[k].help);
                for (size_t i = 0; i < n; i++) {
                        fprintf(f, "%s{", hook_table[k].name);
                        put_label(f, "webhook", figures[i].now.name);
                        fprintf(f, "} %.15g\n", hook_table[k].value(&figures[i]));
                }
        }
        return 0;
}

static int collect(Metrics *m, const Config *config, const int64_t *keys, Figures *figures,
                   Error *err) {
        for (size_t i = 0; i < config->n_accounts; i++) {
                Figures *f = &figures[i];
                Totals *t = totals_of(m, config->accounts[i].name);
                int r = store_account_get(m->store, keys[i], &f->state, err);

                if (r >= 0)
                        r = store_run_last(m->store, keys[i], &f->last, err);
                if (r < 0)
                        return r;
                f->account = config->accounts[i].name;
                if (t)
                        f->totals = *t;
        }
        return 0;
}

static int put_all(Metrics *m, const Config *config, const int64_t *keys, const Webhooks *webhooks,
                   FILE *f, Error *err) {
        Figures *figures = calloc(config->n_accounts + 1, sizeof *figures);
        int r = figures ? collect(m, config, keys, figures, err)
                        : error_set(err, -ENOMEM, "out of memory");

        if (r >= 0) {
                put_head(f, "rosterd_build_info", "gauge", "The version that writes this file.");
                fprintf(f, "rosterd_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
                put_accounts(f, figures, config->n_accounts);
                r = put_users(m, f, err);
        }
        if (r >= 0)
                r = put_webhooks(m, f, webhooks, err);
        for (size_t i = 0; figures && i < config->n_accounts; i++)
                account_state_clear(&figures[i].state);
        free(figures);
        return r;
}

int metrics_write(Metrics *m, const Config *config, const int64_t *keys, const Webhooks *webhooks,
                  Error *err) {
        CLEANUP_FREE char *text = NULL;
        size_t len = 0;
        FILE *f;
        int r;

        if (!config->metrics_file)
                return 0;
        f = memstream_open(&text, &len);
        if (!f)
                return error_set(err, -ENOMEM, "out of memory");
        r = put_all(m, config, keys, webhooks, f, err);
        if (fclose(f) != 0 && r >= 0)
                r = error_set(err, -ENOMEM, "out of memory");
        if (r < 0)
                return r;
        r = file_write_atomic(config->metrics_file, text, len, 0644, err);
        return r < 0 ? error_prefix(err, r, "%s", config->metrics_file) : 0;
}
