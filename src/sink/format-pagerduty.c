/* SPDX-License-Identifier: Apache-2.0 */
/* format = pagerduty: Events API v2. */
#include <assert.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/timefmt.h"
#include "sink/format-internal.h"

static const char *severity(const Alert *a) {
        int priority = event_types[alert_raised_by(a->kind)].priority;

        return priority <= LOG_CRIT      ? "critical"
               : priority == LOG_ERR     ? "error"
               : priority == LOG_WARNING ? "warning"
                                         : "info";
}

static void put_details(JsonText *j, const FormatSettings *settings, const Alert *a) {
        jsontext_open(j, "custom_details", '{');
        jsontext_string(j, "account", a->account);
        jsontext_string(j, "account_id", a->account_id);
        if (a->user_id)
                jsontext_string(j, "user_id", a->user_id);
        if (a->primary_email && !settings->minimal)
                jsontext_string(j, "primary_email", a->primary_email);
        if (*a->error)
                jsontext_string(j, "error", a->error);
        if (a->kind == ALERT_REMOVALS_HELD)
                jsontext_number(j, "held", a->held);
        jsontext_close(j, '}');
}

static void put_payload(JsonText *j, const FormatSettings *settings, const Alert *a) {
        jsontext_open(j, "payload", '{');
        format_summary(j, settings, a);
        jsontext_string(j, "source", a->account ? a->account : "rosterd");
        jsontext_string(j, "severity", severity(a));
        if (a->starts_at != TIME_NONE)
                jsontext_time(j, "timestamp", a->starts_at);
        jsontext_string(j, "component", "rosterd");
        if (a->account)
                jsontext_string(j, "group", a->account);
        jsontext_string(j, "class", event_types[alert_raised_by(a->kind)].name);
        put_details(j, settings, a);
        jsontext_close(j, '}');
}

int format_pagerduty(const FormatSettings *settings, const Alert *alerts, size_t n, char **ret) {
        CLEANUP(jsontext_clear) JsonText j = { 0 };
        bool lasts = alerts->ends_at == TIME_NONE;
        char key[ALERT_KEY_SIZE];

        assert(n == 1); /* a request tells of one */
        jsontext_open(&j, NULL, '{');
        jsontext_string(&j, "routing_key", settings->routing_key);
        jsontext_string(&j, "event_action", lasts ? "trigger" : "resolve");
        jsontext_string(&j, "dedup_key", alert_key(alerts, key, sizeof key));
        if (lasts)
                put_payload(&j, settings, alerts);
        jsontext_close(&j, '}');
        return jsontext_finish(&j, ret);
}
