/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/timespan.h"
#include "ctl/command.h"
#include "ctl/writer.h"

#define TIMEOUT_DEFAULT "1min"
#define LOOK_USEC 250000

static const Option options[] = {
        { "timeout", 0, "DURATION", WORDS_ANY, "give up after so long (" TIMEOUT_DEFAULT ")" },
};

static char too_long[200];
static int status_too_long;

/* One long operation of SQLite looks at no clock. */
static void look_at_clock(int sig) {
        int error = errno;

        (void) sig;
        if (store_query_is_overdue()) {
                (void) !write(STDERR_FILENO, too_long, strlen(too_long));
                _exit(status_too_long);
        }
        errno = error;
}

static void watch(uint64_t limit) {
        const struct itimerval often = { { 0, LOOK_USEC }, { 0, LOOK_USEC } };
        struct sigaction action = { .sa_handler = look_at_clock, .sa_flags = SA_RESTART };
        char span[40];

        timespan_format(limit, span, sizeof span);
        (void) snprintf(too_long, sizeof too_long,
                        "rosterctl: the query took longer than %s; ask for less, or give it more"
                        " time with --timeout.\n",
                        span);
        status_too_long = ctl_exit_status(-ETIME);
        (void) sigemptyset(&action.sa_mask);
        (void) sigaction(SIGALRM, &action, NULL);
        (void) setitimer(ITIMER_REAL, &often, NULL);
}

static int run(Ctl *c, const Args *a, Error *err) {
        const char *timeout = args_get(a, "timeout");
        Store *store = NULL;
        Rows *rows = NULL;
        uint64_t limit;
        int r;

        if (timespan_parse(timeout ? timeout : TIMEOUT_DEFAULT, &limit) < 0)
                return error_set(err, E_USAGE,
                                 "--timeout takes a duration such as 30s or 5min, not '%.40s'",
                                 timeout);
        r = ctl_store(c, &store, err);
        watch(limit);
        if (r >= 0)
                r = store_query(store, a->args[0], (int64_t) (limit / USEC_PER_MSEC), &rows, err);
        return r < 0 ? r : write_raw_rows(c, rows, err);
}

const Command command_query = {
        .name = "query",
        .args = "SQL",
        .summary = "ask in SQL; nothing can be changed",
        .help = "Tables and columns are described in rosterd-schema(5).",
        .example = "rosterctl query \"SELECT license_type, count(*) FROM users GROUP BY 1\"",
        OPTIONS(options),
        .min_args = 1,
        .max_args = 1,
        .run = run,
};
