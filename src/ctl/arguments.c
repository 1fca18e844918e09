/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/text.h"
#include "config.h"
#include "ctl/command.h"

const Option general_options[] = {
        { "config", 'c', "FILE", WORDS_FILES, "read the database's path from this configuration" },
        { "database", 'd', "FILE", WORDS_FILES, "read this database" },
        { "format", 'f', "FORMAT", WORDS_FORMATS, "table, csv, json or ndjson" },
        { "utc", 0, NULL, WORDS_FLAG, "times are UTC, also on a terminal" },
        { "help", 'h', NULL, WORDS_FLAG, "print this text, or a command's, and exit" },
        { "version", 0, NULL, WORDS_FLAG, "print the version and exit" },
};
const size_t n_general_options = sizeof general_options / sizeof general_options[0];

/* Values as getopt returns them. */
enum { OPT_GENERAL = 256, OPT_COMMAND = 512 };

typedef struct Table {
        struct option longs[OPTIONS_MAX + 1];
        char shorts[2 * OPTIONS_MAX + 4];
        const char *names[OPTIONS_MAX]; /* for "did you mean" */
        size_t n;
} Table;

static void table_add(Table *t, const Option *list, size_t n, int base) {
        for (size_t i = 0; i < n; i++) {
                size_t at = strlen(t->shorts);

                assert(t->n < OPTIONS_MAX);
                t->longs[t->n] =
                        (struct option){ .name = list[i].name,
                                         .has_arg = list[i].arg ? required_argument : no_argument,
                                         .val = base + (int) i };
                t->names[t->n++] = list[i].name;
                if (list[i].letter)
                        (void) snprintf(t->shorts + at, sizeof t->shorts - at, "%c%s",
                                        list[i].letter, list[i].arg ? ":" : "");
        }
}

/* The value of a short option, which getopt gives as its letter. */
static int by_letter(const Option *list, size_t n, int letter, int base) {
        for (size_t i = 0; i < n; i++)
                if (list[i].letter == letter)
                        return base + (int) i;
        return '?';
}

/* A letter may stand among others, in an argument that getopt has not done with. */
static int wrong_option(const Table *t, char *const argv[], int c, const char *command,
                        Error *err) {
        const char *sep = command ? " " : "", *meant = NULL;
        bool letter = optopt != 0 && optopt < OPT_GENERAL;
        char name[64];

        if (!command)
                command = "";
        if (letter)
                (void) snprintf(name, sizeof name, "-%c",
                                optopt > ' ' && optopt <= '~' ? optopt : '?');
        else
                (void) snprintf(name, sizeof name, "%.*s", (int) strcspn(argv[optind - 1], "="),
                                argv[optind - 1]);
        if (c == ':')
                return error_set(err, E_USAGE,
                                 "%.60s needs an argument; see 'rosterctl%s%s --help'", name, sep,
                                 command);
        if (optopt >= OPT_GENERAL)
                return error_set(err, E_USAGE,
                                 "%.60s takes no argument; see 'rosterctl%s%s --help'", name, sep,
                                 command);
        if (!letter)
                meant = text_did_you_mean(name + 2, t->names, t->n);
        return error_set(err, E_USAGE,
                         "'%.60s' is no option here%s%s%s; see 'rosterctl%s%s --help'", name,
                         meant ? ", did you mean --" : "", meant ? meant : "", meant ? "?" : "",
                         sep, command);
}

static int set_format(Ctl *c, const char *word, Error *err) {
        const char *name = word;
        int r = words_check(c, WORDS_FORMATS, "format", &name, err);

        if (r < 0)
                return error_set(err, E_USAGE,
                                 "there is no format '%.40s'; write table, csv, json or ndjson",
                                 word);
        for (unsigned i = FORMAT_TABLE; i < FORMAT_COUNT; i++)
                if (strcmp(format_names[i], name) == 0)
                        c->format = (Format) i;
        return 0;
}

static int set_general(Ctl *c, const Command *command, int i, const char *arg, Error *err) {
        if (arg && !*arg)
                return error_set(err, E_USAGE, "--%s is empty; write something, or leave it out",
                                 general_options[i].name);
        switch (general_options[i].name[0]) {
        case 'c':
                c->config_path = arg;
                return PARSE_RUN;
        case 'd':
                c->database_path = arg;
                return PARSE_RUN;
        case 'f':
                return set_format(c, arg, err);
        case 'u':
                c->utc = true;
                return PARSE_RUN;
        case 'h':
                help_print(&c->out, command);
                return PARSE_DONE;
        default:
                out_printf(&c->out, "rosterctl %s\n", PACKAGE_VERSION);
                return PARSE_DONE;
        }
}

/* Reads options until the end, or (at the start) until the command.  optind is where it stopped. */
static int read_options(Ctl *c, int argc, char *argv[], const Command *command, Args *a,
                        Error *err) {
        Table t = { .shorts = "+:" };
        int r = PARSE_RUN, v;

        if (command) /* options and arguments in any order */
                t.shorts[0] = ':', t.shorts[1] = '\0';
        table_add(&t, general_options, n_general_options, OPT_GENERAL);
        if (command)
                table_add(&t, command->options, command->n_options, OPT_COMMAND);
        optind = 0;
        while (r == PARSE_RUN && (v = getopt_long(argc, argv, t.shorts, t.longs, NULL)) != -1) {
                if (v < OPT_GENERAL && v != '?' && v != ':') {
                        int letter = v;

                        v = by_letter(general_options, n_general_options, letter, OPT_GENERAL);
                        if (v == '?' && command)
                                v = by_letter(command->options, command->n_options, letter,
                                              OPT_COMMAND);
                }
                if (v == '?' || v == ':')
                        return wrong_option(&t, argv, v, command ? command->name : NULL, err);
                if (v >= OPT_COMMAND)
                        a->values[v - OPT_COMMAND] = optarg ? optarg : "";
                else
                        r = set_general(c, command, v - OPT_GENERAL, optarg, err);
        }
        return r;
}

static int check_count(const Args *a, Error *err) {
        const Command *k = a->command;

        if (a->n < k->min_args)
                return error_set(err, E_USAGE, "'%s' needs %s after it; see 'rosterctl %s --help'",
                                 k->name, k->args, k->name);
        if (a->n > k->max_args)
                return error_set(err, E_USAGE,
                                 "'%.60s' is one argument too many; see 'rosterctl %s --help'",
                                 a->args[k->max_args], k->name);
        return 0;
}

static int find_command(Ctl *c, const char *name, const Command **ret, Error *err) {
        int r = words_check(c, WORDS_COMMANDS, "command", &name, err);

        if (r < 0)
                return r == E_ABSENT ? E_USAGE : r;
        *ret = command_find(name);
        return 0;
}

int arguments_parse(Ctl *c, int argc, char *argv[], Args *ret, Error *err) {
        int r, at;

        opterr = 0;
        r = read_options(c, argc, argv, NULL, ret, err);
        if (r != PARSE_RUN)
                return r;
        at = optind;
        if (at == argc)
                return error_set(err, E_USAGE, "say what to do; see 'rosterctl --help'");
        r = find_command(c, argv[at], &ret->command, err);
        if (r < 0)
                return r;
        r = read_options(c, argc - at, argv + at, ret->command, ret, err);
        if (r != PARSE_RUN)
                return r;
        ret->args = argv + at + optind;
        ret->n = argc - at - optind;
        return check_count(ret, err);
}

static size_t find_option(const Args *a, const char *option) {
        size_t i = 0;

        while (i < a->command->n_options && strcmp(a->command->options[i].name, option) != 0)
                i++;
        assert(i < a->command->n_options);
        return i;
}

const char *args_get(const Args *a, const char *option) {
        return a->values[find_option(a, option)];
}

bool args_has(const Args *a, const char *option) {
        return args_get(a, option) != NULL;
}

int args_number(const Args *a, const char *option, int64_t dflt, int64_t *ret, Error *err) {
        const char *text = args_get(a, option);

        if (!text) {
                *ret = dflt;
                return 0;
        }
        if (number_parse(text, 0, INT64_MAX, ret) < 0)
                return error_set(err, E_USAGE, "--%s takes a whole number, not '%.40s'", option,
                                 text);
        return 0;
}
