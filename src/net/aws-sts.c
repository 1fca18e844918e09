/* SPDX-License-Identifier: Apache-2.0 */
/* AWS STS (API 2011-06-15): AssumeRole and AssumeRoleWithWebIdentity.  Requests are forms that are
 * posted: libcurl signs a query wrongly unless it is canonical. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "base/timespan.h"
#include "net/aws-internal.h"
#include "net/aws-xml.h"

#define TOKEN_MAX (20000u) /* STS takes a web identity token of at most this length */
#define FORM_MAX ((size_t) 3 * TOKEN_MAX + 16384)
#define SESSION_NAME "rosterd"
#define CONNECT_TIMEOUT (5 * USEC_PER_SEC)
#define TIMEOUT (20 * USEC_PER_SEC)

/* ---- the request ---- */

/* Of a fixed size: one that grows would leave pieces of a token behind in memory. */
typedef struct Form {
        char *text;
        size_t len;
} Form;

static void form_put_text(Form *form, const char *text) {
        size_t len = strlen(text);

        if (form->len + len > FORM_MAX)
                len = 0, form->len = FORM_MAX + 1; /* form_post() says so */
        memcpy(form->text + form->len, text, len);
        form->len += len;
}

static int form_open(Form *form, const char *action, Error *err) {
        *form = (Form){ .text = calloc(1, FORM_MAX + 2) };
        if (!form->text)
                return error_set(err, -ENOMEM, "out of memory");
        form_put_text(form, "Version=2011-06-15&Action=");
        form_put_text(form, action);
        return 0;
}

/* A value may be NULL: then there is none. */
static void form_put(Form *form, const char *name, const char *value) {
        char piece[4];

        if (!value)
                return;
        form_put_text(form, "&");
        form_put_text(form, name);
        form_put_text(form, "=");
        for (; *value; value++) {
                bool plain = (*value >= 'a' && *value <= 'z') || (*value >= 'A' && *value <= 'Z') ||
                             (*value >= '0' && *value <= '9') || strchr("-._~", *value);

                (void) snprintf(piece, sizeof piece, plain ? "%c" : "%%%02X",
                                (unsigned char) *value);
                form_put_text(form, piece);
        }
}

/* signing may be NULL.  Closes the form. */
static int form_post(Form *form, AwsFetch *f, const HttpSigning *signing, Error *err) {
        static const char *const headers[] = {
                "Content-Type: application/x-www-form-urlencoded; charset=utf-8",
                "Accept: text/xml",
        };
        int r;

        if (form->len > FORM_MAX)
                r = error_set(err, -E2BIG, "what is to be sent is too long");
        else
                r = aws_fetch_request(f,
                                      &(HttpRequest){ .method = HTTP_POST,
                                                      .url = f->plan.sts_url,
                                                      .headers = headers,
                                                      .n_headers = 2,
                                                      .body = form->text,
                                                      .body_len = form->len,
                                                      .signing = signing,
                                                      .ca_file = f->ca_file,
                                                      .proxy = f->proxy,
                                                      .connect_timeout = CONNECT_TIMEOUT,
                                                      .timeout = TIMEOUT,
                                                      .max_body = AWS_BODY_MAX },
                                      err);
        explicit_bzero(form->text, FORM_MAX);
        free(form->text);
        return r;
}

static const char *session_name(const AwsRole *role) {
        return role->session_name && *role->session_name ? role->session_name : SESSION_NAME;
}

/* Roles are assumed from the last to the first. */
static const AwsRole *role_at_hand(const AwsFetch *f) {
        size_t left = f->n_steps - f->step;

        return &f->plan.roles[left - 1];
}

static int role_send(AwsFetch *f, Error *err) {
        const AwsRole *role = role_at_hand(f);
        const HttpSigning signing = { .region = f->plan.region,
                                      .service = "sts",
                                      .access_key_id = f->keys.access_key_id,
                                      .secret_access_key = f->keys.secret_access_key,
                                      .session_token = f->keys.session_token };
        Form form;
        int r = form_open(&form, "AssumeRole", err);

        if (r < 0)
                return r;
        form_put(&form, "RoleArn", role->arn);
        form_put(&form, "RoleSessionName", session_name(role));
        form_put(&form, "DurationSeconds", role->duration);
        form_put(&form, "ExternalId", role->external_id);
        return form_post(&form, f, &signing, err);
}

static int web_send(AwsFetch *f, Error *err) {
        CLEANUP(wipe_freep) char *token = NULL;
        Error why = { 0 };
        size_t len = 0;
        Form form;
        int r = file_read(f->plan.token_file, TOKEN_MAX, &token, &len, &why);

        if (r < 0)
                return error_set(err, r, "the token file %.120s %s", f->plan.token_file, why.msg);
        if (strlen(token) != len)
                return error_set(err, -EINVAL, "the token file %.120s holds a NUL",
                                 f->plan.token_file);
        while (len > 0 && strchr(" \t\r\n", token[len - 1]))
                token[--len] = '\0';
        if (len == 0)
                return error_set(err, -EINVAL, "the token file %.120s is empty",
                                 f->plan.token_file);
        r = form_open(&form, "AssumeRoleWithWebIdentity", err);
        if (r < 0)
                return r;
        form_put(&form, "RoleArn", f->plan.web.arn);
        form_put(&form, "RoleSessionName", session_name(&f->plan.web));
        form_put(&form, "WebIdentityToken", token);
        return form_post(&form, f, NULL, err);
}

/* ---- the answer ---- */

typedef struct Answer {
        const char *result; /* "AssumeRole/AssumeRoleResult/Credentials/", as it were */
        AwsKeys keys;
        char *expiration;
        char code[64], message[200];
} Answer;

static void answer_clear(Answer *a) {
        aws_keys_clear(&a->keys);
        free(a->expiration);
}

/* Each once: a document that says two things says nothing. */
static int take_once(char **slot, const char *text) {
        if (*slot)
                return -EBADMSG;
        return secret_set(slot, text);
}

static int on_text(const char *path, const char *text, void *userdata) {
        Answer *a = userdata;
        size_t len = strlen(a->result);

        if (strcmp(path, "ErrorResponse/Error/Code") == 0)
                (void) text_clean(a->code, sizeof a->code, text, strlen(text));
        else if (strcmp(path, "ErrorResponse/Error/Message") == 0)
                (void) aws_mask(a->message, sizeof a->message, text, strlen(text), 50);
        else if (strncmp(path, a->result, len) != 0)
                return 0;
        else if (strcmp(path + len, "AccessKeyId") == 0)
                return take_once(&a->keys.access_key_id, text);
        else if (strcmp(path + len, "SecretAccessKey") == 0)
                return take_once(&a->keys.secret_access_key, text);
        else if (strcmp(path + len, "SessionToken") == 0)
                return take_once(&a->keys.session_token, text);
        else if (strcmp(path + len, "Expiration") == 0)
                return take_once(&a->expiration, text);
        return 0;
}

static int take_keys(AwsFetch *f, const Answer *a, Error *err) {
        const AwsKeys *k = &a->keys;
        AwsKeys checked = { 0 };
        int r;

        if (!k->access_key_id || !k->secret_access_key || !k->session_token || !a->expiration)
                return error_set(err, -EBADMSG, "the answer lacks %s",
                                 !k->access_key_id       ? "AccessKeyId"
                                 : !k->secret_access_key ? "SecretAccessKey"
                                 : !k->session_token     ? "SessionToken"
                                                         : "Expiration");
        if (aws_time_parse(a->expiration, &checked.expires) < 0)
                return error_set(err, -EBADMSG, "the answer's Expiration is no time");
        r = aws_keys_set(&checked, "the answer", k->access_key_id, k->secret_access_key,
                         k->session_token, err);
        if (r < 0)
                return r;
        aws_keys_clear(&f->keys);
        f->keys = checked;
        return AWS_DONE;
}

static bool is_one_of(const char *code, const char *const *codes, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (strncmp(code, codes[i], strlen(codes[i])) == 0)
                        return true;
        return false;
}

static int refuse(const HttpResult *res, const Answer *a, Error *err) {
        static const char *const again[] = { "Throttling", "RequestLimitExceeded",
                                             "TooManyRequests", "IDPCommunicationError" };
        static const char *const time[] = { "RequestTimeTooSkewed", "RequestExpired",
                                            "SignatureExpired" };
        char advice[120] = "";
        bool about_time = is_one_of(a->code, time, sizeof time / sizeof time[0]) ||
                          strstr(a->message, "Signature expired") ||
                          strstr(a->message, "Signature not yet current");

        if (about_time)
                http_say_skew(res, time_now_ms(), advice, sizeof advice);
        (void) error_set(err, -EACCES, "STS answered %ld%s%s%s%s%s%s", res->status,
                         *a->code ? " " : "", a->code, *a->message && !about_time ? ": " : "",
                         about_time ? "" : a->message, about_time ? "; " : "", advice);
        return res->status >= 500 || res->status == 429 || res->status == 408 ||
                               is_one_of(a->code, again, sizeof again / sizeof again[0])
                       ? AWS_AGAIN
                       : -EACCES;
}

static int read_answer(AwsFetch *f, const HttpResult *res, const char *result, Error *err) {
        CLEANUP(answer_clear) Answer a = { .result = result };
        Error why = { 0 };
        int r;

        if (res->failure != HTTP_ANSWERED) {
                (void) error_set(err, -EIO, "%.200s", res->reason);
                return res->failure == HTTP_TLS || res->failure == HTTP_LOCAL ? -EIO : AWS_AGAIN;
        }
        r = xml_read(res->body, res->body_len, on_text, &a, &why);
        if (r == -ENOMEM)
                return error_set(err, r, "out of memory");
        if (res->status != 200)
                return refuse(res, &a, err);
        if (r < 0) {
                (void) error_set(err, -EBADMSG, "the answer is none of STS%s%s",
                                 *why.msg ? ": " : "", why.msg);
                return AWS_AGAIN;
        }
        r = take_keys(f, &a, err);
        return r == -EBADMSG ? AWS_AGAIN : r;
}

static int role_answer(AwsFetch *f, const HttpResult *res, Error *err) {
        return read_answer(f, res, "AssumeRoleResponse/AssumeRoleResult/Credentials/", err);
}

static int web_answer(AwsFetch *f, const HttpResult *res, Error *err) {
        return read_answer(f, res,
                           "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/"
                           "Credentials/",
                           err);
}

const AwsStep aws_step_role = { "AssumeRole", 3, USEC_PER_SEC, role_send, role_answer };
const AwsStep aws_step_web_identity = { "AssumeRoleWithWebIdentity", 3, USEC_PER_SEC, web_send,
                                        web_answer };
