/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/stored.h"

#include <errno.h>

#include "base/jsonread.h"

/* A record is at most 32 deep (source/chime-record.c), and events wrap it in two more levels. */
#define DEPTH_MAX 64

int stored_parse(const char *text, enum json_type type, json_object **ret) {
        CLEANUP_STORED json_object *o = NULL;

        *ret = NULL;
        if (text && jsonread_text(text, DEPTH_MAX, &o) == -ENOMEM)
                return -ENOMEM;
        if (json_object_is_type(o, type))
                *ret = take_ptr(o);
        return 0;
}

const char *stored_member(json_object *o, const char *key) {
        json_object *v = NULL;

        return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : NULL;
}
