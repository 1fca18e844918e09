/* SPDX-License-Identifier: Apache-2.0 */
/* The body on its way out: whole, slow, cut, reset, or enormous without the memory for it. */
#pragma once

#include "answer.h"
#include "timers.h"

/* Takes the answer's body; never NULL. */
struct MHD_Response *stream_response(Timers *timers, struct MHD_Connection *connection, Answer *a);

int stream_fd(struct MHD_Connection *connection);
/* Sends a TCP reset at once.  The connection is to be closed by the caller. */
void stream_reset(struct MHD_Connection *connection);
