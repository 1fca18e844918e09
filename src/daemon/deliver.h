/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "store/store.h"

/* Brings committed events to every sink, each from its own cursor, in portions, so that the loop
 * stays responsive, also while a run goes on writing. */
typedef struct Deliver Deliver;

/* Opens the cursors.  What is due is told from the loop's next turn on. */
int deliver_new(sd_event *event, Store *store, Deliver **ret, Error *err);
void deliver_free(Deliver *d);
DEFINE_CLEANUP(Deliver *, deliver_free)

void deliver_set_minimal(Deliver *d, bool minimal);

/* There may be new events. */
void deliver_poke(Deliver *d);

/* Tells what is due and can be told now, without the loop; for the end of the program.  After most
 * microseconds it begins nothing more: the rest is told by the next one.  Returns whether all has been
 * told. */
bool deliver_drain(Deliver *d, uint64_t most);
