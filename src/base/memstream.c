/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memstream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

typedef struct MemStream {
        char **text, *bytes;
        size_t *len, used, room;
        bool failed;
} MemStream;

/* Room for n bytes more and a NUL. */
static bool reserve(MemStream *m, size_t n) {
        size_t room = m->room ? m->room : 128;
        char *bigger;

        if (n < m->room - m->used)
                return true;
        while (n >= room - m->used) {
                if (room > SIZE_MAX / 2)
                        return false;
                room *= 2;
        }
        bigger = realloc(m->bytes, room);
        if (!bigger)
                return false;
        m->bytes = bigger;
        m->room = room;
        return true;
}

static ssize_t on_write(void *cookie, const char *data, size_t n) {
        MemStream *m = cookie;

        if (m->failed || !reserve(m, n)) {
                m->failed = true;
                errno = ENOMEM;
                return 0; /* an error, see fopencookie(3) */
        }
        memcpy(m->bytes + m->used, data, n);
        m->used += n;
        return (ssize_t) n;
}

static int on_close(void *cookie) {
        CLEANUP_FREE MemStream *m = cookie;

        if (m->failed || !reserve(m, 0)) {
                free(m->bytes);
                errno = ENOMEM;
                return EOF;
        }
        m->bytes[m->used] = '\0';
        *m->text = m->bytes;
        *m->len = m->used;
        return 0;
}

FILE *memstream_open(char **text, size_t *len) {
        static const cookie_io_functions_t io = { .write = on_write, .close = on_close };
        MemStream *m = calloc(1, sizeof *m);
        FILE *f;

        *text = NULL;
        *len = 0;
        if (!m)
                return NULL;
        *m = (MemStream){ .text = text, .len = len };
        f = fopencookie(m, "w", io);
        if (!f)
                free(m);
        return f;
}
