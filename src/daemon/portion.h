/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-event.h>

/* Work that is done in portions: once it is armed, its handler runs in a later turn of the loop, after
 * whatever else was waiting, and may arm it again.
 *
 * Each portion is a defer source of its own.  sd_event_add_defer(3) counts as pending since it was made,
 * so that one source which enabled itself again would go before every younger one, be it a timer, an
 * answer or a signal, until all is done.  A timer that is always due would do, and costs two system
 * calls each time. */
typedef struct PortionSource {
        sd_event *event;                   /* borrowed */
        sd_event_source *source;           /* of the next portion; NULL: there is none to do */
        int (*on_portion)(void *userdata); /* <0 ends the loop with that error */
        void *userdata;
        const char *description;
} PortionSource;

/* Does nothing if it is armed already.  Without memory the loop ends with that error. */
void portion_arm(PortionSource *p);
void portion_disarm(PortionSource *p);
