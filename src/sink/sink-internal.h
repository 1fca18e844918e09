/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What each sink offers to the table in sink.c. */

#include "sink/sink.h"

/* journal.c: one structured entry an event. */
size_t journal_tell(Event *const *events, size_t n, const SinkSettings *settings, Error *err);
