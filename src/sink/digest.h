/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/idset.h"
#include "model/event.h"

/* Many events summed up for people: of each kind how many people there were in each account, and who
 * the first of them were.  Its lines do not stand in the order of what happened, so it tells one
 * change of a user and no more: what came next is for the next digest.  Its memory is bounded: by
 * accounts, kinds and DIGEST_SUBJECTS. */

#define DIGEST_NAMES 20
#define DIGEST_SUBJECTS 100000 /* about 4 MB; the rest is for the next one, too */

/* All events of one kind of one account, each about somebody else. */
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
        size_t latest;  /* the line that grew last: where the next event most likely belongs */
        IdSet subjects; /* of whom, or of what, it tells; the latest of them, and in which run */
        uint64_t subject;
        int64_t run;
} Digest;

typedef enum DigestAdd {
        DIGEST_ADDED,
        DIGEST_FULL, /* the event belongs into the next digest; this one is as it was */
} DigestAdd;

/* Returns a DigestAdd or -ENOMEM, after which the digest is only to be cleared. */
int digest_add(Digest *d, const Event *e, bool minimal);
void digest_clear(Digest *d);

/* One line for people, without the account: "ana@example.com was suspended (was Registered)", or
 * "12 were suspended: ana@example.com, bo@example.com and 10 more" with as many names as size (at
 * least DIGEST_TEXT_MIN) has room for.  Clean; returns out. */
#define DIGEST_TEXT_MIN 128
char *digest_line_text(const DigestLine *line, char *out, size_t size);
