/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of members that the table of fields knows, each value straight into the user.  A function
 * that returns false has met something that is not ordinary. */
#include "source/record-read.h"

#include <string.h>

#include "base/text.h"
#include "base/timefmt.h"
#include "source/scan.h"

#define RECORD_MAX (64u << 10)
#define BUFFER_SIZE 512 /* for a text that has escapes, without them */

typedef struct Reader {
        Scan s;
        User *u;
        FieldMask fields, parents; /* who came, if only as null; a parent by its first field */
        unsigned next;             /* the field that is likely to come next */
} Reader;

/* Bytes without NUL: of the record, or of a buffer. */
typedef struct Text {
        const char *data;
        size_t len;
} Text;

/* ---- strings ---- */

/* A string at the cursor that has no escapes. */
static bool read_plain(Scan *s, Text *ret) {
        const char *start;

        if (!next_is(s, '"'))
                return false;
        start = ++s->p;
        skip_plain(s);
        if (!next_is(s, '"'))
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

/* What the escape at the cursor stands for.  Its length, or 0. */
static size_t read_escape(Scan *s, char out[static 4]) {
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

/* A string from behind its opening quote, without its escapes. */
static bool unescape(Scan *s, char buffer[static BUFFER_SIZE], Text *ret) {
        size_t n = 0, len;

        while (n + 4 <= BUFFER_SIZE && s->p < s->end && (unsigned char) *s->p >= 0x20) {
                if (*s->p == '"') {
                        s->p++;
                        *ret = (Text){ buffer, n };
                        return true;
                }
                if (*s->p != '\\') {
                        buffer[n++] = *s->p++;
                        continue;
                }
                len = read_escape(s, buffer + n);
                if (len == 0)
                        return false;
                n += len;
        }
        return false;
}

/* ---- values ---- */

static bool set(Reader *r, UserFieldId id, Text text) {
        return user_set_bytes(r->u, id, text.data, text.len) == 0;
}

static bool set_escaped(Reader *r, UserFieldId id, const char *start) {
        char buffer[BUFFER_SIZE];
        Text text;

        r->s.p = start;
        return unescape(&r->s, buffer, &text) && set(r, id, text);
}

/* A time in any of the forms that are understood, as time_format() writes it. */
static bool set_time(Reader *r, UserFieldId id, Text text) {
        char buffer[64];
        int64_t ms;

        if (text.len >= sizeof buffer)
                return false;
        memcpy(buffer, text.data, text.len);
        buffer[text.len] = '\0';
        if (time_parse(buffer, &ms) < 0)
                return false;
        time_format(ms, buffer);
        return set(r, id, (Text){ buffer, TIME_TEXT_SIZE - 1 });
}

static bool set_bool(Reader *r, UserFieldId id) {
        bool yes = next_is(&r->s, 't');

        return scan_literal(&r->s, yes ? "true" : "false") &&
               set(r, id, (Text){ yes ? "1" : "0", 1 });
}

/* The value at the cursor into its field. */
static bool read_value(Reader *r, UserFieldId id) {
        const char *start = r->s.p;
        Text text;

        if (next_is(&r->s, 'n'))
                return scan_literal(&r->s, "null");
        if (user_fields[id].type == FIELD_BOOL)
                return set_bool(r, id);
        if (!next_is(&r->s, '"'))
                return false;
        if (!read_plain(&r->s, &text))
                return user_fields[id].type == FIELD_TEXT && set_escaped(r, id, start + 1);
        if (user_fields[id].type == FIELD_TIME && !time_is_canonical(text.data, text.len))
                return set_time(r, id, text);
        return set(r, id, text);
}

/* ---- members ---- */

#define LENGTHS(id, json, parent, column, type, flags) { sizeof json - 1, sizeof parent - 1 },
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
        return next_is(&r->s, 'n') ? scan_literal(&r->s, "null") : read_object(r, name);
}

static bool read_member(Reader *r, const char *parent) {
        unsigned i;
        bool outer;

        if (!next_is(&r->s, '"'))
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
        if (next_is(&r->s, '}')) {
                r->s.p++;
                return true;
        }
        do {
                if (!read_member(r, parent))
                        return false;
                skip_space(&r->s);
                if (next_is(&r->s, '}')) {
                        r->s.p++;
                        return true;
                }
        } while (scan_char(&r->s, ','));
        return false;
}

bool record_read(const SourceRecord *record, User *u) {
        Reader r = { .s = { .p = record->data, .end = record->data + record->len }, .u = u };

        if (record->len <= RECORD_MAX && text_is_utf8(record->data, record->len) &&
            read_object(&r, "") && r.s.p == r.s.end)
                return true;
        user_clear(u);
        return false;
}
