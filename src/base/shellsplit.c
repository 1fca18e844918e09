/* SPDX-License-Identifier: Apache-2.0 */
#include "base/shellsplit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/secret.h"

void words_clear(Words *w) {
        for (size_t i = 0; i < w->count; i++)
                wipe_free(w->items[i]);
        free(w->items);
        *w = (Words){ 0 };
}

/* Reads one word from *p into out, which is as large as the text.  The word may be empty: ''. */
static int read_word(const char **p, char *out, Error *err) {
        char quote = '\0';

        for (; **p && (quote || !strchr(" \t\r\n", **p)); (*p)++) {
                char c = **p;

                if (quote && c == quote)
                        quote = '\0';
                else if (!quote && (c == '\'' || c == '"'))
                        quote = c;
                else if (c == '\\' && quote != '\'') {
                        char next = *++*p;

                        if (!next)
                                return error_set(err, -EINVAL, "ends with a lone backslash");
                        if (quote == '"' && next != '"' && next != '\\')
                                *out++ = '\\';
                        *out++ = next;
                } else
                        *out++ = c;
        }
        *out = '\0';
        return quote ? error_set(err, -EINVAL, "has a quotation mark that is not closed") : 0;
}

static int add_word(Words *w, const char *word, Error *err) {
        char **items = reallocarray(w->items, w->count + 2, sizeof *items);

        if (!items)
                return error_set(err, -ENOMEM, "out of memory");
        w->items = items;
        items[w->count] = strdup(word);
        if (!items[w->count])
                return error_set(err, -ENOMEM, "out of memory");
        items[++w->count] = NULL;
        return 0;
}

int shell_split(const char *text, Words *ret, Error *err) {
        CLEANUP(words_clear) Words words = { 0 };
        CLEANUP(wipe_freep) char *word = calloc(1, strlen(text) + 1);
        int r = 0;

        if (!word)
                return error_set(err, -ENOMEM, "out of memory");
        for (const char *p = text; r == 0 && *(p += strspn(p, " \t\r\n"));) {
                r = read_word(&p, word, err);
                if (r == 0)
                        r = add_word(&words, word, err);
        }
        if (r < 0)
                return r;
        *ret = words;
        words = (Words){ 0 };
        return 0;
}
