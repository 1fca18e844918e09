/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

struct json_object;
struct json_tokener;

/* json_tokener_parse_ex(3) of len bytes, or, with jsonread_text(), of a whole text that is nested no deeper
 * than depth.  Without memory json-c 0.16 leaves out members, cuts strings, and says nothing
 * (https://github.com/json-c/json-c/pull/759): here that is -ENOMEM.  -EBADMSG: it is no JSON.  *ret is NULL
 * then, and for null; else owned by the caller.  *ret_end (may be NULL) gets the place behind the value. */
int jsonread(struct json_tokener *tok, const char *bytes, size_t len, struct json_object **ret,
             size_t *ret_end);
int jsonread_text(const char *text, int depth, struct json_object **ret);
