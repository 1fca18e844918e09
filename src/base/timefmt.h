/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Wall-clock times are int64_t milliseconds since 1970-01-01T00:00:00Z; TIME_NONE is "never".
 * They are for stored facts only: timers use CLOCK_BOOTTIME. */
#define TIME_NONE INT64_C(0)

/* "YYYY-MM-DDTHH:MM:SS.sssZ" and its NUL. */
#define TIME_TEXT_SIZE 25

/* Milliseconds of the wall clock. */
int64_t time_now_ms(void);

/* Writes ms as UTC text.  ms must lie in the years 0000 to 9999 (asserted). */
void time_format(int64_t ms, char out[static TIME_TEXT_SIZE]);

/* Reads an ISO 8601 date and time: "T" or space between, seconds optional, any fraction (cut to
 * milliseconds), and "Z" or an offset such as +02:00, +0200 or +02 (without one: UTC, as the AWS
 * SDKs take it).  Returns 0 or -EINVAL; *ret is untouched on failure. */
int time_parse(const char *text, int64_t *ret);

/* Whether the len bytes are just what time_format() writes for the time that time_parse() reads there. */
bool time_is_canonical(const char *text, size_t len);

/* Epoch seconds, as the AWS SDKs accept them, to milliseconds.  -ERANGE outside years 1 to 9999. */
int time_from_epoch(double seconds, int64_t *ret);
