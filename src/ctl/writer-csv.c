/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 4180: CRLF, a header, quotes where they are needed, UTF-8.
 *
 * Spreadsheets take a field for a formula if it begins with one of = + - @ (also as wide as a Chinese
 * character) or a tab, CR or LF, and what people call themselves comes from outside.  Such a field gets a ' before it (OWASP, "CSV
 * Injection"), except that a plain number or telephone number, "+" or "-" and digits, stays. */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "ctl/width.h"
#include "ctl/writer-internal.h"

static bool is_number(const char *text, size_t len) {
        return len > 1 && (*text == '-' || *text == '+') &&
               strspn(text + 1, "0123456789.") == len - 1;
}

static bool is_formula(const char *text, size_t len) {
        static const char *const wide[] = { "＝", "＋", "－", "＠" };

        for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
                if (len >= strlen(wide[i]) && memcmp(text, wide[i], strlen(wide[i])) == 0)
                        return true;
        return len > 0 && memchr("=+-@\t\r\n", *text, 7) && !is_number(text, len);
}

static void write_field(Out *o, const char *text, size_t len) {
        bool formula = is_formula(text, len), quote = formula;

        for (size_t i = 0; i < len && !quote; i++)
                quote = text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r';
        if (!quote) {
                out_write(o, text, len);
                return;
        }
        out_char(o, '"');
        if (formula)
                out_char(o, '\'');
        while (len > 0) {
                const char *mark = memchr(text, '"', len);
                size_t part = mark ? (size_t) (mark - text) + 1 : len;

                out_write(o, text, part);
                if (mark)
                        out_char(o, '"');
                text += part;
                len -= part;
        }
        out_char(o, '"');
}

/* A terminal gets what a table would show there. */
static void write_text(Out *o, const char *text, size_t len) {
        CLEANUP_FREE char *clean = NULL;

        if (!o->terminal || text_is_simple(text, len)) {
                write_field(o, text, len);
                return;
        }
        clean = malloc(len + 8);
        if (!clean) {
                o->failed = ENOMEM;
                return;
        }
        (void) text_clean(clean, len + 8, text, len);
        write_field(o, clean, strlen(clean));
}

static int begin(Writer *w) {
        for (size_t i = 0; i < w->n; i++) {
                if (i > 0)
                        out_char(w->out, ',');
                write_text(w->out, w->columns[i].name, strlen(w->columns[i].name));
        }
        out_write(w->out, "\r\n", 2);
        return 0;
}

static void write_hex(Out *o, const char *bytes, size_t len) {
        for (size_t i = 0; i < len; i++)
                out_printf(o, "%02x", (unsigned char) bytes[i]);
}

static void row(Writer *w, const Cell *cells) {
        for (size_t i = 0; i < w->n; i++) {
                if (i > 0)
                        out_char(w->out, ',');
                switch (cells[i].type) {
                case CELL_NULL:
                        break;
                case CELL_NUMBER:
                        out_write(w->out, cells[i].text, cells[i].len);
                        break;
                case CELL_TEXT:
                        write_text(w->out, cells[i].text, cells[i].len);
                        break;
                case CELL_BLOB:
                        write_hex(w->out, cells[i].text, cells[i].len);
                        break;
                }
        }
        out_write(w->out, "\r\n", 2);
}

const WriterFormat writer_csv = { .begin = begin, .row = row };
