/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* What systemd is told (sd_notify(3)); nothing happens where no service manager listens. */
void service_ready(void);
/* Whether one listens. */
bool service_is_managed(void);
void service_status(const char *sentence);
/* To the watchdog; the loop does it by itself. */
void service_alive(void);
/* With the monotonic time, as Type=notify-reload wants it. */
void service_reloading(void);
void service_stopping(void);
/* Start or stop takes longer: gives it this many seconds more from now. */
void service_extend(unsigned seconds);
