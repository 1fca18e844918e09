/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/writer.h"

/* One per format. */
typedef struct WriterFormat {
        int (*begin)(Writer *w);
        void (*row)(Writer *w, const Cell *cells);
        void (*flush)(Writer *w);
        void (*end)(Writer *w);
        void (*free)(Writer *w);
} WriterFormat;

struct Writer {
        const WriterFormat *format;
        Out *out;
        bool local;
        Column *columns;
        size_t n;
        uint64_t rows; /* written so far */
        void *state;   /* of the format */
};

extern const WriterFormat writer_table, writer_csv, writer_json, writer_ndjson;
