/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonread.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

/* Behind the string that begins at s, or the end. */
static const char *skip_string(const char *s, const char *end) {
        for (s++; s < end && *s != '"'; s++)
                if (*s == '\\')
                        s++;
        return s < end ? s + 1 : end;
}

/* Where the first number ends that begins in s, or the end. */
static const char *number_end(const char *s, const char *end) {
        static const char digits[] = "0123456789";

        while (s < end && *s != '-' && !memchr(digits, *s, 10))
                s = *s == '"' ? skip_string(s, end) : s + 1;
        while (s < end && memchr("-+.eE0123456789", *s, 15))
                s++;
        return s;
}

/* json-c sets errno to ENOMEM where memory has run out, and to 0 before it makes a number: when it is
 * given the character behind it.  So it is looked at whenever a number has been read up to there. */
int jsonread(json_tokener *tok, const char *bytes, size_t len, json_object **ret, size_t *ret_end) {
        const char *at = bytes, *end = bytes + len;
        enum json_tokener_error said = json_tokener_continue;
        json_object *o = NULL;
        bool starved = false;

        *ret = NULL;
        if (len > INT_MAX)
                return -EBADMSG;
        json_tokener_reset(tok);
        while (at < end && said == json_tokener_continue && !starved) {
                const char *cut = number_end(at, end);

                errno = 0;
                o = json_tokener_parse_ex(tok, at, (int) (cut - at));
                starved = errno == ENOMEM;
                said = json_tokener_get_error(tok);
                at += json_tokener_get_parse_end(tok);
        }
        if (!starved && said == json_tokener_success) {
                *ret = o;
                if (ret_end)
                        *ret_end = (size_t) (at - bytes);
                return 0;
        }
        (void) json_object_put(o);
        return starved ? -ENOMEM : -EBADMSG;
}

int jsonread_text(const char *text, int depth, json_object **ret) {
        json_tokener *tok = json_tokener_new_ex(depth);
        int r;

        *ret = NULL;
        if (!tok)
                return -ENOMEM;
        /* with its NUL, so that a number at the end is over */
        r = jsonread(tok, text, strlen(text) + 1, ret, NULL);
        json_tokener_free(tok);
        return r;
}
