/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define SHOWN_MIN 16 /* bytes of a secret that are no accident */
#define DEPTH_MAX 128

void fuzz_fail(const char *file, int line, const char *what) {
        (void) fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
        abort();
}

unsigned char input_byte(Input *in) {
        if (in->left == 0)
                return 0;
        in->left--;
        return (unsigned char) *in->at++;
}

static char *take(Input *in, size_t len, size_t *ret_len) {
        char *copy = malloc(len + 1);

        demand(copy != NULL);
        if (len > 0)
                memcpy(copy, in->at, len);
        copy[len] = '\0';
        in->at += len;
        in->left -= len;
        if (ret_len)
                *ret_len = len;
        return copy;
}

char *input_rest(Input *in, size_t *ret_len) {
        return take(in, in->left, ret_len);
}

char *input_line(Input *in, size_t *ret_len) {
        const char *end = in->left > 0 ? memchr(in->at, '\n', in->left) : NULL;
        char *line = take(in, end ? (size_t) (end - in->at) : in->left, ret_len);

        if (end)
                (void) input_byte(in);
        return line;
}

static size_t count_marks(const char *text) {
        size_t n = 0;

        for (; (text = strchr(text, '?')); text++)
                n++;
        return n;
}

bool fuzz_is_clean(const char *text) {
        size_t len = strlen(text), size = 2 * len + 16;
        CLEANUP_FREE char *clean = malloc(size);

        demand(clean != NULL);
        if (!text_is_utf8(text, len))
                return false;
        for (const char *p = text; *p; p++)
                if ((*p >= 0 && *p < ' ') || *p == 0x7f)
                        return false;
        /* what else is bad is text_clean()'s to know: it makes a '?' of it */
        return count_marks(text_clean(clean, size, text, len)) == count_marks(text);
}

bool fuzz_shows(const char *text, const char *secret) {
        size_t len = strlen(secret);

        for (size_t i = 0; i + SHOWN_MIN <= len; i++)
                if (memmem(text, strlen(text), secret + i, SHOWN_MIN))
                        return true;
        return false;
}

bool fuzz_json(const char *text, size_t len, json_object **ret) {
        json_tokener *tok = json_tokener_new_ex(DEPTH_MAX);
        json_object *o;
        bool good;

        demand(tok != NULL && len < INT_MAX);
        json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        o = json_tokener_parse_ex(tok, text, (int) len);
        if (json_tokener_get_error(tok) == json_tokener_continue)
                o = json_tokener_parse_ex(tok, "", -1); /* a number that ends the bytes */
        good = json_tokener_get_error(tok) == json_tokener_success;
        json_tokener_free(tok);
        if (good)
                *ret = o;
        else
                (void) json_object_put(o);
        return good;
}
