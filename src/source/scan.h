/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Steps over JSON (RFC 8259) without building anything: a cursor in the bytes, never behind it and
 * never past the end; each byte is looked at once.  Shared by the files of source/ that read JSON by
 * its bytes. */

#include <stdbool.h>
#include <stddef.h>

#include "source/source.h"

/* Where we are, and what was wrong if a scan_…() returned false. */
typedef struct Scan {
        const char *start, *p, *end;
        const char *why; /* a clause that fits behind "the answer …" */
} Scan;

/* Always false.  What is no JSON because it ends too soon is cut off. */
bool fail(Scan *s, const char *why);

static inline bool next_is(const Scan *s, char c) {
        return s->p < s->end && *s->p == c;
}

static inline void skip_space(Scan *s) {
        while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
                s->p++;
}

/* On to the next byte of a string that means something: a quote, a backslash, a control character;
 * or to the end. */
void skip_plain(Scan *s);

/* Steps over c, with white space before and after. */
bool scan_char(Scan *s, char c);

/* The four digits of \uXXXX at the cursor. */
bool scan_hex(Scan *s, unsigned *ret);

/* Steps over a word: true, false, null. */
bool scan_literal(Scan *s, const char *word);

/* A name of an object, and its colon.  *ret (may be NULL) is what stands between the quotes. */
bool scan_name(Scan *s, SourceRecord *ret);

/* A value from its first byte to behind its last.  outer: how many containers it is in. */
bool scan_value(Scan *s, unsigned outer, SourceRecord *ret);
