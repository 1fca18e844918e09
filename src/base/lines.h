/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* What counts as blank within a line. */
#define BLANKS " \t\v\f"

/* The lines of a text in memory, which file_read() has ended with a NUL at end. */
typedef struct Lines {
        char *at, *end;
        unsigned number; /* of the line that was given out last; from 1 */
} Lines;

/* The next line, NUL-terminated in place, without its end ("\n" or "\r\n"); NULL after the last. */
char *lines_next(Lines *l);

char *skip_blanks(char *p);

/* Ends text before trailing blanks. */
void trim_end(char *text);
