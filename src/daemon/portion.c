/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/portion.h"

#include <time.h>

int portion_add(sd_event *event, sd_event_source **ret, sd_event_time_handler_t on_portion,
                void *userdata) {
        return sd_event_add_time(event, ret, CLOCK_MONOTONIC, 1, 1, on_portion, userdata);
}
