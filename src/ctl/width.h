/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* How many columns of a terminal UTF-8 text takes, whatever the locale: wide characters take two,
 * combining ones none.  text is clean of control characters. */
size_t text_width(const char *text, size_t len);

/* The bytes of text that fit into width columns; *ret_used (may be NULL) is how many they take. */
size_t text_fit(const char *text, size_t len, size_t width, size_t *ret_used);

/* Whether all of it is printing ASCII, so that bytes are columns. */
bool text_is_simple(const char *text, size_t len);

/* Replaces each character beyond ASCII by as many '?' as it took columns, in place.  Returns the new
 * length, which is not above len. */
size_t text_to_ascii(char *text, size_t len);
