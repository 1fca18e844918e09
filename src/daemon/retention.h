/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "store/store.h"

/* So long the place of a webhook that was taken out is kept. */
#define RETENTION_SINK_DAYS 30

/* Deletes what is older than the configuration's retention, hourly, in small steps between other
 * work. */
typedef struct Retention Retention;

int retention_new(sd_event *event, Store *store, Retention **ret, Error *err);
void retention_free(Retention *r);
DEFINE_CLEANUP(Retention *, retention_free)

/* Microseconds. */
void retention_set_age(Retention *r, uint64_t age);

/* Deletes now, a bounded portion; for --once, which never meets the timer. */
void retention_round(Retention *r);
