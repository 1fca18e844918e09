/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from the EC2 instance metadata service, version 2 alone: first a token, then the role's name,
 * then its keys.  Version 1, which needs no token, is what others could be tricked into asking. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/rand.h"
#include "base/secret.h"
#include "base/timefmt.h"
#include "net/aws-internal.h"

#define TOKEN_PATH "latest/api/token"
#define ROLE_PATH "latest/meta-data/iam/security-credentials/"
#define ROLE_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-"

static int ask(AwsFetch *f, HttpMethod method, const char *path, const char *name,
               const char *header, Error *err) {
        CLEANUP_FREE char *url = NULL;

        if (asprintf(&url, "%s%s%s", f->plan.imds.endpoint, path, name) < 0) {
                url = NULL;
                return error_set(err, -ENOMEM, "out of memory");
        }
        return aws_fetch_request(f,
                                 &(HttpRequest){ .method = method,
                                                 .url = url,
                                                 .headers = &header,
                                                 .n_headers = 1,
                                                 .proxy = "",
                                                 .connect_timeout = f->plan.imds.timeout,
                                                 .timeout = f->plan.imds.timeout,
                                                 .max_body = AWS_BODY_MAX },
                                 err);
}

static int ask_with_token(AwsFetch *f, const char *path, const char *name, Error *err) {
        CLEANUP(wipe_freep) char *header = NULL;

        if (aws_header(&header, "X-aws-ec2-metadata-token", f->imds_token, err) < 0)
                return -ENOMEM;
        return ask(f, HTTP_GET, path, name, header, err);
}

/* What is wrong with an answer as such; AWS_DONE: nothing. */
static int check_answer(const HttpResult *res, Error *err) {
        if (res->failure != HTTP_ANSWERED) {
                (void) error_set(err, -EIO, "%.150s", res->reason);
                return res->failure == HTTP_LOCAL ? -EIO : AWS_AGAIN;
        }
        if (res->status != 200) {
                (void) error_set(err, -EACCES, "it answered %ld", res->status);
                return AWS_AGAIN;
        }
        if (res->body_len == 0) {
                (void) error_set(err, -EBADMSG, "its answer is empty");
                return AWS_AGAIN;
        }
        return AWS_DONE;
}

/* ---- the token ---- */

static int token_send(AwsFetch *f, Error *err) {
        return ask(f, HTTP_PUT, TOKEN_PATH, "", "X-aws-ec2-metadata-token-ttl-seconds: 21600", err);
}

static int token_answer(AwsFetch *f, const HttpResult *res, Error *err) {
        int r = check_answer(res, err);

        if (res->failure == HTTP_TIMEOUT)
                return error_set(err, -ETIMEDOUT,
                                 "no token came in time; in a container of EC2 the instance's hop "
                                 "limit must be 2; elsewhere set AWS_EC2_METADATA_DISABLED=true");
        if (r != AWS_DONE) /* 400, 403, 404 and 405 are answers for good */
                return res->status == 400 || res->status == 403 || res->status == 404 ||
                                       res->status == 405
                               ? -EACCES
                               : r;
        if (strpbrk(res->body, "\r\n") || strlen(res->body) != res->body_len)
                return error_set(err, -EBADMSG, "its token is none");
        if (secret_set(&f->imds_token, res->body) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        return AWS_DONE;
}

/* ---- the role ---- */

static int role_send(AwsFetch *f, Error *err) {
        return ask_with_token(f, ROLE_PATH, "", err);
}

/* The name becomes part of a URL. */
static int role_answer(AwsFetch *f, const HttpResult *res, Error *err) {
        int r = check_answer(res, err);

        if (r != AWS_DONE)
                return res->status == 404 ? error_set(err, -ENOKEY, "the instance has no role") : r;
        if (res->body_len > 64 || strspn(res->body, ROLE_CHARACTERS) != res->body_len)
                return error_set(err, -EBADMSG, "its answer is no name of a role");
        if (secret_set(&f->imds_role, res->body) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        return AWS_DONE;
}

/* ---- the keys ---- */

static int keys_send(AwsFetch *f, Error *err) {
        return ask_with_token(f, ROLE_PATH, f->imds_role, err);
}

/* When the service behind it is in trouble, the instance metadata goes on handing out old keys, and
 * those of EC2 itself go on taking them: so they count for a while yet, as in botocore. */
static void extend(AwsFetch *f) {
        int64_t offset = AWS_ADVISORY_MS + 120000 + (int64_t) random_below(480001);
        int64_t now = time_now_ms();

        if (f->keys.expires == TIME_NONE || now < f->keys.expires - offset)
                return;
        if (f->keys.expires <= now)
                (void) snprintf(f->note, sizeof f->note,
                                "the instance metadata gives keys that have expired; they are used "
                                "all the same, for the service may be in trouble");
        f->keys.expires = now + offset;
}

static int keys_answer(AwsFetch *f, const HttpResult *res, Error *err) {
        int r = check_answer(res, err);
        Error why = { 0 };

        if (r != AWS_DONE)
                return r;
        r = aws_keys_parse_json(res->body, res->body_len, AWS_JSON_ENDPOINT, &f->keys, &why);
        if (r < 0) {
                (void) error_set(err, r, "the answer cannot be used: %s", why.msg);
                return r == -EBADMSG ? AWS_AGAIN : r;
        }
        extend(f);
        return AWS_DONE;
}

#define NAME "the instance metadata"
const AwsStep aws_step_imds_token = { NAME, 0, 0, token_send, token_answer };
const AwsStep aws_step_imds_role = { NAME, 0, 0, role_send, role_answer };
const AwsStep aws_step_imds_keys = { NAME, 0, 0, keys_send, keys_answer };
