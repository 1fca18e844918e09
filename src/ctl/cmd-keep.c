/* SPDX-License-Identifier: Apache-2.0 */
/* backup and verify: keeping the database. */
#include <errno.h>
#include <sys/stat.h>

#include "ctl/command.h"
#include "ctl/writer.h"

static int run_backup(Ctl *c, const Args *a, Error *err) {
        Store *store = NULL;
        struct stat st;
        int r = ctl_store(c, &store, err);

        if (r >= 0)
                r = store_backup(store, a->args[0], err);
        if (r >= 0 && c->out.terminal && stat(a->args[0], &st) == 0)
                out_printf(&c->out, "%s: %.1f MB\n", a->args[0], (double) st.st_size / 1e6);
        return r;
}

const Command command_backup = {
        .name = "backup",
        .args = "FILE",
        .summary = "copy the database, also while rosterd writes to it",
        .help = "The copy is the roster of one instant. It takes its name once it is whole.",
        .example = "rosterctl backup /srv/backup/roster-$(date +%F).db",
        .words = WORDS_FILES,
        .min_args = 1,
        .max_args = 1,
        .run = run_backup,
};

typedef struct Report {
        Writer *writer;
        int faults;
} Report;

static void tell(const char *check, bool fault, const char *what, void *userdata) {
        Report *r = userdata;

        r->faults += fault;
        writer_row(r->writer, (const Cell[]){ cell_text(check), cell_text(fault ? "failed" : "ok"),
                                              cell_text(what) });
}

static int run_verify(Ctl *c, const Args *a, Error *err) {
        static const Column columns[] = {
                { "check", "CHECK", COLUMN_TEXT, 1, 0 },
                { "result", "RESULT", COLUMN_STATUS, 1, 0 },
                { "what", "WHAT", COLUMN_TEXT, 1, 0 },
        };
        CLEANUP(writer_freep) Writer *w = NULL;
        Report report = { .faults = 0 };
        Store *store = NULL;
        int r = ctl_store(c, &store, err);

        (void) a;
        if (r >= 0)
                r = writer_new(&c->out, c->format ? c->format : FORMAT_TABLE, false, columns, 3, &w,
                               err);
        report.writer = w;
        if (r >= 0)
                r = store_verify(store, tell, &report, err);
        if (r < 0)
                return r;
        writer_end(w);
        return report.faults ? EXIT_ABSENT : EXIT_OK;
}

const Command command_verify = {
        .name = "verify",
        .summary = "look at the whole database for damage",
        .help = "Ends with 1 if there is any.",
        .example = "rosterctl --database /srv/backup/roster.db verify",
        .run = run_verify,
};
