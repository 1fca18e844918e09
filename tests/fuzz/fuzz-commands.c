/* SPDX-License-Identifier: Apache-2.0 */
/* rosterctl's command line, one argument a line, and what it writes of strange values: CSV and JSON
 * that read back as what they were, and tables that leave a terminal as it is. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ctl/command.h"
#include "ctl/writer.h"
#include "fuzz.h"

#define ARGS_MAX 32
#define ROWS_MAX 64

/* Writes into its buffer alone; what does not fit fails. */
static void ctl_open(Ctl *c) {
        *c = (Ctl){ .out = { .fd = -1, .buf = malloc(OUT_BUFFER) } };
        demand(c->out.buf != NULL);
}

static void ctl_close(Ctl *c) {
        free(c->out.buf);
        for (size_t i = 0; i < c->n_kept; i++)
                free(c->kept[i]);
}

/* ---- the command line ---- */

static void check_arguments(char *text) {
        CLEANUP(ctl_close) Ctl c = { 0 };
        char rosterctl[] = "rosterctl", *argv[ARGS_MAX + 2] = { rosterctl };
        Args a = { 0 };
        Error err = { 0 };
        int argc = 1, r;

        while (text && argc <= ARGS_MAX)
                argv[argc++] = strsep(&text, "\n");
        ctl_open(&c);
        r = arguments_parse(&c, argc, argv, &a, &err);
        if (r < 0) {
                demand(r == E_USAGE && *err.msg);
                return;
        }
        if (r == PARSE_DONE) {
                demand(c.out.len > 0);
                return;
        }
        demand(a.command && a.n >= a.command->min_args && a.n <= a.command->max_args);
        demand(c.format < FORMAT_COUNT);
        for (size_t i = 0; i < a.command->n_options; i++) {
                const Option *o = &a.command->options[i];

                demand(!args_has(&a, o->name) || o->arg || !*args_get(&a, o->name));
        }
}

/* ---- output ---- */

typedef struct Table {
        Cell cells[ROWS_MAX][2];
        size_t n;
} Table;

static const Column columns[] = {
        { "user_id", "USER", COLUMN_TEXT, 1, 0 },
        { "display_name", "NAME", COLUMN_TEXT, 2, 0 },
};

/* A row a line, its cells parted by a tab.  Borrowed from text. */
static void read_table(char *text, Table *t) {
        while (text && t->n < ROWS_MAX) {
                char *line = strsep(&text, "\n"), *first = strsep(&line, "\t");

                t->cells[t->n][0] = cell_text(first);
                t->cells[t->n++][1] = cell_text(line);
        }
}

/* False: it did not fit. */
static bool write_table(Ctl *c, Format format, const Table *t) {
        CLEANUP(writer_freep) Writer *w = NULL;
        Error err = { 0 };

        demand(writer_new(&c->out, format, false, columns, 2, &w, &err) == 0);
        for (size_t i = 0; i < t->n; i++)
                writer_row(w, t->cells[i]);
        writer_end(w);
        return !out_failed(&c->out);
}

static void check_json(const Table *t) {
        CLEANUP(ctl_close) Ctl c = { 0 };
        CLEANUP_JSON json_object *list = NULL;

        ctl_open(&c);
        if (!write_table(&c, FORMAT_JSON, t))
                return;
        demand(text_is_utf8(c.out.buf, c.out.len) && fuzz_json(c.out.buf, c.out.len, &list));
        demand(json_object_array_length(list) == t->n);
        for (size_t i = 0; i < t->n; i++)
                for (size_t k = 0; k < 2; k++) {
                        const Cell *cell = &t->cells[i][k];
                        json_object *v = NULL;

                        demand(json_object_object_get_ex(json_object_array_get_idx(list, i),
                                                         columns[k].name, &v));
                        demand((v == NULL) == (cell->type == CELL_NULL));
                        if (v && text_is_utf8(cell->text, cell->len))
                                demand(strcmp(json_object_get_string(v), cell->text) == 0);
                }
}

/* RFC 4180: the next field at *p, in out.  Returns what follows it. */
static char read_field(const char **p, const char *end, char *out, bool *quoted) {
        const char *at = *p;
        char next;

        *quoted = at < end && *at == '"';
        if (*quoted)
                for (at++; at < end && (*at != '"' || (at + 1 < end && *++at == '"'));)
                        *out++ = *at++;
        else
                while (at < end && *at != ',' && *at != '\r')
                        *out++ = *at++;
        if (*quoted && at < end && *at == '"')
                at++;
        *out = '\0';
        next = at < end ? *at++ : '\0';
        if (next == '\r')
                demand(at < end && *at++ == '\n');
        *p = at;
        return next;
}

/* As it was, or with a "'" before what a spreadsheet would reckon with. */
static void check_field(const char *field, const Cell *cell) {
        const char *text = cell->text ? cell->text : "";

        bool marked = strcmp(field, text) != 0;

        demand(!marked || (*field == '\'' && strcmp(field + 1, text) == 0 && *text));
        demand(marked || !*text || !strchr("=@\t", *text));
}

static void check_csv(const Table *t) {
        CLEANUP(ctl_close) Ctl c = { 0 };
        CLEANUP_FREE char *field = malloc(OUT_BUFFER);
        const char *p, *end;
        bool quoted;

        demand(field != NULL);
        ctl_open(&c);
        if (!write_table(&c, FORMAT_CSV, t))
                return;
        p = c.out.buf;
        end = p + c.out.len;
        demand(read_field(&p, end, field, &quoted) == ',');
        demand(read_field(&p, end, field, &quoted) == '\r');
        for (size_t i = 0; i < t->n; i++)
                for (size_t k = 0; k < 2; k++) {
                        demand(read_field(&p, end, field, &quoted) == (k == 0 ? ',' : '\r'));
                        check_field(field, &t->cells[i][k]);
                }
        demand(p == end);
}

/* For a terminal of any width and kind: lines of clean text, none of them too wide. */
static void check_table(const Table *t, unsigned width) {
        CLEANUP(ctl_close) Ctl c = { 0 };
        char *line, *rest;

        ctl_open(&c);
        c.out.terminal = true;
        c.out.width = width;
        c.out.unicode = width & 1;
        if (!write_table(&c, FORMAT_TABLE, t) || c.out.len == OUT_BUFFER)
                return;
        c.out.buf[c.out.len] = '\0';
        demand(strlen(c.out.buf) == c.out.len);
        for (rest = c.out.buf; (line = strsep(&rest, "\n"));)
                demand(fuzz_is_clean(line));
}

/* The first byte: what, and of tables the width. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = input_of(data, size);
        unsigned which = input_byte(&in);
        CLEANUP_FREE char *text = input_rest(&in, NULL);
        Table t = { 0 };

        if (which == '0') {
                check_arguments(text);
                return 0;
        }
        read_table(text, &t);
        if (which == '1')
                check_json(&t);
        else if (which == '2')
                check_csv(&t);
        else
                check_table(&t, which);
        return 0;
}
