/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

typedef enum CellType {
        CELL_NULL,
        CELL_TEXT,
        CELL_NUMBER, /* in digits */
        CELL_BLOB,   /* bytes */
} CellType;

/* One value of a row on its way to an output.  text is NUL-terminated (but for a blob) and belongs
 * to whoever made the row; NULL for CELL_NULL. */
typedef struct Cell {
        CellType type;
        const char *text;
        size_t len;
} Cell;

/* text NULL becomes CELL_NULL. */
Cell cell_text(const char *text);
