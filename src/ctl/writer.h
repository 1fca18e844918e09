/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/cell.h"
#include "ctl/ctl.h"

typedef enum ColumnType {
        COLUMN_TEXT,
        COLUMN_TIME,   /* UTC text, as the database has it */
        COLUMN_NUMBER, /* to the right in a table */
        COLUMN_BOOL,   /* 0 or 1; JSON: false or true */
        COLUMN_JSON,   /* JSON in a text; JSON: as it is */
        COLUMN_STATUS, /* a word that may be alarming */
        COLUMN_ANY,    /* as the cell itself says */
} ColumnType;

/* One column of an output. */
typedef struct Column {
        const char *name;  /* in CSV and JSON */
        const char *title; /* in a table */
        ColumnType type;
        unsigned rank;  /* in a table: 1 always shown, higher: the first to go if it is narrow */
        unsigned least; /* columns of a terminal below which others go first; 0: by its type */
} Column;

/* What is known of the columns of the public schema (columns.c), by name; others are COLUMN_ANY with
 * their name as title and rank 1. */
Column column_named(const char *name);

/* Writes rows of one shape in one format, in constant memory: a table settles its columns' widths
 * after some hundreds of rows. */
typedef struct Writer Writer;

/* columns is copied, its texts are borrowed.  format is not FORMAT_DEFAULT.  local: times of a table
 * in the machine's zone. */
int writer_new(Out *out, Format format, bool local, const Column *columns, size_t n, Writer **ret,
               Error *err);
/* cells (n of them) are borrowed for the call. */
void writer_row(Writer *w, const Cell *cells);
/* Brings what is held back onto the screen, for rows that come now and then. */
void writer_flush(Writer *w);
/* What ends the output; a table without rows says nothing but its heading. */
void writer_end(Writer *w);
void writer_free(Writer *w);
DEFINE_CLEANUP(Writer *, writer_free)

/* A Writer for the rows of one question, whose columns it takes from their names: a table shows the n
 * columns named in shown (NULL: all), in that order, the other formats show all.  In c's format, or
 * dflt where none was asked for. */
typedef struct Sheet Sheet;

int sheet_new(Ctl *c, Format dflt, const Rows *shape, const char *const *shown, size_t n,
              Sheet **ret, Error *err);
/* A row of that shape. */
void sheet_row(Sheet *s, const Cell *cells);
/* Brings what is held back onto the screen, for rows that come now and then. */
void sheet_flush(Sheet *s);
void sheet_end(Sheet *s);
void sheet_free(Sheet *s);
DEFINE_CLEANUP(Sheet *, sheet_free)

/* A whole sheet; rows is freed.  Stops early where nobody reads on. */
int write_rows(Ctl *c, Format dflt, Rows *rows, const char *const *shown, size_t n, Error *err);
/* The same with columns of the caller's own in a table, found by their names. */
int write_rows_as(Ctl *c, Format dflt, Rows *rows, const Column *shown, size_t n, Error *err);

/* The same of columns that nothing is known of: every cell as it is. */
int write_raw_rows(Ctl *c, Rows *rows, Error *err);
