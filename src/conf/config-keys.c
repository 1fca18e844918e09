/* SPDX-License-Identifier: Apache-2.0 */
/* THE key table.  Parsing, defaults, suggestions, freeing, comparing and the test of the manual
 * page all walk it: a new key is one row here, a member of its struct and its documentation. */
#include "conf/config-internal.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/text.h"
#include "base/timespan.h"

const char *const section_words[SECTION_KIND_COUNT] = { "rosterd", "account", "webhook" };

static const ConfigWord words_personal_data[] = {
        { "full", PERSONAL_DATA_FULL },
        { "minimal", PERSONAL_DATA_MINIMAL },
        { NULL, 0 },
};

static const ConfigWord words_log_level[] = {
        { "error", LOG_ERR }, { "warning", LOG_WARNING }, { "notice", LOG_NOTICE },
        { "info", LOG_INFO }, { "debug", LOG_DEBUG },     { NULL, 0 },
};

static const ConfigWord words_source[] = { { "chime", 0 }, { NULL, 0 } };

static const ConfigWord words_credential_source[] = {
        { "Environment", 0 },
        { "Ec2InstanceMetadata", 0 },
        { "EcsContainer", 0 },
        { NULL, 0 },
};

static const ConfigWord words_user_type[] = {
        { "PrivateUser", 0 },
        { "SharedDevice", 0 },
        { NULL, 0 },
};

static const ConfigWord words_baseline[] = {
        { "quiet", BASELINE_QUIET },
        { "events", BASELINE_EVENTS },
        { NULL, 0 },
};

static const ConfigWord words_format[] = {
        { "json", WEBHOOK_JSON },
        { "cloudevents", WEBHOOK_CLOUDEVENTS },
        { "slack", WEBHOOK_SLACK },
        { "teams", WEBHOOK_TEAMS },
        { "pagerduty", WEBHOOK_PAGERDUTY },
        { "alertmanager", WEBHOOK_ALERTMANAGER },
        { NULL, 0 },
};

#define R(name_, member, type_, dflt_, ...)                                                   \
        {                                                                                     \
                .kind = SECTION_ROSTERD, .type = VALUE_##type_, .name = name_, .dflt = dflt_, \
                .offset = offsetof(Config, member), __VA_ARGS__                               \
        }
#define A(name_, member, type_, dflt_, ...)                                                   \
        {                                                                                     \
                .kind = SECTION_ACCOUNT, .type = VALUE_##type_, .name = name_, .dflt = dflt_, \
                .offset = offsetof(AccountConfig, member), __VA_ARGS__                        \
        }
#define W(name_, member, type_, dflt_, ...)                                                   \
        {                                                                                     \
                .kind = SECTION_WEBHOOK, .type = VALUE_##type_, .name = name_, .dflt = dflt_, \
                .offset = offsetof(WebhookConfig, member), __VA_ARGS__                        \
        }
#define ANY .flags = 0
#define RANGE(min_, max_) .min = (min_), .max = (max_)
#define NEVER (UINT64_C(100) * 366 * USEC_PER_DAY)

/* clang-format off */
const ConfigKey config_keys[] = {
        R("database",             database,             TEXT,     NULL,     .check = check_absolute_path),
        R("interval",             interval,             DURATION, "15min",  RANGE(10 * USEC_PER_SEC, 30 * USEC_PER_DAY)),
        R("concurrency",          concurrency,          NUMBER,   "4",      RANGE(1, 64)),
        R("retention",            retention,            DURATION, "400d",   RANGE(USEC_PER_DAY, NEVER)),
        R("store_personal_pin",   store_personal_pin,   BOOL,     "no",     ANY),
        R("personal_data",        personal_data,        WORD,     "full",   .words = words_personal_data),
        R("metrics_file",         metrics_file,         TEXT,     NULL,     .check = check_absolute_path),
        R("control_socket",       control_socket,       TEXT,     NULL,     .check = check_socket_path),
        R("log_level",            log_level,            WORD,     "info",   .words = words_log_level),
        R("allow_http",           allow_http,           BOOL,     "no",     ANY),

        A("source",               source,               TEXT,     "chime",  .words = words_source),
        A("account_id",           account_id,           TEXT,     NULL,     .check = check_account_id, .flags = KEY_REQUIRED),
        A("interval",             interval,             DURATION, NULL,     RANGE(10 * USEC_PER_SEC, 30 * USEC_PER_DAY)),
        A("user_type",            user_type,            TEXT,     NULL,     .words = words_user_type),
        A("user_email",           user_email,           TEXT,     NULL,     .check = check_email),
        A("max_results",          max_results,          NUMBER,   "200",    RANGE(1, 200)),
        A("requests_per_second",  requests_per_second,  DECIMAL,  "10",     RANGE(0, 1000)),
        A("max_removals",         max_removals,         SHARE,    "10%",    ANY),
        A("missing_listings",     missing_listings,     NUMBER,   "1",      RANGE(1, 100)),
        A("baseline",             baseline,             WORD,     "quiet",  .words = words_baseline),
        A("endpoint",             endpoint,             TEXT,     "https://chime.us-east-1.amazonaws.com", .check = check_endpoint, .flags = KEY_URL),
        A("region",               region,               TEXT,     "us-east-1", .check = check_region),
        A("access_key_id",        access_key_id,        TEXT,     NULL,     .check = check_access_key, .flags = KEY_HIDDEN),
        A("secret_access_key",    secret_access_key,    TEXT,     NULL,     .check = check_printable, .flags = KEY_SECRET),
        A("session_token",        session_token,        TEXT,     NULL,     .check = check_printable, .flags = KEY_SECRET),
        A("profile",              profile,              TEXT,     NULL,     ANY),
        A("role_arn",             role_arn,             TEXT,     NULL,     .check = check_role_arn),
        A("external_id",          external_id,          TEXT,     NULL,     .check = check_external_id, .flags = KEY_HIDDEN),
        A("role_session_name",    role_session_name,    TEXT,     NULL,     .check = check_session_name),
        A("credential_source",    credential_source,    TEXT,     NULL,     .words = words_credential_source),
        A("ca_file",              ca_file,              TEXT,     NULL,     .check = check_ca_file),
        A("proxy",                proxy,                TEXT,     NULL,     .check = check_proxy, .flags = KEY_URL),
        A("connect_timeout",      connect_timeout,      DURATION, "10s",    RANGE(USEC_PER_SEC, 10 * USEC_PER_MINUTE)),
        A("request_timeout",      request_timeout,      DURATION, "60s",    RANGE(USEC_PER_SEC, 10 * USEC_PER_MINUTE)),
        A("allow_http",           allow_http,           BOOL,     NULL,     ANY),

        W("url",                  url,                  TEXT,     NULL,     .check = check_webhook_url, .flags = KEY_SECRET | KEY_REQUIRED),
        W("format",               format,               WORD,     "json",   .words = words_format),
        W("events",               events,               LIST,     "user.*, sync.*", .check = check_event_glob, .max = 64),
        W("accounts",             accounts,             LIST,     NULL,     .check = check_name, .max = 1024),
        W("secret",               secrets,              LIST,     NULL,     .check = check_webhook_secret, .flags = KEY_SECRET | KEY_REPEATABLE, .max = 2),
        W("header",               headers,              LIST,     NULL,     .check = check_header, .flags = KEY_SECRET | KEY_REPEATABLE, .max = 32),
        W("routing_key",          routing_key,          TEXT,     NULL,     .check = check_routing_key, .flags = KEY_SECRET),
        W("batch",                batch,                NUMBER,   "1",      RANGE(1, 1000)),
        W("timeout",              timeout,              DURATION, "10s",    RANGE(USEC_PER_SEC, 10 * USEC_PER_MINUTE)),
        W("give_up_after",        give_up_after,        DURATION, "3d",     RANGE(USEC_PER_SEC, 365 * USEC_PER_DAY)),
        W("repeat",               repeat,               DURATION, "1min",   RANGE(USEC_PER_SEC, USEC_PER_HOUR)),
        W("replay_from",          replay_from,          SEQ,      "now",    ANY),
        W("ca_file",              ca_file,              TEXT,     NULL,     .check = check_ca_file),
        W("proxy",                proxy,                TEXT,     NULL,     .check = check_proxy, .flags = KEY_URL),
        W("allow_http",           allow_http,           BOOL,     NULL,     ANY),
};
/* clang-format on */
_Static_assert(sizeof config_keys / sizeof config_keys[0] <= CONFIG_KEYS_MAX, "Section.given");
const size_t config_n_keys = sizeof config_keys / sizeof config_keys[0];

const ConfigKey *config_key_find(SectionKind kind, const char *name) {
        for (size_t i = 0; i < config_n_keys; i++)
                if (config_keys[i].kind == kind && strcmp(config_keys[i].name, name) == 0)
                        return &config_keys[i];
        return NULL;
}

const char *config_key_suggest(SectionKind kind, const char *name) {
        const char *names[CONFIG_KEYS_MAX];
        size_t n = 0;

        for (size_t i = 0; i < config_n_keys; i++)
                if (config_keys[i].kind == kind && n < CONFIG_KEYS_MAX)
                        names[n++] = config_keys[i].name;
        return text_did_you_mean(name, names, n);
}
