/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* Bytes that wait: appended at the end, taken from the front.  All zero is an empty buffer. */
typedef struct Buffer {
        char *bytes; /* those that wait begin at bytes + start */
        size_t start, len, room;
} Buffer;

/* Appends a copy.  -ENOBUFS if more than max bytes would wait then, -ENOMEM; nothing was appended. */
int buffer_append(Buffer *b, const char *data, size_t len, size_t max);

/* The first byte that waits; b->len of them.  Borrowed until the next call that changes b. */
static inline const char *buffer_front(const Buffer *b) {
        return b->bytes + b->start;
}

/* Takes len bytes (at most b->len) from the front. */
void buffer_take(Buffer *b, size_t len);

/* The length of the first line without its newline, or b->len if no newline waits. */
size_t buffer_line(const Buffer *b);

/* Frees everything; the buffer is empty and may be used again. */
void buffer_clear(Buffer *b);
