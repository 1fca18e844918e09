/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration in use: read, taken, and taken anew while the program runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon-internal.h"
#include "daemon/log.h"

static void complain(const char *message, void *userdata) {
        const char *id = userdata;

        log_line(LOG_ERR, id, NULL, "%s", message);
}

int daemon_load_config(const char *path, const char *message_id, Config **ret, Error *err) {
        /* complain() only reads it */
        return config_load(path, complain, (void *) (uintptr_t) message_id, ret, err);
}

void daemon_use_settings(Daemon *d) {
        log_set_level(d->config->log_level);
        if (d->deliver)
                deliver_set_minimal(d->deliver, d->config->personal_data == PERSONAL_DATA_MINIMAL);
}

int daemon_bind_accounts(Store *store, const Config *config, int64_t **ret_keys, Error *err) {
        CLEANUP_FREE AccountIdentity *list = calloc(config->n_accounts + 1, sizeof *list);
        CLEANUP_FREE int64_t *keys = calloc(config->n_accounts + 1, sizeof *keys);
        int r;

        if (!list || !keys)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; i < config->n_accounts; i++) {
                const AccountConfig *a = &config->accounts[i];

                list[i] = (AccountIdentity){ a->name, a->source, a->endpoint, a->account_id };
        }
        r = store_accounts_apply(store, list, config->n_accounts, keys, err);
        if (r < 0)
                return r;
        *ret_keys = take_ptr(keys);
        return 0;
}

void daemon_reload(Daemon *d) {
        Config *fresh = NULL;
        int64_t *keys = NULL;
        Error err = { 0 };
        int r = daemon_load_config(d->options->config, LOG_ID_RELOAD_REFUSED, &fresh, &err);

        if (r >= 0 && strcmp(fresh->database, d->config->database) != 0)
                r = error_set(&err, -EINVAL, "database = %s takes a restart; it is %s until then",
                              fresh->database, d->config->database);
        if (r >= 0 && strcmp(fresh->control_socket, d->config->control_socket) != 0)
                r = error_set(&err, -EINVAL,
                              "control_socket = %s takes a restart; it is %s until then",
                              fresh->control_socket, d->config->control_socket);
        if (r >= 0)
                r = batch_flush(d->batch, &err);
        if (r >= 0)
                r = daemon_bind_accounts(d->store, fresh, &keys, &err);
        credentials_outdate(d->credentials);
        if (r >= 0)
                r = schedule_apply(d->schedule, fresh, keys, true, &err);
        report_refused(d->report, r < 0);
        if (r < 0) {
                log_line(LOG_ERR, LOG_ID_RELOAD_REFUSED, NULL, "the old configuration goes on: %s",
                         err.msg);
                config_unref(fresh);
                free(keys);
                return;
        }
        config_unref(d->config);
        free(d->keys);
        d->config = fresh;
        d->keys = keys;
        daemon_use_settings(d);
        credentials_prune(d->credentials, fresh);
        retention_set_age(d->retention, d->config->retention);
        (void) batch_flush(d->batch, NULL); /* runs that were interrupted have written */
        r = webhooks_apply(d->webhooks, d->config, d->keys, &err);
        report_refused(d->report, r < 0);
        if (r < 0)
                log_line(LOG_ERR, LOG_ID_RELOAD_REFUSED, NULL,
                         "webhooks go on with the old configuration: %s", err.msg);
        if (!d->config->store_personal_pin && store_wipe_pins(d->store, &err) < 0)
                daemon_store_failed(d, &err);
        log_line(LOG_NOTICE, LOG_ID_RELOADED, NULL, "configuration reloaded: %zu %s",
                 d->config->n_accounts, d->config->n_accounts == 1 ? "account" : "accounts");
        report_use(d->report, d->config, d->keys, d->schedule, d->webhooks);
        control_use(d->control, d->config, d->schedule, d->webhooks);
}
