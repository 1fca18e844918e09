/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/ctl.h"

/* What may stand for an argument: for completion, and for "did you mean". */
typedef enum WordKind {
        WORDS_ANY,
        WORDS_FLAG, /* the option takes no argument */
        WORDS_FILES,
        WORDS_COMMANDS,
        WORDS_FORMATS,
        WORDS_EVENT_TYPES,
        WORDS_CHECKS,
        WORDS_WEBHOOK_ACTIONS,
        WORDS_ACCOUNTS,      /* in the database, or in the configuration */
        WORDS_WEBHOOKS,      /* likewise */
        WORDS_REGISTRATIONS, /* known to Chime, or in the database */
        WORDS_INVITATIONS,   /* likewise */
} WordKind;

/* A list of texts that it owns.  All zero is an empty one. */
typedef struct Words {
        char **items;
        size_t n, room;
} Words;

void wordlist_clear(Words *w);
/* Adds a copy of text unless it is there.  Returns 0 or -ENOMEM. */
int words_add(Words *w, const char *text);
/* Adds the first column of rows, to the end; rows is freed. */
int words_add_rows(Words *w, Rows *rows, Error *err);

/* All words of a kind; none for WORDS_ANY and WORDS_FILES.  What cannot be read (no database, …) is
 * left out. */
int words_list(Ctl *c, WordKind kind, Words *ret, Error *err);

/* Finds *name among the words of a kind, whatever the case of its letters, and sets it to the word's
 * own spelling (static or borrowed for the life of c).  E_ABSENT: there is no such noun, with what
 * was probably meant. */
int words_check(Ctl *c, WordKind kind, const char *noun, const char **name, Error *err);
