/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/command.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* In the order of the help. */
const Command *const commands[] = {
        &command_status, &command_users,  &command_show,   &command_events,   &command_runs,
        &command_sync,   &command_export, &command_check,  &command_webhooks, &command_removals,
        &command_forget, &command_query,  &command_backup, &command_verify,
};
const size_t n_commands = sizeof commands / sizeof commands[0];

const Command *command_find(const char *name) {
        for (size_t i = 0; i < n_commands; i++)
                if (strcmp(commands[i]->name, name) == 0)
                        return commands[i];
        return NULL;
}

static int run_command(Ctl *c, int argc, char *argv[], Args *args, Error *err) {
        int r;

        if (argc > 1 && strcmp(argv[1], "complete") == 0)
                return complete_print(c, argv + 2, argc - 2, err);
        r = arguments_parse(c, argc, argv, args, err);
        return r == PARSE_RUN ? args->command->run(c, args, err) : r == PARSE_DONE ? EXIT_OK : r;
}

/* What nobody gets to read is not known. */
static int end_probe(Ctl *c, int status) {
        Error err = { 0 };

        if (out_finish(&c->out, &err) >= 0)
                return status;
        fprintf(stderr, "rosterctl: %s.\n", err.msg);
        return PROBE_UNKNOWN;
}

/* Monitoring looks at the first line of standard output, and takes 3 for "cannot tell"; a "|" would
 * begin performance data. */
static int tell_probe(Ctl *c, Error *err) {
        for (char *at = err->msg; *at; at++)
                *at = *at == '|' ? '/' : *at;
        out_printf(&c->out, "ROSTERD UNKNOWN - %s\n", err->msg);
        return end_probe(c, PROBE_UNKNOWN);
}

/* Whether it is a probe that is asked for; before the command is known, by the first word that names
 * one. */
static bool is_probe(const Args *args, int argc, char *argv[]) {
        const Command *command = args->command;

        for (int i = 1; i < argc && !command; i++)
                command = command_find(argv[i]);
        return command && command->probe;
}

static int run(Ctl *c, int argc, char *argv[], Error *err) {
        Args args = { 0 };
        int r = run_command(c, argc, argv, &args, err), finished;

        if (is_probe(&args, argc, argv))
                return r < 0 ? tell_probe(c, err) : end_probe(c, r);
        if (r < 0 && c->out.path) /* a file is written whole or not at all */
                return r;
        finished = out_finish(&c->out, r < 0 ? NULL : err);
        return r < 0 ? r : finished < 0 ? finished : r;
}

int commands_run(int argc, char *argv[]) {
        Ctl c;
        Error err = { 0 };
        char clean[sizeof err.msg];
        int r;

        ctl_init(&c);
        r = run(&c, argc, argv, &err);
        ctl_clear(&c);
        if (r < 0) {
                /* it may quote what comes from outside */
                (void) text_clean(clean, sizeof clean, err.msg, strlen(err.msg));
                fprintf(stderr, "rosterctl: %s%s\n", clean,
                        *clean && clean[strlen(clean) - 1] == '?' ? "" : ".");
                r = ctl_exit_status(r);
        }
        return r;
}
