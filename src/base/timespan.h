/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)

/* What a clock says now, in microseconds. */
uint64_t clock_usec(clockid_t clock);

/* Reads a duration as systemd.time(7) writes it: "90s", "15min", "1h 30min", "2.5s", and a bare
 * number for seconds; units us ms s min h d w month y and their long forms.  Microseconds in *ret.
 * Returns 0, -EINVAL (not a duration) or -ERANGE (more than 300 years). */
int timespan_parse(const char *text, uint64_t *ret);

/* Writes usec with its two largest units, e.g. "1h 30min", "15min", "250ms", "0s". */
void timespan_format(uint64_t usec, char *out, size_t size);
