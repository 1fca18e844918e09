/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/cleanup.h"
#include "ctl/writer.h"

/* A copy of one row, to be kept. */
typedef struct Record {
        Column *columns;
        Cell *cells;
        char *texts; /* what the cells point into */
        size_t n;
} Record;

void record_clear(Record *r);
/* The row that rows_next() has just given; rows may end before the record. */
int record_copy(const Rows *rows, const Cell *cells, Record *ret, Error *err);
/* The text of a column that must be there; NULL where it is NULL. */
const char *record_get(const Record *r, const char *column);
