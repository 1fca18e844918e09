/* SPDX-License-Identifier: Apache-2.0 */
/* Containers are not recursed into: a word holds one bit for each level that is open, so that nesting
 * costs no stack. */
#include "source/scan.h"

#include <assert.h>
#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "source/page-cut.h" /* PAGE_DEPTH_MAX */

static const char cut_off[] = "is cut off";

bool scan_fail(Scan *s, const char *why) {
        s->why = why;
        return false;
}

bool scan_fail_syntax(Scan *s) {
        return scan_fail(s, s->p == s->end ? cut_off : "is no JSON");
}

/* ---- strings ---- */

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Marks the high bit of each byte that means something in a string: a quote, a backslash, a control
 * character.  A borrow may mark bytes above such a one, never one below it. */
static uint64_t mark_bytes(uint64_t w) {
        uint64_t quote = (w ^ EACH('"')) - EACH(1), backslash = (w ^ EACH('\\')) - EACH(1);

        return (quote | backslash | (w - EACH(0x20))) & ~w & EACH(0x80);
}

/* Eight bytes at a time, the first of them the lowest. */
void scan_plain(Scan *s) {
        while (s->end - s->p >= 8) {
                uint64_t w, marks;

                memcpy(&w, s->p, sizeof w);
                marks = mark_bytes(le64toh(w));
                if (marks) {
                        s->p += __builtin_ctzll(marks) / 8;
                        return;
                }
                s->p += 8;
        }
        while (s->p < s->end && *s->p != '"' && *s->p != '\\' && (unsigned char) *s->p >= 0x20)
                s->p++;
}

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

bool scan_hex(Scan *s, unsigned *ret) {
        unsigned v = 0;

        for (int i = 0; i < 4; i++, s->p++) {
                int digit = s->p < s->end ? hex_digit(*s->p) : -1;

                if (digit < 0)
                        return scan_fail_syntax(s);
                v = v << 4 | (unsigned) digit;
        }
        *ret = v;
        return true;
}

/* A string from its opening quote to behind its closing one. */
static bool scan_string(Scan *s, bool is_name) {
        unsigned code = 0;

        assert(*s->p == '"');
        s->p++;
        for (;;) {
                scan_plain(s);
                if (s->p == s->end)
                        return scan_fail(s, cut_off);
                if (*s->p == '"') {
                        s->p++;
                        return true;
                }
                if (*s->p != '\\')
                        return scan_fail_syntax(s); /* a control character */
                if (++s->p == s->end)
                        return scan_fail(s, cut_off);
                if (*s->p == 'u') {
                        s->p++;
                        if (!scan_hex(s, &code))
                                return false;
                        if (code == 0 && is_name)
                                return scan_fail(s, "has a NUL in the name of a member");
                } else if (*s->p != '\0' && strchr("\"\\/bfnrt", *s->p))
                        s->p++;
                else
                        return scan_fail_syntax(s);
        }
}

bool scan_name(Scan *s, SourceRecord *ret) {
        const char *start;

        if (s->p == s->end || *s->p != '"')
                return scan_fail_syntax(s);
        start = s->p + 1;
        if (!scan_string(s, true))
                return false;
        if (ret)
                *ret = (SourceRecord){ .data = start, .len = (size_t) (s->p - 1 - start) };
        return scan_char(s, ':');
}

/* ---- numbers and literals ---- */

static bool scan_digits(Scan *s) {
        if (s->p == s->end || *s->p < '0' || *s->p > '9')
                return scan_fail_syntax(s);
        while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
                s->p++;
        return true;
}

static bool scan_number(Scan *s) {
        if (scan_next_is(s, '-'))
                s->p++;
        if (scan_next_is(s, '0'))
                s->p++;
        else if (!scan_digits(s))
                return false;
        if (scan_next_is(s, '.')) {
                s->p++;
                if (!scan_digits(s))
                        return false;
        }
        if (scan_next_is(s, 'e') || scan_next_is(s, 'E')) {
                s->p++;
                if (scan_next_is(s, '+') || scan_next_is(s, '-'))
                        s->p++;
                if (!scan_digits(s))
                        return false;
        }
        return true;
}

bool scan_literal(Scan *s, const char *word) {
        for (; *word; word++, s->p++)
                if (!scan_next_is(s, *word))
                        return scan_fail_syntax(s);
        return true;
}

/* A value that is no container. */
static bool scan_scalar(Scan *s) {
        switch (*s->p) {
        case '"':
                return scan_string(s, false);
        case 't':
                return scan_literal(s, "true");
        case 'f':
                return scan_literal(s, "false");
        case 'n':
                return scan_literal(s, "null");
        default:
                return scan_number(s);
        }
}

/* ---- containers ---- */

/* The containers that are open within a value: bit 0 is the innermost, 1 an object, 0 an array. */
typedef struct Nest {
        uint64_t objects;
        unsigned depth;
} Nest;

static char closer(const Nest *n) {
        return n->objects & 1 ? '}' : ']';
}

/* Steps over what follows a value: closing brackets, and a comma if there is a next value.  True
 * with n->depth 0 when all is closed, and true with the cursor on the next value else. */
static bool scan_after_value(Scan *s, Nest *n) {
        while (n->depth > 0) {
                scan_space(s);
                if (scan_next_is(s, closer(n))) {
                        s->p++;
                        n->objects >>= 1;
                        n->depth--;
                        continue;
                }
                if (!scan_char(s, ','))
                        return false;
                return n->objects & 1 ? scan_name(s, NULL) : true;
        }
        return true;
}

bool scan_value(Scan *s, unsigned outer, SourceRecord *ret) {
        const char *start = s->p;
        Nest n = { 0 };

        do {
                if (s->p == s->end)
                        return scan_fail(s, cut_off);
                if (*s->p == '{' || *s->p == '[') {
                        if (outer + n.depth == PAGE_DEPTH_MAX)
                                return scan_fail(s, "is nested too deeply");
                        n.objects = n.objects << 1 | (*s->p == '{');
                        n.depth++;
                        s->p++;
                        scan_space(s);
                        if (!scan_next_is(s, closer(&n))) {
                                if ((n.objects & 1) && !scan_name(s, NULL))
                                        return false;
                                continue; /* depth is not 0: on to the first value in it */
                        }
                } else if (!scan_scalar(s))
                        return false;
                if (!scan_after_value(s, &n))
                        return false;
        } while (n.depth > 0);

        *ret = (SourceRecord){ .data = start, .len = (size_t) (s->p - start) };
        return true;
}
