/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsontext.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/timefmt.h"

void jsontext_reserve(JsonText *j, size_t len) {
        char *bigger;

        if (j->failed || len < j->size - j->len)
                return;
        bigger = realloc(j->text, j->len + len + 1);
        j->failed = !bigger;
        if (bigger) {
                j->text = bigger;
                j->size = j->len + len + 1;
        }
}

static void put(JsonText *j, const char *data, size_t len) {
        if (len >= j->size - j->len)
                jsontext_reserve(j, j->len + 2 * len);
        if (j->failed)
                return;
        memcpy(j->text + j->len, data, len);
        j->len += len;
        j->text[j->len] = '\0';
}

static void put_text(JsonText *j, const char *text) {
        put(j, text, strlen(text));
}

static void put_escaped(JsonText *j, unsigned char c) {
        static const char plain[] = "\"\\bfnrt", meant[] = "\"\\\b\f\n\r\t";
        const char *at = c ? strchr(meant, c) : NULL;
        char text[8];

        if (at)
                (void) snprintf(text, sizeof text, "\\%c", plain[at - meant]);
        else
                (void) snprintf(text, sizeof text, "\\u%04x", c);
        put_text(j, text);
}

/* RFC 8259, 7: quotes, backslashes and control characters are escaped. */
static void put_string(JsonText *j, const char *s, size_t len) {
        size_t done = 0, at = 0;

        put(j, "\"", 1);
        while (at < len) {
                unsigned char c = (unsigned char) s[at];
                size_t n = c < 0x80 ? 1 : text_utf8_length(s + at, len - at);

                if (n > 0 && c >= 0x20 && c != '"' && c != '\\') {
                        at += n;
                        continue;
                }
                put(j, s + done, at - done);
                if (n > 0)
                        put_escaped(j, c);
                else
                        put_text(j, "\xef\xbf\xbd"); /* U+FFFD */
                done = ++at;
        }
        put(j, s + done, len - done);
        put(j, "\"", 1);
}

/* What stands before a value. */
static void begin(JsonText *j, const char *key) {
        if (j->comma)
                put(j, ",", 1);
        j->comma = true;
        if (key) {
                put_string(j, key, strlen(key));
                put(j, ":", 1);
        }
}

void jsontext_open(JsonText *j, const char *key, char bracket) {
        begin(j, key);
        put(j, &bracket, 1);
        j->comma = false;
}

void jsontext_close(JsonText *j, char bracket) {
        put(j, &bracket, 1);
        j->comma = true;
}

void jsontext_raw(JsonText *j, const char *key, const char *json) {
        j->failed |= !json;
        begin(j, key);
        put_text(j, json ? json : "");
}

void jsontext_bytes(JsonText *j, const char *key, const char *value, size_t len) {
        begin(j, key);
        put_string(j, value, len);
}

void jsontext_string(JsonText *j, const char *key, const char *value) {
        if (value)
                jsontext_bytes(j, key, value, strlen(value));
        else
                jsontext_raw(j, key, "null");
}

void jsontext_number(JsonText *j, const char *key, int64_t value) {
        char text[24];

        (void) snprintf(text, sizeof text, "%" PRId64, value);
        jsontext_raw(j, key, text);
}

void jsontext_time(JsonText *j, const char *key, int64_t ms) {
        char text[TIME_TEXT_SIZE];

        if (ms != TIME_NONE)
                time_format(ms, text);
        jsontext_string(j, key, ms != TIME_NONE ? text : NULL);
}

int jsontext_finish(JsonText *j, char **ret) {
        CLEANUP(jsontext_clear) JsonText done = *j;

        *j = (JsonText){ 0 };
        if (done.failed || !done.text)
                return -ENOMEM;
        *ret = take_ptr(done.text);
        return 0;
}

const char *jsontext_of(struct json_object *o, int flags) {
        const char *text;

        errno = 0;
        text = json_object_to_json_string_ext(o, flags);
        return errno == ENOMEM ? NULL : text;
}
