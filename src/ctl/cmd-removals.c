/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "ctl/command.h"
#include "ctl/remote.h"
#include "ctl/show.h"
#include "ctl/users-table.h"
#include "ctl/writer.h"

static const Option options[] = {
        { "accept", 0, NULL, WORDS_FLAG, "they are really gone: let the next listing remove them" },
};

static void say_held(Ctl *c, const char *account, int64_t held, int64_t listed) {
        char text[400];

        (void) snprintf(text, sizeof text,
                        "%s: %" PRId64 " of %" PRId64
                        " user%s %s missing from the listing, more than "
                        "max_removals allows: nobody was removed. If they are really gone: "
                        "rosterctl removals %s --accept",
                        account, held, listed, text_plural(listed), held == 1 ? "is" : "are",
                        account);
        show_text(&c->out, text);
        out_char(&c->out, '\n');
}

/* Who it is. */
static int list(Ctl *c, const char *account, Error *err) {
        static const char *const shown[] = { "account", "primary_email", "display_name",
                                             "user_registration_status", "last_changed_at" };
        bool table = c->format <= FORMAT_TABLE;
        Store *store = NULL;
        Rows *rows = NULL;
        int64_t held = 0, listed = 0;
        int r = ctl_store(c, &store, err);

        if (r >= 0)
                r = store_read_held_count(store, account, &held, &listed, err);
        if (r >= 0 && held == 0 && table) {
                out_printf(&c->out, "%s: no removals are held\n", account);
                return EXIT_OK;
        }
        if (r >= 0)
                r = store_read_held(store, account, &rows, err);
        if (r < 0)
                return r;
        if (!table)
                return write_rows(c, c->format, rows, NULL, 0, err);
        say_held(c, account, held, listed);
        return write_users_table(c, rows, shown, 5, err);
}

static int accept_alone(Ctl *c, const char *account, int64_t *ret_held, Error *err) {
        CLEANUP(store_closep) Store *store = NULL;
        int64_t key = 0;
        bool active = false;
        int r = remote_open_writer(c, &store, err);

        if (r >= 0)
                r = store_account_find(store, account, &key, &active, err);
        if (r >= 0)
                r = store_removals_accept(store, key, ret_held, err);
        if (r == -ENODATA)
                return error_set(err, E_ABSENT, "no removals of %s are held", account);
        return r == -ENOENT ? E_ABSENT : r;
}

static int accept_held(Ctl *c, const char *account, Error *err) {
        const ControlRequest request = { .verb = CONTROL_ACCEPT_REMOVALS, .account = account };
        CLEANUP(remote_freep) Remote *remote = NULL;
        json_object *body = NULL;
        const char *when = "a listing that was just asked for carries it out";
        int64_t held = 0;
        int r = remote_ask(c, &request, &remote, err);

        if (r >= 0) {
                r = remote_next(remote, &body, err);
                if (r >= 0)
                        held = remote_number(body, "held");
        }
        if (r == E_UNAVAILABLE) {
                when = "rosterd does not run; its next complete listing carries it out";
                r = accept_alone(c, account, &held, err);
        }
        if (r < 0)
                return r;
        out_printf(&c->out, "%s: the removal of %" PRId64 " user%s is accepted; %s\n", account,
                   held, text_plural(held), when);
        return EXIT_OK;
}

static int run(Ctl *c, const Args *a, Error *err) {
        const char *account = a->args[0];
        int r = words_check(c, WORDS_ACCOUNTS, "account", &account, err);

        if (r < 0)
                return r;
        return args_has(a, "accept") ? accept_held(c, account, err) : list(c, account, err);
}

const Command command_removals = {
        .name = "removals",
        .args = "ACCOUNT",
        .summary = "whose removal is held because too many are missing at once",
        .help = "With --accept the next complete listing removes those that it still lacks, up to "
                "as"
                " many as are held now, beside the usual few; if more are missing then, nobody "
                "goes.",
        .example = "rosterctl removals acme --accept",
        OPTIONS(options),
        .min_args = 1,
        .max_args = 1,
        .words = WORDS_ACCOUNTS,
        .run = run,
};
