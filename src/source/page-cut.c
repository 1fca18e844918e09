/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the bytes with a cursor, never behind it and never past the end; each byte is
 * looked at once.  Containers are not recursed into: a word holds one bit for each level that is
 * open, so that nesting costs no stack. */
#include "source/page-cut.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/text.h"

/* Where we are, and what was wrong if a scan_…() returned false. */
typedef struct Scan {
        const char *start, *p, *end;
        const char *why;
} Scan;

static const char cut_off[] = "is cut off";
static const char no_json[] = "is no JSON";

/* Always false.  What is no JSON because it ends too soon is cut off. */
static bool fail(Scan *s, const char *why) {
        s->why = s->p == s->end && why == no_json ? cut_off : why;
        return false;
}

static void skip_space(Scan *s) {
        while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
                s->p++;
}

/* Steps over c, with white space before and after. */
static bool scan_char(Scan *s, char c) {
        skip_space(s);
        if (s->p == s->end || *s->p != c)
                return fail(s, no_json);
        s->p++;
        skip_space(s);
        return true;
}

/* ---- strings ---- */

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
#define HAS_ZERO(w) (((w) -EACH(0x01)) & ~(w) &EACH(0x80))
#define HAS_LESS(w, n) (((w) -EACH(n)) & ~(w) &EACH(0x80))

/* On to the next byte of a string that means something: a quote, a backslash, a control character.
 * Eight bytes at a time; the tests may stop too early (a borrow), never too late. */
static void skip_plain(Scan *s) {
        while (s->end - s->p >= 8) {
                uint64_t w;

                memcpy(&w, s->p, sizeof w);
                if (HAS_ZERO(w ^ EACH('"')) | HAS_ZERO(w ^ EACH('\\')) | HAS_LESS(w, 0x20))
                        break;
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

/* The four digits of \uXXXX at the cursor. */
static bool scan_hex(Scan *s, unsigned *ret) {
        unsigned v = 0;

        for (int i = 0; i < 4; i++, s->p++) {
                int digit = s->p < s->end ? hex_digit(*s->p) : -1;

                if (digit < 0)
                        return fail(s, no_json);
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
                skip_plain(s);
                if (s->p == s->end)
                        return fail(s, cut_off);
                if (*s->p == '"') {
                        s->p++;
                        return true;
                }
                if (*s->p != '\\')
                        return fail(s, no_json); /* a control character */
                if (++s->p == s->end)
                        return fail(s, cut_off);
                if (*s->p == 'u') {
                        s->p++;
                        if (!scan_hex(s, &code))
                                return false;
                        if (code == 0 && is_name)
                                return fail(s, "has a NUL in the name of a member");
                } else if (*s->p != '\0' && strchr("\"\\/bfnrt", *s->p))
                        s->p++;
                else
                        return fail(s, no_json);
        }
}

/* A name of an object, and its colon.  *ret (may be NULL) is what stands between the quotes. */
static bool scan_name(Scan *s, SourceRecord *ret) {
        const char *start;

        if (s->p == s->end || *s->p != '"')
                return fail(s, no_json);
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
                return fail(s, no_json);
        while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
                s->p++;
        return true;
}

static bool next_is(const Scan *s, char c) {
        return s->p < s->end && *s->p == c;
}

static bool scan_number(Scan *s) {
        if (next_is(s, '-'))
                s->p++;
        if (next_is(s, '0'))
                s->p++;
        else if (!scan_digits(s))
                return false;
        if (next_is(s, '.')) {
                s->p++;
                if (!scan_digits(s))
                        return false;
        }
        if (next_is(s, 'e') || next_is(s, 'E')) {
                s->p++;
                if (next_is(s, '+') || next_is(s, '-'))
                        s->p++;
                if (!scan_digits(s))
                        return false;
        }
        return true;
}

static bool scan_literal(Scan *s, const char *word) {
        for (; *word; word++, s->p++)
                if (!next_is(s, *word))
                        return fail(s, no_json);
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
                skip_space(s);
                if (next_is(s, closer(n))) {
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

/* A value from its first byte to behind its last.  outer: how many containers it is in. */
static bool scan_value(Scan *s, unsigned outer, SourceRecord *ret) {
        const char *start = s->p;
        Nest n = { 0 };

        do {
                if (s->p == s->end)
                        return fail(s, cut_off);
                if (*s->p == '{' || *s->p == '[') {
                        if (outer + n.depth == PAGE_DEPTH_MAX)
                                return fail(s, "is nested too deeply");
                        n.objects = n.objects << 1 | (*s->p == '{');
                        n.depth++;
                        s->p++;
                        skip_space(s);
                        if (!next_is(s, closer(&n))) {
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

/* ---- the page ---- */

/* Makes room for one more element.  *size: how many there is room for. */
static int grow(PageCut *p, size_t *size) {
        SourceRecord *bigger;
        size_t next = *size ? *size * 2 : 256;

        if (p->n_elements < *size)
                return 0;
        bigger = realloc(p->elements, next * sizeof *bigger);
        if (!bigger)
                return -ENOMEM;
        p->elements = bigger;
        *size = next;
        return 0;
}

/* The element at the cursor. */
static bool cut_element(Scan *s, const SourceExpect *expect, SourceRecord *ret) {
        int64_t row = 0;
        size_t len =
                expect ? expect->expect(expect->userdata, s->p, (size_t) (s->end - s->p), &row) : 0;

        if (len == 0)
                return scan_value(s, 2, ret);
        *ret = (SourceRecord){ s->p, len, row };
        s->p += len;
        return true;
}

/* The elements of the array at the cursor.  0 with s->why set if it is not right. */
static int cut_array(Scan *s, const SourceExpect *expect, PageCut *p) {
        size_t size = 0;

        assert(*s->p == '[');
        s->p++;
        skip_space(s);
        if (next_is(s, ']')) {
                s->p++;
                return 0;
        }
        for (;;) {
                if (p->n_elements == PAGE_ELEMENTS_MAX) {
                        (void) fail(s, "has too many records");
                        return 0;
                }
                if (grow(p, &size) < 0)
                        return -ENOMEM;
                if (!cut_element(s, expect, &p->elements[p->n_elements]))
                        return 0;
                p->n_elements++;
                skip_space(s);
                if (next_is(s, ']')) {
                        s->p++;
                        return 0;
                }
                if (!scan_char(s, ','))
                        return 0;
        }
}

static bool add_member(Scan *s, const SourceRecord *name, PageCut *p) {
        PageMember *m;

        if (p->n_members == PAGE_MEMBERS_MAX)
                return fail(s, "has too many members");
        m = &p->members[p->n_members];
        m->name = *name;
        if (!scan_value(s, 1, &m->value))
                return false;
        if (!text_is_utf8(m->value.data, m->value.len))
                return fail(s, "is not UTF-8");
        p->n_members++;
        return true;
}

/* What is wrong with the array member itself, if anything. */
typedef enum ArrayState {
        ARRAY_ABSENT,
        ARRAY_FOUND,
        ARRAY_TWICE,
        ARRAY_OTHER, /* it is something else than an array */
} ArrayState;

/* The object at the cursor. */
static int cut_object(Scan *s, const char *array, const SourceExpect *expect, PageCut *p,
                      ArrayState *state) {
        PageMember m = { 0 };

        if (!scan_char(s, '{'))
                return 0;
        if (next_is(s, '}')) {
                s->p++;
                return 0;
        }
        do {
                if (!scan_name(s, &m.name))
                        return 0;
                if (!text_is_utf8(m.name.data, m.name.len)) {
                        (void) fail(s, "is not UTF-8");
                        return 0;
                }
                if (!page_member_is(&m, array)) {
                        if (!add_member(s, &m.name, p))
                                return 0;
                } else if (*state != ARRAY_ABSENT || !next_is(s, '[')) {
                        *state = *state == ARRAY_FOUND ? ARRAY_TWICE : ARRAY_OTHER;
                        if (!scan_value(s, 1, &m.value))
                                return 0;
                } else {
                        int r = cut_array(s, expect, p);

                        if (r < 0 || s->why)
                                return r;
                        *state = ARRAY_FOUND;
                }
                skip_space(s);
                if (next_is(s, '}')) {
                        s->p++;
                        return 0;
                }
        } while (scan_char(s, ','));
        return 0;
}

int page_cut(const char *text, size_t len, const char *array, const SourceExpect *expect,
             PageCut *ret, Error *err) {
        CLEANUP(page_cut_clear) PageCut p = { 0 };
        Scan s = { .start = text, .p = text, .end = text + len };
        ArrayState state = ARRAY_ABSENT;

        *ret = (PageCut){ 0 };
        skip_space(&s);
        if (s.p == s.end)
                return error_set(err, -EBADMSG, "is empty");
        if (*s.p != '{')
                return error_set(err, -EBADMSG, "is no JSON object");
        if (cut_object(&s, array, expect, &p, &state) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        if (!s.why) {
                skip_space(&s);
                if (s.p != s.end)
                        (void) fail(&s, "goes on behind its end");
        }
        if (s.why)
                return error_set(err, -EBADMSG, "%s (at byte %zu)", s.why,
                                 (size_t) (s.p - s.start));
        switch (state) {
        case ARRAY_FOUND:
                break;
        case ARRAY_ABSENT:
                return error_set(err, -EBADMSG, "has no %s array", array);
        case ARRAY_TWICE:
                return error_set(err, -EBADMSG, "has more than one %s array", array);
        case ARRAY_OTHER:
                return error_set(err, -EBADMSG, "has a member %s that is no array", array);
        }
        *ret = p;
        p.elements = NULL;
        return 0;
}

void page_cut_clear(PageCut *p) {
        free(p->elements);
        p->elements = NULL;
        p->n_elements = p->n_members = 0;
}

bool page_member_is(const PageMember *m, const char *name) {
        const char *p = m->name.data, *end = p + m->name.len;

        for (; p < end; name++) {
                unsigned c = (unsigned char) *p++;

                if (c == '\\') {
                        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

                        if (*p == 'u') {
                                Scan s = { .start = p, .p = p + 1, .end = end };

                                if (!scan_hex(&s, &c))
                                        return false;
                                p = s.p;
                        } else
                                c = (unsigned char) to[strchr(from, *p++) - from];
                }
                if (c == 0 || c >= 0x80 || c != (unsigned char) *name)
                        return false;
        }
        return *name == '\0';
}
