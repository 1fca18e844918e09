/* SPDX-License-Identifier: Apache-2.0 */
/* Suspended connections, woken when their time has come or, if asked for, when the client has
 * gone.  One thread of its own, so that no serving thread ever sleeps. */
#pragma once

#include "buf.h"

#include <microhttpd.h>

typedef struct Timers Timers;

/* Never wakes by time alone. */
#define TIMERS_NEVER UINT64_MAX

Timers *timers_start(void);
/* Suspends the connection; it is resumed at `due_ns` of the monotonic clock, or when the peer of
 * `fd` has gone (-1: do not look).  false: not suspended, for all of this is stopping. */
bool timers_suspend(Timers *t, struct MHD_Connection *connection, int fd, uint64_t due_ns);
/* Resumes everything.  To be called before the server is stopped; timers_free after it. */
void timers_stop(Timers *t);
void timers_free(Timers *t);
