/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_LEAST 512

/* Makes room for more bytes behind those that wait; what was taken from the front is used again. */
static int make_room(Buffer *b, size_t more) {
        size_t room = b->room ? b->room : ROOM_LEAST;
        char *bigger;

        if (b->start + b->len + more <= b->room)
                return 0;
        if (b->start > 0) {
                memmove(b->bytes, b->bytes + b->start, b->len);
                b->start = 0;
        }
        while (room < b->len + more)
                room *= 2;
        if (room == b->room)
                return 0;
        bigger = realloc(b->bytes, room);
        if (!bigger)
                return -ENOMEM;
        b->bytes = bigger;
        b->room = room;
        return 0;
}

int buffer_append(Buffer *b, const char *data, size_t len, size_t max) {
        if (len == 0)
                return 0;
        if (b->len > max || len > max - b->len)
                return -ENOBUFS;
        if (make_room(b, len) < 0)
                return -ENOMEM;
        memcpy(b->bytes + b->start + b->len, data, len);
        b->len += len;
        return 0;
}

void buffer_take(Buffer *b, size_t len) {
        assert(len <= b->len);
        b->start += len;
        b->len -= len;
        if (b->len == 0)
                b->start = 0;
}

size_t buffer_line(const Buffer *b) {
        const char *end = b->len ? memchr(buffer_front(b), '\n', b->len) : NULL;

        return end ? (size_t) (end - buffer_front(b)) : b->len;
}

void buffer_clear(Buffer *b) {
        free(b->bytes);
        *b = (Buffer){ 0 };
}
