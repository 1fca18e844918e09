/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing byte string.  All zero is an empty one.  `data` has a NUL behind its last byte once
 * anything was added.  Running out of memory ends the program: it is a test tool. */
typedef struct Buf {
        char *data;
        size_t len, cap;
} Buf;

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);

void buf_free(Buf *b);
void buf_reserve(Buf *b, size_t more);
void buf_add(Buf *b, const void *data, size_t n);
void buf_puts(Buf *b, const char *s);
void buf_putc(Buf *b, char c);
void buf_printf(Buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Hands the bytes over to the caller, who frees them; the buffer is empty afterwards. */
char *buf_steal(Buf *b);

/* Percent-encodes everything but RFC 3986's unreserved characters and those in `safe`. */
void buf_add_encoded(Buf *b, const char *s, size_t n, const char *safe);
/* A JSON string with its quotes. */
void buf_add_json(Buf *b, const char *s, size_t n);
void buf_add_hex(Buf *b, const unsigned char *data, size_t n);
void buf_add_base64(Buf *b, const unsigned char *data, size_t n);

/* false: malformed; what was decoded until then is in `out`. */
bool base64_decode(const char *s, size_t n, Buf *out);
bool percent_decode(const char *s, size_t n, bool plus_is_space, Buf *out);

/* Every `from` in `b` becomes `to`; returns how many there were, `limit` at most. */
size_t buf_replace(Buf *b, const char *from, const char *to, size_t to_len, size_t limit);

uint64_t hash_bytes(const void *data, size_t n);
uint64_t mix64(uint64_t x);
