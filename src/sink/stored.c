/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/stored.h"

/* A record is at most 32 deep (source/chime-record.c), and events wrap it in two more levels. */
#define DEPTH_MAX 64

json_object *stored_parse(const char *text, enum json_type type) {
        json_tokener *tok = text ? json_tokener_new_ex(DEPTH_MAX) : NULL;
        json_object *o = tok ? json_tokener_parse_ex(tok, text, -1) : NULL;

        if (tok)
                json_tokener_free(tok);
        if (o && !json_object_is_type(o, type)) {
                (void) json_object_put(o);
                return NULL;
        }
        return o;
}

const char *stored_member(json_object *o, const char *key) {
        json_object *v = NULL;

        return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : NULL;
}
