/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that SQLite keeps pages in.  Who is new belongs anywhere in two indexes: the less of these is
 * kept, the more often their pages are written and read again, so that a first listing gets more.  That is
 * about as much as a later one needs for its table of marks (daemon/known.c), and goes back when the run
 * has ended. */
#include <malloc.h>
#include <stdio.h>

#include "store/store-internal.h"

#define NARROW_KIB 1024
#define USUAL_KIB 12288
#define MANY_KIB 24576
#define MANY 4096 /* users added since a run has ended */

static int set_size(Store *s, int kib, Error *err) {
        char sql[48];

        (void) snprintf(sql, sizeof sql, "PRAGMA cache_size = -%d", kib);
        return store_exec_sql(s, sql, "setting its cache", err);
}

int store_cache_init(Store *s, Error *err) {
        return set_size(s, USUAL_KIB, err);
}

void store_cache_added(Store *s) {
        if (++s->added == MANY)
                (void) set_size(s, MANY_KIB, NULL); /* else it is merely slower */
}

void store_cache_narrow(Store *s, bool narrow) {
        (void) set_size(s, narrow ? NARROW_KIB : s->added >= MANY ? MANY_KIB : USUAL_KIB, NULL);
}

void store_cache_run_ended(Store *s) {
        s->shrinks = s->shrinks || s->added >= MANY;
        s->added = 0;
}

void store_release_pages(Store *s) {
        (void) sqlite3_db_release_memory(s->db);
}

void store_cache_committed(Store *s) {
        if (!s->shrinks)
                return;
        s->shrinks = false;
        (void) set_size(s, USUAL_KIB, NULL);
        store_release_pages(s);
        (void) malloc_trim(0);
}
