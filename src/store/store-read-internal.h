/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by store-read*.c. */

#include "store/store-internal.h"
#include "store/store-read.h"

/* What moves a Rows on by itself: a RowsStep or -errno, with the cells of the row filled in. */
typedef int (*RowsNext)(Rows *r, Error *err);

struct Rows {
        Store *store;
        sqlite3_stmt *st;
        const char *what;  /* completes "while …" */
        size_t n, n_cells; /* columns that are given out; cells of the statement */
        Cell *cells;
        bool *wanted;        /* by column; NULL: all */
        RowsNext next;       /* NULL: step and take the columns as they are */
        struct Past *past;   /* of next */
        int64_t deadline;    /* of store_query(), ms of the monotonic clock */
        int64_t limit, left; /* ms inside SQLite */
};

/* A question made of fmt (sqlite3_mprintf(), where %Q quotes a text). */
int rows_new(Store *s, const char *what, Rows **ret, Error *err, const char *fmt, ...);
/* Steps the statement and fills in all cells: a RowsStep or -errno. */
int rows_step(Rows *r, Error *err);

/* The columns of the view users. */
#define READ_USER_COLUMN(id, json, parent, column, type, flags) ", u." #column
#define READ_USER_COLUMNS \
        "a.account" USER_FIELDS(READ_USER_COLUMN) ", u.first_seen_at, u.last_changed_at"

/* " AND …" for each member that is given; u is user_data. */
void user_filter_where(sqlite3_str *sql, const UserFilter *f);

/* rows_new() of what sql holds; sql is used up. */
int rows_new_str(Store *s, const char *what, sqlite3_str *sql, Rows **ret, Error *err);

/* What store_read_users_as_of() keeps with its rows. */
void past_free(struct Past *p);
