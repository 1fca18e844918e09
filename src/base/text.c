/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

size_t text_utf8_length(const char *s, size_t len) {
        const unsigned char *u = (const unsigned char *) s;
        uint32_t c;
        size_t n;

        if (u[0] < 0x80)
                return u[0] ? 1 : 0;
        if (u[0] >= 0xc2 && u[0] < 0xe0)
                n = 2, c = u[0] & 0x1fu;
        else if (u[0] >= 0xe0 && u[0] < 0xf0)
                n = 3, c = u[0] & 0x0fu;
        else if (u[0] >= 0xf0 && u[0] < 0xf5)
                n = 4, c = u[0] & 0x07u;
        else
                return 0;
        if (n > len)
                return 0;
        for (size_t i = 1; i < n; i++) {
                if ((u[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (u[i] & 0x3fu);
        }
        if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff ||
            (c >= 0xd800 && c < 0xe000))
                return 0;
        return n;
}

size_t text_put_utf8(char out[static 4], uint32_t c) {
        if (c < 0x80) {
                out[0] = (char) c;
                return 1;
        }
        if (c < 0x800) {
                out[0] = (char) (0xc0 | c >> 6);
                out[1] = (char) (0x80 | (c & 0x3f));
                return 2;
        }
        if (c < 0x10000) {
                out[0] = (char) (0xe0 | c >> 12);
                out[1] = (char) (0x80 | (c >> 6 & 0x3f));
                out[2] = (char) (0x80 | (c & 0x3f));
                return 3;
        }
        out[0] = (char) (0xf0 | c >> 18);
        out[1] = (char) (0x80 | (c >> 12 & 0x3f));
        out[2] = (char) (0x80 | (c >> 6 & 0x3f));
        out[3] = (char) (0x80 | (c & 0x3f));
        return 4;
}

/* Whether eight bytes are ASCII and none of them is NUL. */
static bool eight_ascii(const char *in) {
        uint64_t w;

        memcpy(&w, in, sizeof w);
        return !((w | (w - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080));
}

bool text_is_utf8(const char *in, size_t len) {
        while (len > 0) {
                if (len >= 8 && eight_ascii(in)) {
                        in += 8;
                        len -= 8;
                        continue;
                }
                size_t n = text_utf8_length(in, len);

                if (n == 0)
                        return false;
                in += n;
                len -= n;
        }
        return true;
}

/* C1 controls (U+0080 to U+009F) and the Unicode line and direction controls: what could forge or
 * reorder a line on a terminal. */
static bool is_control(const char *s, size_t n) {
        const unsigned char *u = (const unsigned char *) s;

        if (n == 1)
                return u[0] < 0x20 || u[0] == 0x7f;
        if (n == 2)
                return u[0] == 0xc2 && u[1] < 0xa0;
        if (n == 3 && u[0] == 0xe2 && u[1] == 0x80)
                return u[2] >= 0xa8 && u[2] <= 0xae; /* LS, PS, LRE … RLO */
        return n == 3 && u[0] == 0xe2 && u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9;
}

char *text_clean(char *out, size_t size, const char *in, size_t len) {
        static const char ellipsis[] = "…";
        size_t at = 0;
        bool blank = false;

        assert(size >= sizeof ellipsis);
        while (len > 0) {
                size_t n = text_utf8_length(in, len), take = n ? n : 1;
                bool space = memchr(" \t\r\n\v\f", *in, 6) != NULL;

                if (space)
                        blank = true;
                else {
                        bool bad = n == 0 || is_control(in, n);
                        size_t need = (bad ? 1 : n) + (blank && at > 0);

                        if (at + need + sizeof ellipsis > size) {
                                memcpy(out + at, ellipsis, sizeof ellipsis);
                                return out;
                        }
                        if (blank && at > 0)
                                out[at++] = ' ';
                        blank = false;
                        if (bad)
                                out[at++] = '?';
                        else {
                                memcpy(out + at, in, n);
                                at += n;
                        }
                }
                in += take;
                len -= take;
        }
        out[at] = '\0';
        return out;
}

/* Levenshtein distance of short words, case folded for ASCII; of long ones, none that would do. */
static size_t distance(const char *a, const char *b) {
        size_t row[64], la = strlen(a), lb = strlen(b);

        if (la >= 64 || lb >= 64)
                return SIZE_MAX;
        for (size_t j = 0; j <= lb; j++)
                row[j] = j;
        for (size_t i = 1; i <= la; i++) {
                size_t diagonal = row[0];

                row[0] = i;
                for (size_t j = 1; j <= lb; j++) {
                        char x = a[i - 1], y = b[j - 1];
                        size_t best;

                        if (x >= 'A' && x <= 'Z')
                                x = (char) (x + 32);
                        if (y >= 'A' && y <= 'Z')
                                y = (char) (y + 32);
                        best = diagonal + (x != y);
                        if (row[j] + 1 < best)
                                best = row[j] + 1;
                        if (row[j - 1] + 1 < best)
                                best = row[j - 1] + 1;
                        diagonal = row[j];
                        row[j] = best;
                }
        }
        return row[lb];
}

const char *text_did_you_mean(const char *text, const char *const *names, size_t count) {
        const char *best = NULL;
        size_t least = strlen(text) / 3 + 1; /* a third of the letters may be wrong */

        for (size_t i = 0; i < count; i++) {
                size_t d = distance(text, names[i]);

                if (d <= least && (!best || d < least)) {
                        best = names[i];
                        least = d;
                }
        }
        return best;
}
