/* SPDX-License-Identifier: Apache-2.0 */
#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define GZIP_WINDOW (-MAX_WBITS) /* raw deflate: head and trailer are written here */

void answer_free(Answer *a) {
        free(a->error_type);
        free(a->exception);
        free(a->location);
        free(a->retry_after);
        buf_free(&a->body);
        *a = (Answer){ 0 };
}

static const struct {
        const char *name;
        unsigned status;
        const char *code;
} exceptions[] = {
        { "UnauthorizedClientException", 401, "Unauthorized" },
        { "NotFoundException", 404, "NotFound" },
        { "ForbiddenException", 403, "Forbidden" },
        { "BadRequestException", 400, "BadRequest" },
        { "ThrottledClientException", 429, "Throttled" },
        { "ServiceUnavailableException", 503, "ServiceUnavailable" },
        { "ServiceFailureException", 500, "ServiceFailure" },
        { "AccessDeniedException", 403, "AccessDenied" },
        { "ExpiredTokenException", 403, NULL },
        { "InvalidSignatureException", 403, NULL },
        { "UnrecognizedClientException", 403, NULL },
        { "MissingAuthenticationTokenException", 403, NULL },
        { "IncompleteSignatureException", 403, NULL },
        { "RequestTimeTooSkewed", 403, NULL },
        { "ThrottlingException", 429, NULL },
        { "InternalFailure", 500, NULL },
};

bool exception_find(const char *name, unsigned *ret_status, const char **ret_code) {
        for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++) {
                if (strcmp(exceptions[i].name, name) != 0)
                        continue;
                *ret_status = exceptions[i].status;
                *ret_code = exceptions[i].code;
                return true;
        }
        return false;
}

static void add_error_member(Buf *b, const char *name, const char *value) {
        buf_puts(b, b->len > 1 ? "," : "");
        buf_add_json(b, name, strlen(name));
        buf_putc(b, ':');
        buf_add_json(b, value, strlen(value));
}

void answer_exception(Answer *a, const Config *c, unsigned status, const char *name,
                      const char *code, const char *message) {
        Buf type = { 0 };
        Buf *b = &a->body;

        b->len = 0;
        buf_putc(b, '{');
        switch (c->error_style) {
        case ERROR_STYLE_HEADER:
                buf_puts(&type, name);
                break;
        case ERROR_STYLE_SUFFIX:
                buf_printf(&type, "%s:http://internal.amazon.com/coral/com.amazonaws.chime/", name);
                break;
        case ERROR_STYLE_PREFIX:
                buf_printf(&type, "com.amazonaws.chime.v20180501#%s", name);
                break;
        case ERROR_STYLE_TYPE:
                buf_printf(b, "\"__type\":\"com.amazonaws.chime#%s\"", name);
                break;
        case ERROR_STYLE_CODE:
                add_error_member(b, "code", name);
                break;
        }
        if (code)
                add_error_member(b, "Code", code);
        add_error_member(b, code && !c->lower_message ? "Message" : "message", message);
        buf_putc(b, '}');
        a->status = status;
        a->content_type = "application/json";
        free(a->exception);
        a->exception = xstrdup(name);
        free(a->error_type);
        a->error_type = type.len > 0 ? buf_steal(&type) : NULL;
}

/* Deflates `data` and appends it to `out`. */
static void deflate_to(z_stream *z, Buf *out, const void *data, size_t n, int flush) {
        int r;

        z->next_in = (Bytef *) (uintptr_t) data;
        z->avail_in = (uInt) n;
        do {
                buf_reserve(out, 1 << 16);
                z->next_out = (Bytef *) out->data + out->len;
                z->avail_out = 1 << 16;
                r = deflate(z, flush);
                out->len += (1 << 16) - z->avail_out;
        } while (r == Z_OK && z->avail_out == 0);
}

static void add_gzip_head(Buf *out) {
        buf_add(out, "\x1f\x8b\x08\0\0\0\0\0\0\3", 10);
}

static void add_gzip_trailer(Buf *out, uLong crc, uint64_t size) {
        for (unsigned shift = 0; shift < 32; shift += 8)
                buf_putc(out, (char) (unsigned char) (crc >> shift & 0xff));
        for (unsigned shift = 0; shift < 32; shift += 8)
                buf_putc(out, (char) (unsigned char) (size >> shift & 0xff));
}

static bool deflate_start(z_stream *z, int level) {
        *z = (z_stream){ 0 };
        return deflateInit2(z, level, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK;
}

void answer_gzip(Answer *a) {
        Buf out = { 0 };
        z_stream z;

        if (a->gzip || !deflate_start(&z, 1))
                return;
        add_gzip_head(&out);
        deflate_to(&z, &out, a->body.data, a->body.len, Z_FINISH);
        (void) deflateEnd(&z);
        add_gzip_trailer(&out, crc32(0, (const Bytef *) a->body.data, (uInt) a->body.len),
                         a->body.len);
        buf_free(&a->body);
        a->body = out;
        a->gzip = true;
}

/* One mebibyte of spaces is compressed once; after a full flush it can be repeated as it is. */
void answer_gzip_bomb(Answer *a, uint64_t bytes) {
        static const char head[] = "{\"Users\":[", tail[] = "]}";
        const size_t block_size = (size_t) 1 << 20;
        uint64_t blocks = bytes / block_size;
        char *spaces = xmalloc(block_size);
        Buf block = { 0 }, *out = &a->body;
        uLong crc = crc32(0, (const Bytef *) head, sizeof head - 1), block_crc;
        z_stream z;

        if (!deflate_start(&z, 9)) {
                free(spaces);
                return;
        }
        memset(spaces, ' ', block_size);
        block_crc = crc32(0, (const Bytef *) spaces, (uInt) block_size);
        out->len = 0;
        add_gzip_head(out);
        deflate_to(&z, out, head, sizeof head - 1, Z_FULL_FLUSH);
        deflate_to(&z, &block, spaces, block_size, Z_FULL_FLUSH);
        for (uint64_t i = 0; i < blocks; i++) {
                buf_add(out, block.data, block.len);
                crc = crc32_combine(crc, block_crc, (z_off_t) block_size);
        }
        deflate_to(&z, out, tail, sizeof tail - 1, Z_FINISH);
        crc = crc32_combine(crc, crc32(0, (const Bytef *) tail, sizeof tail - 1), sizeof tail - 1);
        (void) deflateEnd(&z);
        add_gzip_trailer(out, crc, blocks * block_size + sizeof head - 1 + sizeof tail - 1);
        buf_free(&block);
        free(spaces);
        a->gzip = true;
}
