/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/command.h"
#include "ctl/writer.h"

static int run(Ctl *c, const Args *a, Error *err) {
        static const char *const shown[] = {
                "account",          "state",       "users",     "suspended", "pending_invitations",
                "last_complete_at", "next_run_at", "last_error"
        };
        Store *store = NULL;
        Rows *rows = NULL;
        int r = ctl_store(c, &store, err);

        (void) a;
        if (r >= 0)
                r = store_read(store, READ_STATUS, &rows, err);
        return r < 0 ? r
                     : write_rows(c, FORMAT_TABLE, rows, shown, sizeof shown / sizeof shown[0],
                                  err);
}

const Command command_status = {
        .name = "status",
        .summary = "whether the accounts are being read, and what they hold",
        .example = "rosterctl status",
        .run = run,
};
