/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdio.h>

/* A stream into memory, like open_memstream(3), which in glibc says nothing when memory runs out: what
 * did not fit is merely missing, or *text is NULL after an fclose() that worked.
 *
 * Here fclose() fails then, whatever was written before.  Only once it has worked, *text is the whole
 * text with a NUL, owned by the caller, and *len its length; until then, and if it fails, they are NULL
 * and 0.  Both must live until then.  NULL without memory. */
FILE *memstream_open(char **text, size_t *len);
