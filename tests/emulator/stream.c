/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef struct Stream {
        Timers *timers;
        struct MHD_Connection *connection;
        Buf body;
        const char *tail;
        uint64_t fill, size, stop; /* at `stop` it ends, be it the end or not */
        Delivery delivery;
        size_t chunk_bytes;
        uint64_t chunk_delay_ns, next_ns;
} Stream;

int stream_fd(struct MHD_Connection *connection) {
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

        return info->connect_fd;
}

/* Dissolving a TCP association makes Linux send RST without waiting for anything. */
void stream_reset(struct MHD_Connection *connection) {
        struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

        (void) connect(stream_fd(connection), &nowhere, sizeof nowhere);
}

static size_t min_size(uint64_t a, uint64_t b) {
        return (size_t) (a < b ? a : b);
}

/* The bytes at `pos` of body, spaces and tail; at least one, for pos is within them. */
static size_t copy_at(const Stream *s, uint64_t pos, char *to, size_t max) {
        size_t n;

        if (pos < s->body.len) {
                n = min_size(max, s->body.len - pos);
                memcpy(to, s->body.data + pos, n);
        } else if (pos < s->body.len + s->fill) {
                n = min_size(max, s->body.len + s->fill - pos);
                memset(to, ' ', n);
        } else {
                n = min_size(max, s->size - pos);
                memcpy(to, s->tail + (pos - s->body.len - s->fill), n);
        }
        return n;
}

static ssize_t stream_read(void *cls, uint64_t pos, char *to, size_t max) {
        Stream *s = cls;
        size_t n;

        if (pos >= s->stop) {
                if (s->delivery == DELIVERY_RESET_MID)
                        stream_reset(s->connection);
                else if (s->delivery == DELIVERY_CUT) /* MHD alone keeps a chunked one open */
                        (void) shutdown(stream_fd(s->connection), SHUT_RDWR);
                if (s->delivery == DELIVERY_RESET_MID || s->delivery == DELIVERY_CUT)
                        return MHD_CONTENT_READER_END_WITH_ERROR;
                return MHD_CONTENT_READER_END_OF_STREAM;
        }
        if (s->delivery == DELIVERY_SLOW) {
                uint64_t now = now_ns();

                if (now < s->next_ns) {
                        return timers_suspend(s->timers, s->connection, stream_fd(s->connection),
                                              s->next_ns)
                                       ? 0
                                       : MHD_CONTENT_READER_END_WITH_ERROR;
                }
                s->next_ns = now + s->chunk_delay_ns;
                max = min_size(max, s->chunk_bytes);
        }
        n = copy_at(s, pos, to, min_size(max, s->stop - pos));
        return (ssize_t) n;
}

static void stream_free(void *cls) {
        Stream *s = cls;

        buf_free(&s->body);
        free(s);
}

static struct MHD_Response *checked(struct MHD_Response *response) {
        if (!response)
                abort();
        return response;
}

struct MHD_Response *stream_response(Timers *timers, struct MHD_Connection *connection, Answer *a) {
        size_t body_len = a->body.len, tail_len = a->tail ? strlen(a->tail) : 0;
        Stream *s;

        if (a->delivery == DELIVERY_WHOLE && a->fill_bytes == 0 && !a->chunked)
                return checked(MHD_create_response_from_buffer(body_len, buf_steal(&a->body),
                                                               MHD_RESPMEM_MUST_FREE));
        s = xcalloc(1, sizeof *s);
        *s = (Stream){
                .timers = timers,
                .connection = connection,
                .body = a->body,
                .tail = a->tail ? a->tail : "",
                .fill = a->fill_bytes,
                .size = body_len + a->fill_bytes + tail_len,
                .delivery = a->delivery,
                .chunk_bytes = a->chunk_bytes,
                .chunk_delay_ns = UINT64_C(1000000) * a->chunk_delay_ms,
        };
        a->body = (Buf){ 0 };
        s->stop = s->size;
        if (s->delivery == DELIVERY_CUT || s->delivery == DELIVERY_RESET_MID)
                s->stop = min_size(a->cut_at, s->size);
        return checked(MHD_create_response_from_callback(a->chunked ? MHD_SIZE_UNKNOWN : s->size,
                                                         64 << 10, stream_read, s, stream_free));
}
