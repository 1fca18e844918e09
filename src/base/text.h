/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies at most size - 1 bytes of in to out for a log line: control characters and bytes that are
 * not UTF-8 become '?', runs of white space one space; "…" marks a cut.  Returns out. */
char *text_clean(char *out, size_t size, const char *in, size_t len);

/* The length of the UTF-8 sequence that s (len >= 1 bytes) begins with; 0 if it is none, or NUL. */
size_t text_utf8_length(const char *s, size_t len);

/* Writes the code point (at most 0x10ffff, no surrogate) as UTF-8, without a NUL.  Its length. */
size_t text_put_utf8(char out[static 4], uint32_t c);

/* Whether the bytes are UTF-8 without surrogates, overlong forms or NUL (RFC 3629). */
bool text_is_utf8(const char *in, size_t len);

/* What a word gets behind a number: "s", but nothing behind 1. */
static inline const char *text_plural(int64_t n) {
        return n == 1 ? "" : "s";
}

/* The name in names (count of them) that text was most likely meant to be, or NULL. */
const char *text_did_you_mean(const char *text, const char *const *names, size_t count);
