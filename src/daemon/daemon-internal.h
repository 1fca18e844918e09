/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by daemon*.c and nobody else. */

#include <systemd/sd-event.h>

#include "daemon/control.h"
#include "daemon/daemon.h"
#include "daemon/deliver.h"
#include "daemon/mark-key.h"
#include "daemon/report.h"
#include "daemon/retention.h"
#include "daemon/schedule.h"
#include "daemon/webhooks.h"

typedef struct Daemon {
        const Options *options;
        Config *config;
        int64_t *keys; /* of config->accounts, in the store */
        sd_event *event;
        Store *store;
        MarkKey *mark_key; /* or NULL */
        Http *http;
        Credentials *credentials;
        Batch *batch;
        Deliver *deliver;
        Webhooks *webhooks;
        Report *report;
        Schedule *schedule;
        Retention *retention;
        Control *control; /* NULL: it could not be had, or with --once */
        SyncWorld world;
        bool store_failing; /* and said so */
        bool stopped;       /* by a signal */
        bool once_failed;
} Daemon;

/* daemon.c: a write failed; says so once, and ends the loop where the database is damaged. */
void daemon_store_failed(Daemon *d, const Error *why);

/* daemon-config.c: reads the configuration; its mistakes are logged with this MESSAGE_ID. */
int daemon_load_config(const char *path, const char *message_id, Config **ret, Error *err);
/* What is set at once, wherever it is used. */
void daemon_use_settings(Daemon *d);
/* Makes the accounts of a configuration known to the store; *ret_keys is the caller's. */
int daemon_bind_accounts(Store *store, const Config *config, int64_t **ret_keys, Error *err);
/* Takes the configuration as it is now, or says why the old one goes on. */
void daemon_reload(Daemon *d);
