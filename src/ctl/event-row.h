/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/record.h"

#define EVENT_WHAT_SIZE 1024

/* What a row of store_read_events() says, as a sentence for people, without its account.  Returns 0 or
 * -ENOMEM. */
int event_row_sentence(const Record *row, char out[static EVENT_WHAT_SIZE], Error *err);

/* What such a row of a user changed: "display_name: Ana → Ana Pérez".  Empty if nothing.  Returns 0 or
 * -ENOMEM. */
int event_row_changes(const Record *row, char out[static EVENT_WHAT_SIZE], Error *err);
