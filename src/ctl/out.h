/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

/* Where a command writes: standard output, or a file that appears under its name only once it is
 * whole.  Buffered; the first failure is kept and told by out_finish(), so that writers need not ask
 * after every byte. */
typedef struct Out {
        int fd;
        bool terminal; /* a person looks on */
        bool colour;
        bool unicode;           /* the terminal shows more than ASCII */
        unsigned width;         /* of the terminal, in columns; 0: no limit */
        int failed;             /* errno */
        char *path, *temporary; /* NULL: standard output */
        char *buf;
        size_t len;
} Out;

#define OUT_BUFFER ((size_t) 65536)

/* Standard output. */
void out_init(Out *o);
/* Writes to path from now on; nothing may have been written yet.  A new file is 0600. */
int out_open_file(Out *o, const char *path, Error *err);
void out_text(Out *o, const char *text);
void out_pad(Out *o, char c, size_t n);
void out_printf(Out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Hands on what is buffered. */
void out_flush(Out *o);
/* Whether going on makes sense. */
bool out_failed(const Out *o);
/* Writes the rest; a file gets its name.  Says what failed since out_init(). */
int out_finish(Out *o, Error *err);
/* Without out_finish() a file is left undone. */
void out_clear(Out *o);

/* out_write() of what does not fit into the buffer. */
void out_write_slowly(Out *o, const char *data, size_t len);

/* Exports pass here for every value. */
static inline void out_write(Out *o, const char *data, size_t len) {
        if (o->failed || len >= OUT_BUFFER - o->len)
                out_write_slowly(o, data, len);
        else if (len > 0) {
                memcpy(o->buf + o->len, data, len);
                o->len += len;
        }
}

static inline void out_char(Out *o, char c) {
        out_write(o, &c, 1);
}
