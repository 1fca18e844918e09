/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "conf/config.h"
#include "daemon/sync.h"
#include "daemon/webhooks.h"
#include "store/store.h"

/* Figures for Prometheus, as a file for node_exporter's textfile collector (text format 0.0.4). */
typedef struct Metrics Metrics;

int metrics_new(Store *store, Metrics **ret, Error *err);
void metrics_free(Metrics *m);
DEFINE_CLEANUP(Metrics *, metrics_free)

/* Counts a run that has ended. */
void metrics_count_run(Metrics *m, const char *account, const SyncResult *result);

/* Replaces config->metrics_file, if one is asked for, in one step; keys as for schedule_apply(). */
int metrics_write(Metrics *m, const Config *config, const int64_t *keys, const Webhooks *webhooks,
                  Error *err);
