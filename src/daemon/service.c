/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/service.h"

#include <inttypes.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "base/timespan.h"

void service_ready(void) {
        (void) sd_notify(0, "READY=1");
}

bool service_is_managed(void) {
        return getenv("NOTIFY_SOCKET");
}

void service_status(const char *sentence) {
        (void) sd_notifyf(0, "STATUS=%s", sentence);
}

void service_alive(void) {
        (void) sd_notify(0, "WATCHDOG=1");
}

void service_reloading(void) {
        (void) sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_usec(CLOCK_MONOTONIC));
}

void service_stopping(void) {
        (void) sd_notify(0, "STOPPING=1\nSTATUS=Stopping.");
}

void service_extend(unsigned seconds) {
        (void) sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, seconds * USEC_PER_SEC);
}
