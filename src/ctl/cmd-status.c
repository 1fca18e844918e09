/* SPDX-License-Identifier: Apache-2.0 */
/* What the database says of the accounts, and, where rosterd runs, what they are doing at this moment.
 * Which of the two it is, is said, too. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/timefmt.h"
#include "ctl/command.h"
#include "ctl/remote.h"
#include "ctl/show.h"
#include "ctl/writer.h"

/* What rosterd has answered. */
typedef struct Now {
        Remote *remote; /* owns what the accounts point into; NULL: rosterd was not reached */
        json_object *body;
        ControlAccount *accounts;
        size_t n;
        bool any_runs;
        Error why; /* it was not */
} Now;

static void now_clear(Now *now) {
        free(now->accounts);
        remote_free(now->remote);
}

static int take_accounts(Now *now, Error *err) {
        json_object *list = NULL;
        size_t n;

        if (!json_object_object_get_ex(now->body, "accounts", &list) ||
            !json_object_is_type(list, json_type_array))
                return error_set(err, -EIO, "rosterd has answered something else");
        n = json_object_array_length(list);
        now->accounts = calloc(n + 1, sizeof *now->accounts);
        if (!now->accounts)
                return error_set(err, -ENOMEM, "out of memory");
        for (; now->n < n; now->n++) {
                ControlAccount *a = &now->accounts[now->n];

                if (control_account_parse(json_object_array_get_idx(list, now->n), a) < 0)
                        return error_set(err, -EIO, "rosterd has answered something else");
                now->any_runs = now->any_runs || a->state == CONTROL_STATE_RUNNING;
        }
        return 0;
}

/* Where rosterd cannot be asked, for whatever reason, the database has the word. */
static void ask(Ctl *c, Now *now) {
        const ControlRequest request = { .verb = CONTROL_STATUS };
        int r = remote_ask(c, &request, &now->remote, &now->why);

        if (r >= 0)
                r = remote_next(now->remote, &now->body, &now->why);
        if (r >= 0)
                r = take_accounts(now, &now->why);
        if (r < 0) {
                remote_free(take_ptr(now->remote));
                now->n = 0;
        }
}

/* ---- columns ---- */

/* What follows upon the columns of the database. */
static const Column more[] = {
        { "live", "LIVE", COLUMN_BOOL, 9, 0 },
        { "progress", "PROGRESS", COLUMN_TEXT, 2, 0 },
        { "run_id", "RUN", COLUMN_NUMBER, 9, 0 },
        { "run_pages", "PAGES", COLUMN_NUMBER, 9, 0 },
        { "run_users", "LISTED", COLUMN_NUMBER, 9, 0 },
        { "run_expected", "EXPECTED", COLUMN_NUMBER, 9, 0 },
        { "run_elapsed_ms", "ELAPSED", COLUMN_NUMBER, 9, 0 },
};
enum { LIVE, PROGRESS, RUN, N_MORE = sizeof more / sizeof more[0] };

static const char *const shown[] = {
        "account",          "state",       "progress",  "users", "suspended", "pending_invitations",
        "last_complete_at", "next_run_at", "last_error"
};
#define N_SHOWN (sizeof shown / sizeof shown[0])

typedef struct Status {
        Now now;
        bool table;
        size_t n;     /* columns of the database */
        size_t *from; /* cell of each column that is written */
        bool *ago;    /* by column: not when, but how long ago */
        size_t n_written;
        Cell *cells, *picked;               /* of one row */
        size_t account, state, next_run_at; /* cells */
        char texts[N_MORE][64];
        char next[TIME_TEXT_SIZE];
} Status;

static void status_clear(Status *s) {
        now_clear(&s->now);
        free(s->from);
        free(s->ago);
        free(s->cells);
        free(s->picked);
}

static size_t find_cell(const Rows *rows, const char *name) {
        size_t n = rows_columns(rows);

        for (size_t i = 0; i < n; i++)
                if (strcmp(rows_column(rows, i), name) == 0)
                        return i;
        for (size_t i = 0; i < N_MORE; i++)
                if (strcmp(more[i].name, name) == 0)
                        return n + i;
        return SIZE_MAX;
}

static int plan(Ctl *c, Status *s, const Rows *rows, Writer **ret, Error *err) {
        CLEANUP_FREE Column *columns = NULL;
        Format format = c->format ? c->format : FORMAT_TABLE;
        bool people = format == FORMAT_TABLE && c->out.terminal && !c->utc;
        size_t all;

        s->table = format == FORMAT_TABLE;
        s->n = rows_columns(rows);
        s->account = find_cell(rows, "account");
        s->state = find_cell(rows, "state");
        s->next_run_at = find_cell(rows, "next_run_at");
        all = s->n + N_MORE;
        columns = calloc(all, sizeof *columns);
        s->from = calloc(all, sizeof *s->from);
        s->ago = calloc(all, sizeof *s->ago);
        s->cells = calloc(all, sizeof *s->cells);
        s->picked = calloc(all, sizeof *s->picked);
        if (!columns || !s->from || !s->ago || !s->cells || !s->picked)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; i < (format == FORMAT_TABLE ? N_SHOWN : all); i++) {
                size_t at = format == FORMAT_TABLE ? find_cell(rows, shown[i]) : i;

                if (at == s->n + PROGRESS && (format != FORMAT_TABLE || !s->now.any_runs))
                        continue; /* words for people */
                columns[s->n_written] =
                        at < s->n ? column_named(rows_column(rows, at)) : more[at - s->n];
                if (at == s->account)
                        columns[s->n_written].rank = 1; /* a state without whose says nothing */
                if (people && columns[s->n_written].type == COLUMN_TIME) {
                        s->ago[s->n_written] = true;
                        columns[s->n_written].type = COLUMN_TEXT;
                }
                s->from[s->n_written++] = at;
        }
        return writer_new(&c->out, format, ctl_local_times(c), columns, s->n_written, ret, err);
}

/* ---- rows ---- */

static Cell cell_number(int64_t n, char buf[static 64]) {
        int len = snprintf(buf, 64, "%" PRId64, n);

        return (Cell){ CELL_NUMBER, buf, (size_t) len };
}

static Cell cell_progress(const ControlAccount *a, char buf[static 64]) {
        int percent = control_account_percent(a);

        if (percent >= 0)
                (void) snprintf(buf, 64, "%d%% of %" PRId64, percent, a->expected);
        else
                (void) snprintf(buf, 64, "%" PRId64 " user%s", a->users, text_plural(a->users));
        return cell_text(buf);
}

/* What rosterd says goes over what the database says. */
static void put_now(Status *s, Cell *cells, const ControlAccount *a) {
        Cell *extra = cells + s->n;
        const int64_t run[] = { a->run_id, a->pages, a->users, a->expected, a->elapsed_ms };

        extra[LIVE] = (Cell){ CELL_NUMBER, "1", 1 };
        switch (a->state) {
        case CONTROL_STATE_QUEUED:
                cells[s->state] = cell_text("queued");
                cells[s->next_run_at] = cell_text(NULL);
                break;
        case CONTROL_STATE_RUNNING:
                cells[s->state] = cell_text("running");
                cells[s->next_run_at] = cell_text(NULL);
                extra[PROGRESS] = cell_progress(a, s->texts[PROGRESS]);
                for (size_t i = 0; i < sizeof run / sizeof run[0]; i++)
                        extra[RUN + i] = cell_number(run[i], s->texts[RUN + i]);
                break;
        case CONTROL_STATE_IDLE:
                if (a->next_run_ms < 0)
                        break;
                time_format(time_now_ms() + a->next_run_ms, s->next);
                cells[s->next_run_at] = cell_text(s->next);
                break;
        case CONTROL_STATE_COMPLETE: /* only in progress */
        case CONTROL_STATE_FAILED:
        case CONTROL_STATE_COUNT:
                break;
        }
}

static void write_picked(Status *s, Writer *writer) {
        char ago[N_SHOWN][SHOW_AGO_SIZE];
        int64_t when, now = time_now_ms();

        for (size_t i = 0; i < s->n_written; i++) {
                s->picked[i] = s->cells[s->from[i]];
                if (s->ago[i] && s->picked[i].text && time_parse(s->picked[i].text, &when) == 0)
                        s->picked[i] = cell_text(show_ago(when, now, ago[i]));
        }
        writer_row(writer, s->picked);
}

static void write_row(Status *s, Writer *writer, const Cell *stored) {
        const char *account = stored[s->account].text;

        memcpy(s->cells, stored, s->n * sizeof *stored);
        memset(s->cells + s->n, 0, N_MORE * sizeof *s->cells);
        s->cells[s->n + LIVE] = (Cell){ CELL_NUMBER, "0", 1 };
        if (s->table && s->now.why.code == E_UNAVAILABLE) /* nobody is there to begin it */
                s->cells[s->next_run_at] = cell_text(NULL);
        /* A run whose end was not recorded: nobody knows whether it goes on. */
        if (!s->now.remote && strcmp(stored[s->state].text, "running") == 0)
                s->cells[s->state] = cell_text("unfinished");
        for (size_t i = 0; i < s->now.n; i++)
                if (strcmp(s->now.accounts[i].account, account) == 0)
                        put_now(s, s->cells, &s->now.accounts[i]);
        write_picked(s, writer);
}

static void say_source(Ctl *c, const Now *now) {
        const char *version = now->remote ? remote_text(now->body, "version") : NULL;
        char text[400];

        if (now->remote)
                (void) snprintf(text, sizeof text,
                                "rosterd %s runs, pid %" PRId64 ": this is how it stands now.",
                                version ? version : "?", remote_number(now->body, "pid"));
        else if (now->why.code == E_UNAVAILABLE)
                (void) snprintf(text, sizeof text,
                                "rosterd does not run: this is what the database says.");
        else
                (void) snprintf(text, sizeof text, "This is what the database says; %s.",
                                now->why.msg);
        out_char(&c->out, '\n');
        show_text(&c->out, text);
}

static int run(Ctl *c, const Args *a, Error *err) {
        CLEANUP(status_clear) Status s = { 0 };
        CLEANUP(rows_freep) Rows *rows = NULL;
        CLEANUP(writer_freep) Writer *writer = NULL;
        const Cell *cells = NULL;
        Store *store = NULL;
        int r = ctl_store(c, &store, err);

        (void) a;
        if (r < 0)
                return r;
        ask(c, &s.now); /* first: what begins meanwhile, the database knows */
        r = store_read(store, READ_STATUS, &rows, err);
        if (r >= 0)
                r = plan(c, &s, rows, &writer, err);
        while (r >= 0 && (r = rows_next(rows, &cells, err)) == ROWS_ROW)
                write_row(&s, writer, cells);
        if (r < 0)
                return r;
        writer_end(writer);
        if (c->format <= FORMAT_TABLE)
                say_source(c, &s.now);
        return EXIT_OK;
}

const Command command_status = {
        .name = "status",
        .summary = "whether the accounts are being read, and what they hold",
        .help = "Where rosterd runs it is asked how things stand at this moment; elsewhere the"
                " database has the word, and that is said.",
        .example = "rosterctl status",
        .run = run,
};
