/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonread.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

int jsonread(json_tokener *tok, const char *bytes, size_t len, json_object **ret) {
        json_object *o;
        bool starved;

        *ret = NULL;
        if (len > INT_MAX)
                return -EBADMSG;
        json_tokener_reset(tok);
        errno = 0;
        o = json_tokener_parse_ex(tok, bytes, (int) len);
        starved = errno == ENOMEM;
        if (!starved && json_tokener_get_error(tok) == json_tokener_success) {
                *ret = o;
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
        r = jsonread(tok, text, strlen(text) + 1, ret);
        json_tokener_free(tok);
        return r;
}
