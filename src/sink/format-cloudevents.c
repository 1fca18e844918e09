/* SPDX-License-Identifier: Apache-2.0 */
/* format = cloudevents: CloudEvents 1.0, JSON event format, structured or batched content mode. */
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "sink/format-internal.h"

/* doc/webhooks.md gives the reasons for source and type. */
static void put_event(JsonText *j, const FormatSettings *settings, const Event *e) {
        char text[128];

        jsontext_open(j, NULL, '{');
        jsontext_string(j, "specversion", "1.0");
        jsontext_string(j, "id", e->id);
        (void) snprintf(text, sizeof text, "/rosterd/%s", e->account ? e->account : "");
        jsontext_string(j, "source", text); /* account names need no percent-encoding */
        (void) snprintf(text, sizeof text, "rosterd.%s", event_types[e->kind].name);
        jsontext_string(j, "type", text);
        if (e->user_id)
                jsontext_string(j, "subject", e->user_id);
        jsontext_time(j, "time", e->time);
        /* the extension "sequence": texts that sort like the numbers */
        (void) snprintf(text, sizeof text, "%019" PRId64, e->seq);
        jsontext_string(j, "sequence", text);
        jsontext_string(j, "datacontenttype", "application/json");
        format_event(j, "data", settings, e);
        jsontext_close(j, '}');
}

int format_cloudevents(const FormatSettings *settings, Event *const *events, size_t n, char **ret) {
        CLEANUP(jsontext_clear) JsonText j = { 0 };

        if (settings->list)
                jsontext_open(&j, NULL, '[');
        for (size_t i = 0; i < n; i++)
                put_event(&j, settings, events[i]);
        if (settings->list)
                jsontext_close(&j, ']');
        return jsontext_finish(&j, ret);
}
