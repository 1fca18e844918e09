/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/options.h"

/* Exit statuses, beside 0; sysexits.h where it has a word for it. */
enum {
        EXIT_SYNC_FAILED = 1, /* --once: an account could not be synced, or not all could be told;
                               * --credentials: one has none that work */
        EXIT_USAGE = 2,
        EXIT_DATABASE_REFUSED = 65, /* EX_DATAERR: damaged, newer, or not ours: no restart helps */
        EXIT_DATABASE_ACCESS = 73,  /* EX_CANTCREAT */
        EXIT_OUTPUT = 73,           /* the same: standard output cannot be written */
        EXIT_FAILED = 74,           /* EX_IOERR */
        EXIT_DATABASE_BUSY = 75,    /* EX_TEMPFAIL */
        EXIT_CONFIG = 78,           /* EX_CONFIG */
};

/* The whole life of the program after its command line was read.  Returns the exit status. */
int daemon_run(const Options *options);
