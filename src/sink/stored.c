/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/stored.h"

#include <errno.h>
#include <stdbool.h>

/* A record is at most 32 deep (source/chime-record.c), and events wrap it in two more levels. */
#define DEPTH_MAX 64

int stored_parse(const char *text, enum json_type type, json_object **ret) {
        CLEANUP_STORED json_object *o = NULL;
        json_tokener *tok;
        bool starved;

        *ret = NULL;
        if (!text)
                return 0;
        tok = json_tokener_new_ex(DEPTH_MAX);
        if (!tok)
                return -ENOMEM;
        errno = 0; /* json-c 0.16 has no error of its own for this */
        o = json_tokener_parse_ex(tok, text, -1);
        starved = !o && errno == ENOMEM;
        json_tokener_free(tok);
        if (starved)
                return -ENOMEM;
        if (json_object_is_type(o, type))
                *ret = take_ptr(o);
        return 0;
}

const char *stored_member(json_object *o, const char *key) {
        json_object *v = NULL;

        return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : NULL;
}
