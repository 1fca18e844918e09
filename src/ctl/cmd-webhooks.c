/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/writer.h"

static int run_list(Ctl *c, const Args *a, Error *err) {
        static const char *const shown[] = { "webhook",  "pending",         "last_success_at",
                                             "attempts", "next_attempt_at", "last_error" };
        Store *store = NULL;
        Rows *rows = NULL;
        int r = ctl_store(c, &store, err);

        (void) a;
        if (r >= 0)
                r = store_read(store, READ_WEBHOOKS, &rows, err);
        return r < 0 ? r
                     : write_rows(c, FORMAT_TABLE, rows, shown, sizeof shown / sizeof shown[0],
                                  err);
}

static int run_dead(Ctl *c, const Args *a, Error *err) {
        static const char *const shown[] = { "webhook", "seq", "time", "error" };
        Store *store = NULL;
        Rows *rows = NULL;
        int r = ctl_store(c, &store, err);

        (void) a;
        if (r >= 0)
                r = store_read(store, READ_DEAD_LETTERS, &rows, err);
        return r < 0 ? r : write_rows(c, FORMAT_TABLE, rows, shown, 4, err);
}

/* What can be done with webhooks: a line each. */
static const struct {
        const char *name;
        int n_args; /* after the name */
        int (*run)(Ctl *c, const Args *a, Error *err);
} actions[] = {
        { "list", 0, run_list },
        { "dead", 0, run_dead },
};

static int run(Ctl *c, const Args *a, Error *err) {
        const char *name = a->n > 0 ? a->args[0] : "list";
        size_t i = 0;
        int r = words_check(c, WORDS_WEBHOOK_ACTIONS, "action", &name, err);

        if (r < 0)
                return r == E_ABSENT ? E_USAGE : r;
        while (strcmp(actions[i].name, name) != 0) {
                i++;
                assert(i < sizeof actions / sizeof actions[0]); /* WORDS_WEBHOOK_ACTIONS has it */
        }
        if (a->n > 0 && a->n - 1 != actions[i].n_args)
                return error_set(err, E_USAGE,
                                 "'webhooks %s' takes %s; see 'rosterctl webhooks --help'", name,
                                 actions[i].n_args ? "a webhook's name" : "nothing more");
        return actions[i].run(c, a, err);
}

const Command command_webhooks = {
        .name = "webhooks",
        .args = "[list|dead]",
        .summary = "how far each webhook has got, and what it did not take",
        .example = "rosterctl webhooks dead",
        .min_args = 0,
        .max_args = 2,
        .words = WORDS_WEBHOOK_ACTIONS,
        .run = run,
};
