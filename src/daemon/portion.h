/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-event.h>

/* A source for work that is done in portions: its handler runs once each time that it is enabled
 * (SD_EVENT_ONESHOT, as it is to begin with), after whatever else is waiting by then.
 *
 * It is a timer that is always due.  A defer source would not do: sd_event_add_defer(3) counts as
 * pending since it was made, so that one which enables itself again goes before every younger source,
 * be it a timer, an answer or a signal, until it is done.  Returns 0 or -errno. */
int portion_add(sd_event *event, sd_event_source **ret, sd_event_time_handler_t on_portion,
                void *userdata);
