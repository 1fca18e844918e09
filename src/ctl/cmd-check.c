/* SPDX-License-Identifier: Apache-2.0 */
/* check: a plugin for Nagios, Icinga, Zabbix and whatever else understands the Monitoring Plugins
 * guidelines: one line, performance data after its "|", exit status 0 to 3. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "base/timespan.h"
#include "ctl/command.h"
#include "ctl/record.h"
#include "ctl/show.h"

#define MAX_AGE_DEFAULT "1h"
#define TEXT_SIZE 512

static const Option options[] = {
        { "warning", 'w', "NUMBER", WORDS_ANY, "warn if there are more" },
        { "critical", 'C', "NUMBER", WORDS_ANY, "critical if there are more" },
        { "max-age", 'm', "DURATION", WORDS_ANY,
          "sync, webhooks: critical if it is longer ago (" MAX_AGE_DEFAULT ")" },
        { "account", 'a', "NAME", WORDS_ACCOUNTS, "only this account" },
};

/* One probe, as it is put together. */
typedef struct Probe {
        Ctl *ctl;
        const char *account;       /* NULL: all that are configured */
        int64_t warning, critical; /* -1: not given */
        int64_t max_age, now;      /* ms */
        int status;
        char text[TEXT_SIZE]; /* what is the matter */
        char perf[TEXT_SIZE];
} Probe;

static void worsen(Probe *p, int status) {
        if (status > p->status)
                p->status = status;
}

/* Adds "; …" to the text. */
static void complain(Probe *p, int status, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
static void complain(Probe *p, int status, const char *fmt, ...) {
        size_t at = strlen(p->text);
        char said[256], clean[256];
        va_list ap;

        worsen(p, status);
        va_start(ap, fmt);
        (void) vsnprintf(said, sizeof said, fmt, ap);
        va_end(ap);
        (void) text_clean(clean, sizeof clean, said, strlen(said));
        for (char *c = clean; *c; c++) /* it would begin the performance data */
                *c = *c == '|' ? '/' : *c;
        (void) snprintf(p->text + at, sizeof p->text - at, "%s%s", at ? "; " : "", clean);
}

/* "label=value;warning;critical;0"; a value that does not fit any more is left out whole. */
static void measure(Probe *p, const char *label, int64_t value, const char *unit, int64_t warning,
                    int64_t critical) {
        char one[160], w[24] = "", c[24] = "";
        size_t at = strlen(p->perf);

        if (warning >= 0)
                (void) snprintf(w, sizeof w, "%" PRId64, warning);
        if (critical >= 0)
                (void) snprintf(c, sizeof c, "%" PRId64, critical);
        (void) snprintf(one, sizeof one, " '%.80s'=%" PRId64 "%s;%s;%s;0", label, value, unit, w,
                        c);
        if (at + strlen(one) < sizeof p->perf)
                memcpy(p->perf + at, one, strlen(one) + 1);
}

static int over(const Probe *p, int64_t value) {
        if (p->critical >= 0 && value > p->critical)
                return PROBE_CRITICAL;
        return p->warning >= 0 && value > p->warning ? PROBE_WARNING : PROBE_OK;
}

static int64_t number(const Record *r, const char *column) {
        const char *text = record_get(r, column);
        int64_t n = 0;

        if (text)
                (void) number_parse(text, INT64_MIN, INT64_MAX, &n);
        return n;
}

/* Milliseconds since the time in a column; -1 if there is none. */
static int64_t age(const Probe *p, const Record *r, const char *column) {
        const char *text = record_get(r, column);
        int64_t t;

        if (!text || time_parse(text, &t) < 0)
                return -1;
        return t > p->now ? 0 : p->now - t;
}

static const char *span(int64_t ms, char *buf, size_t size) {
        timespan_format((uint64_t) (ms - ms % 1000) * USEC_PER_MSEC, buf, size);
        return buf;
}

/* ---- the three ---- */

/* Runs for each row of a table.  count is how many there have been. */
typedef void (*Judge)(Probe *p, const Record *row);

static int judge_rows(Probe *p, ReadTable what, Judge judge, int64_t *ret_n, Error *err) {
        CLEANUP(rows_freep) Rows *rows = NULL;
        CLEANUP(record_clear) Record row = { 0 };
        const Cell *cells = NULL;
        Store *store = NULL;
        int r = ctl_store(p->ctl, &store, err);

        if (r >= 0)
                r = store_read(store, what, &rows, err);
        while (r >= 0 && (r = rows_next(rows, &cells, err)) == ROWS_ROW) {
                const char *account;

                r = record_copy(rows, cells, &row, err);
                if (r < 0)
                        return r;
                if (what == READ_STATUS) {
                        account = record_get(&row, "account");
                        if (p->account ? strcmp(account, p->account) != 0
                                       : strcmp(record_get(&row, "active"), "1") != 0)
                                continue;
                }
                judge(p, &row);
                ++*ret_n;
        }
        return r;
}

static void judge_suspended(Probe *p, const Record *row) {
        int64_t n = number(row, "suspended");
        int status = over(p, n);

        measure(p, record_get(row, "account"), n, "", p->warning, p->critical);
        if (status != PROBE_OK)
                complain(p, status, "%s: %" PRId64 " of %" PRId64 " user%s %s suspended",
                         record_get(row, "account"), n, number(row, "users"),
                         text_plural(number(row, "users")), n == 1 ? "is" : "are");
}

static void judge_sync(Probe *p, const Record *row) {
        const char *account = record_get(row, "account"), *error = record_get(row, "last_error");
        int64_t old = age(p, row, "last_complete_at"), held = number(row, "held_removals");
        char a[40], b[40];

        if (old >= 0)
                measure(p, account, old / 1000, "s", -1, p->max_age / 1000);
        if (old > p->max_age)
                complain(p, PROBE_CRITICAL,
                         "%s: the last complete listing was %s ago, more than %s%s%s", account,
                         span(old, a, sizeof a), span(p->max_age, b, sizeof b), error ? ": " : "",
                         error ? error : "");
        else if (old < 0)
                complain(p, error ? PROBE_CRITICAL : PROBE_WARNING,
                         "%s: there was no complete listing yet%s%s", account, error ? ": " : "",
                         error ? error : "");
        else if (error)
                complain(p, PROBE_WARNING, "%s: the last run failed: %s", account, error);
        if (held > 0)
                complain(p, PROBE_WARNING, "%s: the removal of %" PRId64 " user%s is held", account,
                         held, text_plural(held));
}

static void judge_webhook(Probe *p, const Record *row) {
        const char *name = record_get(row, "webhook"), *error = record_get(row, "last_error");
        int64_t pending = number(row, "pending"), dead = number(row, "dead");
        int64_t old = age(p, row, "oldest_pending_at");
        int status = over(p, pending);
        bool stopped = error && strncmp(error, "stopped", strlen("stopped")) == 0;
        char label[80], a[40];

        measure(p, name, pending, "", p->warning, p->critical);
        (void) snprintf(label, sizeof label, "%.64s dead", name);
        measure(p, label, dead, "", 0, -1);
        if (old > p->max_age)
                complain(p, PROBE_CRITICAL, "%s: an event has been waiting for %s%s%s", name,
                         span(old, a, sizeof a), error ? ": " : "", error ? error : "");
        else if (status != PROBE_OK)
                complain(p, status, "%s: %" PRId64 " event%s waiting%s%s", name, pending,
                         pending == 1 ? " is" : "s are", error ? ": " : "", error ? error : "");
        else if (stopped)
                complain(p, PROBE_WARNING, "%s: %s", name, error);
        if (dead > 0)
                complain(p, PROBE_WARNING, "%s: %" PRId64 " event%s given up in the last day", name,
                         dead, dead == 1 ? " was" : "s were");
}

static const struct {
        const char *name, *title, *well; /* well: format of the text if nothing is the matter */
        ReadTable table;
        Judge judge;
} probes[] = {
        { "suspended", "SUSPENDED", "no account has too many suspended users", READ_STATUS,
          judge_suspended },
        { "sync", "SYNC", "every account was read in time", READ_STATUS, judge_sync },
        { "webhooks", "WEBHOOKS", "no event waits for longer than it may", READ_WEBHOOK_HEALTH,
          judge_webhook },
};

/* ---- the command ---- */

static int read_options(Ctl *c, const Args *a, Probe *p, Error *err) {
        const char *max_age = args_get(a, "max-age");
        uint64_t usec;
        int r = args_number(a, "warning", -1, &p->warning, err);

        if (r >= 0)
                r = args_number(a, "critical", -1, &p->critical, err);
        if (r >= 0 && timespan_parse(max_age ? max_age : MAX_AGE_DEFAULT, &usec) < 0)
                r = error_set(err, E_USAGE,
                              "--max-age takes a duration such as 30min or 2h, not '%.40s'",
                              max_age);
        if (r < 0)
                return r;
        p->max_age = (int64_t) (usec / USEC_PER_MSEC);
        p->account = args_get(a, "account");
        return p->account ? words_check(c, WORDS_ACCOUNTS, "account", &p->account, err) : 0;
}

static int run(Ctl *c, const Args *a, Error *err) {
        static const char *const words[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
        Probe p = { .ctl = c, .now = time_now_ms() };
        const char *name = a->args[0];
        char clean[TEXT_SIZE];
        int64_t n = 0;
        size_t i = 0;
        int r = words_check(c, WORDS_CHECKS, "check", &name, err);

        (void) signal(SIGPIPE, SIG_IGN); /* it would be none of the four ends */
        if (r >= 0)
                r = read_options(c, a, &p, err);
        if (r < 0)
                return r;
        while (strcmp(probes[i].name, name) != 0)
                i++;
        r = judge_rows(&p, probes[i].table, probes[i].judge, &n, err);
        if (r < 0)
                return r;
        if (n == 0 && probes[i].table == READ_STATUS)
                complain(&p, PROBE_UNKNOWN, "there is no account in the database");
        /* it may be cut within a character */
        (void) text_clean(clean, sizeof clean, p.text, strlen(p.text));
        out_printf(&c->out, "%s %s - %s%s%s\n", probes[i].title, words[p.status],
                   *clean ? clean : probes[i].well, *p.perf ? " |" : "", p.perf);
        return p.status;
}

const Command command_check = {
        .name = "check",
        .args = "suspended|sync|webhooks",
        .summary = "a plugin for Nagios, Icinga and Zabbix",
        .help = "Ends with 0 (OK), 1 (WARNING), 2 (CRITICAL) or 3 (UNKNOWN).",
        .example = "rosterctl check sync --max-age 30min",
        OPTIONS(options),
        .min_args = 1,
        .max_args = 1,
        .words = WORDS_CHECKS,
        .run = run,
        .probe = true,
};
