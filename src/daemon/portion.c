/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/portion.h"

#include <stdbool.h>

#include "base/cleanup.h"

static int on_defer(sd_event_source *source, void *userdata) {
        PortionSource *p = userdata;

        (void) source;
        portion_disarm(p); /* before the handler arms it again, or frees it */
        return p->on_portion(p->userdata);
}

void portion_arm(PortionSource *p) {
        int r;

        if (p->source)
                return;
        r = sd_event_add_defer(p->event, &p->source, on_defer, p);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(p->source, true);
        if (r >= 0)
                (void) sd_event_source_set_description(p->source, p->description);
        else
                (void) sd_event_exit(p->event, r);
}

void portion_disarm(PortionSource *p) {
        (void) sd_event_source_disable_unref(take_ptr(p->source));
}
