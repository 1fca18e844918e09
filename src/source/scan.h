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

/* Always false. */
bool scan_fail(Scan *s, const char *why);
/* The same of what is no JSON; because it ends too soon, if it ends here. */
bool scan_fail_syntax(Scan *s);

static inline bool scan_next_is(const Scan *s, char c) {
        return s->p < s->end && *s->p == c;
}

static inline bool is_space(char c) {
        return (unsigned char) c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
}

static inline void scan_space(Scan *s) {
        while (s->p < s->end && is_space(*s->p))
                s->p++;
}

/* Steps over c, with white space before and after. */
static inline bool scan_char(Scan *s, char c) {
        scan_space(s);
        if (!scan_next_is(s, c))
                return scan_fail_syntax(s);
        s->p++;
        scan_space(s);
        return true;
}

/* On to the next byte of a string that means something: a quote, a backslash, a control character;
 * or to the end. */
void scan_plain(Scan *s);

/* The four digits of \uXXXX at the cursor. */
bool scan_hex(Scan *s, unsigned *ret);

/* Steps over a word: true, false, null. */
bool scan_literal(Scan *s, const char *word);

/* A name of an object, and its colon.  *ret (may be NULL) is what stands between the quotes. */
bool scan_name(Scan *s, SourceRecord *ret);

/* A value from its first byte to behind its last.  outer: how many containers it is in. */
bool scan_value(Scan *s, unsigned outer, SourceRecord *ret);
