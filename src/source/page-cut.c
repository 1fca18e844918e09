/* SPDX-License-Identifier: Apache-2.0 */
/* The page, member by member; the steps over its bytes are scan.h's. */
#include "source/page-cut.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "source/scan.h"

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
        scan_space(s);
        if (scan_next_is(s, ']')) {
                s->p++;
                return 0;
        }
        for (;;) {
                if (p->n_elements == PAGE_ELEMENTS_MAX) {
                        (void) scan_fail(s, "has too many records");
                        return 0;
                }
                if (grow(p, &size) < 0)
                        return -ENOMEM;
                if (!cut_element(s, expect, &p->elements[p->n_elements]))
                        return 0;
                p->n_elements++;
                scan_space(s);
                if (scan_next_is(s, ']')) {
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
                return scan_fail(s, "has too many members");
        m = &p->members[p->n_members];
        m->name = *name;
        if (!scan_value(s, 1, &m->value))
                return false;
        if (!text_is_utf8(m->value.data, m->value.len))
                return scan_fail(s, "is not UTF-8");
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
        if (scan_next_is(s, '}')) {
                s->p++;
                return 0;
        }
        do {
                if (!scan_name(s, &m.name))
                        return 0;
                if (!text_is_utf8(m.name.data, m.name.len)) {
                        (void) scan_fail(s, "is not UTF-8");
                        return 0;
                }
                if (!page_member_is(&m, array)) {
                        if (!add_member(s, &m.name, p))
                                return 0;
                } else if (*state != ARRAY_ABSENT || !scan_next_is(s, '[')) {
                        *state = *state == ARRAY_FOUND ? ARRAY_TWICE : ARRAY_OTHER;
                        if (!scan_value(s, 1, &m.value))
                                return 0;
                } else {
                        int r = cut_array(s, expect, p);

                        if (r < 0 || s->why)
                                return r;
                        *state = ARRAY_FOUND;
                }
                scan_space(s);
                if (scan_next_is(s, '}')) {
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
        scan_space(&s);
        if (s.p == s.end)
                return error_set(err, -EBADMSG, "is empty");
        if (*s.p != '{')
                return error_set(err, -EBADMSG, "is no JSON object");
        if (cut_object(&s, array, expect, &p, &state) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        if (!s.why) {
                scan_space(&s);
                if (s.p != s.end)
                        (void) scan_fail(&s, "goes on behind its end");
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
