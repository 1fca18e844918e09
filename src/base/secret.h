/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/cleanup.h"

/* Overwrites and frees a text; NULL is none. */
void wipe_free(char *text);
DEFINE_CLEANUP(char *, wipe_free)

/* Copies text into *slot (NULL: none), whose old text is wiped.  0 or -ENOMEM with *slot as it was. */
int secret_set(char **slot, const char *text);
