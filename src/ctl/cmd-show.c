/* SPDX-License-Identifier: Apache-2.0 */
/* One person: the row, and what is known of its past. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/timefmt.h"
#include "base/timespan.h"
#include "ctl/command.h"
#include "ctl/event-row.h"
#include "ctl/json.h"
#include "ctl/record.h"
#include "ctl/show.h"

#define LIST_SIZE 140
#define TERMINAL_MAX 256 /* bytes of a value */

static const Option options[] = {
        { "account", 'a', "NAME", WORDS_ACCOUNTS, "the person of this account" },
};

/* ---- finding ---- */

/* The one account that somebody else meant is in, "" if there is none; -a left them out. */
static int find_elsewhere(Store *store, const char *who, char *ret, size_t size, Error *err) {
        CLEANUP(rows_freep) Rows *rows = NULL;
        CLEANUP(record_clear) Record one = { 0 };
        const Cell *cells = NULL;
        int r = store_read_person(store, who, NULL, &rows, err);

        *ret = '\0';
        if (r >= 0)
                r = rows_next(rows, &cells, err);
        if (r != ROWS_ROW)
                return r;
        r = record_copy(rows, cells, &one, err);
        if (r >= 0)
                (void) snprintf(ret, size, "%s", record_get(&one, "account"));
        return r;
}

static int say_unknown(Store *store, const char *who, const char *account, Error *err) {
        CLEANUP(wordlist_clear) Words w = { 0 };
        Rows *rows = NULL;
        const char *meant;
        char shown[80], elsewhere[80] = "";
        int r = account ? find_elsewhere(store, who, elsewhere, sizeof elsewhere, err) : 0;

        (void) text_clean(shown, sizeof shown, who, strlen(who));
        if (r >= 0 && *elsewhere)
                return error_set(
                        err, E_ABSENT,
                        "nobody in %.64s has the e-mail address or id '%s', but somebody in"
                        " %s has; leave out --account, or name that one",
                        account, shown, elsewhere);
        if (r >= 0)
                r = store_read_similar(store, who, &rows, err);
        if (r >= 0)
                r = words_add_rows(&w, rows, err);
        if (r < 0)
                return r;
        meant = text_did_you_mean(who, (const char *const *) w.items, w.n);
        return error_set(err, E_ABSENT, "nobody has the e-mail address or id '%s'%s%s%s", shown,
                         meant ? "; did you mean " : "", meant ? meant : "", meant ? "?" : "");
}

typedef struct Found {
        Record person;
        size_t n; /* who are meant as much */
        bool several_accounts;
        char list[LIST_SIZE]; /* of them, for the message */
} Found;

static void found_clear(Found *f) {
        record_clear(&f->person);
}

static void list_add(Found *f, const Record *r) {
        size_t at = strlen(f->list);

        (void) snprintf(f->list + at, sizeof f->list - at, "%s%s %s", at ? ", " : "",
                        record_get(r, "account"), record_get(r, "user_id"));
}

/* Whoever is listed goes before those who have left. */
static int find(Store *store, const char *who, const char *account, Found *ret, Error *err) {
        CLEANUP(rows_freep) Rows *rows = NULL;
        const Cell *cells = NULL;
        bool listed = false;
        int r = store_read_person(store, who, account, &rows, err);

        while (r >= 0 && (r = rows_next(rows, &cells, err)) == ROWS_ROW) {
                CLEANUP(record_clear) Record one = { 0 };

                r = record_copy(rows, cells, &one, err);
                if (r < 0)
                        return r;
                if (listed && strcmp(record_get(&one, "listed"), "0") == 0)
                        break;
                listed = strcmp(record_get(&one, "listed"), "1") == 0;
                list_add(ret, &one);
                if (ret->n > 0 &&
                    strcmp(record_get(&one, "account"), record_get(&ret->person, "account")) != 0)
                        ret->several_accounts = true;
                if (ret->n++ == 0) {
                        ret->person = one;
                        one = (Record){ 0 };
                }
        }
        return r;
}

/* ---- on the screen ---- */

/* Shortened on a terminal, whole in a pipe. */
static void print_clean(Out *o, const char *text) {
        size_t len = strlen(text), size = o->terminal ? TERMINAL_MAX : len + 8;
        CLEANUP_FREE char *clean = malloc(size);

        if (clean)
                out_text(o, text_clean(clean, size, text, len));
        else
                o->failed = ENOMEM;
}

static void print_card(Ctl *c, const Record *p) {
        const char *name = record_get(p, "display_name"), *email = record_get(p, "primary_email");
        char label[40], time[SHOW_TIME_SIZE];

        out_text(&c->out, c->out.colour ? COLOUR_BOLD : "");
        print_clean(&c->out, name ? name : email ? email : record_get(p, "user_id"));
        out_printf(&c->out, "%s\n\n", c->out.colour ? COLOUR_OFF : "");
        for (size_t i = 1; i < p->n; i++) { /* not "listed" */
                const char *text = p->cells[i].text, *colour = NULL;

                if (!text)
                        continue;
                (void) snprintf(label, sizeof label, "%s", p->columns[i].name);
                for (char *at = label; *at; at++)
                        *at = *at == '_' ? ' ' : *at;
                if (p->columns[i].type == COLUMN_TIME)
                        text = show_time(text, ctl_local_times(c), time);
                if (p->columns[i].type == COLUMN_STATUS && c->out.colour)
                        colour = show_status_colour(text);
                out_printf(&c->out, "  %-27s %s", label, colour ? colour : "");
                print_clean(&c->out, text);
                out_printf(&c->out, "%s\n", colour ? COLOUR_OFF : "");
        }
}

static void print_heading(Ctl *c, const char *text) {
        out_printf(&c->out, "\n%s%s%s\n\n", c->out.colour ? COLOUR_BOLD : "", text,
                   c->out.colour ? COLOUR_OFF : "");
}

/* How long from one time of the database to another; "" unless both are times. */
static void lasted(const char *from, const char *to, char *buf, size_t size) {
        int64_t a, b = time_now_ms();

        *buf = '\0';
        if (!from || time_parse(from, &a) < 0 || (to && time_parse(to, &b) < 0) || b < a)
                return;
        a = (b - a) - (b - a) % (b - a >= 600000 ? 60000 : 1000);
        timespan_format((uint64_t) a * USEC_PER_MSEC, buf, size);
}

static int print_history(Ctl *c, Rows *owned, Error *err) {
        static const Column columns[] = {
                { "from_time", "FROM", COLUMN_TIME, 1, 0 },
                { "to_time", "UNTIL", COLUMN_TIME, 2, 0 },
                { "lasted", "FOR", COLUMN_TEXT, 3, 0 },
                { "field", "WHAT", COLUMN_TEXT, 1, .least = 5 },
                { "value", "STATUS", COLUMN_STATUS, 1, 0 },
        };
        CLEANUP(rows_freep) Rows *rows = owned;
        CLEANUP(writer_freep) Writer *w = NULL;
        CLEANUP(record_clear) Record period = { 0 };
        const Cell *cells = NULL;
        char span[40];
        int r = writer_new(&c->out, FORMAT_TABLE, ctl_local_times(c), columns, 5, &w, err);

        while (r >= 0 && (r = rows_next(rows, &cells, err)) == ROWS_ROW) {
                const char *from, *to, *field;

                r = record_copy(rows, cells, &period, err);
                if (r < 0)
                        return r;
                from = record_get(&period, "from_time");
                to = record_get(&period, "to_time");
                field = record_get(&period, "field");
                lasted(from, to, span, sizeof span);
                writer_row(w, (const Cell[]){ cell_text(from), cell_text(to), cell_text(span),
                                              cell_text(strcmp(field, "user_registration_status")
                                                                ? "invitation"
                                                                : "registration"),
                                              cell_text(record_get(&period, "value")) });
        }
        if (r >= 0)
                writer_end(w);
        return r;
}

static int print_events(Ctl *c, Rows *owned, Error *err) {
        static const Column columns[] = {
                { "time", "TIME", COLUMN_TIME, 1, 0 },
                { "type", "EVENT", COLUMN_STATUS, 1, 0 },
                { "what", "CHANGE", COLUMN_TEXT, 2, .least = 24 },
        };
        CLEANUP(rows_freep) Rows *rows = owned;
        CLEANUP(writer_freep) Writer *w = NULL;
        CLEANUP(record_clear) Record event = { 0 };
        const Cell *cells = NULL;
        char what[EVENT_WHAT_SIZE];
        int r = writer_new(&c->out, FORMAT_TABLE, ctl_local_times(c), columns, 3, &w, err);

        while (r >= 0 && (r = rows_next(rows, &cells, err)) == ROWS_ROW) {
                r = record_copy(rows, cells, &event, err);
                if (r >= 0)
                        r = event_row_changes(&event, what, err);
                if (r < 0)
                        return r;
                writer_row(w, (const Cell[]){ cell_text(record_get(&event, "time")),
                                              cell_text(record_get(&event, "type")),
                                              cell_text(what) });
        }
        if (r >= 0)
                writer_end(w);
        return r;
}

static int print_person(Ctl *c, const Record *p, Rows *history, Rows *events, Error *err) {
        int r;

        print_card(c, p);
        print_heading(c, "Status");
        r = print_history(c, history, err);
        if (r < 0) {
                rows_free(events);
                return r;
        }
        print_heading(c, "Events");
        return print_events(c, events, err);
}

/* ---- for machines ---- */

static int write_list(Ctl *c, const char *name, Rows *owned, Error *err) {
        CLEANUP(rows_freep) Rows *rows = owned;
        const Cell *cells = NULL;
        bool first = true;
        int r;

        out_printf(&c->out, ",\"%s\":[", name);
        while ((r = rows_next(rows, &cells, err)) == ROWS_ROW) {
                CLEANUP(record_clear) Record one = { 0 };

                r = record_copy(rows, cells, &one, err);
                if (r < 0)
                        return r;
                out_text(&c->out, first ? "" : ",");
                first = false;
                json_write_object(&c->out, one.columns, one.cells, one.n);
        }
        out_text(&c->out, "]");
        return r;
}

static int write_person(Ctl *c, const Record *p, Rows *history, Rows *events, Error *err) {
        int r;

        if (c->format == FORMAT_CSV) {
                rows_free(events);
                return write_rows(c, FORMAT_CSV, history, NULL, 0, err);
        }
        out_text(&c->out, "{\"user\":");
        json_write_object(&c->out, p->columns, p->cells, p->n);
        r = write_list(c, "history", history, err);
        if (r < 0) {
                rows_free(events);
                return r;
        }
        r = write_list(c, "events", events, err);
        out_text(&c->out, "}\n");
        return r;
}

static int tell(Ctl *c, Store *store, const Record *p, Error *err) {
        const char *account = record_get(p, "account"), *id = record_get(p, "user_id");
        EventFilter about = { .account = account, .user_id = id };
        Rows *history = NULL, *events = NULL;
        int r = store_read_history(store, account, id, &history, err);

        if (r >= 0)
                r = store_read_events(store, &about, &events, err);
        if (r < 0) {
                rows_free(history);
                return r;
        }
        if (c->format == FORMAT_DEFAULT || c->format == FORMAT_TABLE)
                return print_person(c, p, history, events, err);
        return write_person(c, p, history, events, err);
}

static int run(Ctl *c, const Args *a, Error *err) {
        CLEANUP(found_clear) Found f = { .n = 0 };
        const char *account = args_get(a, "account"), *who = a->args[0];
        Store *store = NULL;
        int r = ctl_store(c, &store, err);

        if (r >= 0 && account)
                r = words_check(c, WORDS_ACCOUNTS, "account", &account, err);
        if (r >= 0)
                r = find(store, who, account, &f, err);
        if (r < 0)
                return r;
        if (f.n == 0)
                return say_unknown(store, who, account, err);
        if (f.n > 1)
                return error_set(err, E_ABSENT, "'%.60s' is %zu people (%s); name one by the id%s",
                                 who, f.n, f.list,
                                 f.several_accounts ? ", or the account with --account" : "");
        return tell(c, store, &f.person, err);
}

const Command command_show = {
        .name = "show",
        .args = "EMAIL|USER_ID",
        .summary = "one person, and what has happened to them",
        .help = "As CSV: the history alone.",
        .example = "rosterctl show ana@example.com",
        OPTIONS(options),
        .min_args = 1,
        .max_args = 1,
        .run = run,
};
