/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* Reads a whole number in decimal digits, from min to max; a "-" may stand before it.  Returns 0,
 * -EINVAL (no number) or -ERANGE; *ret is untouched on failure. */
int number_parse(const char *text, int64_t min, int64_t max, int64_t *ret);
