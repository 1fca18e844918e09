/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An HTTP answer out of the bytes of an input: a status, headers, an empty line, the body.  The
 * targets are linked so that http_header() looks into the one that was read last. */

#include "fuzz.h"
#include "net/http.h"

/* res points into it. */
typedef struct Answer {
        HttpResult res;
        char *body, *reason;
} Answer;

/* Takes all that is left of the input.  The caller's, answer_clear(). */
void answer_read(Input *in, Answer *ret);
void answer_clear(Answer *a);
