/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "conf/config.h"
#include "daemon/schedule.h"
#include "daemon/webhooks.h"
#include "store/store.h"

/* Keeps systemd's status sentence and the metrics file current, at most once a second. */
typedef struct Report Report;

int report_new(sd_event *event, Store *store, Report **ret, Error *err);
void report_free(Report *r);
DEFINE_CLEANUP(Report *, report_free)

/* What is reported of; all borrowed until the next call.  keys as for schedule_apply(). */
void report_use(Report *r, const Config *config, const int64_t *keys, const Schedule *schedule,
                const Webhooks *webhooks);

/* A run has ended: counts it, and reports within a second. */
void report_run(Report *r, const char *account, const SyncResult *result);

/* Whether the last reload was refused, in part or as a whole: the files are not what is in use. */
void report_refused(Report *r, bool refused);

/* Something less urgent has changed: reports within some seconds. */
void report_webhooks(Report *r);

/* Reports at once. */
void report_now(Report *r);
