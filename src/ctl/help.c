/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "ctl/command.h"

#define WIDTH 78

static void print_options(Out *o, const Option *list, size_t n) {
        for (size_t i = 0; i < n; i++) {
                char left[64];

                (void) snprintf(left, sizeof left, "%s%c%s--%s%s%s", list[i].letter ? "-" : " ",
                                list[i].letter ? list[i].letter : ' ', list[i].letter ? ", " : "  ",
                                list[i].name, list[i].arg ? " " : "",
                                list[i].arg ? list[i].arg : "");
                out_printf(o, "  %-26s  %s\n", left, list[i].help);
        }
}

/* Breaks text into lines. */
static void print_text(Out *o, const char *text) {
        size_t used = 0;

        while (*text) {
                size_t len = strcspn(text, " ");

                if (used > 0 && used + 1 + len > WIDTH) {
                        out_char(o, '\n');
                        used = 0;
                }
                if (used > 0)
                        out_char(o, ' ');
                out_write(o, text, len);
                used += len + (used > 0);
                text += len;
                text += strspn(text, " ");
        }
        out_char(o, '\n');
}

static void print_command(Out *o, const Command *k) {
        out_printf(o, "Usage: rosterctl %s%s%s%s\n\n%c%s.\n", k->name,
                   k->n_options ? " [OPTION]..." : "", k->args ? " " : "", k->args ? k->args : "",
                   k->summary[0] - 'a' + 'A', k->summary + 1);
        if (k->help)
                print_text(o, k->help);
        out_text(o, "\n");
        print_options(o, k->options, k->n_options);
        if (k->n_options)
                out_text(o, "\n");
        out_text(o, "General options:\n");
        print_options(o, general_options, n_general_options);
        out_printf(o, "\nExample:\n  %s\n", k->example);
}

void help_print(Out *o, const Command *command) {
        if (command) {
                print_command(o, command);
                return;
        }
        out_text(o, "Usage: rosterctl [OPTION]... COMMAND [ARGUMENT]...\n\n"
                    "Ask rosterd's roster of Amazon Chime users, and the daemon that keeps it.\n\n"
                    "Commands:\n");
        for (size_t i = 0; i < n_commands; i++)
                out_printf(o, "  %-10s  %s\n", commands[i]->name, commands[i]->summary);
        out_text(o, "\nOptions:\n");
        print_options(o, general_options, n_general_options);
        out_text(o, "\n'rosterctl COMMAND --help' says more of a command. See rosterctl(1).\n");
}
