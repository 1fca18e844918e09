/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "model/event.h"

/* Many events summed up for people: how many of each kind there were for each account, and whom the
 * first of them were about.  Its memory is bounded by accounts and kinds, not by events. */

#define DIGEST_NAMES 20

/* All events of one kind of one account. */
typedef struct DigestLine {
        char *account;
        EventKind kind;
        size_t count;
        char *names
                [DIGEST_NAMES]; /* of the first, clean; none for events about the account itself */
        size_t n_names;
        char *sentence; /* of the latest (event_sentence()) */
} DigestLine;

/* All zero is an empty one. */
typedef struct Digest {
        DigestLine *lines; /* by account as they came, the most urgent kinds of each first */
        size_t n_lines;
        size_t events;
        size_t latest; /* the line that grew last: where the next event most likely belongs */
} Digest;

/* Returns 0 or -ENOMEM; the digest is then as it was. */
int digest_add(Digest *d, const Event *e, bool minimal);
void digest_clear(Digest *d);

/* One line for people, without the account: "ana@example.com was suspended (was Registered)", or
 * "12 were suspended: ana@example.com, bo@example.com and 10 more" with as many names as size (at
 * least DIGEST_TEXT_MIN) has room for.  Clean; returns out. */
#define DIGEST_TEXT_MIN 128
char *digest_line_text(const DigestLine *line, char *out, size_t size);
