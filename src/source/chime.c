/* SPDX-License-Identifier: Apache-2.0 */
/* Amazon Chime, API 2018-05-01: GET /accounts/{accountId}/users.  Here are its URLs and its errors;
 * its JSON is in chime-record.c. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/jsonread.h"
#include "base/jsontext.h"
#include "base/memstream.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "base/timespan.h"
#include "source/source-internal.h"

/* ---- the request ---- */

static bool is_unreserved(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '_' || c == '~';
}

/* RFC 3986, section 2: all but the unreserved characters, with capital digits as SigV4 wants it. */
static void put_encoded(FILE *f, const char *text) {
        for (; *text; text++)
                if (is_unreserved(*text))
                        (void) fputc(*text, f);
                else
                        (void) fprintf(f, "%%%02X", (unsigned char) *text);
}

static void put_parameter(FILE *f, const char *name, const char *value) {
        if (!value || !*value)
                return;
        (void) fprintf(f, "&%s=", name);
        put_encoded(f, value);
}

/* libcurl signs the query as it stands (its issues 8107, 9717, 11794), so it must be what SigV4
 * calls canonical: sorted by name, encoded, nothing empty. */
static int chime_request(const AccountConfig *account, const char *continuation, SourceRequest *ret,
                         Error *err) {
        CLEANUP_FREE char *url = NULL;
        size_t len = 0;
        FILE *f;

        for (const char *p = account->account_id; *p; p++)
                if (!is_unreserved(*p)) /* signers differ on encoding the path once or twice */
                        return error_set(err, -EINVAL, "account_id cannot stand in a URL");

        f = memstream_open(&url, &len);
        if (!f)
                return error_set(err, -ENOMEM, "out of memory");
        (void) fprintf(f, "%s/accounts/%s/users?max-results=%u", account->endpoint,
                       account->account_id, account->max_results);
        put_parameter(f, "next-token", continuation);
        put_parameter(f, "user-email", account->user_email);
        put_parameter(f, "user-type", account->user_type);
        if (fclose(f) != 0)
                return error_set(err, -ENOMEM, "out of memory");
        *ret = (SourceRequest){ .url = take_ptr(url), .service = "chime" };
        return 0;
}

/* ---- what the service says is wrong ---- */

#define QUOTE_SIZE 92
/* The name, the service's own words and our advice together; the words go if they are more. */
#define COMPLAINT_MAX 220
#define COMPLAINT_OF_KEYS_MAX 130 /* for it is followed by why there are no others */

typedef struct Complaint {
        long status;
        char name[61];            /* of the exception; "" where there is none */
        char message[QUOTE_SIZE]; /* cleaned, for people; "" likewise */
        bool about_time;          /* the signature's time is not the service's */
} Complaint;

/* "com.amazonaws.chime#NotFoundException:http://…" -> "NotFoundException" (Smithy, AWS restJson1) */
static void take_name(Complaint *c, const char *text) {
        size_t len = strcspn(text, ":");
        const char *hash = memchr(text, '#', len);

        if (hash) {
                len -= (size_t) (hash + 1 - text);
                text = hash + 1;
        }
        (void) text_clean(c->name, sizeof c->name, text, len);
}

/* Cuts and cleans what came from outside.  A refused signature is explained with the whole request
 * behind the first line, token and all, and no word of honest prose has 50 letters: neither is
 * quoted. */
static void quote(char out[static QUOTE_SIZE], const char *text, size_t len) {
        static const char *const ends[] = { "Authorization=", "Credential=" };
        char words[512];
        size_t at = 0;

        for (size_t i = 0; i < len && at + 60 < sizeof words;) {
                size_t n = 0;

                while (i + n < len && !strchr(" \t\r\n", text[i + n]))
                        n++;
                for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++)
                        if (n >= strlen(ends[k]) && memcmp(text + i, ends[k], strlen(ends[k])) == 0)
                                goto done;
                if (n > 50)
                        at += (size_t) snprintf(words + at, sizeof words - at, "…");
                else {
                        memcpy(words + at, text + i, n);
                        at += n;
                }
                i += n;
                if (i < len && text[i] == '\n' && text[0] != '<')
                        break;
                if (i++ < len)
                        words[at++] = ' ';
        }
done:
        (void) text_clean(out, QUOTE_SIZE, words, at);
}

static const char *member_text(json_object *o, const char *name) {
        json_object *v = NULL;

        return json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string)
                       ? json_object_get_string(v)
                       : NULL;
}

static const char *first_text(json_object *o, const char *const *names) {
        const char *text = NULL;

        for (; *names && !text; names++) {
                text = member_text(o, *names);
                if (text && !*text)
                        text = NULL;
        }
        return text;
}

static json_object *parse_body(const HttpResult *res) {
        json_tokener *tok = json_tokener_new_ex(8);
        json_object *o = NULL;

        if (tok && res->body_len <= 64u << 10)
                (void) jsonread(tok, res->body, res->body_len, &o, NULL); /* it may be anything */
        json_tokener_free(tok);
        return o;
}

/* Names and messages as AWS's services give them, and what gateways put in their place. */
static void read_complaint(const HttpResult *res, Complaint *c) {
        static const char *const names[] = { "__type", "code", "Code", NULL };
        static const char *const messages[] = { "Message", "message", NULL };
        const char *header = http_header(res, "x-amzn-ErrorType"), *text = NULL;
        json_object *o = parse_body(res);

        *c = (Complaint){ .status = res->status };
        if (header)
                take_name(c, header);
        if (json_object_is_type(o, json_type_object)) {
                if (!c->name[0] && (text = first_text(o, names)))
                        take_name(c, text);
                text = first_text(o, messages);
                if (text) {
                        quote(c->message, text, strlen(text));
                        c->about_time = strstr(text, "Signature expired") ||
                                        strstr(text, "Signature not yet current");
                }
        } else
                quote(c->message, res->body, res->body_len);
        (void) json_object_put(o);
}

/* ---- what it means ---- */

/* Exceptions of the service and of AWS's front ends, without "Exception" at the end, and what to do. */
typedef struct Known {
        const char *name;
        enum { ABOUT_REQUEST, ABOUT_CREDENTIALS, ABOUT_KEYS, ABOUT_TIME } about;
        const char *hint;
} Known;

static const char need_policy[] = "the policy needs chime:ListUsers";

static const Known knowns[] = {
        { "ExpiredToken", ABOUT_KEYS, "fresh credentials are needed" },
        { "RequestTimeTooSkewed", ABOUT_TIME, NULL },
        { "RequestExpired", ABOUT_TIME, NULL },
        { "UnrecognizedClient", ABOUT_KEYS, "check access_key_id and session_token" },
        { "InvalidClientTokenId", ABOUT_KEYS, "check access_key_id and session_token" },
        { "InvalidAccessKeyId", ABOUT_KEYS, "check access_key_id" },
        { "InvalidToken", ABOUT_KEYS, "check session_token" },
        { "InvalidSignature", ABOUT_KEYS, "check secret_access_key and region" },
        { "SignatureDoesNotMatch", ABOUT_KEYS, "check secret_access_key and region" },
        { "IncompleteSignature", ABOUT_CREDENTIALS, "check access_key_id and endpoint" },
        { "MissingAuthenticationToken", ABOUT_CREDENTIALS, "check endpoint" },
        { "AccessDenied", ABOUT_CREDENTIALS, need_policy },
        { "Forbidden", ABOUT_CREDENTIALS, need_policy },
        { "UnauthorizedClient", ABOUT_CREDENTIALS, "check access_key_id and its policy" },
        { "NotFound", ABOUT_REQUEST, "check account_id" },
        { "BadRequest", ABOUT_REQUEST, "check account_id, user_email and user_type" },
};

static const Known *known_by_name(const char *name) {
        for (size_t i = 0; i < sizeof knowns / sizeof knowns[0]; i++) {
                size_t len = strlen(knowns[i].name);

                if (strncmp(name, knowns[i].name, len) == 0 &&
                    (!name[len] || strcmp(name + len, "Exception") == 0))
                        return &knowns[i];
        }
        return NULL;
}

static const char *hint_by_status(long status) {
        switch (status) {
        case 400:
                return "check account_id, user_email and user_type";
        case 401:
                return "check access_key_id and secret_access_key";
        case 403:
                return need_policy;
        case 404:
                return "check endpoint and account_id";
        case 407:
                return "check proxy";
        default:
                return "check endpoint";
        }
}

static SourceVerdict verdict_of(const Complaint *c, const Known *known, bool had_continuation) {
        if (c->status == 429)
                return SOURCE_THROTTLED;
        if (c->status < 300 || c->status == 408 || c->status >= 500)
                return SOURCE_RETRY;
        if (known && known->about == ABOUT_KEYS && !c->about_time &&
            (c->status == 400 || c->status == 401 || c->status == 403))
                return SOURCE_CREDENTIALS;
        if (c->status == 400 && had_continuation && !c->about_time &&
            (known ? known->about == ABOUT_REQUEST
                   : !strstr(c->name, "Credential") && !strstr(c->name, "Signature")))
                return SOURCE_CURSOR_EXPIRED;
        return SOURCE_REFUSED;
}

/* Scheme, user, path and query of Location are not for logs. */
static void say_redirect(const HttpResult *res, char *out, size_t size) {
        const char *to = http_header(res, "Location"), *host = to ? strstr(to, "://") : NULL;
        char name[64] = "another place";
        size_t len;

        if (host) {
                host += 3;
                len = strcspn(host, "/?#\\");
                for (const char *at; (at = memchr(host, '@', len)); host = at + 1)
                        len -= (size_t) (at + 1 - host);
                if (len > 0)
                        (void) text_clean(name, sizeof name, host, len);
        }
        (void) snprintf(out, size,
                        "redirects to another place (%s) are not followed: check endpoint", name);
}

/* Any status but 200. */
static void read_error(const HttpResult *res, bool had_continuation, int64_t now_ms,
                       SourceAnswer *ret) {
        char advice[128] = "", line[512];
        const Known *known;
        Complaint c;
        size_t room;

        read_complaint(res, &c);
        known = known_by_name(c.name);
        ret->verdict = verdict_of(&c, known, had_continuation);
        room = ret->verdict == SOURCE_CREDENTIALS ? COMPLAINT_OF_KEYS_MAX : COMPLAINT_MAX;
        if (ret->verdict == SOURCE_RETRY || ret->verdict == SOURCE_THROTTLED)
                ret->retry_after = http_retry_after(res, now_ms);

        if (c.status < 300)
                (void) snprintf(advice, sizeof advice, "that is no page of users");
        else if (c.status < 400)
                say_redirect(res, advice, sizeof advice);
        else if (c.about_time || (known && known->about == ABOUT_TIME && c.status < 500))
                http_say_skew(res, now_ms, advice, sizeof advice);
        else if (ret->verdict == SOURCE_REFUSED || ret->verdict == SOURCE_CREDENTIALS)
                (void) snprintf(advice, sizeof advice, "%s",
                                known ? known->hint : hint_by_status(c.status));
        if (*advice && strlen(c.name) + strlen(c.message) + strlen(advice) > room)
                c.message[0] = '\0'; /* the advice says more */
        (void) snprintf(line, sizeof line, "the service answered %ld%s%s%s%s%s%s", c.status,
                        *c.name ? " " : "", c.name, *c.message ? ": " : "", c.message,
                        *advice ? "; " : "", advice);
        (void) text_clean(ret->error, sizeof ret->error, line, strlen(line));
}

/* ---- the answer ---- */

static void read_failure(const HttpResult *res, SourceAnswer *ret) {
        ret->verdict = res->failure == HTTP_TLS ? SOURCE_REFUSED : SOURCE_RETRY;
        (void) snprintf(ret->error, sizeof ret->error, "%.200s%s", res->reason,
                        res->failure == HTTP_TLS ? "; check ca_file and the name in endpoint" : "");
}

/* A body that is not even meant as JSON is quoted.  Any other is not, for it holds personal data. */
static void read_no_page(const char *body, size_t len, const Error *why, SourceAnswer *ret) {
        size_t blank = 0;
        char text[QUOTE_SIZE] = "";

        while (blank < len && memchr(" \t\r\n", body[blank], 4))
                blank++;
        if (blank < len && !strchr("{[\"", body[blank]))
                quote(text, body, len);
        ret->verdict = SOURCE_RETRY;
        (void) snprintf(ret->error, sizeof ret->error, "the answer %.120s%s%s", why->msg,
                        *text ? ": " : "", text);
}

static void chime_answer(const HttpResult *res, bool had_continuation, int64_t now_ms,
                         SourceAnswer *ret) {
        source_answer_clear(ret);
        if (res->failure != HTTP_ANSWERED)
                read_failure(res, ret);
        else if (res->status != 200)
                read_error(res, had_continuation, now_ms, ret);
        else
                ret->verdict = SOURCE_PAGE;
}

static int chime_page(const char *body, size_t len, const SourceExpect *expect, SourceAnswer *a,
                      Error *err) {
        Error why = { 0 };
        int r = chime_cut(body, len, expect, &a->page, &why);

        if (r == -ENOMEM)
                return error_set(err, r, "out of memory");
        if (r < 0)
                read_no_page(body, len, &why, a);
        return 0;
}

/* ---- the scope ---- */

/* A JSON array: its quotes and escapes keep apart what differs. */
static int chime_scope(const AccountConfig *account, char **ret, Error *err) {
        const char *const parts[] = { source_chime.name, account->endpoint, account->account_id,
                                      account->user_type, account->user_email };
        json_object *list = json_object_new_array();
        const char *text;
        char *copy;

        for (size_t i = 0; list && i < sizeof parts / sizeof parts[0]; i++) {
                json_object *part = json_object_new_string(parts[i] ? parts[i] : "");

                if (!part || json_object_array_add(list, part) < 0) {
                        (void) json_object_put(part);
                        (void) json_object_put(list);
                        list = NULL;
                }
        }
        text = list ? jsontext_of(list, JSON_C_TO_STRING_PLAIN) : NULL;
        copy = text ? strdup(text) : NULL;
        (void) json_object_put(list);
        if (!copy)
                return error_set(err, -ENOMEM, "out of memory");
        *ret = copy;
        return 0;
}

const Source source_chime = {
        .name = "chime",
        .reading = 1,
        .request = chime_request,
        .answer = chime_answer,
        .glance = chime_glance,
        .page = chime_page,
        .record = chime_record,
        .scope = chime_scope,
};
