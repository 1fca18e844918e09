/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* JSON (RFC 8259) written from front to back.  What fails sticks, so that only jsontext_finish()
 * needs looking at.  All zero is an empty one. */
typedef struct JsonText {
        char *text; /* NUL-terminated once something is in it */
        size_t len, size;
        bool comma; /* another value stands before the next one */
        bool failed;
} JsonText;

/* Makes room for so many more bytes, where their number is known beforehand. */
void jsontext_reserve(JsonText *j, size_t len);

/* key is NULL at the top and in arrays.  bracket is one of { [ and } ]. */
void jsontext_open(JsonText *j, const char *key, char bracket);
void jsontext_close(JsonText *j, char bracket);

/* A NULL value is null.  Bytes that are not UTF-8 become U+FFFD. */
void jsontext_string(JsonText *j, const char *key, const char *value);
void jsontext_bytes(JsonText *j, const char *key, const char *value, size_t len);
void jsontext_number(JsonText *j, const char *key, int64_t value);
/* base/timefmt.h writes it; TIME_NONE is null. */
void jsontext_time(JsonText *j, const char *key, int64_t ms);
/* json is JSON already; NULL: there was no memory to make it, and the text fails. */
void jsontext_raw(JsonText *j, const char *key, const char *json);

/* Hands the text to the caller in *ret, or frees it and returns -ENOMEM.  j is empty after it. */
int jsontext_finish(JsonText *j, char **ret);

/* For CLEANUP(): frees what was not finished. */
static inline void jsontext_clear(JsonText *j) {
        free(j->text);
        *j = (JsonText){ 0 };
}

struct json_object;

/* json_object_to_json_string_ext(3), but NULL without memory: json-c 0.16 then leaves out what it could
 * not append, and says nothing. */
const char *jsontext_of(struct json_object *o, int flags);
