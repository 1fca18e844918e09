/* SPDX-License-Identifier: Apache-2.0 */
/* users and export: who is, or was, on the roster. */

#include "base/timefmt.h"
#include "ctl/command.h"
#include "ctl/users-table.h"
#include "ctl/when.h"
#include "ctl/writer.h"
#include "store/store-target.h"

#define FILTER_OPTIONS                                                              \
        { "account", 'a', "NAME", WORDS_ACCOUNTS, "only this account's" },          \
                { "registration", 'r', "STATUS", WORDS_REGISTRATIONS,               \
                  "only with this registration status" },                           \
                { "invitation", 'i', "STATUS", WORDS_INVITATIONS,                   \
                  "only with this invitation status" },                             \
                { "email", 'e', "GLOB", WORDS_ANY,                                  \
                  "only whose address matches, e.g. '*@acme.org'" },                \
                { "former", 0, NULL, WORDS_FLAG, "those who have left instead" }, { \
                "as-of", 0, "TIME", WORDS_ANY, "the roster as it was then"          \
        }

static const Option users_options[] = { FILTER_OPTIONS };
static const Option export_options[] = {
        FILTER_OPTIONS,
        { "output", 'o', "FILE", WORDS_FILES,
          "write to this file, which appears once it is whole" },
};

static int read_filter(Ctl *c, const Args *a, UserFilter *f, Error *err) {
        int r = 0;

        *f = (UserFilter){ .account = args_get(a, "account"),
                           .registration = args_get(a, "registration"),
                           .invitation = args_get(a, "invitation"),
                           .email = args_get(a, "email"),
                           .former = args_has(a, "former") };
        if (f->account)
                r = words_check(c, WORDS_ACCOUNTS, "account", &f->account, err);
        if (r >= 0 && f->registration)
                r = words_check(c, WORDS_REGISTRATIONS, "registration status", &f->registration,
                                err);
        if (r >= 0 && f->invitation)
                r = words_check(c, WORDS_INVITATIONS, "invitation status", &f->invitation, err);
        return r;
}

/* The rows that the options ask for; since: with the column that tables show. */
static int read_rows(Ctl *c, const Args *a, bool since, Rows **ret, Error *err) {
        const char *as_of = args_get(a, "as-of");
        Store *store = NULL;
        UserFilter f;
        int64_t now = time_now_ms(), at;
        int r = ctl_store(c, &store, err);

        if (r >= 0)
                r = read_filter(c, a, &f, err);
        if (r < 0)
                return r;
        if (!as_of)
                return store_read_users(store, &f, since, ret, err);
        r = when_parse(as_of, now, c->utc, &at, err);
        if (r < 0)
                return r;
        if (at > now)
                return error_set(err, E_USAGE,
                                 "--as-of %.40s lies in the future; name a time that has passed",
                                 as_of);
        return store_read_users_as_of(store, &f, at, ret, err);
}

static int run_users(Ctl *c, const Args *a, Error *err) {
        static const char *const listed[] = { "account",      "primary_email",
                                              "display_name", "user_registration_status",
                                              "since",        "user_invitation_status" };
        static const char *const then[] = { "account",
                                            "primary_email",
                                            "display_name",
                                            "user_registration_status",
                                            "user_invitation_status",
                                            "last_changed_at" };
        static const char *const former[] = { "account", "primary_email", "display_name",
                                              "user_registration_status", "removed_at" };
        bool table = c->format == FORMAT_DEFAULT || c->format == FORMAT_TABLE;
        bool gone = args_has(a, "former"), past = args_has(a, "as-of");
        Rows *rows = NULL;
        int r = read_rows(c, a, table && !gone && !past, &rows, err);

        if (r < 0)
                return r;
        if (!table)
                return write_rows(c, c->format, rows, NULL, 0, err);
        if (gone)
                return write_users_table(c, rows, former, 5, err);
        return write_users_table(c, rows, past ? then : listed, 6, err);
}

static int run_export(Ctl *c, const Args *a, Error *err) {
        const char *path = args_get(a, "output");
        Rows *rows = NULL;
        int r = read_rows(c, a, false, &rows, err);

        if (r >= 0 && path) {
                r = target_check(c->store, path, err);
                if (r >= 0)
                        r = out_open_file(&c->out, path, err);
                if (r < 0)
                        rows_free(rows);
        }
        return r < 0 ? r : write_rows(c, FORMAT_CSV, rows, NULL, 0, err);
}

const Command command_users = {
        .name = "users",
        .summary = "who is on the roster, with their statuses",
        .help = "SINCE is when the registration status began.",
        .example = "rosterctl users --registration Suspended      who is suspended, and since when",
        OPTIONS(users_options),
        .run = run_users,
};

const Command command_export = {
        .name = "export",
        .summary = "the whole roster, every column, as CSV or JSON",
        .help = "With --as-of as it was then, rebuilt from the events.",
        .example = "rosterctl export --as-of 2026-06-01 -o roster.csv",
        OPTIONS(export_options),
        .run = run_export,
};
