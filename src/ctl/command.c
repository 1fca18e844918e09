/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/command.h"

#include <stdio.h>
#include <string.h>

/* In the order of the help. */
const Command *const commands[] = {
        &command_status, &command_users, &command_show,     &command_events, &command_runs,
        &command_export, &command_sync,  &command_removals, &command_forget,
};
const size_t n_commands = sizeof commands / sizeof commands[0];

const Command *command_find(const char *name) {
        for (size_t i = 0; i < n_commands; i++)
                if (strcmp(commands[i]->name, name) == 0)
                        return commands[i];
        return NULL;
}

static int run(Ctl *c, int argc, char *argv[], Error *err) {
        Args args = { 0 };
        int r, finished;

        if (argc > 1 && strcmp(argv[1], "complete") == 0)
                r = complete_print(c, argv + 2, argc - 2, err);
        else {
                r = options_parse(c, argc, argv, &args, err);
                if (r == PARSE_RUN)
                        r = args.command->run(c, &args, err);
                else if (r == PARSE_DONE)
                        r = EXIT_OK;
        }
        if (r < 0 && c->out.path) /* a file is written whole or not at all */
                return r;
        finished = out_finish(&c->out, r < 0 ? NULL : err);
        return r < 0 ? r : finished < 0 ? finished : r;
}

int commands_run(int argc, char *argv[]) {
        Ctl c;
        Error err = { 0 };
        int r;

        ctl_init(&c);
        r = run(&c, argc, argv, &err);
        ctl_clear(&c);
        if (r < 0) {
                fprintf(stderr, "rosterctl: %s%s\n", err.msg,
                        *err.msg && err.msg[strlen(err.msg) - 1] == '?' ? "" : ".");
                r = ctl_exit_status(r);
        }
        return r;
}
