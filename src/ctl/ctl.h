/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <errno.h>
#include <stdbool.h>

#include "conf/config.h"
#include "ctl/out.h"
#include "store/store-read.h"

/* How rosterctl ends.  What is not here comes from ctl_exit_status(). */
enum {
        EXIT_OK = 0,
        EXIT_ABSENT = 1, /* there is no such user, account, …; or verify has found faults */
        EXIT_WRONG = 2,  /* the command line, or SQL, is wrong */
};

/* How a monitoring plugin ends. */
enum { PROBE_OK, PROBE_WARNING, PROBE_CRITICAL, PROBE_UNKNOWN };

/* What ctl's own failures are called; the store has its own. */
#define E_ABSENT (-ESRCH)
#define E_USAGE (-EINVAL)
#define E_UNAVAILABLE (-ECONNREFUSED) /* rosterd does not run */

typedef enum Format {
        FORMAT_DEFAULT, /* the command's own */
        FORMAT_TABLE,
        FORMAT_CSV,
        FORMAT_JSON,
        FORMAT_NDJSON,
        FORMAT_COUNT,
} Format;

extern const char *const format_names[FORMAT_COUNT];

/* One run of rosterctl: what was asked for in general, and what is open. */
typedef struct Ctl {
        const char *config_path; /* NULL: the default one */
        const char *database_path;
        Format format;
        bool utc;
        Out out;
        Config *config; /* an outline; NULL until ctl_config() */
        Store *store;   /* for reading; NULL until ctl_store() */
        char *kept[8];  /* of ctl_keep() */
        size_t n_kept;
} Ctl;

void ctl_init(Ctl *c);
void ctl_clear(Ctl *c);

/* The outline of the configuration: database, names of accounts and webhooks.  Borrowed from c.
 * Without --config a default configuration that is not there, or may not be read, is as if empty. */
int ctl_config(Ctl *c, const Config **ret, Error *err);
/* The database's path: --database, else the configuration's.  Borrowed from c. */
int ctl_database(Ctl *c, const char **ret, Error *err);
/* Where rosterd listens, as far as the configuration can be read; else the service's default. */
const char *ctl_control_socket(Ctl *c);
/* The database, open for reading.  Borrowed from c. */
int ctl_store(Ctl *c, Store **ret, Error *err);

/* So that the next ctl_store() opens it anew. */
void ctl_close_store(Ctl *c);

/* A copy that lives as long as c; NULL for want of memory.  For a few words of the command line. */
char *ctl_keep(Ctl *c, const char *text);

/* Whether times are shown in the machine's zone: on a terminal, in a table, without --utc. */
bool ctl_local_times(const Ctl *c);

/* The exit status for a failed call. */
int ctl_exit_status(int code);
