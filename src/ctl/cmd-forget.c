/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "ctl/command.h"
#include "ctl/live.h"
#include "ctl/remote.h"

static void show(Live *live, const char *account, int64_t users, int64_t events) {
        char line[160];

        (void) snprintf(line, sizeof line,
                        "forgetting %s: %" PRId64 " user%s and %" PRId64 " event%s so far", account,
                        users, text_plural(users), events, text_plural(events));
        live_show(live, line);
}

static int ask(Ctl *c, const char *account, Live *live, StoreForget *done, Error *err) {
        const ControlRequest request = { .verb = CONTROL_FORGET, .account = account };
        CLEANUP(remote_freep) Remote *remote = NULL;
        int r = remote_ask(c, &request, &remote, err);

        while (r >= 0) {
                json_object *body = NULL;

                r = remote_next(remote, &body, err);
                if (r < 0)
                        break;
                done->users = remote_number(body, "users");
                done->events = remote_number(body, "events");
                done->runs = remote_number(body, "runs");
                if (r == CONTROL_RESULT)
                        break;
                show(live, account, done->users, done->events);
        }
        return r;
}

static int do_alone(Ctl *c, const char *account, Live *live, StoreForget *done, Error *err) {
        CLEANUP(store_closep) Store *store = NULL;
        bool active = false;
        int r = remote_open_writer(c, &store, err);

        if (r >= 0)
                r = store_account_find(store, account, &done->account, &active, err);
        if (r == -ENOENT && store)
                r = E_ABSENT;
        if (r < 0)
                return r;
        if (active)
                return error_set(
                        err, E_ABSENT,
                        "%s was configured when rosterd ran last; take [account %s] out of "
                        "the configuration and start rosterd first",
                        account, account);
        do {
                r = store_forget_step(store, done, err);
                show(live, account, done->users, done->events);
        } while (r == STORE_FORGET_MORE);
        return r;
}

static int run(Ctl *c, const Args *a, Error *err) {
        const char *account = a->args[0];
        Live live = { .out = &c->out };
        StoreForget done = { 0 };
        int r = words_check(c, WORDS_ACCOUNTS, "account", &account, err);

        if (r < 0)
                return r;
        r = ask(c, account, &live, &done, err);
        if (r == E_UNAVAILABLE)
                r = do_alone(c, account, &live, &done, err);
        live_clear(&live);
        if (r < 0)
                return r;
        out_printf(&c->out,
                   "%s is forgotten: %" PRId64 " user%s, %" PRId64 " event%s and %" PRId64
                   " run%s were deleted\n",
                   account, done.users, text_plural(done.users), done.events,
                   text_plural(done.events), done.runs, text_plural(done.runs));
        return EXIT_OK;
}

const Command command_forget = {
        .name = "forget",
        .args = "ACCOUNT",
        .summary = "delete all that is known of an account that is no longer configured",
        .help = "Its users, former users, runs and events are deleted for good, also events that a"
                " webhook has yet to receive.  Take a backup first if you may want them again.",
        .example = "rosterctl forget old-account",
        .min_args = 1,
        .max_args = 1,
        .words = WORDS_ACCOUNTS,
        .run = run,
};
