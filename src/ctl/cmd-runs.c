/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/command.h"
#include "ctl/writer.h"

#define LAST_DEFAULT 20 /* in a table */

static const Option options[] = {
        { "account", 'a', "NAME", WORDS_ACCOUNTS, "only this account's" },
        { "last", 'n', "NUMBER", WORDS_ANY, "the newest so many; 0: all (a table shows 20)" },
};

/* A run is known by its account and its begin. */
static const Column shown[] = {
        { "run_id", "RUN", COLUMN_NUMBER, 6, 0 },
        { "account", "ACCOUNT", COLUMN_TEXT, 2, .least = 8 },
        { "started_at", "STARTED", COLUMN_TIME, 1, 0 },
        { "outcome", "OUTCOME", COLUMN_STATUS, 1, 0 },
        { "users", "USERS", COLUMN_NUMBER, 3, 0 },
        { "added", "ADDED", COLUMN_NUMBER, 4, 0 },
        { "changed", "CHANGED", COLUMN_NUMBER, 4, 0 },
        { "removed", "REMOVED", COLUMN_NUMBER, 4, 0 },
        { "error", "ERROR", COLUMN_TEXT, 3, 0 },
};

static int run(Ctl *c, const Args *a, Error *err) {
        bool table = c->format == FORMAT_DEFAULT || c->format == FORMAT_TABLE;
        const char *account = args_get(a, "account");
        Store *store = NULL;
        Rows *rows = NULL;
        int64_t last;
        int r = ctl_store(c, &store, err);

        if (r >= 0)
                r = args_number(a, "last", table ? LAST_DEFAULT : 0, &last, err);
        if (r >= 0 && account)
                r = words_check(c, WORDS_ACCOUNTS, "account", &account, err);
        if (r >= 0)
                r = store_read_runs(store, account, last, &rows, err);
        return r < 0 ? r
                     : write_rows_as(c, FORMAT_TABLE, rows, shown, sizeof shown / sizeof shown[0],
                                     err);
}

const Command command_runs = {
        .name = "runs",
        .summary = "how the accounts were read, newest first",
        .example = "rosterctl runs --account acme --last 5",
        OPTIONS(options),
        .run = run,
};
