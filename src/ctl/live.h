/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/out.h"

/* One line at the bottom of a terminal that is written over as things go on; nothing at all
 * elsewhere. */
typedef struct Live {
        Out *out;
        bool shown;
} Live;

/* Shows text (UTF-8), cut to the terminal's width, in place of what was there. */
void live_show(Live *l, const char *text);
/* Takes it away, so that a line that stays can be written. */
void live_clear(Live *l);
