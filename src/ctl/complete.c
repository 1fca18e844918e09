/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ctl/command.h"

static const Option *find(const Option *list, size_t n, const char *word) {
        for (size_t i = 0; i < n; i++)
                if ((strncmp(word, "--", 2) == 0 && strcmp(word + 2, list[i].name) == 0) ||
                    (list[i].letter && word[0] == '-' && word[1] == list[i].letter && !word[2]))
                        return &list[i];
        return NULL;
}

static const Option *find_option(const Command *k, const char *word) {
        const Option *o = find(general_options, n_general_options, word);

        return o || !k ? o : find(k->options, k->n_options, word);
}

static void print_options(Out *o, const Option *list, size_t n) {
        for (size_t i = 0; i < n; i++)
                out_printf(o, "--%s\t%s\n", list[i].name, list[i].help);
}

static int print_words(Ctl *c, WordKind kind, Error *err) {
        CLEANUP(wordlist_clear) Words w = { 0 };
        int r = words_list(c, kind, &w, err);

        for (size_t i = 0; r >= 0 && i < w.n; i++)
                out_printf(&c->out, "%s\n", w.items[i]);
        return r;
}

static void print_commands(Out *o) {
        for (size_t i = 0; i < n_commands; i++)
                out_printf(o, "%s\t%s\n", commands[i]->name, commands[i]->summary);
}

int complete_print(Ctl *c, char *const *words, int n, Error *err) {
        const Command *k = NULL;
        const Option *open = NULL; /* waits for its argument */
        const char *last = n > 0 ? words[n - 1] : "";
        int args = 0; /* of the command, before the last word */

        for (int i = 0; i < n - 1; i++) {
                if (open) {
                        if (strcmp(open->name, "config") == 0)
                                c->config_path = words[i];
                        else if (strcmp(open->name, "database") == 0)
                                c->database_path = words[i];
                        open = NULL;
                } else if (*words[i] == '-') {
                        open = find_option(k, words[i]);
                        if (open && !open->arg)
                                open = NULL;
                } else if (k)
                        args++;
                else
                        k = command_find(words[i]);
        }
        if (open)
                return print_words(c, open->words, err);
        if (*last == '-') {
                print_options(&c->out, general_options, n_general_options);
                if (k)
                        print_options(&c->out, k->options, k->n_options);
                return 0;
        }
        if (k)
                return print_words(c, args && k->later_words ? k->later_words : k->words, err);
        print_commands(&c->out);
        return 0;
}
