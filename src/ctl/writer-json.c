/* SPDX-License-Identifier: Apache-2.0 */
/* json: an array of objects.  ndjson: an object a line.  Both are valid whatever the rows hold. */
#include <string.h>

#include "base/text.h"
#include "ctl/json.h"
#include "ctl/writer-internal.h"

/* The bytes at text that stand in a JSON string as they are.  *ret_ascii: no others but ASCII. */
static size_t plain_run(const char *text, size_t len, bool *ret_ascii) {
        unsigned char all = 0;
        size_t i = 0;

        while (i < len && (unsigned char) text[i] >= 0x20 && text[i] != 0x7f && text[i] != '"' &&
               text[i] != '\\')
                all |= (unsigned char) text[i++];
        *ret_ascii = all < 0x80;
        return i;
}

static void write_escaped(Out *o, char c) {
        if (c == '"' || c == '\\')
                out_printf(o, "\\%c", c);
        else
                out_printf(o, "\\u%04x", (unsigned) (unsigned char) c);
}

/* What a terminal may act upon: the code point of a C1 control, of what breaks lines or of what turns
 * the direction of text; 0: none. */
static unsigned dangerous(const char *text, size_t n) {
        const unsigned char *u = (const unsigned char *) text;
        unsigned c;

        if (n == 2 && u[0] == 0xc2 && u[1] < 0xa0)
                return u[1];
        if (n != 3 || u[0] != 0xe2)
                return 0;
        c = 0x2000U | (u[1] & 0x3fU) << 6 | (u[2] & 0x3fU);
        return (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ? c : 0;
}

/* What is not UTF-8 becomes U+FFFD, byte by byte. */
static void write_run(Out *o, const char *text, size_t len) {
        bool valid = text_is_utf8(text, len);

        if (valid && !memchr(text, 0xc2, len) && !memchr(text, 0xe2, len)) {
                out_write(o, text, len);
                return;
        }
        while (len > 0) {
                size_t n = text_utf8_length(text, len);
                unsigned c = dangerous(text, n);

                if (n == 0 || (!valid && n > 1)) {
                        n = 1;
                        out_text(o, "\xef\xbf\xbd");
                } else if (c)
                        out_printf(o, "\\u%04x", c);
                else
                        out_write(o, text, n);
                text += n;
                len -= n;
        }
}

void json_write_string(Out *o, const char *text, size_t len) {
        out_char(o, '"');
        while (len > 0) {
                bool ascii;
                size_t part = plain_run(text, len, &ascii);

                if (ascii)
                        out_write(o, text, part);
                else
                        write_run(o, text, part);
                if (part < len)
                        write_escaped(o, text[part++]);
                text += part;
                len -= part;
        }
        out_char(o, '"');
}

/* JSON as rosterd wrote it: what is dangerous there is within strings. */
static void write_json(Out *o, const char *text, size_t len) {
        while (len > 0) {
                const char *del = memchr(text, 0x7f, len);
                size_t part = del ? (size_t) (del - text) : len;

                write_run(o, text, part);
                if (del) {
                        write_escaped(o, *del);
                        part++;
                }
                text += part;
                len -= part;
        }
}

/* Infinities are numbers to SQLite, but not to JSON. */
static void write_number(Out *o, const Cell *c) {
        if (strspn(c->text, "+-0123456789.eE") == c->len)
                out_write(o, c->text, c->len);
        else
                json_write_string(o, c->text, c->len);
}

static void write_value(Out *o, const Column *column, const Cell *c) {
        switch (c->type) {
        case CELL_NULL:
                out_text(o, "null");
                return;
        case CELL_NUMBER:
                if (column->type == COLUMN_BOOL)
                        out_text(o, strcmp(c->text, "0") == 0 ? "false" : "true");
                else
                        write_number(o, c);
                return;
        case CELL_TEXT:
                if (column->type == COLUMN_JSON)
                        write_json(o, c->text, c->len);
                else
                        json_write_string(o, c->text, c->len);
                return;
        case CELL_BLOB:
                out_char(o, '"');
                for (size_t i = 0; i < c->len; i++)
                        out_printf(o, "%02x", (unsigned char) c->text[i]);
                out_char(o, '"');
                return;
        }
}

void json_write_object(Out *o, const Column *columns, const Cell *cells, size_t n) {
        for (size_t i = 0; i < n; i++) {
                out_char(o, i ? ',' : '{');
                json_write_string(o, columns[i].name, strlen(columns[i].name));
                out_char(o, ':');
                write_value(o, &columns[i], &cells[i]);
        }
        out_text(o, n ? "}" : "{}");
}

static int begin_array(Writer *w) {
        out_char(w->out, '[');
        return 0;
}

static void array_row(Writer *w, const Cell *cells) {
        out_text(w->out, w->rows ? ",\n" : "\n");
        json_write_object(w->out, w->columns, cells, w->n);
}

static void end_array(Writer *w) {
        out_text(w->out, w->rows ? "\n]\n" : "]\n");
}

static int begin_lines(Writer *w) {
        (void) w;
        return 0;
}

static void line_row(Writer *w, const Cell *cells) {
        json_write_object(w->out, w->columns, cells, w->n);
        out_char(w->out, '\n');
}

const WriterFormat writer_json = { .begin = begin_array, .row = array_row, .end = end_array };
const WriterFormat writer_ndjson = { .begin = begin_lines, .row = line_row };
