/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/timespan.h"
#include "ctl/command.h"
#include "ctl/live.h"
#include "ctl/remote.h"
#include "ctl/writer.h"

static const Option options[] = {
        { "wait", 'w', NULL, WORDS_FLAG, "wait for the end, as on a terminal" },
};

/* The last that was heard of one account. */
typedef struct Account {
        char *name;
        ControlAccount last; /* its texts are not kept */
        bool over;
} Account;

typedef struct Watch {
        Ctl *ctl;
        Live live;
        Writer *writer; /* of the formats for programs; NULL: sentences */
        Account *accounts;
        size_t n, over;
} Watch;

static void watch_clear(Watch *w) {
        for (size_t i = 0; i < w->n; i++)
                free(w->accounts[i].name);
        free(w->accounts);
        writer_free(w->writer);
}

/* ---- what is shown of an account ---- */

static void format_duration(int64_t ms, char *out, size_t size) {
        if (ms < 10000)
                (void) snprintf(out, size, "%.1f s", (double) ms / 1000);
        else
                timespan_format((uint64_t) ms / 1000 * USEC_PER_SEC, out, size);
}

/* "acme: 45%, 450000 of about 1000000 users, 2250 pages, 12345 users/s" */
static void describe(const char *name, const ControlAccount *a, char *out, size_t size) {
        double rate = control_account_rate(a);
        int percent = control_account_percent(a);
        char part[24] = "", of[40] = "", speed[40] = "";

        if (a->state == CONTROL_STATE_QUEUED) {
                (void) snprintf(out, size, "%s: waits for its turn", name);
                return;
        }
        if (percent >= 0) {
                (void) snprintf(part, sizeof part, "%d%%, ", percent);
                (void) snprintf(of, sizeof of, " of about %" PRId64, a->expected);
        }
        if (rate > 0)
                (void) snprintf(speed, sizeof speed, ", %.0f users/s", rate);
        (void) snprintf(out, size, "%s: %s%" PRId64 "%s users, %" PRId64 " page%s%s%s", name, part,
                        a->users, of, a->pages, text_plural(a->pages), speed,
                        a->throttled ? ", slowed down by the service" : "");
}

static void show_live(Watch *w) {
        char line[512], done[64] = "";
        bool any = false;
        size_t at;

        if (w->n > 1)
                (void) snprintf(done, sizeof done, "%zu of %zu done; ", w->over, w->n);
        at = (size_t) snprintf(line, sizeof line, "%s", done);
        for (size_t i = 0; i < w->n && at < sizeof line / 2; i++) {
                const Account *a = &w->accounts[i];

                if (a->over || (w->n > 1 && a->last.state == CONTROL_STATE_QUEUED))
                        continue;
                if (any)
                        at += (size_t) snprintf(line + at, sizeof line - at, "; ");
                describe(a->name, &a->last, line + at, sizeof line - at);
                at += strlen(line + at);
                any = true;
        }
        live_show(&w->live, line);
}

static void say_end(Watch *w, const char *name, const ControlAccount *a) {
        Out *o = &w->ctl->out;
        char took[48], why[256] = "", held[160] = "";

        if (a->state != CONTROL_STATE_COMPLETE) {
                if (a->error)
                        (void) text_clean(why, sizeof why, a->error, strlen(a->error));
                out_printf(o, "%s: not complete: %s\n", name, why);
                return;
        }
        format_duration(a->elapsed_ms, took, sizeof took);
        if (a->held > 0)
                (void) snprintf(held, sizeof held,
                                "; %" PRId64 " removal%s held, see 'rosterctl removals %s'",
                                a->held, a->held == 1 ? " is" : "s are", name);
        out_printf(o,
                   "%s: complete: %" PRId64 " user%s on %" PRId64 " page%s in %s; %" PRId64
                   " added, %" PRId64 " changed, %" PRId64 " removed%s\n",
                   name, a->users, text_plural(a->users), a->pages, text_plural(a->pages), took,
                   a->added, a->changed, a->removed, held);
}

/* ---- for programs ---- */

static const Column columns[] = {
        { "account", "", COLUMN_TEXT, 1, 0 },     { "outcome", "", COLUMN_TEXT, 1, 0 },
        { "run_id", "", COLUMN_NUMBER, 1, 0 },    { "elapsed_ms", "", COLUMN_NUMBER, 1, 0 },
        { "pages", "", COLUMN_NUMBER, 1, 0 },     { "users", "", COLUMN_NUMBER, 1, 0 },
        { "added", "", COLUMN_NUMBER, 1, 0 },     { "changed", "", COLUMN_NUMBER, 1, 0 },
        { "removed", "", COLUMN_NUMBER, 1, 0 },   { "retries", "", COLUMN_NUMBER, 1, 0 },
        { "throttled", "", COLUMN_NUMBER, 1, 0 }, { "error", "", COLUMN_TEXT, 1, 0 },
};
#define N_COLUMNS (sizeof columns / sizeof columns[0])

static void write_end(Writer *writer, const char *name, const ControlAccount *a) {
        const int64_t numbers[] = { a->run_id,  a->elapsed_ms, a->pages,   a->users,    a->added,
                                    a->changed, a->removed,    a->retries, a->throttled };
        char digits[sizeof numbers / sizeof numbers[0]][24];
        Cell cells[N_COLUMNS] = {
                cell_text(name),
                cell_text(a->state == CONTROL_STATE_COMPLETE ? "complete" : "failed"),
        };

        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
                (void) snprintf(digits[i], sizeof digits[i], "%" PRId64, numbers[i]);
                cells[2 + i] = (Cell){ CELL_NUMBER, digits[i], strlen(digits[i]) };
        }
        cells[N_COLUMNS - 1] = cell_text(a->error);
        writer_row(writer, cells);
        writer_flush(writer);
}

/* ---- the answers ---- */

static Account *find(Watch *w, const char *name) {
        Account *bigger;
        size_t i = 0;

        while (i < w->n && strcmp(w->accounts[i].name, name) != 0)
                i++;
        if (i < w->n)
                return &w->accounts[i];
        bigger = reallocarray(w->accounts, w->n + 1, sizeof *bigger);
        if (!bigger)
                return NULL;
        w->accounts = bigger;
        w->accounts[i] = (Account){ .name = strdup(name) };
        if (!w->accounts[i].name)
                return NULL;
        w->n++;
        return &w->accounts[i];
}

static int take_progress(Watch *w, json_object *body, Error *err) {
        ControlAccount now;
        Account *a;

        if (control_account_parse(body, &now) < 0)
                return error_set(err, -EIO, "rosterd has answered something else");
        a = find(w, now.account);
        if (!a)
                return error_set(err, -ENOMEM, "out of memory");
        if (now.state == CONTROL_STATE_COMPLETE || now.state == CONTROL_STATE_FAILED) {
                a->over = true;
                w->over++;
                live_clear(&w->live);
                if (w->writer)
                        write_end(w->writer, a->name, &now);
                else
                        say_end(w, a->name, &now);
                out_flush(&w->ctl->out);
        }
        a->last = now;
        a->last.account = a->last.error = NULL;
        if (!w->writer && w->over < w->n)
                show_live(w);
        return 0;
}

static int watch(Ctl *c, Remote *remote, Error *err) {
        CLEANUP(watch_clear) Watch w = { .ctl = c, .live = { .out = &c->out } };
        json_object *body = NULL;
        int r = 0;

        if (c->format > FORMAT_TABLE)
                r = writer_new(&c->out, c->format, false, columns, N_COLUMNS, &w.writer, err);
        while (r >= 0 && !out_failed(&c->out)) {
                r = remote_next(remote, &body, err);
                if (r == CONTROL_RESULT)
                        break;
                if (r >= 0)
                        r = take_progress(&w, body, err);
        }
        live_clear(&w.live);
        if (r < 0)
                return r;
        if (w.writer)
                writer_end(w.writer);
        return remote_number(body, "complete") == remote_number(body, "accounts") ? EXIT_OK
                                                                                  : EXIT_ABSENT;
}

static int run(Ctl *c, const Args *a, Error *err) {
        CLEANUP_FREE const char **accounts = calloc((size_t) a->n + 1, sizeof *accounts);
        CLEANUP(remote_freep) Remote *remote = NULL;
        ControlRequest request = { .verb = CONTROL_SYNC };
        json_object *body = NULL;
        int r;

        if (!accounts)
                return error_set(err, -ENOMEM, "out of memory");
        for (int i = 0; i < a->n; i++)
                accounts[i] = a->args[i];
        request.accounts = accounts;
        request.n_accounts = (size_t) a->n;
        request.wait = args_has(a, "wait") || c->out.terminal || c->format > FORMAT_TABLE;
        r = remote_ask(c, &request, &remote, err);
        if (r < 0)
                return r;
        if (request.wait)
                return watch(c, remote, err);
        r = remote_next(remote, &body, err);
        if (r < 0)
                return r;
        out_text(&c->out, "asked for; 'rosterctl status' shows how far it is\n");
        return EXIT_OK;
}

const Command command_sync = {
        .name = "sync",
        .args = "[ACCOUNT]...",
        .summary = "have the running rosterd list all accounts, or those named, now",
        .help = "On a terminal it shows how far the runs are, and ends with them; elsewhere that "
                "takes"
                " --wait.  A run that is under way already does not count: another follows it, so "
                "that"
                " the roster then shows whatever was so before.  To interrupt rosterctl does not"
                " interrupt the runs.  Exit status 1: a run has failed.",
        .example = "rosterctl sync acme",
        OPTIONS(options),
        .max_args = 1024,
        .words = WORDS_ACCOUNTS,
        .run = run,
};
