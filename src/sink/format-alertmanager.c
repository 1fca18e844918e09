/* SPDX-License-Identifier: Apache-2.0 */
/* format = alertmanager: POST /api/v2/alerts.  An alert is known by its labels, so these hold only
 * what stays the same from its beginning to its end; what may change is in the annotations. */
#include <syslog.h>

#include "base/cleanup.h"
#include "base/timefmt.h"
#include "sink/format-internal.h"

static const char *const alert_names[ALERT_KIND_COUNT] = {
        [ALERT_USER_SUSPENDED] = "UserSuspended",
        [ALERT_SYNC_FAILED] = "RosterdSyncFailed",
        [ALERT_REMOVALS_HELD] = "RosterdRemovalsHeld",
};

/* An empty label is none to Alertmanager. */
static void put_label(JsonText *j, const char *name, const char *value) {
        if (value && *value)
                jsontext_string(j, name, value);
}

static void put_labels(JsonText *j, const Alert *a) {
        jsontext_open(j, "labels", '{');
        jsontext_string(j, "alertname", alert_names[a->kind]);
        put_label(j, "account", a->account);
        put_label(j, "account_id", a->account_id);
        put_label(j, "user_id", a->user_id);
        put_label(j, "severity",
                  event_types[alert_raised_by(a->kind)].priority <= LOG_ERR ? "error" : "warning");
        jsontext_close(j, '}');
}

static void put_annotations(JsonText *j, const FormatSettings *settings, const Alert *a) {
        jsontext_open(j, "annotations", '{');
        format_summary(j, settings, a);
        if (!settings->minimal)
                put_label(j, "primary_email", a->primary_email);
        put_label(j, "error", a->error);
        jsontext_close(j, '}');
}

/* Alertmanager takes endsAt for a startsAt that is not there: right for an alert that ends, and wrong
 * for one that lasts; and it refuses a beginning behind the end (a clock that was set back).  Of all
 * that it is told it keeps the earliest. */
static int64_t starts_at(const FormatSettings *settings, const Alert *a, bool lasts) {
        if (lasts && (a->starts_at == TIME_NONE || a->starts_at > settings->now))
                return settings->now;
        return a->starts_at;
}

static void put_alert(JsonText *j, const FormatSettings *settings, const Alert *a) {
        bool lasts = a->ends_at == TIME_NONE;
        int64_t start = starts_at(settings, a, lasts);

        jsontext_open(j, NULL, '{');
        put_labels(j, a);
        put_annotations(j, settings, a);
        if (start != TIME_NONE)
                jsontext_time(j, "startsAt", start);
        jsontext_time(j, "endsAt", lasts ? settings->lasting_until : a->ends_at);
        jsontext_close(j, '}');
}

int format_alertmanager(const FormatSettings *settings, const Alert *alerts, size_t n, char **ret) {
        CLEANUP(jsontext_clear) JsonText j = { 0 };

        jsontext_open(&j, NULL, '[');
        for (size_t i = 0; i < n; i++)
                put_alert(&j, settings, &alerts[i]);
        jsontext_close(&j, ']');
        return jsontext_finish(&j, ret);
}
