/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the fuzz targets share.  A target is one file, fuzz-NAME.c: one function that is given bytes,
 * has the code under test read them, and demands what must be true whatever they are. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* The target.  libFuzzer calls it, or driver.c in builds without libFuzzer.  Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Is true, or the input has found a defect: says what was not true, and aborts. */
#define demand(what) ((what) ? (void) 0 : fuzz_fail(__FILE__, __LINE__, #what))
void fuzz_fail(const char *file, int line, const char *what) __attribute__((noreturn));

/* ---- the input, taken from its front ---- */

typedef struct Input {
        const char *at;
        size_t left;
} Input;

static inline Input input_of(const uint8_t *data, size_t size) {
        return (Input){ (const char *) data, size };
}

/* The next byte; 0 at the end. */
unsigned char input_byte(Input *in);
/* The rest, or up to the next newline, which is taken and left out: a copy of exactly that size and
 * a NUL, so that a sanitizer sees any step past it.  The caller's.  ret_len may be NULL. */
char *input_rest(Input *in, size_t *ret_len);
char *input_line(Input *in, size_t *ret_len);

/* ---- what came out ---- */

/* Whether a text for people is clean: UTF-8 without control characters or what reorders a line, as
 * text_clean() promises. */
bool fuzz_is_clean(const char *text);

/* Whether text shows a part of a secret: 16 of its bytes in a row. */
bool fuzz_shows(const char *text, const char *secret);

/* The text by json-c's strictest reader.  *ret (NULL for null) is the caller's, by CLEANUP_JSON;
 * false: that takes it for no JSON. */
bool fuzz_json(const char *text, size_t len, json_object **ret);

static inline void fuzz_json_putp(json_object **o) {
        (void) json_object_put(*o);
}
#define CLEANUP_JSON CLEANUP(fuzz_json_putp)
