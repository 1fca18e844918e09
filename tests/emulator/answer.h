/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent to the client, and how. */
#pragma once

#include "emulator.h"

typedef enum Delivery {
        DELIVERY_WHOLE,
        DELIVERY_RESET,     /* a TCP reset instead of an answer */
        DELIVERY_RESET_MID, /* a TCP reset after cut_at bytes of the body */
        DELIVERY_CUT,       /* closed after cut_at bytes; Content-Length says more */
        DELIVERY_SLOW,      /* chunk_bytes every chunk_delay_ms */
        DELIVERY_STALL,     /* accepted, never answered */
} Delivery;

typedef struct Answer {
        unsigned status;
        const char *content_type;
        char *error_type, *location, *retry_after; /* headers, or NULL */
        char *exception;                           /* its bare name, for the log */
        Buf body;
        uint64_t fill_bytes; /* spaces sent between `body` and `tail` */
        const char *tail;
        bool gzip;    /* `body` is compressed already */
        bool chunked; /* no Content-Length */
        Delivery delivery;
        size_t cut_at, chunk_bytes;
        unsigned delay_ms, chunk_delay_ms;
} Answer;

void answer_free(Answer *a);

/* An exception of the service.  `retry_after` may be NULL. */
void answer_exception(Answer *a, const Config *c, unsigned status, const char *name,
                      const char *code, const char *message);

/* The status and the body's short code of one of the model's exceptions; false: no such one. */
bool exception_find(const char *name, unsigned *ret_status, const char **ret_code);

/* Compresses the body. */
void answer_gzip(Answer *a);
/* A gzip body that unpacks to a valid, empty listing of `bytes` bytes. */
void answer_gzip_bomb(Answer *a, uint64_t bytes);
