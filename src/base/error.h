/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdarg.h>

/* What went wrong, in words, for the one place that will log it.
 * Lives on the caller's stack: nothing to allocate, nothing to free. */
typedef struct Error {
        int code; /* negative errno, same as the return value */
        char msg[256];
} Error;

/* Fills *err (if not NULL) and returns code, so that callers can write
 * `return error_set(err, -EINVAL, ...)`.  code must be negative. */
int error_set(Error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "fmt: " before the message already in *err; returns err->code. */
int error_prefix(Error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__
/* It sees one file at a time, and would take an error for a success. */
#define error_set(err, code, ...) ((void) (error_set) (err, code, __VA_ARGS__), code)
#define error_prefix(err, code, ...) ((void) (error_prefix) (err, code, __VA_ARGS__), code)
#endif
