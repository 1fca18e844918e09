/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memstream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/cleanup.h"

#define BYTES_MAX (SIZE_MAX / 4) /* no bound of ours: memory ends before */

typedef struct MemStream {
        char **text;
        size_t *len;
        Buffer bytes; /* all of it: nothing is taken from its front */
        bool failed;
} MemStream;

static ssize_t on_write(void *cookie, const char *data, size_t n) {
        MemStream *m = cookie;

        m->failed |= buffer_append(&m->bytes, data, n, BYTES_MAX) < 0;
        if (!m->failed)
                return (ssize_t) n;
        errno = ENOMEM;
        return 0; /* an error, see fopencookie(3) */
}

static int on_close(void *cookie) {
        CLEANUP_FREE MemStream *m = cookie;

        if (m->failed || buffer_append(&m->bytes, "", 1, BYTES_MAX) < 0) {
                buffer_clear(&m->bytes);
                errno = ENOMEM;
                return EOF;
        }
        *m->text = m->bytes.bytes;
        *m->len = m->bytes.len - 1;
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
