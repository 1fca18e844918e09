/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/error.h"

/* Words of a text, in an array that ends with NULL.  Owned: words_clear(). */
typedef struct Words {
        char **items;
        size_t count;
} Words;

/* Wipes and frees. */
void words_clear(Words *w);

/* Splits text as Python's shlex.split() does: blanks part words, '…' keeps all, "…" all but \" and
 * \\, a backslash elsewhere keeps the next character.  Nothing is expanded.  *ret is untouched
 * unless 0; -EINVAL (a quotation mark is not closed, or nothing follows a backslash), -ENOMEM. */
int shell_split(const char *text, Words *ret, Error *err);
