/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* The disk is full before anything could be begun, and may have room later.  Blocks for some seconds, or
 * until SIGHUP, both of which mean to try again; false: SIGTERM or SIGINT means to end.  These three must
 * be blocked.  Meanwhile the service counts as started, as it does when its disk fills up later. */
bool room_wait(void);
