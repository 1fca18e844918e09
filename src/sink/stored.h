/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <json-c/json.h>

#include "base/cleanup.h"

/* The JSON that events carry as text. */

static inline void stored_freep(json_object **o) {
        (void) json_object_put(*o);
}
#define CLEANUP_STORED CLEANUP(stored_freep)

/* The text's value in *ret, the caller's (CLEANUP_STORED); NULL where there is no text, or none of this
 * type: what is damaged in the database counts as absent.  Returns 0 or -ENOMEM. */
int stored_parse(const char *text, enum json_type type, json_object **ret);

/* A member of o (which may be NULL) as text, borrowed from o; NULL if it has none. */
const char *stored_member(json_object *o, const char *key);
