/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timespan.h"
#include "ctl/command.h"
#include "ctl/writer.h"

#define TIMEOUT_DEFAULT "1min"

static const Option options[] = {
        { "timeout", 0, "DURATION", WORDS_ANY, "give up after so long (" TIMEOUT_DEFAULT ")" },
};

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
