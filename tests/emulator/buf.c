/* SPDX-License-Identifier: Apache-2.0 */
#include "buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p) {
        if (!p) {
                fputs("chime-emulator: out of memory\n", stderr);
                abort();
        }
        return p;
}

void *xmalloc(size_t size) {
        return checked(malloc(size ? size : 1));
}

void *xcalloc(size_t n, size_t size) {
        return checked(calloc(n ? n : 1, size));
}

void *xrealloc(void *p, size_t size) {
        return checked(realloc(p, size ? size : 1));
}

char *xstrndup(const char *s, size_t n) {
        char *copy = xmalloc(n + 1);

        memcpy(copy, s, n);
        copy[n] = '\0';
        return copy;
}

char *xstrdup(const char *s) {
        return xstrndup(s, strlen(s));
}

void buf_free(Buf *b) {
        free(b->data);
        *b = (Buf){ 0 };
}

void buf_reserve(Buf *b, size_t more) {
        size_t need = b->len + more + 1;

        if (need <= b->cap)
                return;
        if (need < b->cap * 2)
                need = b->cap * 2;
        b->data = xrealloc(b->data, need);
        b->cap = need;
}

void buf_add(Buf *b, const void *data, size_t n) {
        buf_reserve(b, n);
        assert(b->data);
        if (n > 0)
                memcpy(b->data + b->len, data, n);
        b->len += n;
        b->data[b->len] = '\0';
}

void buf_puts(Buf *b, const char *s) {
        buf_add(b, s, strlen(s));
}

void buf_putc(Buf *b, char c) {
        buf_add(b, &c, 1);
}

void buf_printf(Buf *b, const char *fmt, ...) {
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(NULL, 0, fmt, ap);
        va_end(ap);
        if (n < 0)
                return;
        buf_reserve(b, (size_t) n);
        va_start(ap, fmt);
        (void) vsnprintf(b->data + b->len, (size_t) n + 1, fmt, ap);
        va_end(ap);
        b->len += (size_t) n;
}

char *buf_steal(Buf *b) {
        char *data;

        buf_reserve(b, 0);
        b->data[b->len] = '\0';
        data = b->data;
        *b = (Buf){ 0 };
        return data;
}

static bool is_unreserved(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.' || c == '~';
}

void buf_add_encoded(Buf *b, const char *s, size_t n, const char *safe) {
        for (size_t i = 0; i < n; i++)
                if (is_unreserved(s[i]) || (s[i] && strchr(safe, s[i])))
                        buf_putc(b, s[i]);
                else
                        buf_printf(b, "%%%02X", (unsigned) (unsigned char) s[i]);
}

void buf_add_json(Buf *b, const char *s, size_t n) {
        buf_putc(b, '"');
        for (size_t i = 0; i < n; i++) {
                unsigned char c = (unsigned char) s[i];

                if (c == '"' || c == '\\')
                        buf_putc(b, '\\');
                if (c < 0x20)
                        buf_printf(b, "\\u%04x", (unsigned) c);
                else
                        buf_putc(b, s[i]);
        }
        buf_putc(b, '"');
}

void buf_add_hex(Buf *b, const unsigned char *data, size_t n) {
        for (size_t i = 0; i < n; i++)
                buf_printf(b, "%02x", (unsigned) data[i]);
}

static const char base64_digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void buf_add_base64(Buf *b, const unsigned char *data, size_t n) {
        for (size_t i = 0; i < n; i += 3) {
                uint32_t v = (uint32_t) data[i] << 16;

                if (i + 1 < n)
                        v |= (uint32_t) data[i + 1] << 8;
                if (i + 2 < n)
                        v |= data[i + 2];
                buf_putc(b, base64_digits[v >> 18 & 63]);
                buf_putc(b, base64_digits[v >> 12 & 63]);
                buf_putc(b, i + 1 < n ? base64_digits[v >> 6 & 63] : '=');
                buf_putc(b, i + 2 < n ? base64_digits[v & 63] : '=');
        }
}

bool base64_decode(const char *s, size_t n, Buf *out) {
        uint32_t v = 0;
        unsigned bits = 0;

        while (n > 0 && s[n - 1] == '=')
                n--;
        buf_reserve(out, n);
        for (size_t i = 0; i < n; i++) {
                const char *at = s[i] ? strchr(base64_digits, s[i]) : NULL;

                if (!at)
                        return false;
                v = (v << 6 | (uint32_t) (at - base64_digits)) & 0xffffff;
                bits += 6;
                if (bits >= 8) {
                        bits -= 8;
                        buf_putc(out, (char) (unsigned char) (v >> bits & 0xff));
                }
        }
        return true;
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

bool percent_decode(const char *s, size_t n, bool plus_is_space, Buf *out) {
        buf_reserve(out, n);
        for (size_t i = 0; i < n; i++) {
                if (s[i] == '%') {
                        if (i + 2 >= n || hex_digit(s[i + 1]) < 0 || hex_digit(s[i + 2]) < 0)
                                return false;
                        buf_putc(out, (char) (hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2])));
                        i += 2;
                } else
                        buf_putc(out, plus_is_space && s[i] == '+' ? ' ' : s[i]);
        }
        buf_add(out, "", 0);
        return true;
}

size_t buf_replace(Buf *b, const char *from, const char *to, size_t to_len, size_t limit) {
        Buf out = { 0 };
        size_t from_len = strlen(from), done = 0, at = 0;

        while (done < limit) {
                char *hit = memmem(b->data + at, b->len - at, from, from_len);

                if (!hit)
                        break;
                buf_add(&out, b->data + at, (size_t) (hit - b->data) - at);
                buf_add(&out, to, to_len);
                at = (size_t) (hit - b->data) + from_len;
                done++;
        }
        buf_add(&out, b->data + at, b->len - at);
        buf_free(b);
        *b = out;
        return done;
}

uint64_t mix64(uint64_t x) {
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        return x ^ (x >> 31);
}

uint64_t hash_bytes(const void *data, size_t n) {
        const unsigned char *p = data;
        uint64_t h = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < n; i++)
                h = (h ^ p[i]) * UINT64_C(0x100000001b3);
        return mix64(h);
}
