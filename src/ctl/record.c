/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void record_clear(Record *r) {
        free(r->columns);
        free(r->cells);
        free(r->texts);
        *r = (Record){ 0 };
}

/* Names and values behind one another, each with a NUL. */
static size_t text_size(const Rows *rows, const Cell *cells) {
        size_t size = 1;

        for (size_t i = 0; i < rows_columns(rows); i++)
                size += strlen(rows_column(rows, i)) + 1 + cells[i].len + 1;
        return size;
}

int record_copy(const Rows *rows, const Cell *cells, Record *ret, Error *err) {
        CLEANUP(record_clear) Record r = { .n = rows_columns(rows) };
        char *at;

        r.columns = calloc(r.n + 1, sizeof *r.columns);
        r.cells = calloc(r.n + 1, sizeof *r.cells);
        r.texts = malloc(text_size(rows, cells));
        if (!r.columns || !r.cells || !r.texts)
                return error_set(err, -ENOMEM, "out of memory");
        at = r.texts;
        for (size_t i = 0; i < r.n; i++) {
                at = stpcpy(at, rows_column(rows, i)) + 1;
                r.columns[i] = column_named(at - strlen(rows_column(rows, i)) - 1);
                r.cells[i] = cells[i];
                if (cells[i].text) {
                        memcpy(at, cells[i].text, cells[i].len);
                        at[cells[i].len] = '\0';
                        r.cells[i].text = at;
                        at += cells[i].len + 1;
                }
        }
        record_clear(ret);
        *ret = r;
        r = (Record){ 0 };
        return 0;
}

const char *record_get(const Record *r, const char *column) {
        size_t i = 0;

        while (i < r->n && strcmp(r->columns[i].name, column) != 0)
                i++;
        assert(i < r->n);
        return r->cells[i].text;
}
