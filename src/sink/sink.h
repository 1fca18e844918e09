/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "model/event.h"

typedef struct SinkSettings {
        bool minimal; /* personal_data = minimal */
} SinkSettings;

/* A sink tells events to somebody.  It reads the event log from its own cursor, which the daemon
 * keeps in the database: at least once, in order.  A new one is one file and one line in sink.c. */
typedef struct Sink {
        const char *name; /* of its cursor */

        /* Tells the first of n events, oldest first.  Returns how many it has finished with; fewer
         * than n, with err filled, when the rest is to be tried again later. */
        size_t (*tell)(Event *const *events, size_t n, const SinkSettings *settings, Error *err);
} Sink;

extern const Sink sinks[];
extern const size_t n_sinks;
