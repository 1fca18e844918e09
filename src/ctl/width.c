/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/width.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>

/* wcwidth() knows widths only where the locale's characters are Unicode, which a person's own locale
 * need not be; C.UTF-8 is part of the C library. */
static locale_t unicode(void) {
        static locale_t l;

        if (!l)
                l = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t) 0);
        return l;
}

/* The character at text: its bytes (at least 1), and its columns in *ret. */
static size_t next(const char *text, size_t len, size_t *ret) {
        mbstate_t state = { 0 };
        wchar_t c;
        size_t n;
        int columns;

        *ret = 1;
        if ((unsigned char) *text < 0x80)
                return 1;
        n = mbrtowc(&c, text, len, &state);
        if (n == 0 || n > len) /* not UTF-8, or cut */
                return 1;
        columns = wcwidth(c);
        *ret = columns < 0 ? 1 : (size_t) columns;
        return n;
}

size_t text_fit(const char *text, size_t len, size_t width, size_t *ret_used) {
        locale_t l = unicode(), before = l ? uselocale(l) : (locale_t) 0;
        size_t at = 0, used = 0;

        while (at < len) {
                size_t columns, n = next(text + at, len - at, &columns);

                if (used + columns > width)
                        break;
                used += columns;
                at += n;
        }
        if (before)
                (void) uselocale(before);
        if (ret_used)
                *ret_used = used;
        return at;
}

size_t text_width(const char *text, size_t len) {
        size_t used = 0;

        (void) text_fit(text, len, (size_t) -1, &used);
        return used;
}

bool text_is_simple(const char *text, size_t len) {
        unsigned char other = 0;

        for (size_t i = 0; i < len; i++) /* to the end: that way it is several bytes at a time */
                other |= (unsigned char) ((unsigned char) (text[i] - 0x20) >= 0x7f - 0x20);
        return !other;
}

size_t text_to_ascii(char *text, size_t len) {
        locale_t l = unicode(), before = l ? uselocale(l) : (locale_t) 0;
        size_t from = 0, to = 0;

        while (from < len) {
                size_t columns, n = next(text + from, len - from, &columns);
                bool ascii = (unsigned char) text[from] < 0x80;
                char c = text[from];

                from += n;
                if (ascii)
                        text[to++] = c;
                else
                        for (; columns > 0; columns--)
                                text[to++] = '?';
        }
        if (before)
                (void) uselocale(before);
        return to;
}
