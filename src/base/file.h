/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* Reads a whole regular file of at most max bytes.  *ret is NUL-terminated and owned by the
 * caller; *ret_len (may be NULL) does not count the NUL.  Errors: -ENOENT, -EACCES, -EFBIG, …;
 * err says what, without the path. */
int file_read(const char *path, size_t max, char **ret, size_t *ret_len, Error *err);

/* Replaces path by data in one step: a temporary file beside it, synced, renamed.  Readers see the
 * old or the new content whole, whatever happens in between. */
int file_write_atomic(const char *path, const char *data, size_t len, mode_t mode, Error *err);

/* Where standard input, output or error is closed, nothing that is opened later takes its number:
 * what is written there fails, and goes into no file or socket of ours.  For the beginning of main(). */
void file_hold_standard(void);
