/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/command.h"
#include "ctl/writer.h"

#define LAST_DEFAULT 20 /* in a table */

static const Option options[] = {
        { "account", 'a', "NAME", WORDS_ACCOUNTS, "only this account's" },
        { "last", 'n', "NUMBER", WORDS_ANY, "the newest so many; 0: all (a table shows 20)" },
};

static int run(Ctl *c, const Args *a, Error *err) {
        static const char *const shown[] = { "run_id", "account", "started_at", "outcome", "users",
                                             "added",  "changed", "removed",    "error" };
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
                     : write_rows(c, FORMAT_TABLE, rows, shown, sizeof shown / sizeof shown[0],
                                  err);
}

const Command command_runs = {
        .name = "runs",
        .summary = "how the accounts were read, newest first",
        .example = "rosterctl runs --account acme --last 5",
        OPTIONS(options),
        .run = run,
};
