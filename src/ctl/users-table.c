/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/users-table.h"

#include <errno.h>
#include <string.h>

#include "ctl/writer.h"

/* Devices, and some people, have no address: a table then says what they are called, or their id. */
static void name_user(Cell *cells) {
        static const UserFieldId names[] = { USER_FIELD_DISPLAY_NAME, USER_FIELD_USER_ID };
        Cell *email = &cells[READ_USER_AT + USER_FIELD_PRIMARY_EMAIL];

        for (size_t i = 0; i < 2 && email->type == CELL_NULL; i++)
                *email = cells[READ_USER_AT + names[i]];
}

int write_users_table(Ctl *c, Rows *owned, const char *const *shown, size_t n, Error *err) {
        CLEANUP(rows_freep) Rows *rows = owned;
        CLEANUP(sheet_freep) Sheet *sheet = NULL;
        CLEANUP_FREE Cell *row = calloc(rows_columns(rows), sizeof *row);
        const Cell *cells = NULL;
        int r = sheet_new(c, FORMAT_TABLE, rows, shown, n, &sheet, err);
        bool ok = row && rows_want(rows, "user_id") == 0;

        for (size_t i = 0; i < n; i++)
                ok = ok && rows_want(rows, shown[i]) == 0;
        if (!ok)
                return error_set(err, -ENOMEM, "out of memory");
        while (r >= 0 && !out_failed(&c->out) && (r = rows_next(rows, &cells, err)) == ROWS_ROW) {
                memcpy(row, cells, rows_columns(rows) * sizeof *row);
                name_user(row);
                sheet_row(sheet, row);
        }
        if (r < 0)
                return r;
        sheet_end(sheet);
        return 0;
}
