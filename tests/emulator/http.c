/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include "control.h"
#include "listing.h"
#include "stream.h"
#include "timers.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define MAX_BODY ((size_t) 256 << 20)
#define MAX_HEADERS 64

struct Server {
        Emulator *e;
        Timers *timers;
        struct MHD_Daemon *daemon;
        bool stopping; /* atomic */
};

typedef struct Connection {
        uint64_t number, requests;
} Connection;

/* One request's life: headers, body, plan, waiting (perhaps), answer. */
typedef struct Request {
        char *uri; /* as it came */
        Buf body;
        Answer answer;
        bool begun, planned, waited, too_large;
} Request;

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection) {
        Request *r = xcalloc(1, sizeof *r);

        (void) cls;
        (void) connection;
        r->uri = xstrdup(uri);
        return r;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **req_cls,
                         enum MHD_RequestTerminationCode code) {
        Request *r = *req_cls;

        (void) cls;
        (void) connection;
        (void) code;
        if (!r)
                return;
        free(r->uri);
        buf_free(&r->body);
        answer_free(&r->answer);
        free(r);
        *req_cls = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code) {
        Emulator *e = ((Server *) cls)->e;
        Connection *c = *socket_context;

        (void) connection;
        if (code == MHD_CONNECTION_NOTIFY_STARTED) {
                c = xcalloc(1, sizeof *c);
                c->number = __atomic_add_fetch(&e->connections, 1, __ATOMIC_RELAXED);
                (void) __atomic_add_fetch(&e->open_connections, 1, __ATOMIC_RELAXED);
                *socket_context = c;
                return;
        }
        (void) __atomic_sub_fetch(&e->open_connections, 1, __ATOMIC_RELAXED);
        free(c);
        *socket_context = NULL;
}

typedef struct HeaderList {
        Header items[MAX_HEADERS];
        size_t n;
} HeaderList;

static enum MHD_Result collect_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                      const char *value) {
        HeaderList *list = cls;

        (void) kind;
        if (list->n < MAX_HEADERS)
                list->items[list->n++] = (Header){ name, value ? value : "" };
        return MHD_YES;
}

/* What a test may want to see; never the signature or a token. */
static char *describe_headers(const HeaderList *list) {
        static const char *const shown[] = { "User-Agent", "Accept-Encoding", "Accept",
                                             "Host",       "Connection",      "X-Amz-Date" };
        json_object *o = json_object_new_object();
        char *text;

        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
                const char *value = header_get(list->items, list->n, shown[i]);

                if (value)
                        json_object_object_add(o, shown[i], json_object_new_string(value));
        }
        text = xstrdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
        json_object_put(o);
        return text;
}

static bool wants_gzip(const HeaderList *list) {
        const char *value = header_get(list->items, list->n, "Accept-Encoding");

        return value && strcasestr(value, "gzip");
}

static void plan_listing(Server *s, struct MHD_Connection *connection, const char *method,
                         Request *r) {
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        Connection *c = info->socket_context;
        HeaderList headers = { .n = 0 };
        size_t path_len = strcspn(r->uri, "?");
        char *path = xstrndup(r->uri, path_len);
        ListCall call = {
                .request = {
                        .method = method,
                        .path = path,
                        .query = r->uri[path_len] ? r->uri + path_len + 1 : "",
                        .headers = headers.items,
                        .body = r->body.data,
                        .body_len = r->body.len,
                },
        };

        (void) MHD_get_connection_values(connection, MHD_HEADER_KIND, collect_header, &headers);
        call.request.n_headers = headers.n;
        call.accepts_gzip = wants_gzip(&headers);
        call.log.headers = describe_headers(&headers);
        call.log.connection = c->number;
        call.log.connection_request = ++c->requests;
        listing_answer(s->e, &call, &r->answer);
        free(path);
}

static void plan(Server *s, struct MHD_Connection *connection, const char *method, Request *r) {
        r->planned = true;
        if (strncmp(r->uri, "/_control", 9) != 0) {
                plan_listing(s, connection, method, r);
                return;
        }
        if (r->too_large) {
                r->answer.status = 400;
                buf_puts(&r->answer.body, "{\"error\":\"the request is too large\"}\n");
        } else
                r->answer.status = control_answer(s->e, method, r->uri, &r->body, &r->answer.body);
        r->answer.content_type = "application/json";
}

static void add_request_id(struct MHD_Response *response) {
        unsigned char raw[16];
        char text[40];

        if (getrandom(raw, sizeof raw, 0) != (ssize_t) sizeof raw)
                memset(raw, 0, sizeof raw);
        (void) snprintf(text, sizeof text,
                        "%02x%02x%02x%02x-%02x%02x-4%x%02x-a%x%02x-%02x%02x%02x%02x%02x%02x",
                        raw[0], raw[1], raw[2], raw[3], raw[4], raw[5], raw[6] & 15u, raw[7],
                        raw[8] & 15u, raw[9], raw[10], raw[11], raw[12], raw[13], raw[14], raw[15]);
        (void) MHD_add_response_header(response, "x-amzn-RequestId", text);
}

static void add_header(struct MHD_Response *response, const char *name, const char *value) {
        if (value)
                (void) MHD_add_response_header(response, name, value);
}

static enum MHD_Result send_answer(Server *s, struct MHD_Connection *connection, Request *r) {
        struct MHD_Response *response;
        unsigned status = r->answer.status;
        enum MHD_Result result;
        char *content_type = xstrdup(r->answer.content_type ? r->answer.content_type : "");
        char *error_type = r->answer.error_type ? xstrdup(r->answer.error_type) : NULL;
        char *location = r->answer.location ? xstrdup(r->answer.location) : NULL;
        char *retry_after = r->answer.retry_after ? xstrdup(r->answer.retry_after) : NULL;
        bool gzip = r->answer.gzip;

        response = stream_response(s->timers, connection, &r->answer);
        add_request_id(response);
        add_header(response, "Content-Type", *content_type ? content_type : NULL);
        add_header(response, "x-amzn-ErrorType", error_type);
        add_header(response, "Location", location);
        add_header(response, "Retry-After", retry_after);
        add_header(response, "Content-Encoding", gzip ? "gzip" : NULL);
        result = MHD_queue_response(connection, status, response);
        MHD_destroy_response(response);
        free(content_type);
        free(error_type);
        free(location);
        free(retry_after);
        return result;
}

/* The request is complete: plan, wait if that is planned, answer. */
static enum MHD_Result respond(Server *s, struct MHD_Connection *connection, const char *method,
                               Request *r) {
        if (!r->planned)
                plan(s, connection, method, r);
        if (!r->waited && (r->answer.delivery == DELIVERY_STALL || r->answer.delay_ms > 0)) {
                bool stall = r->answer.delivery == DELIVERY_STALL;
                uint64_t due = now_ns() + UINT64_C(1000000) * r->answer.delay_ms;

                r->waited = true;
                return timers_suspend(s->timers, connection, stall ? stream_fd(connection) : -1,
                                      stall ? TIMERS_NEVER : due)
                               ? MHD_YES
                               : MHD_NO;
        }
        if (r->answer.delivery == DELIVERY_RESET)
                stream_reset(connection);
        if (r->answer.delivery == DELIVERY_RESET || r->answer.delivery == DELIVERY_STALL ||
            __atomic_load_n(&s->stopping, __ATOMIC_RELAXED))
                return MHD_NO;
        return send_answer(s, connection, r);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **req_cls) {
        Request *r = *req_cls;

        (void) url;
        (void) version;
        if (!r)
                return MHD_NO;
        if (!r->begun) {
                r->begun = true;
                return MHD_YES;
        }
        if (*upload_size > 0) {
                if (r->body.len + *upload_size > MAX_BODY)
                        r->too_large = true;
                else
                        buf_add(&r->body, upload, *upload_size);
                *upload_size = 0;
                return MHD_YES;
        }
        return respond(cls, connection, method, r);
}

static bool start_daemon(Server *s, const ServerOptions *o) {
        unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME |
                         MHD_USE_ITC;
        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons(o->port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        struct MHD_OptionItem tls[] = {
                { MHD_OPTION_HTTPS_MEM_CERT, 0, o->tls_cert },
                { MHD_OPTION_HTTPS_MEM_KEY, 0, o->tls_key },
                { MHD_OPTION_END, 0, NULL },
        };

        if (!o->tls_cert)
                tls[0] = tls[2];
        else
                flags |= MHD_USE_TLS;
        s->daemon = MHD_start_daemon(flags, o->port, NULL, NULL, on_request, s,
                                     MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_THREAD_POOL_SIZE,
                                     o->threads, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
                                     MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
                                     MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
                                     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) 256 << 10,
                                     MHD_OPTION_CONNECTION_LIMIT, 1000u,
                                     MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_ARRAY, tls,
                                     MHD_OPTION_END);
        return s->daemon != NULL;
}

Server *server_start(Emulator *e, const ServerOptions *options) {
        Server *s = xcalloc(1, sizeof *s);

        s->e = e;
        s->timers = timers_start();
        if (s->timers && start_daemon(s, options))
                return s;
        if (s->timers) {
                timers_stop(s->timers);
                timers_free(s->timers);
        }
        free(s);
        return NULL;
}

uint16_t server_port(const Server *s) {
        const union MHD_DaemonInfo *info =
                MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);

        return info->port;
}

void server_stop(Server *s) {
        __atomic_store_n(&s->stopping, true, __ATOMIC_RELAXED);
        timers_stop(s->timers);
        MHD_stop_daemon(s->daemon);
        timers_free(s->timers);
        free(s);
}
