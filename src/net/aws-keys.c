/* SPDX-License-Identifier: Apache-2.0 */
#include "net/aws-keys.h"

#include <errno.h>
#include <json-c/json.h>
#include <json-c/printbuf.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/jsonread.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "net/aws-process.h"

void aws_keys_clear(AwsKeys *k) {
        wipe_free(k->access_key_id);
        wipe_free(k->secret_access_key);
        wipe_free(k->session_token);
        *k = (AwsKeys){ 0 };
}

static int copy_texts(AwsKeys *ret, const char *id, const char *secret, const char *token,
                      Error *err) {
        CLEANUP(aws_keys_clear) AwsKeys keys = { 0 };

        if (secret_set(&keys.access_key_id, id) < 0 ||
            secret_set(&keys.secret_access_key, secret) < 0 ||
            secret_set(&keys.session_token, token) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        keys.expires = ret->expires;
        aws_keys_clear(ret);
        *ret = keys;
        keys = (AwsKeys){ 0 };
        return 0;
}

int aws_keys_copy(AwsKeys *to, const AwsKeys *from, Error *err) {
        int r = copy_texts(to, from->access_key_id, from->secret_access_key, from->session_token,
                           err);

        if (r == 0)
                to->expires = from->expires;
        return r;
}

static bool text_equal(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

bool aws_keys_equal(const AwsKeys *a, const AwsKeys *b) {
        return text_equal(a->access_key_id, b->access_key_id) &&
               text_equal(a->secret_access_key, b->secret_access_key) &&
               text_equal(a->session_token, b->session_token);
}

static bool is_one_word(const char *text) {
        for (; *text; text++)
                if (*text <= ' ' || *text > '~')
                        return false;
        return true;
}

int aws_keys_set(AwsKeys *ret, const char *what, const char *id, const char *secret,
                 const char *token, Error *err) {
        const char *const texts[] = { id, secret, token ? token : "" };
        static const char *const names[] = { "access key id", "secret access key",
                                             "session token" };

        for (size_t i = 0; i < 3; i++) {
                if (!is_one_word(texts[i]))
                        return error_set(err, -EINVAL,
                                         "%s: the %s holds a blank or a character beyond ASCII",
                                         what, names[i]);
                if (i < 2 && !*texts[i])
                        return error_set(err, -EINVAL, "%s: the %s is empty", what, names[i]);
        }
        return copy_texts(ret, id, secret, token && *token ? token : NULL, err);
}

AwsFreshness aws_keys_freshness(const AwsKeys *k, int64_t now_ms) {
        int64_t left = k->expires - now_ms;

        if (k->expires == TIME_NONE || left >= AWS_ADVISORY_MS)
                return AWS_FRESH;
        return left >= AWS_MANDATORY_MS ? AWS_ADVISORY : left > 0 ? AWS_MANDATORY : AWS_EXPIRED;
}

int aws_time_parse(const char *text, int64_t *ret) {
        int r;

        if (strlen(text) < 11 || !strpbrk(text + 11, "Zz+-"))
                return -EINVAL;
        r = time_parse(text, ret);
        if (r == 0 && *ret == TIME_NONE)
                *ret = 1; /* 1970 has long passed, and is not "never" */
        return r;
}

void aws_id_show(const char *id, char out[static AWS_ID_SHOWN_SIZE]) {
        size_t len = strlen(id);

        if (len < 12)
                (void) snprintf(out, AWS_ID_SHOWN_SIZE, "%.2s…", id);
        else
                (void) snprintf(out, AWS_ID_SHOWN_SIZE, "%.4s…%s", id, id + len - 4);
}

/* ---- JSON ---- */

/* A member that is a text; *ret is borrowed, NULL where it is missing or null. */
static int take_text(json_object *o, const char *name, bool required, const char **ret,
                     Error *err) {
        json_object *v = NULL;

        *ret = NULL;
        if (!json_object_object_get_ex(o, name, &v))
                return required ? error_set(err, -EINVAL, "it lacks %s", name) : 0;
        if (v && !json_object_is_type(v, json_type_string))
                return error_set(err, -EINVAL, "its %s is no text", name);
        *ret = v ? json_object_get_string(v) : NULL;
        if (*ret && strlen(*ret) != (size_t) json_object_get_string_len(v))
                return error_set(err, -EINVAL, "its %s holds a NUL", name);
        return required && !*ret ? error_set(err, -EINVAL, "its %s is null", name) : 0;
}

/* An endpoint that has no keys to give says why in Code and Message. */
static int say_refusal(json_object *o, Error *err) {
        const char *code = NULL, *message = NULL;
        char shown[2][80];

        if (take_text(o, "Code", true, &code, NULL) < 0 || strcmp(code, "Success") == 0)
                return 0;
        if (take_text(o, "Message", true, &message, NULL) < 0)
                message = "";
        (void) aws_mask(shown[0], sizeof shown[0], code, strlen(code), AWS_WORD_SHOWN);
        (void) aws_mask(shown[1], sizeof shown[1], message, strlen(message), AWS_WORD_SHOWN);
        return error_set(err, -EINVAL, "it says %s: %s", shown[0], shown[1]);
}

static int check_version(json_object *o, Error *err) {
        json_object *v = NULL;

        if (!json_object_object_get_ex(o, "Version", &v))
                return error_set(err, -EINVAL, "it lacks Version");
        if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) != 1)
                return error_set(err, -EINVAL, "its Version is not 1");
        return 0;
}

static int read_object(json_object *o, AwsJsonShape shape, AwsKeys *ret, Error *err) {
        bool endpoint = shape == AWS_JSON_ENDPOINT;
        const char *id = NULL, *secret = NULL, *token = NULL, *expires = NULL;
        CLEANUP(aws_keys_clear) AwsKeys keys = { 0 };
        int r = endpoint ? 0 : check_version(o, err);

        if (r == 0)
                r = take_text(o, "AccessKeyId", true, &id, err);
        if (r == 0)
                r = take_text(o, "SecretAccessKey", true, &secret, err);
        if (r == 0)
                r = take_text(o, endpoint ? "Token" : "SessionToken", endpoint, &token, err);
        if (r == 0)
                r = take_text(o, "Expiration", endpoint, &expires, err);
        if (r < 0) {
                int refused = endpoint ? say_refusal(o, err) : 0;

                return refused < 0 ? refused : r;
        }
        if (expires && aws_time_parse(expires, &keys.expires) < 0)
                return error_set(err, -EINVAL,
                                 "its Expiration is no time with an offset; write e.g. "
                                 "2030-01-31T12:00:00Z");
        r = aws_keys_set(&keys, "its keys", id, secret, token, err);
        if (r < 0)
                return r;
        aws_keys_clear(ret);
        *ret = keys;
        keys = (AwsKeys){ 0 };
        return 0;
}

/* json-c frees without wiping. */
static void wipe_object(json_object *o) {
        struct json_object_iterator it, end;

        if (!json_object_is_type(o, json_type_object)) {
                (void) json_object_put(o);
                return;
        }
        end = json_object_iter_end(o);
        for (it = json_object_iter_begin(o); !json_object_iter_equal(&it, &end);
             json_object_iter_next(&it)) {
                json_object *v = json_object_iter_peek_value(&it);

                if (json_object_is_type(v, json_type_string))
                        explicit_bzero((char *) (uintptr_t) json_object_get_string(v),
                                       (size_t) json_object_get_string_len(v));
        }
        (void) json_object_put(o);
}

int aws_keys_parse_json(const char *text, size_t len, AwsJsonShape shape, AwsKeys *ret,
                        Error *err) {
        json_tokener *tok = len > INT_MAX ? NULL : json_tokener_new_ex(8);
        json_object *o = NULL;
        int r;

        if (!tok)
                return error_set(err, -ENOMEM, "out of memory");
        json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
        /* with its NUL, so that a number at the end is over */
        r = jsonread(tok, text, len + 1, &o, NULL);
        if (r < 0)
                r = error_set(err, r, r == -ENOMEM ? "out of memory" : "it is no JSON");
        else if (!json_object_is_type(o, json_type_object))
                r = error_set(err, -EINVAL, "it is no JSON object");
        else
                r = read_object(o, shape, ret, err);
        wipe_object(o);
        explicit_bzero(tok->pb->buf, (size_t) tok->pb->size);
        json_tokener_free(tok);
        return r;
}
