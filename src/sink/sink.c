/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/sink.h"

#include "sink/sink-internal.h"

const Sink sinks[] = {
        { "journal", journal_tell },
};
const size_t n_sinks = sizeof sinks / sizeof sinks[0];
