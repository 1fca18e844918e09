/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/ctl.h"
#include "ctl/words.h"

#define OPTIONS_MAX 16 /* of one command, with the general ones */

/* One option, of a command or of all. */
typedef struct Option {
        const char *name; /* without its dashes */
        char letter;      /* 0: none */
        const char *arg;  /* what its argument is called; NULL: it takes none */
        WordKind words;   /* what its argument may be, or WORDS_FLAG */
        const char *help;
} Option;

/* What was given on the command line; all borrowed from argv. */
typedef struct Args {
        const struct Command *command;
        const char
                *values[OPTIONS_MAX]; /* by option of the command; "" for a flag; NULL: not given */
        char *const *args;
        int n;
} Args;

/* The argument of one of the command's options, or NULL.  The option must be in its table. */
const char *args_get(const Args *a, const char *option);
bool args_has(const Args *a, const char *option);
/* The number given for an option, or dflt.  E_USAGE. */
int args_number(const Args *a, const char *option, int64_t dflt, int64_t *ret, Error *err);

/* One command.  A new one is a file cmd-NAME.c, a line in the table of command.c, and its screen in
 * doc/rosterctl.1; help and completion come from here. */
typedef struct Command {
        const char *name;
        const char *args;    /* after the options, as shown in its usage */
        const char *summary; /* begins with a small letter, no full stop */
        const char *help;    /* one or two sentences more, or NULL */
        const char *example; /* a line to type, and what it does */
        const Option *options;
        size_t n_options;
        int min_args, max_args;
        WordKind words;       /* what its arguments may be */
        WordKind later_words; /* all but the first; WORDS_ANY: the same */
        /* Returns 0, another exit status, or -errno with err filled in (one sentence: what is the
         * matter, what to do).  Writes to c->out; whoever calls finishes that. */
        int (*run)(Ctl *c, const Args *a, Error *err);
        bool probe; /* a monitoring plugin: failures are told on standard output, as status 3 */
} Command;

#define OPTIONS(list) .options = (list), .n_options = sizeof(list) / sizeof(list)[0]

extern const Command *const commands[];
extern const size_t n_commands;
extern const Option general_options[];
extern const size_t n_general_options;

extern const Command command_backup, command_check, command_events, command_export, command_forget,
        command_query, command_removals, command_runs, command_show, command_status, command_sync,
        command_users, command_verify, command_webhooks;

/* The command of this name, or NULL. */
const Command *command_find(const char *name);

/* All of rosterctl; returns its exit status. */
int commands_run(int argc, char *argv[]);

/* ---- options.c ---- */

typedef enum ParseVerdict {
        PARSE_RUN,
        PARSE_DONE = 1, /* help or the version was printed */
} ParseVerdict;

/* Reads the command line into c and *ret.  A ParseVerdict, or E_USAGE; ret->command is set as soon as
 * it is known. */
int arguments_parse(Ctl *c, int argc, char *argv[], Args *ret, Error *err);

/* ---- help.c ---- */

/* command NULL: of rosterctl itself. */
void help_print(Out *o, const Command *command);

/* ---- complete.c ---- */

/* The hidden command "complete": prints what may stand for the last of words, one a line, for the
 * shells' completion.  words begins with "rosterctl". */
int complete_print(Ctl *c, char *const *words, int n, Error *err);
