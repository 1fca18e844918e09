/* SPDX-License-Identifier: Apache-2.0 */
/* A receiver of POSTs that answers 204 to whatever comes, and does as little as can be, or at least
 * what a receiver of JSON has to do: read it.
 *
 *     receiver count|parse [FILE]
 *
 * prints its port, then for each line on stdin "COUNT MICROSECONDS": how many requests came since the
 * last line, and the time from the first one's arrival to the last one's answer.  Bodies go to FILE,
 * if given, each after its length as 8 hexadecimal digits and a newline. */
#include <arpa/inet.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 64
#define REQUEST_MAX (8u << 20)

typedef struct Client {
        char *data;
        size_t len, size;
} Client;

static struct pollfd fds[2 + CLIENTS];
static Client clients[2 + CLIENTS];
static FILE *bodies;
static int parses;
static uint64_t first, last, count;

static uint64_t now_usec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

static void drop(size_t i) {
        (void) close(fds[i].fd);
        free(clients[i].data);
        clients[i] = (Client){ 0 };
        fds[i] = (struct pollfd){ .fd = -1 };
}

/* The length of the first request of the client, or 0 if it is not whole yet. */
static size_t whole_request(const Client *c, size_t *ret_head) {
        char *end = memmem(c->data, c->len, "\r\n\r\n", 4), *length;
        size_t body = 0;

        if (!end)
                return 0;
        length = memmem(c->data, (size_t) (end - c->data), "\r\nContent-Length:", 17);
        if (length)
                body = strtoul(length + 17, NULL, 10);
        *ret_head = (size_t) (end - c->data) + 4;
        return c->len < *ret_head + body ? 0 : *ret_head + body;
}

static void answer(size_t i, size_t head, size_t len) {
        static const char said[] = "HTTP/1.1 204 No Content\r\n\r\n";
        Client *c = &clients[i];

        if (bodies) {
                fprintf(bodies, "%08zx\n", len - head);
                (void) fwrite(c->data + head, 1, len - head, bodies);
        }
        if (parses) {
                json_tokener *tok = json_tokener_new();

                (void) json_object_put(
                        json_tokener_parse_ex(tok, c->data + head, (int) (len - head)));
                json_tokener_free(tok);
        }
        if (send(fds[i].fd, said, sizeof said - 1, MSG_NOSIGNAL) < 0)
                return;
        last = now_usec();
        count++;
        memmove(c->data, c->data + len, c->len - len);
        c->len -= len;
}

static void serve(size_t i) {
        Client *c = &clients[i];
        size_t head, len;
        ssize_t n;

        if (c->size - c->len < 65536) {
                char *bigger = c->size < REQUEST_MAX ? realloc(c->data, c->size + 262144) : NULL;

                if (!bigger) {
                        drop(i);
                        return;
                }
                c->data = bigger;
                c->size += 262144;
        }
        n = recv(fds[i].fd, c->data + c->len, c->size - c->len, 0);
        if (n <= 0) {
                drop(i);
                return;
        }
        if (count == 0 && c->len == 0)
                first = now_usec();
        c->len += (size_t) n;
        while (c->len > 0 && (len = whole_request(c, &head)) > 0)
                answer(i, head, len);
}

static void take_client(void) {
        int fd = accept(fds[1].fd, NULL, NULL);
        size_t i = 2;

        while (i < 2 + CLIENTS && fds[i].fd >= 0)
                i++;
        if (fd >= 0 && i < 2 + CLIENTS)
                fds[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
        else if (fd >= 0)
                (void) close(fd);
}

/* Returns whether to go on. */
static int report(void) {
        char line[64];

        if (read(STDIN_FILENO, line, sizeof line) <= 0)
                return 0;
        printf("%llu %llu\n", (unsigned long long) count,
               (unsigned long long) (count ? last - first : 0));
        (void) fflush(stdout);
        if (bodies)
                (void) fflush(bodies);
        if (line[0] == 'r') /* "reset" */
                count = 0;
        return 1;
}

int main(int argc, char *argv[]) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
        socklen_t len = sizeof a;
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        if (argc < 2 || (argc > 2 && !(bodies = fopen(argv[2], "we"))))
                return 1;
        parses = strcmp(argv[1], "parse") == 0;
        if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof a) < 0 || listen(fd, 16) < 0 ||
            getsockname(fd, (struct sockaddr *) &a, &len) < 0)
                return 1;
        printf("%d\n", ntohs(a.sin_port));
        (void) fflush(stdout);
        for (size_t i = 0; i < 2 + CLIENTS; i++)
                fds[i].fd = -1;
        fds[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
        fds[1] = (struct pollfd){ .fd = fd, .events = POLLIN };
        while (poll(fds, 2 + CLIENTS, -1) >= 0) {
                for (size_t i = 2; i < 2 + CLIENTS; i++)
                        if (fds[i].fd >= 0 && fds[i].revents)
                                serve(i);
                if (fds[1].revents)
                        take_client();
                if (fds[0].revents && !report())
                        break;
        }
        return 0;
}
