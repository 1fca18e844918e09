/* SPDX-License-Identifier: Apache-2.0 */
#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADERS_MAX 16

static struct { char *line, *name, *value; } headers[HEADERS_MAX];
static size_t n_headers;

const char *__wrap_http_header(const HttpResult *res, const char *name);

/* Like curl's: by name, whatever its case; the last one counts. */
const char *__wrap_http_header(const HttpResult *res, const char *name) {
        (void) res;
        for (size_t i = n_headers; i-- > 0;)
                if (strcasecmp(headers[i].name, name) == 0)
                        return headers[i].value;
        return NULL;
}

/* curl gives out no value with a line break or NUL in it, nor with blanks around it. */
static void add_header(char *line) {
        char *colon = strchr(line, ':'), *end;

        if (!colon || n_headers == HEADERS_MAX || strchr(line, '\r')) {
                free(line);
                return;
        }
        *colon = '\0';
        headers[n_headers].line = headers[n_headers].name = line;
        headers[n_headers].value = colon + 1 + strspn(colon + 1, " \t");
        for (end = strchr(colon + 1, '\0'); end > headers[n_headers].value && end[-1] == ' ';)
                *--end = '\0';
        n_headers++;
}

/* Three digits; or the name of a failure by its number, which is less than that. */
static void read_status(const char *line, HttpResult *ret) {
        long status = 0;

        for (; *line >= '0' && *line <= '9' && status < 100; line++)
                status = status * 10 + (*line - '0');
        if (status >= 100)
                ret->status = status;
        else
                ret->failure = (HttpFailure) (status % HTTP_LOCAL + 1);
}

void answer_read(Input *in, Answer *ret) {
        CLEANUP_FREE char *status = input_line(in, NULL);

        *ret = (Answer){ .res = { .failure = HTTP_ANSWERED } };
        read_status(status, &ret->res);
        for (;;) {
                char *line = input_line(in, NULL);

                if (!*line) {
                        free(line);
                        break;
                }
                add_header(line);
        }
        ret->body = input_rest(in, &ret->res.body_len);
        if (ret->res.failure != HTTP_ANSWERED) { /* http_failure() has cleaned it */
                ret->reason = strdup("no answer in time from chime.example:443");
                ret->res.body_len = 0;
                ret->body[0] = '\0';
        }
        ret->res.reason = ret->reason;
        ret->res.body = ret->body;
}

void answer_clear(Answer *a) {
        free(a->body);
        free(a->reason);
        while (n_headers > 0)
                free(headers[--n_headers].line);
        *a = (Answer){ 0 };
}
