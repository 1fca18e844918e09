/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of members that the table of fields knows.  The user gets one copy of the record; its texts are
 * where they stand in that, each ended by a NUL in place of its closing quote.  A function that returns
 * false has met something that is not ordinary. */
#include "source/record-read.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/timefmt.h"
#include "source/scan.h"

#define RECORD_MAX (64u << 10)

typedef struct Reader {
        Scan s; /* of u->block */
        User *u;
        FieldMask fields, parents; /* who came, if only as null; a parent by its first field */
        unsigned next;             /* the field that is likely to come next */
} Reader;

typedef struct Text {
        const char *data;
        size_t len;
} Text;

/* ---- strings ---- */

/* A string without escapes, from behind its opening quote. */
static bool read_plain(Scan *s, Text *ret) {
        const char *start = s->p;

        scan_plain(s);
        if (!scan_next_is(s, '"'))
                return false;
        *ret = (Text){ start, (size_t) (s->p - start) };
        s->p++;
        return true;
}

/* The code point of \uXXXX, or of two of them, behind the first \u.  No NUL, no half of a pair. */
static bool read_code_point(Scan *s, unsigned *ret) {
        unsigned c = 0, low = 0;

        if (!scan_hex(s, &c) || c == 0 || (c >= 0xdc00 && c < 0xe000))
                return false;
        if (c >= 0xd800 && c < 0xdc00) {
                if (!scan_literal(s, "\\u") || !scan_hex(s, &low) || low < 0xdc00 || low >= 0xe000)
                        return false;
                c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
        }
        *ret = c;
        return true;
}

/* What the escape at the cursor stands for, which is shorter than itself.  Its length, or 0. */
static size_t read_escape(Scan *s, char *out) {
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char *at;
        unsigned c = 0;

        if (s->end - s->p < 2)
                return 0;
        s->p += 2;
        if (s->p[-1] == 'u')
                return read_code_point(s, &c) ? text_put_utf8(out, c) : 0;
        at = memchr(from, s->p[-1], sizeof from - 1);
        if (!at)
                return 0;
        *out = to[at - from];
        return 1;
}

/* A string from behind its opening quote, without its escapes; out is the same place. */
static bool unescape(Scan *s, char *out, Text *ret) {
        char *start = out;
        size_t len;

        while (s->p < s->end && (unsigned char) *s->p >= 0x20) {
                if (*s->p == '"') {
                        s->p++;
                        *ret = (Text){ start, (size_t) (out - start) };
                        return true;
                }
                if (*s->p != '\\') {
                        *out++ = *s->p++;
                        continue;
                }
                len = read_escape(s, out);
                if (len == 0)
                        return false;
                out += len;
        }
        return false;
}

/* ---- values ---- */

/* A place in the block, to write to. */
static char *writable(const Reader *r, const char *p) {
        return r->u->block + (p - r->u->block);
}

/* The text is followed by a byte that has been read. */
static void set(Reader *r, UserFieldId id, Text text) {
        char *p = writable(r, text.data);

        p[text.len] = '\0';
        user_set_in_block(r->u, id, p);
}

/* A time in any of the forms that are understood, as time_format() writes it. */
static bool set_time(Reader *r, UserFieldId id, Text text) {
        char time[TIME_TEXT_SIZE], *p = writable(r, text.data);
        int64_t ms;

        p[text.len] = '\0';
        if (time_parse(p, &ms) < 0)
                return false;
        time_format(ms, time);
        return user_set(r->u, id, time) == 0;
}

static bool set_bool(Reader *r, UserFieldId id) {
        char *p = writable(r, r->s.p);
        bool yes = scan_next_is(&r->s, 't');

        if (!scan_literal(&r->s, yes ? "true" : "false"))
                return false;
        *p = yes ? '1' : '0';
        set(r, id, (Text){ p, 1 });
        return true;
}

static bool read_string(Reader *r, UserFieldId id) {
        const char *start = ++r->s.p;
        bool is_time = user_fields[id].type == FIELD_TIME;
        Text text;

        if (read_plain(&r->s, &text)) {
                if (is_time && !time_is_canonical(text.data, text.len))
                        return set_time(r, id, text);
        } else {
                r->s.p = start;
                if (is_time || !unescape(&r->s, writable(r, start), &text))
                        return false;
        }
        set(r, id, text);
        return true;
}

/* The value at the cursor into its field. */
static bool read_value(Reader *r, UserFieldId id) {
        if (scan_next_is(&r->s, 'n'))
                return scan_literal(&r->s, "null");
        switch (user_fields[id].type) {
        case FIELD_TEXT:
        case FIELD_TIME:
                return scan_next_is(&r->s, '"') && read_string(r, id);
        case FIELD_BOOL:
                return set_bool(r, id);
        case FIELD_JSON:
                break; /* `extra`, which is no member */
        }
        return false;
}

/* ---- members ---- */

#define LENGTHS(id, json, parent, column, type, flags) { sizeof(json) - 1, sizeof(parent) - 1 },
static const struct {
        unsigned char json, parent;
} lengths[USER_FIELD_COUNT] = { USER_FIELDS(LENGTHS) };
#undef LENGTHS

/* Whether the text begins with a name (of len bytes, or none) and a quote. */
static inline bool is_name(Text text, const char *name, size_t len) {
        return len > 0 && text.len > len && text.data[len] == '"' &&
               memcmp(text.data, name, len) == 0;
}

/* Whether the text begins with the field's name in parent.  In the record itself (""), a field that has
 * a parent goes by the name of that. */
static inline bool is_field(Text text, unsigned i, const char *parent) {
        const UserField *f = &user_fields[i];

        if (*parent)
                return is_name(text, f->json, lengths[i].json) && strcmp(f->parent, parent) == 0;
        return lengths[i].parent > 0 ? is_name(text, f->parent, lengths[i].parent)
                                     : is_name(text, f->json, lengths[i].json);
}

/* The field whose name is at the cursor, or USER_FIELD_COUNT.  Members mostly come in the order of the
 * table, so this looks on from the last. */
static inline unsigned find_field(const Reader *r, const char *parent) {
        const Text rest = { r->s.p, (size_t) (r->s.end - r->s.p) };
        unsigned i = r->next;

        for (unsigned n = 0; n < USER_FIELD_COUNT; n++, i++) {
                if (i == USER_FIELD_COUNT)
                        i = 0;
                if (is_field(rest, i, parent))
                        return i;
        }
        return USER_FIELD_COUNT;
}

/* Whether i has not come before; now it has. */
static bool is_first(FieldMask *seen, unsigned i) {
        FieldMask before = *seen;

        *seen |= FIELD_BIT(i);
        return *seen != before;
}

static bool read_object(Reader *r, const char *parent);

static bool read_parent(Reader *r, const char *name) {
        unsigned first = 0;

        while (strcmp(user_fields[first].parent, name) != 0)
                first++;
        if (!is_first(&r->parents, first))
                return false;
        return scan_next_is(&r->s, 'n') ? scan_literal(&r->s, "null") : read_object(r, name);
}

static bool read_member(Reader *r, const char *parent) {
        unsigned i;
        bool outer;

        if (!scan_next_is(&r->s, '"'))
                return false;
        r->s.p++;
        i = find_field(r, parent);
        if (i == USER_FIELD_COUNT)
                return false;
        outer = !*parent && lengths[i].parent > 0;
        r->s.p += (outer ? lengths[i].parent : lengths[i].json) + 1;
        r->next = outer ? i : i + 1;
        if (!scan_char(&r->s, ':'))
                return false;
        if (outer)
                return read_parent(r, user_fields[i].parent);
        return is_first(&r->fields, i) && read_value(r, i);
}

/* The object at the cursor.  Not deeper than two: a parent's member is no parent. */
static bool read_object(Reader *r, const char *parent) {
        if (!scan_char(&r->s, '{'))
                return false;
        if (scan_next_is(&r->s, '}')) {
                r->s.p++;
                return true;
        }
        while (read_member(r, parent)) {
                scan_space(&r->s);
                if (scan_next_is(&r->s, '}')) {
                        r->s.p++;
                        return true;
                }
                if (!scan_next_is(&r->s, ','))
                        return false;
                r->s.p++;
                scan_space(&r->s);
        }
        return false;
}

static bool read_block(User *u, size_t len) {
        Reader r = { .s = { .start = u->block, .p = u->block, .end = u->block + len }, .u = u };

        return text_is_utf8(u->block, len) && read_object(&r, "") && r.s.p == r.s.end;
}

bool record_read(const SourceRecord *record, User *u) {
        if (record->len == 0 || record->len > RECORD_MAX)
                return false;
        u->block = malloc(record->len);
        if (!u->block)
                return false;
        memcpy(u->block, record->data, record->len);
        if (read_block(u, record->len))
                return true;
        user_clear(u);
        return false;
}
