/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from the container's agent: Amazon ECS, EKS Pod Identity, Greengrass and their like. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/timespan.h"
#include "net/aws-internal.h"

#define ECS_ADDRESS "http://169.254.170.2"
#define TIMEOUT (2 * USEC_PER_SEC)
#define TOKEN_MAX (16u << 10)

bool aws_container_may_ask(const AwsUrl *url) {
        static const char *const agents[] = { "169.254.170.2", "169.254.170.23", "fd00:ec2::23" };

        if (url->https || url->loopback)
                return true;
        for (size_t i = 0; i < sizeof agents / sizeof agents[0]; i++)
                if (strcmp(url->host, agents[i]) == 0)
                        return true;
        return false;
}

/* Of tests alone: where the agent of Amazon ECS is played.  On this machine, or nowhere. */
static const char *ecs_address(void) {
        const char *given = getenv("ROSTERD_TEST_CONTAINER_ENDPOINT");
        AwsUrl url;

        return given && aws_url_parse(given, &url) == 0 && url.loopback ? given : ECS_ADDRESS;
}

static int make_url(char **ret, Error *err) {
        const char *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        const char *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        const char *name = relative ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
                                    : "AWS_CONTAINER_CREDENTIALS_FULL_URI";
        AwsUrl url;
        char *text;

        if (relative && *relative != '/')
                return error_set(err, -EINVAL, "%s does not begin with \"/\"", name);
        if (asprintf(&text, "%s%s", relative ? ecs_address() : "",
                     relative ? relative
                     : full   ? full
                              : "") < 0)
                return error_set(err, -ENOMEM, "out of memory");
        if (aws_url_parse(text, &url) == 0 && aws_container_may_ask(&url)) {
                *ret = text;
                return 0;
        }
        free(text);
        return error_set(err, -EINVAL,
                         "%s names none that may be asked: an https URL, this machine, "
                         "169.254.170.2, 169.254.170.23 or fd00:ec2::23",
                         name);
}

/* The header with the token, or NULL in *ret; read anew each time, for it is short-lived. */
static int make_authorization(char **ret, Error *err) {
        const char *path = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        const char *token = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        CLEANUP(wipe_freep) char *text = NULL;
        Error why = { 0 };
        size_t len = 0;
        int r;

        *ret = NULL;
        if (path) {
                r = file_read(path, TOKEN_MAX, &text, &len, &why);
                if (r < 0)
                        return error_set(err, r, "the token file %.120s %s", path, why.msg);
                token = text;
        }
        if (!token || !*token)
                return 0;
        if (strpbrk(token, "\r\n") || (text && strlen(text) != len))
                return error_set(err, -EINVAL,
                                 "the authorization token holds a line break; it must be one line "
                                 "without its end");
        return aws_header(ret, "Authorization", token, err);
}

static int container_send(AwsFetch *f, Error *err) {
        CLEANUP(wipe_freep) char *authorization = NULL;
        CLEANUP_FREE char *url = NULL;
        int r = make_url(&url, err);

        if (r == 0)
                r = make_authorization(&authorization, err);
        if (r < 0)
                return r;
        return aws_fetch_request(
                f,
                &(HttpRequest){ .url = url,
                                .headers = (const char *const[]){ "Accept: application/json",
                                                                  authorization },
                                .n_headers = authorization ? 2 : 1,
                                .proxy = "",
                                .connect_timeout = TIMEOUT,
                                .timeout = TIMEOUT,
                                .max_body = AWS_BODY_MAX },
                err);
}

static int container_answer(AwsFetch *f, const HttpResult *res, Error *err) {
        char text[80] = "";
        Error why = { 0 };
        int r;

        if (res->failure != HTTP_ANSWERED) {
                (void) error_set(err, -EIO, "%.200s", res->reason);
                return res->failure == HTTP_TLS || res->failure == HTTP_LOCAL ? -EIO : AWS_AGAIN;
        }
        if (res->status != 200) {
                (void) aws_mask(text, sizeof text, res->body, res->body_len, AWS_WORD_SHOWN);
                (void) error_set(err, -EACCES, "it answered %ld%s%s", res->status,
                                 *text ? ": " : "", text);
                return AWS_AGAIN;
        }
        r = aws_keys_parse_json(res->body, res->body_len, AWS_JSON_ENDPOINT, &f->keys, &why);
        if (r == 0)
                return AWS_DONE;
        (void) error_set(err, r, "the answer cannot be used: %s", why.msg);
        return r == -EBADMSG ? AWS_AGAIN : r;
}

const AwsStep aws_step_container = { "the container's credentials", 3, USEC_PER_SEC, container_send,
                                     container_answer };
