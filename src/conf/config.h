/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

typedef enum PersonalData {
        PERSONAL_DATA_FULL,
        PERSONAL_DATA_MINIMAL, /* logs and webhooks name people by user_id only */
} PersonalData;

typedef enum WebhookFormat {
        WEBHOOK_JSON,
        WEBHOOK_CLOUDEVENTS,
        WEBHOOK_SLACK,
        WEBHOOK_TEAMS,
        WEBHOOK_PAGERDUTY,
        WEBHOOK_ALERTMANAGER,
        WEBHOOK_FORMAT_COUNT,
} WebhookFormat;

typedef enum Baseline {
        BASELINE_QUIET,
        BASELINE_EVENTS, /* the first complete listing raises user.added for everybody */
} Baseline;

/* How many users one listing may remove: a number, or a share of the roster. */
typedef struct MaxRemovals {
        bool percent;
        unsigned value;
} MaxRemovals;

/* A list of texts. */
typedef struct TextList {
        char **items;
        size_t count;
} TextList;

/* One [account NAME].  Durations are microseconds.  Texts are NULL where nothing was given. */
typedef struct AccountConfig {
        char *name, *source, *account_id;
        uint64_t interval;
        char *user_type, *user_email;
        unsigned max_results;
        double requests_per_second; /* 0: no limit on this side */
        MaxRemovals max_removals;
        unsigned missing_listings;
        Baseline baseline;
        char *endpoint; /* scheme, host and port, no trailing slash */
        char *region;
        char *access_key_id, *secret_access_key, *session_token; /* NULL: from AWS's chain */
        char *profile;
        char *role_arn, *external_id, *role_session_name, *credential_source;
        char *ca_file, *proxy;
        uint64_t connect_timeout, request_timeout;
        bool allow_http;
} AccountConfig;

/* Where a webhook that is new begins to read the event log. */
#define REPLAY_FROM_NOW UINT64_MAX /* with what happens from now on */

/* One [webhook NAME].  Durations are microseconds. */
typedef struct WebhookConfig {
        char *name, *url;
        WebhookFormat format;
        TextList events, accounts, headers, secrets;
        char *routing_key; /* of pagerduty */
        unsigned batch;
        uint64_t timeout, give_up_after;
        uint64_t repeat;      /* of alertmanager */
        uint64_t replay_from; /* a seq, or REPLAY_FROM_NOW */
        char *ca_file, *proxy;
        bool allow_http;
} WebhookConfig;

/* A whole configuration, never changed once loaded.  Counted, so that a sync run may go on with the
 * one that it started under. */
typedef struct Config {
        unsigned refs;
        char *path;
        char *database;
        uint64_t interval, retention;
        unsigned concurrency;
        bool store_personal_pin, allow_http;
        PersonalData personal_data;
        char *metrics_file; /* NULL: none */
        char *control_socket;
        int log_level; /* LOG_ERR … LOG_DEBUG of syslog(3) */
        AccountConfig *accounts;
        size_t n_accounts;
        WebhookConfig *webhooks;
        size_t n_webhooks;
} Config;

/* Runs for each mistake, in the order of the files: a whole sentence with file and line. */
typedef void (*ConfigComplaint)(const char *message, void *userdata);

/* Where the service listens for rosterctl. */
#define CONFIG_CONTROL_SOCKET "/run/rosterd/control"

/* Reads path and then every *.conf of the folder beside it that is named like path with ".d" added
 * (rosterd.conf.d), in name order.  Every mistake goes to complain, and none is skipped because of
 * an earlier one.  Returns 0 with *ret owned by the caller (one reference), or <0: -ENOENT, -EACCES
 * (cannot read a file), -EPERM (holds secrets and can be read by others), -EINVAL (mistakes); err
 * then holds a summary in one sentence. */
int config_load(const char *path, ConfigComplaint complain, void *userdata, Config **ret,
                Error *err);

/* For programs that need no account's keys, and may not have the files that hold secrets: reads
 * [rosterd] and the names of the sections, and takes no notice of mistakes in the others and in their
 * headers (they have their defaults).  Returns as config_load() does; with -EINVAL, err holds the
 * first mistake, with file and line. */
int config_load_outline(const char *path, Config **ret, Error *err);

Config *config_ref(Config *c);
/* Drops one reference; the last one wipes the secrets and frees everything. */
void config_unref(Config *c);
DEFINE_CLEANUP(Config *, config_unref)

/* The account of this name, or NULL.  Borrowed. */
const AccountConfig *config_account(const Config *c, const char *name);

/* Whether two sections say the same in every key. */
bool account_config_equal(const AccountConfig *a, const AccountConfig *b);
bool webhook_config_equal(const WebhookConfig *a, const WebhookConfig *b);
