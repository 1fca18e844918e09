/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_NEXT */
#endif
#include "test.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/http.h"

#define SECOND UINT64_C(1000000)
#define MAX_BODY (1u << 20)

/* ---- a resolver that may hang ---- */

static pthread_mutex_t resolver_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t resolver_changed = PTHREAD_COND_INITIALIZER;
static bool resolver_hangs;
static unsigned resolver_waiting;

/* In place of libc's, for libcurl as well: "hang.example" resolves when it is allowed to. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **res) {
        int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
        void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
        struct timespec end;

        if (node && strcmp(node, "hang.example") == 0) {
                (void) clock_gettime(CLOCK_REALTIME, &end);
                end.tv_sec += 8;
                (void) pthread_mutex_lock(&resolver_lock);
                resolver_waiting++;
                while (resolver_hangs &&
                       pthread_cond_timedwait(&resolver_changed, &resolver_lock, &end) == 0)
                        ;
                resolver_waiting--;
                (void) pthread_mutex_unlock(&resolver_lock);
                return EAI_NONAME;
        }
        memcpy(&real, &symbol, sizeof real);
        return real(node, service, hints, res);
}

static unsigned resolver_state(bool hang) {
        unsigned waiting;

        (void) pthread_mutex_lock(&resolver_lock);
        resolver_hangs = hang;
        waiting = resolver_waiting;
        (void) pthread_cond_broadcast(&resolver_changed);
        (void) pthread_mutex_unlock(&resolver_lock);
        return waiting;
}

/* ---- a server ---- */

typedef enum TlsMode { TLS_ANSWER_PLAIN, TLS_CLOSE, TLS_RESET } TlsMode;

typedef struct Server {
        pthread_t thread;
        int fd, port;
        atomic_int connections, clients; /* ever; now */
        atomic_bool stop;
        _Atomic TlsMode tls;
} Server;

static Server server;

static void send_all(int fd, const void *data, size_t len) {
        const char *p = data;

        while (len > 0) {
                ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

                if (n <= 0)
                        return;
                p += n;
                len -= (size_t) n;
        }
}

static void send_text(int fd, const char *text) {
        send_all(fd, text, strlen(text));
}

static void send_answer(int fd, const char *headers, const void *body, size_t len) {
        char head[512];

        (void) snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n", len,
                        headers);
        send_text(fd, head);
        send_all(fd, body, len);
}

static void send_reset(int fd) {
        struct linger now = { .l_onoff = 1 };

        (void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* close() sends RST */
}

static uint32_t crc32_of(const unsigned char *data, size_t len) {
        uint32_t crc = 0xffffffffu;

        for (size_t i = 0; i < len; i++) {
                crc ^= data[i];
                for (int k = 0; k < 8; k++)
                        crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        }
        return ~crc;
}

static const char gzip_header[] = "Content-Encoding: gzip\r\n";
static const unsigned char gzip_magic[10] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3 };

/* One stored block (RFC 1951, 3.2.4) in a gzip member (RFC 1952). */
static void send_gzip(int fd, const char *text) {
        unsigned char out[256];
        size_t n = strlen(text), at = sizeof gzip_magic;
        uint32_t crc = crc32_of((const unsigned char *) text, n);

        memcpy(out, gzip_magic, at);
        out[at++] = 1;
        out[at++] = (unsigned char) n;
        out[at++] = 0;
        out[at++] = (unsigned char) ~n;
        out[at++] = 0xff;
        memcpy(out + at, text, n);
        at += n;
        for (int i = 0; i < 4; i++)
                out[at++] = (unsigned char) (crc >> 8 * i);
        for (int i = 0; i < 4; i++)
                out[at++] = (unsigned char) (n >> 8 * i);
        send_answer(fd, gzip_header, out, at);
}

/* 100 MB of zeros in 0.6 MB: a fixed Huffman block (RFC 1951, 3.2.6) of one literal and then
 * nothing but "258 bytes from 1 back", thirteen bits each. */
static void send_bomb(int fd) {
        enum { MATCHES = 400000 };
        size_t size = sizeof gzip_magic + (MATCHES * 13 + 64) / 8, bit = 8 * sizeof gzip_magic;
        unsigned char *out = calloc(1, size);
        static const char start[] = "110"
                                    "00110000",
                          match[] = "1100010100000";

        if (!out)
                return;
        memcpy(out, gzip_magic, sizeof gzip_magic);
        for (const char *p = start; *p; p++, bit++)
                out[bit / 8] |= (unsigned char) ((*p == '1') << bit % 8);
        for (int i = 0; i < MATCHES; i++)
                for (const char *p = match; *p; p++, bit++)
                        out[bit / 8] |= (unsigned char) ((*p == '1') << bit % 8);
        send_answer(fd, gzip_header, out, size);
        free(out);
}

static void send_headers_without_end(int fd) {
        send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
        for (int i = 0; i < 400; i++) {
                char line[1100];

                (void) snprintf(line, sizeof line, "X-%d: %01000d\r\n", i, i);
                send_text(fd, line);
        }
        send_text(fd, "\r\n");
}

/* Waits for the client to go away, or for the end of the test. */
static void stall(int fd) {
        char c;

        while (!atomic_load(&server.stop) && recv(fd, &c, 1, MSG_DONTWAIT) != 0)
                (void) usleep(2000);
}

/* The answer comes long after one that is none yet. */
static void send_late(int fd) {
        send_text(fd, "HTTP/1.1 100 Continue\r\n\r\n");
        (void) sleep(2);
        send_answer(fd, "", "xx", 2);
}

/* A body that goes on until the client goes away, or for the length of the test. */
static void drip(int fd) {
        static const char chunk[] = "1\r\nx\r\n";
        char c;

        send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while (!atomic_load(&server.stop) && recv(fd, &c, 1, MSG_DONTWAIT) != 0) {
                send_text(fd, chunk);
                (void) usleep(20000);
        }
}

/* Answers one request.  False: the connection is to be closed. */
static bool answer(int fd, const char *request) {
        char path[64] = "";

        (void) sscanf(request, "%*s %63[^ ?]", path);
        if (strcmp(path, "/ok") == 0)
                send_answer(fd, "X-One: 1\r\nX-Two: a\r\nX-Two: b\r\nX-Empty:\r\n", "0123456789",
                            10);
        else if (strcmp(path, "/chunked") == 0)
                send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n");
        else if (strcmp(path, "/nul") == 0)
                send_answer(fd, "", "a\0b", 3);
        else if (strcmp(path, "/empty") == 0)
                send_answer(fd, "", "", 0);
        else if (strcmp(path, "/missing") == 0)
                send_text(fd, "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno");
        else if (strcmp(path, "/redirect") == 0)
                send_text(fd, "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n");
        else if (strcmp(path, "/gzip") == 0)
                send_gzip(fd, "some text, unpacked");
        else if (strcmp(path, "/bomb") == 0)
                send_bomb(fd);
        else if (strcmp(path, "/badgzip") == 0)
                send_answer(fd, gzip_header, "this is no gzip at all", 22);
        else if (strcmp(path, "/badchunk") == 0)
                send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n01\r\n");
        else if (strcmp(path, "/headers") == 0)
                send_headers_without_end(fd);
        else if (strcmp(path, "/late") == 0)
                send_late(fd);
        else if (strcmp(path, "/endless") == 0)
                drip(fd);
        else if (strcmp(path, "/interim") == 0) {
                send_text(fd, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-Cut: ");
                return false;
        } else if (strcmp(path, "/stall") == 0 || strcmp(path, "/silent") == 0) {
                if (strcmp(path, "/stall") == 0)
                        send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01");
                stall(fd);
                return false;
        } else if (strcmp(path, "/cut") == 0 || strcmp(path, "/cutreset") == 0) {
                send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
                (void) usleep(20000);
                if (strcmp(path, "/cutreset") == 0)
                        send_reset(fd);
                return false;
        } else if (strcmp(path, "/cutchunk") == 0) {
                send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01");
                return false;
        } else if (strcmp(path, "/garbage") == 0) {
                send_text(fd, "no HTTP in sight\r\n\r\n");
                return false;
        } else if (strcmp(path, "/nothing") == 0)
                return false;
        else if (strcmp(path, "/reset") == 0) {
                send_reset(fd);
                return false;
        } else
                send_answer(fd, "", request, strlen(request)); /* what was asked */
        return true;
}

static bool request_is_whole(const char *request) {
        const char *end = strstr(request, "\r\n\r\n");
        const char *length = strstr(request, "\r\nContent-Length: ");

        return end && (!length || strlen(end + 4) >= strtoul(length + 18, NULL, 10));
}

static void *serve_client(void *userdata) {
        int fd = (int) (intptr_t) userdata;
        char request[8192];
        size_t len = 0;

        for (;;) {
                ssize_t n = recv(fd, request + len, sizeof request - 1 - len, 0);

                if (n <= 0)
                        break;
                len += (size_t) n;
                request[len] = '\0';
                if (request[0] == 0x16) { /* a TLS handshake */
                        if (atomic_load(&server.tls) == TLS_ANSWER_PLAIN)
                                send_text(fd, "HTTP/1.1 400 Plain text, please\r\n\r\n");
                        if (atomic_load(&server.tls) == TLS_RESET)
                                send_reset(fd);
                        break;
                }
                if (!request_is_whole(request))
                        continue;
                if (!answer(fd, request))
                        break;
                len = 0;
        }
        (void) close(fd);
        atomic_fetch_sub(&server.clients, 1);
        return NULL;
}

static void *serve(void *userdata) {
        (void) userdata;
        for (;;) {
                struct timeval patience = { .tv_sec = 20 };
                int fd = accept(server.fd, NULL, NULL);
                pthread_t thread;

                if (fd < 0)
                        return NULL;
                (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
                atomic_fetch_add(&server.connections, 1);
                atomic_fetch_add(&server.clients, 1);
                if (pthread_create(&thread, NULL, serve_client, (void *) (intptr_t) fd) != 0)
                        abort();
                (void) pthread_detach(thread);
        }
}

static int listen_on_loopback(int *port) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
        socklen_t len = sizeof a;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof a) < 0 || listen(fd, 64) < 0 ||
            getsockname(fd, (struct sockaddr *) &a, &len) < 0)
                abort();
        *port = ntohs(a.sin_port);
        return fd;
}

static int setup(void **state) {
        (void) state;
        server.fd = listen_on_loopback(&server.port);
        return pthread_create(&server.thread, NULL, serve, NULL);
}

static int teardown(void **state) {
        (void) state;
        atomic_store(&server.stop, true);
        (void) shutdown(server.fd, SHUT_RDWR);
        (void) pthread_join(server.thread, NULL);
        for (int i = 0; i < 1000 && atomic_load(&server.clients) > 0; i++)
                (void) usleep(5000);
        return close(server.fd);
}

/* ---- calls ---- */

typedef struct Client {
        sd_event *event;
        Http *http;
} Client;

/* One call and what came of it. */
typedef struct Seen {
        unsigned done;
        HttpFailure failure;
        long status;
        size_t body_len;
        char body[4096], reason[300], headers[4][64];
        bool has_reason;
        HttpCall *call;
        void (*then)(struct Seen *); /* runs within on_done */
        void *data;
        Client *client;
} Seen;

static void on_done(const HttpResult *res, void *userdata) {
        static const char *const names[] = { "x-ONE", "X-Two", "X-Empty", "X-Absent" };
        Seen *s = userdata;

        s->done++;
        s->failure = res->failure;
        s->status = res->status;
        s->body_len = res->body_len;
        assert_true(res->body[res->body_len] == '\0');
        memcpy(s->body, res->body, res->body_len < sizeof s->body ? res->body_len + 1 : 0);
        s->has_reason = res->reason != NULL;
        (void) snprintf(s->reason, sizeof s->reason, "%s", res->reason ? res->reason : "");
        for (size_t i = 0; i < 4; i++) {
                const char *value = http_header(res, names[i]);

                (void) snprintf(s->headers[i], sizeof s->headers[i], "%s",
                                value ? value : "(none)");
        }
        assert_ptr_equal(res->call, s->call);
        if (s->then)
                s->then(s);
}

static void client_open(Client *c) {
        Error err = { 0 };

        assert_true(sd_event_new(&c->event) >= 0);
        assert_ok(http_new(c->event, &c->http, &err), err);
}

static void client_close(Client *c) {
        http_free(c->http);
        (void) sd_event_unref(c->event);
}

static HttpRequest request(const char *url) {
        return (HttpRequest){ .url = url,
                              .connect_timeout = 10 * SECOND,
                              .timeout = 20 * SECOND,
                              .max_body = MAX_BODY };
}

static const char *local(char *out, size_t size, const char *scheme, const char *path) {
        (void) snprintf(out, size, "%s://127.0.0.1:%d%s", scheme, server.port, path);
        return out;
}

static void start(Client *c, const HttpRequest *req, Seen *s) {
        Error err = { 0 };

        s->client = c;
        assert_ok(http_start(c->http, req, on_done, s, &s->call, &err), err);
        assert_int_equal(s->done, 0); /* never from within http_start() */
}

static uint64_t now_usec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * SECOND + (uint64_t) ts.tv_nsec / 1000;
}

/* Until all n calls are done.  No turn waits long, so that a lost wake-up shows as a failure. */
static void finish(Client *c, const Seen *seen, size_t n) {
        uint64_t end = now_usec() + 15 * SECOND;
        size_t left = n;

        while (left > 0) {
                if (now_usec() > end)
                        fail_msg("%zu of %zu calls have not ended", left, n);
                assert_true(sd_event_run(c->event, 200000) >= 0);
                left = 0;
                for (size_t i = 0; i < n; i++)
                        left += seen[i].done == 0;
        }
        for (size_t i = 0; i < n; i++)
                assert_int_equal(seen[i].done, 1);
}

static void run_for(Client *c, uint64_t usec) {
        uint64_t end = now_usec() + usec;

        while (now_usec() < end)
                assert_true(sd_event_run(c->event, 1000) >= 0);
}

static void fetch_with(const HttpRequest *req, Seen *s) {
        Client c;

        *s = (Seen){ 0 };
        client_open(&c);
        start(&c, req, s);
        finish(&c, s, 1);
        client_close(&c);
}

static void fetch(const char *path, Seen *s) {
        char url[256];
        HttpRequest req = request(local(url, sizeof url, "http", path));

        fetch_with(&req, s);
}

/* ---- answers ---- */

static void test_answer(void **state) {
        Seen s;

        (void) state;
        fetch("/ok", &s);
        assert_int_equal(s.failure, HTTP_ANSWERED);
        assert_int_equal(s.status, 200);
        assert_int_equal(s.body_len, 10);
        assert_string_equal(s.body, "0123456789");
        assert_false(s.has_reason);
        fetch("/chunked", &s);
        assert_string_equal(s.body, "0123456789");
        fetch("/nul", &s);
        assert_int_equal(s.body_len, 3);
        assert_memory_equal(s.body, "a\0b", 4);
        fetch("/empty", &s);
        assert_int_equal(s.body_len, 0);
        assert_string_equal(s.body, "");
        fetch("/missing", &s);
        assert_int_equal(s.failure, HTTP_ANSWERED);
        assert_int_equal(s.status, 404);
        assert_string_equal(s.body, "no");
}

static void test_headers(void **state) {
        Seen s;

        (void) state;
        fetch("/ok", &s);
        assert_string_equal(s.headers[0], "1");
        assert_string_equal(s.headers[1], "a");
        assert_string_equal(s.headers[2], "");
        assert_string_equal(s.headers[3], "(none)");
}

static void test_redirects_are_not_followed(void **state) {
        Seen s;

        (void) state;
        fetch("/redirect", &s);
        assert_int_equal(s.failure, HTTP_ANSWERED);
        assert_int_equal(s.status, 302);
}

static void test_what_is_asked(void **state) {
        static const char query[] = "/x/../y//%2F?a=%2B~&b=c%20d&e=%C3%A9";
        Seen s;

        (void) state;
        fetch(query, &s);
        assert_memory_equal(s.body, "GET ", 4);
        assert_memory_equal(s.body + 4, query, sizeof query - 1);
        assert_non_null(strstr(s.body, " HTTP/1.1\r\n"));
        assert_non_null(strstr(s.body, "\r\nUser-Agent: rosterd/"));
        assert_non_null(strstr(s.body, "\r\nAccept-Encoding: gzip\r\n"));
        assert_null(strstr(s.body, "Authorization"));
        assert_null(strstr(s.body, "Cookie"));
}

static void test_method_headers_and_body(void **state) {
        static const char *const headers[] = { "Content-Type: text/x-odd", "X-Own: a b" };
        static const char body[] = "first\0second";
        char url[256];
        HttpRequest req = request(local(url, sizeof url, "http", "/echo"));
        Seen s;

        (void) state;
        req.method = HTTP_POST;
        req.headers = headers;
        req.n_headers = 2;
        req.body = body;
        req.body_len = 5;
        fetch_with(&req, &s);
        assert_memory_equal(s.body, "POST /echo HTTP/1.1\r\n", 21);
        assert_non_null(strstr(s.body, "\r\nContent-Type: text/x-odd\r\n"));
        assert_non_null(strstr(s.body, "\r\nX-Own: a b\r\n"));
        assert_non_null(strstr(s.body, "\r\nContent-Length: 5\r\n"));
        assert_non_null(strstr(s.body, "\r\n\r\nfirst"));
        assert_null(strstr(s.body, "Expect"));
        assert_null(strstr(s.body, "urlencoded"));

        req = request(url);
        req.method = HTTP_PUT;
        fetch_with(&req, &s);
        assert_memory_equal(s.body, "PUT /echo HTTP/1.1\r\n", 20);
        assert_non_null(strstr(s.body, "\r\nContent-Length: 0\r\n"));
}

static void test_a_header_with_a_line_break(void **state) {
        static const char *const headers[] = { "X-Own: a\r\nX-Other: b" };
        HttpRequest req = request("http://127.0.0.1/");
        Error err = { 0 };
        Client c;

        (void) state;
        client_open(&c);
        req.headers = headers;
        req.n_headers = 1;
        assert_int_equal(http_start(c.http, &req, on_done, NULL, NULL, &err), -EINVAL);
        assert_string_equal(err.msg, "a header holds a line break");
        client_close(&c);
}

static void test_status_suffices(void **state) {
        static const struct {
                const char *path;
                long status;
                size_t body_len;
        } cases[] = {
                { "/ok", 200, 0 },       { "/cut", 200, 10 },  { "/cutreset", 200, 10 },
                { "/cutchunk", 200, 2 }, { "/stall", 200, 2 }, { "/bomb", 200, 0 },
                { "/missing", 404, 2 },
        };
        char url[256];
        Seen s;

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                HttpRequest req = request(local(url, sizeof url, "http", cases[i].path));

                req.status_suffices = true;
                req.timeout = SECOND / 2;
                req.max_body = 10;
                if (strcmp(cases[i].path, "/ok") == 0)
                        req.max_body = 5; /* announced as longer: it is not read */
                fetch_with(&req, &s);
                if (s.failure != HTTP_ANSWERED || s.status != cases[i].status ||
                    s.body_len > req.max_body)
                        fail_msg("%s: failure %d, status %ld, %zu bytes", cases[i].path,
                                 (int) s.failure, s.status, s.body_len);
                assert_false(s.has_reason);
        }
}

/* Then nobody waits for a body that does not end: not until the call's time is over, nor for max_body.
 * But for the status, whatever came before it. */
static void test_a_body_without_end(void **state) {
        static const char *const paths[] = { "/stall", "/endless", "/late" };
        Seen s[3] = { 0 };
        char url[256];
        Client c;

        (void) state;
        client_open(&c);
        for (size_t i = 0; i < 3; i++) {
                HttpRequest req = request(local(url, sizeof url, "http", paths[i]));

                req.status_suffices = true;
                req.timeout = 3600 * SECOND;
                start(&c, &req, &s[i]);
        }
        finish(&c, s, 3);
        for (size_t i = 0; i < 3; i++) {
                assert_int_equal(s[i].failure, HTTP_ANSWERED);
                assert_int_equal(s[i].status, 200);
                assert_memory_equal(s[i].body, i == 0 ? "01" : "xx", 2);
        }
        client_close(&c);
}

/* One that ends is read, so that its connection is used again. */
static void test_a_connection_is_kept_for_a_status(void **state) {
        static const char *const paths[] = { "/ok", "/chunked", "/empty", "/ok" };
        int before = atomic_load(&server.connections);
        char url[256];
        Client c;

        (void) state;
        client_open(&c);
        for (size_t i = 0; i < 4; i++) {
                HttpRequest req = request(local(url, sizeof url, "http", paths[i]));
                Seen s = { 0 };

                req.status_suffices = true;
                start(&c, &req, &s);
                finish(&c, &s, 1);
                assert_int_equal(s.body_len, i == 2 ? 0 : 10);
        }
        assert_int_equal(atomic_load(&server.connections) - before, 1);
        client_close(&c);
}

/* Without a whole head nothing was answered. */
static void test_half_a_status_does_not_suffice(void **state) {
        static const char *const paths[] = { "/silent",  "/silent",  "/nothing", "/garbage",
                                             "/interim", "/interim", "/reset" };
        char url[256];
        Seen s;

        (void) state;
        for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
                HttpRequest req = request(local(url, sizeof url, "http", paths[i]));

                req.status_suffices = i % 2 == 0;
                req.timeout = SECOND / 2;
                fetch_with(&req, &s);
                if (s.failure == HTTP_ANSWERED || s.status != 0 || !s.has_reason)
                        fail_msg("%s: status %ld", paths[i], s.status);
        }
}

static void test_gzip(void **state) {
        Seen s;

        (void) state;
        fetch("/gzip", &s);
        assert_int_equal(s.failure, HTTP_ANSWERED);
        assert_string_equal(s.body, "some text, unpacked");
}

static void check_limit(const char *path, size_t max, HttpFailure want) {
        char url[256];
        HttpRequest req = request(local(url, sizeof url, "http", path));
        Seen s;

        req.max_body = max;
        fetch_with(&req, &s);
        assert_int_equal(s.failure, want);
        if (want == HTTP_TOO_LARGE) {
                assert_int_equal(s.status, 0);
                assert_non_null(strstr(s.reason, "longer than"));
                assert_true(s.body_len <= max);
        }
}

static void test_body_limit(void **state) {
        (void) state;
        check_limit("/ok", 10, HTTP_ANSWERED);
        check_limit("/ok", 9, HTTP_TOO_LARGE);
        check_limit("/chunked", 10, HTTP_ANSWERED);
        check_limit("/chunked", 9, HTTP_TOO_LARGE);
        check_limit("/gzip", 64, HTTP_ANSWERED);
        check_limit("/gzip", 10, HTTP_TOO_LARGE);
        check_limit("/bomb", 10 << 20, HTTP_TOO_LARGE);
}

/* ---- failures ---- */

static void check_failure(const char *url, HttpFailure want, const char *says) {
        HttpRequest req = request(url);
        Seen s;

        fetch_with(&req, &s);
        if (s.failure != want || !strstr(s.reason, says))
                fail_msg("%s: %d, %s", url, (int) s.failure, s.reason);
        assert_int_equal(s.status, 0);
        assert_true(s.has_reason);
        assert_null(strstr(s.reason, "canary"));
}

static void test_broken(void **state) {
        static const struct {
                const char *path, *says;
        } cases[] = {
                { "/cut?canary", "the answer was cut" },
                { "/cutreset?canary", "the answer broke off" },
                { "/cutchunk?canary", "the answer was cut" },
                { "/badchunk?canary", "the answer" },
                { "/badgzip?canary", "cannot be unpacked" },
                { "/nothing?canary", "no answer" },
                { "/reset?canary", "the answer broke off" },
                { "/garbage?canary", "no HTTP" },
                { "/headers?canary", "headers do not end" },
        };
        char url[256];

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                check_failure(local(url, sizeof url, "http", cases[i].path), HTTP_BROKEN,
                              cases[i].says);
}

static void test_name_not_known(void **state) {
        (void) state;
        check_failure("http://user:canary@chime.invalid/canary?canary", HTTP_DNS,
                      "the name chime.invalid cannot be resolved");
}

static void test_port_closed(void **state) {
        char url[128], says[128];
        int port;

        (void) state;
        (void) close(listen_on_loopback(&port));
        (void) snprintf(url, sizeof url, "http://u:canary@127.0.0.1:%d/canary?canary", port);
        (void) snprintf(says, sizeof says, "no connection to 127.0.0.1:%d: Connection refused",
                        port);
        check_failure(url, HTTP_CONNECT, says);
        (void) snprintf(url, sizeof url, "http://[::1]:%d/", port);
        check_failure(url, HTTP_CONNECT, "no connection to [::1]:");
}

static void test_bad_urls(void **state) {
        (void) state;
        check_failure("ftp://127.0.0.1/canary", HTTP_LOCAL, "the request failed");
        check_failure("file:///etc/passwd?canary", HTTP_LOCAL, "the request failed");
        check_failure("http://[canary/", HTTP_LOCAL, "URL is malformed");
}

static void test_tls(void **state) {
        char url[256];
        HttpRequest req = request(local(url, sizeof url, "https", "/canary?canary"));
        Seen s;

        (void) state;
        atomic_store(&server.tls, TLS_ANSWER_PLAIN);
        check_failure(url, HTTP_TLS, "no TLS with 127.0.0.1:");
        atomic_store(&server.tls,
                     TLS_CLOSE); /* a network that breaks off is no question of trust */
        check_failure(url, HTTP_BROKEN, "broke off within TLS");
        atomic_store(&server.tls, TLS_RESET);
        check_failure(url, HTTP_BROKEN, "broke off within TLS");

        atomic_store(&server.tls, TLS_ANSWER_PLAIN);
        req.ca_file = "/nonexistent/ca.pem";
        fetch_with(&req, &s);
        assert_int_equal(s.failure, HTTP_TLS);
        assert_non_null(strstr(s.reason, "/nonexistent/ca.pem"));
        req.ca_file = "/dev/null";
        fetch_with(&req, &s);
        assert_int_equal(s.failure, HTTP_TLS);
}

static void check_timeout(const char *url, uint64_t connect_timeout, uint64_t timeout) {
        HttpRequest req = request(url);
        uint64_t begin = now_usec();
        Seen s;

        req.connect_timeout = connect_timeout;
        req.timeout = timeout;
        fetch_with(&req, &s);
        assert_int_equal(s.failure, HTTP_TIMEOUT);
        assert_non_null(strstr(s.reason, "no answer in time from"));
        assert_null(strstr(s.reason, "canary"));
        assert_true(now_usec() - begin >= 190000 && now_usec() - begin < 5 * SECOND);
}

static void test_timeouts(void **state) {
        char url[256];

        (void) state;
        check_timeout(local(url, sizeof url, "http", "/silent?canary"), 5 * SECOND, SECOND / 5);
        check_timeout(local(url, sizeof url, "http", "/stall?canary"), 5 * SECOND, SECOND / 5);
}

static void test_hanging_resolver(void **state) {
        HttpRequest req = request("http://hang.example/canary");
        Seen s[3] = { 0 };
        uint64_t begin;
        Client c;

        (void) state;
        (void) resolver_state(true);
        check_timeout("http://hang.example/canary", SECOND / 5, 5 * SECOND);
        assert_true(resolver_state(true) > 0); /* nobody waited for it */

        client_open(&c);
        start(&c, &req, &s[0]);
        start(&c, &req, &s[1]);
        run_for(&c, SECOND / 20);
        begin = now_usec();
        http_cancel(s[0].call);
        client_close(&c);
        assert_true(now_usec() - begin < 2 * SECOND);
        assert_int_equal(s[0].done + s[1].done, 0);

        while (resolver_state(false) > 0)
                (void) usleep(1000);
        (void) usleep(50000); /* libcurl's threads end */
        check_failure("http://hang.example/canary", HTTP_DNS, "hang.example");
}

/* ---- connections ---- */

static void then_again(Seen *s) {
        char url[256];
        HttpRequest req = request(local(url, sizeof url, "http", "/ok"));
        unsigned *left = s->data;

        assert_int_equal(s->failure, HTTP_ANSWERED);
        if (--*left == 0)
                return;
        s->done = 0;
        start(s->client, &req, s);
}

/* One after another, each begun by the one before: one connection, and no time lost between them. */
static void test_connections_are_kept(void **state) {
        unsigned left = 40;
        char url[256];
        HttpRequest req = request(local(url, sizeof url, "http", "/ok"));
        Seen s = { .then = then_again, .data = &left };
        int before = atomic_load(&server.connections);
        uint64_t begin = now_usec();
        Client c;

        (void) state;
        client_open(&c);
        start(&c, &req, &s);
        while (left > 0 && now_usec() - begin < 15 * SECOND)
                assert_true(sd_event_run(c.event, 200000) >= 0);
        assert_int_equal(left, 0);
        assert_int_equal(atomic_load(&server.connections) - before, 1);
        assert_true(now_usec() - begin < 4 * SECOND);
        client_close(&c);
}

static void test_parallel(void **state) {
        enum { N = 30 };
        char url[256];
        HttpRequest req = request(local(url, sizeof url, "http", "/ok"));
        Seen *s = calloc(N, sizeof *s);
        Client c;

        (void) state;
        assert_non_null(s);
        client_open(&c);
        for (int i = 0; i < N; i++)
                start(&c, &req, &s[i]);
        finish(&c, s, N);
        for (int i = 0; i < N; i++)
                assert_string_equal(s[i].body, "0123456789");
        client_close(&c);
        free(s);
}

/* Calls that fail in one and the same turn of curl: all must be told, though nothing will ever wake
 * the loop for the second. */
static void test_same_turn(void **state) {
        HttpRequest req = request("ftp://127.0.0.1/");
        Seen s[3] = { 0 };
        Client c;

        (void) state;
        client_open(&c);
        for (int i = 0; i < 3; i++)
                start(&c, &req, &s[i]);
        finish(&c, s, 3);
        client_close(&c);
}

/* ---- cancelling ---- */

static void then_cancel(Seen *s) {
        Seen *other = s->data;

        if (!other->done && other->call)
                http_cancel(take_ptr(other->call));
}

/* Each cancels the other; both have failed in the same turn, so that one is told and one is not. */
static void test_cancel_of_a_finished_call(void **state) {
        HttpRequest req = request("ftp://127.0.0.1/");
        Seen s[2] = { { .then = then_cancel }, { .then = then_cancel } };
        Client c;

        (void) state;
        s[0].data = &s[1];
        s[1].data = &s[0];
        client_open(&c);
        start(&c, &req, &s[0]);
        start(&c, &req, &s[1]);
        run_for(&c, SECOND / 10);
        assert_int_equal(s[0].done + s[1].done, 1);
        client_close(&c);
}

static void test_cancel_of_a_call_in_flight(void **state) {
        char stall_url[256], url[256];
        HttpRequest slow = request(local(stall_url, sizeof stall_url, "http", "/stall"));
        HttpRequest quick = request(local(url, sizeof url, "http", "/ok"));
        Seen s[3] = { { 0 }, { .then = then_cancel }, { 0 } };
        Client c;

        (void) state;
        s[1].data = &s[0];
        client_open(&c);
        start(&c, &slow, &s[0]);
        run_for(&c, SECOND / 20);
        start(&c, &quick, &s[1]);
        finish(&c, &s[1], 1);
        assert_null(s[0].call);
        start(&c, &quick, &s[2]);
        http_cancel(take_ptr(s[2].call)); /* before it has so much as begun */
        run_for(&c, SECOND / 20);
        assert_int_equal(s[0].done + s[2].done, 0);
        client_close(&c);
}

static void test_free_with_calls_in_flight(void **state) {
        static const char *const paths[] = { "/stall", "/silent", "/ok", "/bomb" };
        Seen s[5] = { 0 };
        uint64_t begin;
        char url[256];
        Client c;

        (void) state;
        for (uint64_t wait = 0; wait <= SECOND / 20; wait += SECOND / 100) {
                client_open(&c);
                memset(s, 0, sizeof s);
                for (size_t i = 0; i < 4; i++) {
                        HttpRequest req = request(local(url, sizeof url, "http", paths[i]));

                        start(&c, &req, &s[i]);
                }
                run_for(&c, wait);
                begin = now_usec();
                client_close(&c);
                assert_true(now_usec() - begin < SECOND);
                assert_int_equal(s[0].done + s[1].done, 0);
        }
}

/* ---- proxies ---- */

static void test_proxy(void **state) {
        char proxy[64];
        HttpRequest req = request("http://chime.invalid/x?canary");
        Seen s;

        (void) state;
        req.proxy = local(proxy, sizeof proxy, "http", "");
        (void) setenv("no_proxy", "*", 1); /* the configuration's wins */
        fetch_with(&req, &s);
        (void) unsetenv("no_proxy");
        assert_int_equal(s.failure, HTTP_ANSWERED);
        assert_memory_equal(s.body, "GET http://chime.invalid/x?canary HTTP/1.1\r\n", 43);

        req.proxy = NULL;
        (void) setenv("http_proxy", proxy, 1);
        fetch_with(&req, &s);
        (void) unsetenv("http_proxy");
        assert_int_equal(s.failure, HTTP_ANSWERED);
        assert_memory_equal(s.body, "GET http://chime.invalid/x?canary HTTP/1.1\r\n", 43);
}

static void test_proxy_that_fails(void **state) {
        static const struct {
                const char *url, *proxy;
                HttpFailure want;
        } cases[] = {
                { "http://chime.invalid/", "http://u:canary@proxy.invalid:1", HTTP_DNS },
                { "http://chime.invalid/", "junk://u:canary@127.0.0.1:1", HTTP_CONNECT },
                { "http://chime.invalid/", "http://u:canary@127.0.0.1:x", HTTP_LOCAL },
        };
        char proxy[64];
        HttpRequest req = request("https://chime.invalid/missing?canary");
        Seen s;
        int port;

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                HttpRequest other = request(cases[i].url);

                other.proxy = cases[i].proxy;
                fetch_with(&other, &s);
                assert_true(s.failure != HTTP_ANSWERED && s.failure != HTTP_TLS);
                assert_null(strstr(s.reason, "canary"));
                assert_true(s.reason[0] != '\0');
                if (cases[i].want == HTTP_DNS)
                        assert_int_equal(s.failure, HTTP_DNS);
        }
        (void) close(listen_on_loopback(&port));
        (void) snprintf(proxy, sizeof proxy, "http://u:canary@127.0.0.1:%d", port);
        req.proxy = proxy;
        fetch_with(&req, &s);
        assert_int_equal(s.failure, HTTP_CONNECT);
        assert_string_equal(s.reason, "no connection to the proxy: Connection refused");
}

/* ---- signatures ---- */

static void hmac(const void *key, size_t key_len, const char *text, unsigned char out[static 32]) {
        unsigned len = 32;

        assert_non_null(HMAC(EVP_sha256(), key, (int) key_len, (const unsigned char *) text,
                             strlen(text), out, &len));
}

static void hex(const unsigned char in[static 32], char out[static 65]) {
        for (int i = 0; i < 32; i++)
                (void) snprintf(out + (ptrdiff_t) 2 * i, 3, "%02x", in[i]);
}

static void sha256_hex(const char *text, char out[static 65]) {
        unsigned char digest[32];

        assert_true(EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) == 1);
        hex(digest, out);
}

/* The value of a header of a request, or "". */
static void header_of(const char *req, const char *name, char *out, size_t size) {
        *out = '\0';
        for (const char *p = strstr(req, "\r\n"); p && p[2] != '\r'; p = strstr(p + 2, "\r\n"))
                if (strncasecmp(p + 2, name, strlen(name)) == 0 && p[2 + strlen(name)] == ':') {
                        const char *value = p + 3 + strlen(name);

                        value += strspn(value, " ");
                        (void) snprintf(out, size, "%.*s", (int) strcspn(value, "\r"), value);
                        return;
                }
}

/* AWS Signature Version 4 of a request as the server received it ("Create a signed AWS API request",
 * AWS General Reference), from nothing but libcrypto.  The query is taken as canonical, which
 * test-chime.c sees to. */
static void sign(const char *req, const char *signed_headers, const char *secret,
                 char out[static 65]) {
        char canonical[4096], to_sign[512], names[256], hash[65], value[2048], date[32], key[128];
        unsigned char k[32];
        char *save = NULL;
        const char *path = strchr(req, ' ') + 1, *query = strchr(path, '?') + 1;
        int n = snprintf(canonical, sizeof canonical, "GET\n%.*s\n%.*s\n", (int) (query - 1 - path),
                         path, (int) strcspn(query, " "), query);

        (void) snprintf(names, sizeof names, "%s", signed_headers);
        for (char *name = strtok_r(names, ";", &save); name; name = strtok_r(NULL, ";", &save)) {
                header_of(req, name, value, sizeof value);
                n += snprintf(canonical + n, sizeof canonical - (size_t) n, "%s:%s\n", name, value);
        }
        sha256_hex("", hash);
        (void) snprintf(canonical + n, sizeof canonical - (size_t) n, "\n%s\n%s", signed_headers,
                        hash);

        header_of(req, "x-amz-date", date, sizeof date);
        assert_int_equal(strlen(date), 16);
        sha256_hex(canonical, hash);
        (void) snprintf(to_sign, sizeof to_sign,
                        "AWS4-HMAC-SHA256\n%s\n%.8s/us-east-1/chime/aws4_request\n%s", date, date,
                        hash);
        date[8] = '\0';
        (void) snprintf(key, sizeof key, "AWS4%s", secret);
        hmac(key, strlen(key), date, k);
        hmac(k, 32, "us-east-1", k);
        hmac(k, 32, "chime", k);
        hmac(k, 32, "aws4_request", k);
        hmac(k, 32, to_sign, k);
        hex(k, out);
}

static void check_signature(const char *secret, const char *session_token) {
        static const char path[] = "/accounts/0f2c-1/users?max-results=200"
                                   "&next-token=a%2Bb%2Fc%3Dd~e%20f%3Ag%25h%26i%C3%A9"
                                   "&user-email=ana%2Bb%40example.com&user-type=PrivateUser";
        HttpSigning signing = { .region = "us-east-1",
                                .service = "chime",
                                .access_key_id = "AKIDEXAMPLE",
                                .secret_access_key = secret,
                                .session_token = session_token };
        char url[512], want[65], authorization[1024], head[256], token[512];
        const char *signed_headers = session_token && *session_token
                                             ? "host;x-amz-date;x-amz-security-token"
                                             : "host;x-amz-date";
        HttpRequest req = request(local(url, sizeof url, "http", path));
        Seen s;

        req.signing = &signing;
        fetch_with(&req, &s);
        assert_int_equal(s.failure, HTTP_ANSWERED);
        assert_memory_equal(s.body + 4, path, sizeof path - 1); /* as it was given, to the byte */
        header_of(s.body, "authorization", authorization, sizeof authorization);
        header_of(s.body, "x-amz-security-token", token, sizeof token);
        assert_string_equal(token, session_token ? session_token : "");
        header_of(s.body, "x-amz-date", want, sizeof want);
        (void) snprintf(
                head, sizeof head,
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/%.8s/us-east-1/chime/aws4_request, "
                "SignedHeaders=%s, Signature=",
                want, signed_headers);
        assert_memory_equal(authorization, head, strlen(head));
        sign(s.body, signed_headers, secret, want);
        assert_string_equal(authorization + strlen(head), want);
}

static void test_signature(void **state) {
        (void) state;
        check_signature("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", NULL);
        check_signature("with:colon@and/slash", NULL);
        check_signature("secret", "a+token/with=signs==");
        check_signature("secret", "");
}

static void test_what_cannot_be_signed(void **state) {
        static const HttpSigning good = { "us-east-1", "chime", "AKID", "secret", NULL };
        HttpSigning cases[7];
        Client c;

        (void) state;
        for (size_t i = 0; i < 7; i++)
                cases[i] = good;
        cases[0].region = "us-east-1:evil";
        cases[1].region = "";
        cases[2].region = "a region";
        cases[3].region =
                "a-region-with-a-name-longer-than-the-sixty-four-bytes-that-libcurl-reads";
        cases[4].session_token = "canary\r\nX-Evil: 1";
        cases[5].access_key_id = "canary\r\nX-Evil: 1";
        cases[6].session_token = "canary canary";
        client_open(&c);
        for (size_t i = 0; i < 7; i++) {
                HttpRequest req = request("http://127.0.0.1:1/");
                HttpCall *call = NULL;
                Error err = { .msg = "" };

                req.signing = &cases[i];
                assert_int_equal(http_start(c.http, &req, on_done, NULL, &call, &err), -EINVAL);
                assert_true(err.msg[0] != '\0');
                assert_null(strstr(err.msg, "canary"));
                assert_null(call);
        }
        client_close(&c);
}

int main(void) {
        static const char *const variables[] = { "http_proxy", "https_proxy", "HTTPS_PROXY",
                                                 "all_proxy",  "ALL_PROXY",   "no_proxy",
                                                 "NO_PROXY" };
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_answer),
                cmocka_unit_test(test_headers),
                cmocka_unit_test(test_redirects_are_not_followed),
                cmocka_unit_test(test_what_is_asked),
                cmocka_unit_test(test_method_headers_and_body),
                cmocka_unit_test(test_a_header_with_a_line_break),
                cmocka_unit_test(test_status_suffices),
                cmocka_unit_test(test_a_body_without_end),
                cmocka_unit_test(test_a_connection_is_kept_for_a_status),
                cmocka_unit_test(test_half_a_status_does_not_suffice),
                cmocka_unit_test(test_gzip),
                cmocka_unit_test(test_body_limit),
                cmocka_unit_test(test_broken),
                cmocka_unit_test(test_name_not_known),
                cmocka_unit_test(test_port_closed),
                cmocka_unit_test(test_bad_urls),
                cmocka_unit_test(test_tls),
                cmocka_unit_test(test_timeouts),
                cmocka_unit_test(test_hanging_resolver),
                cmocka_unit_test(test_connections_are_kept),
                cmocka_unit_test(test_parallel),
                cmocka_unit_test(test_same_turn),
                cmocka_unit_test(test_cancel_of_a_finished_call),
                cmocka_unit_test(test_cancel_of_a_call_in_flight),
                cmocka_unit_test(test_free_with_calls_in_flight),
                cmocka_unit_test(test_proxy),
                cmocka_unit_test(test_proxy_that_fails),
                cmocka_unit_test(test_signature),
                cmocka_unit_test(test_what_cannot_be_signed),
        };

        for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
                (void) unsetenv(variables[i]);
        return cmocka_run_group_tests(tests, setup, teardown);
}
