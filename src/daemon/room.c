/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/room.h"

#include <signal.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "base/timespan.h"
#include "daemon/log.h"
#include "daemon/service.h"

#define PAUSE (5 * USEC_PER_SEC)

/* Not so long that the watchdog would miss us. */
static struct timespec pause_length(void) {
        uint64_t pause = PAUSE, limit = 0;

        if (sd_watchdog_enabled(0, &limit) > 0 && limit / 2 < pause)
                pause = limit / 2;
        return (struct timespec){ .tv_sec = (time_t) (pause / USEC_PER_SEC),
                                  .tv_nsec = (long) (pause % USEC_PER_SEC * 1000) };
}

bool room_wait(void) {
        const struct timespec pause = pause_length();
        sigset_t signals;

        service_ready();
        service_status("Waiting: no space is left for the database.");
        service_alive();
        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGTERM);
        (void) sigaddset(&signals, SIGINT);
        (void) sigaddset(&signals, SIGHUP);
        switch (sigtimedwait(&signals, NULL, &pause)) {
        case SIGTERM:
        case SIGINT:
                log_line(LOG_NOTICE, LOG_ID_STOPPING, NULL,
                         "stopping: told to while it waited for room");
                service_stopping();
                return false;
        case SIGHUP:
                service_reloading(); /* the configuration is read anew in any case */
                return true;
        default:
                return true;
        }
}
