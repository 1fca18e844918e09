/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "ctl/writer-internal.h"

static const WriterFormat *const formats[FORMAT_COUNT] = {
        [FORMAT_TABLE] = &writer_table,
        [FORMAT_CSV] = &writer_csv,
        [FORMAT_JSON] = &writer_json,
        [FORMAT_NDJSON] = &writer_ndjson,
};

int writer_new(Out *out, Format format, bool local, const Column *columns, size_t n, Writer **ret,
               Error *err) {
        CLEANUP(writer_freep) Writer *w = calloc(1, sizeof *w);

        assert(formats[format]);
        if (!w)
                return error_set(err, -ENOMEM, "out of memory");
        w->format = formats[format];
        w->out = out;
        w->local = local;
        w->n = n;
        w->columns = calloc(n ? n : 1, sizeof *w->columns);
        if (!w->columns)
                return error_set(err, -ENOMEM, "out of memory");
        memcpy(w->columns, columns, n * sizeof *columns);
        if (w->format->begin(w) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        *ret = take_ptr(w);
        return 0;
}

void writer_row(Writer *w, const Cell *cells) {
        w->format->row(w, cells);
        w->rows++;
}

void writer_flush(Writer *w) {
        if (w->format->flush)
                w->format->flush(w);
        out_flush(w->out);
}

void writer_end(Writer *w) {
        if (w->format->end)
                w->format->end(w);
}

void writer_free(Writer *w) {
        if (!w)
                return;
        if (w->format->free)
                w->format->free(w);
        free(w->columns);
        free(w);
}

/* ---- sheets ---- */

struct Sheet {
        Writer *writer;
        size_t *from; /* cell of the row that each column shows */
        Cell *picked;
        size_t n;
};

static Column raw_column(const char *name) {
        return (Column){ .name = name, .title = name, .type = COLUMN_ANY, .rank = 1 };
}

static void plan(Sheet *s, const Rows *shape, const char *const *shown, const Column *as, bool raw,
                 Column *columns) {
        for (size_t i = 0; i < s->n; i++) {
                const char *name = shown ? shown[i] : as ? as[i].name : NULL;
                size_t at = name ? 0 : i;

                while (name && strcmp(rows_column(shape, at), name) != 0)
                        at++; /* rows_column() asserts that there is one */
                s->from[i] = at;
                columns[i] = raw  ? raw_column(rows_column(shape, at))
                             : as ? as[i]
                                  : column_named(rows_column(shape, at));
        }
}

/* n columns by name (shown), or as the caller has them (as); with neither, or not in a table, all. */
static int make_sheet(Ctl *c, Format dflt, const Rows *shape, const char *const *shown,
                      const Column *as, size_t n, bool raw, Sheet **ret, Error *err) {
        CLEANUP(sheet_freep) Sheet *s = calloc(1, sizeof *s);
        CLEANUP_FREE Column *columns = NULL;
        Format format = c->format ? c->format : dflt;
        int r;

        if (!s)
                return error_set(err, -ENOMEM, "out of memory");
        if (format != FORMAT_TABLE)
                shown = NULL, as = NULL;
        s->n = shown || as ? n : rows_columns(shape);
        columns = calloc(s->n + 1, sizeof *columns);
        s->from = calloc(s->n + 1, sizeof *s->from);
        s->picked = calloc(s->n + 1, sizeof *s->picked);
        if (!columns || !s->from || !s->picked)
                return error_set(err, -ENOMEM, "out of memory");
        plan(s, shape, shown, as, raw, columns);
        r = writer_new(&c->out, format, ctl_local_times(c), columns, s->n, &s->writer, err);
        if (r < 0)
                return r;
        *ret = take_ptr(s);
        return 0;
}

int sheet_new(Ctl *c, Format dflt, const Rows *shape, const char *const *shown, size_t n,
              Sheet **ret, Error *err) {
        return make_sheet(c, dflt, shape, shown, NULL, n, false, ret, err);
}

void sheet_row(Sheet *s, const Cell *cells) {
        for (size_t i = 0; i < s->n; i++)
                s->picked[i] = cells[s->from[i]];
        writer_row(s->writer, s->picked);
}

void sheet_flush(Sheet *s) {
        writer_flush(s->writer);
}

void sheet_end(Sheet *s) {
        writer_end(s->writer);
}

void sheet_free(Sheet *s) {
        if (!s)
                return;
        writer_free(s->writer);
        free(s->from);
        free(s->picked);
        free(s);
}

static int write_all(Ctl *c, Rows *rows, Sheet *sheet, Error *err) {
        const Cell *cells = NULL;
        int r = 0;

        while (!out_failed(&c->out) && (r = rows_next(rows, &cells, err)) == ROWS_ROW)
                sheet_row(sheet, cells);
        if (r < 0)
                return r;
        sheet_end(sheet);
        return 0;
}

int write_rows(Ctl *c, Format dflt, Rows *owned, const char *const *shown, size_t n, Error *err) {
        CLEANUP(rows_freep) Rows *rows = owned;
        CLEANUP(sheet_freep) Sheet *sheet = NULL;
        int r = sheet_new(c, dflt, rows, shown, n, &sheet, err);

        return r < 0 ? r : write_all(c, rows, sheet, err);
}

int write_rows_as(Ctl *c, Format dflt, Rows *owned, const Column *shown, size_t n, Error *err) {
        CLEANUP(rows_freep) Rows *rows = owned;
        CLEANUP(sheet_freep) Sheet *sheet = NULL;
        int r = make_sheet(c, dflt, rows, NULL, shown, n, false, &sheet, err);

        return r < 0 ? r : write_all(c, rows, sheet, err);
}

int write_raw_rows(Ctl *c, Rows *owned, Error *err) {
        CLEANUP(rows_freep) Rows *rows = owned;
        CLEANUP(sheet_freep) Sheet *sheet = NULL;
        int r = make_sheet(c, FORMAT_TABLE, rows, NULL, NULL, 0, true, &sheet, err);

        return r < 0 ? r : write_all(c, rows, sheet, err);
}
