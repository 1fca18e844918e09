/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/format.h"

#include <stdio.h>

#include "sink/format-internal.h"

/* A digest may speak of any number of events: it does not grow with them. */
#define NO_LIMIT SIZE_MAX

const Format formats[WEBHOOK_FORMAT_COUNT] = {
        [WEBHOOK_JSON] = { .name = "json",
                           .style = FORMAT_EVENTS,
                           .content_type = "application/json",
                           .list_content_type = "application/json",
                           .render_events = format_json },
        [WEBHOOK_CLOUDEVENTS] = { .name = "cloudevents",
                                  .style = FORMAT_EVENTS,
                                  .content_type = "application/cloudevents+json",
                                  .list_content_type = "application/cloudevents-batch+json",
                                  .render_events = format_cloudevents },
        [WEBHOOK_SLACK] = { .name = "slack",
                            .style = FORMAT_DIGEST,
                            .most = NO_LIMIT,
                            .content_type = "application/json",
                            .list_content_type = "application/json",
                            .render_digest = format_slack },
        [WEBHOOK_TEAMS] = { .name = "teams",
                            .style = FORMAT_DIGEST,
                            .most = NO_LIMIT,
                            .content_type = "application/json",
                            .list_content_type = "application/json",
                            .render_digest = format_teams },
        [WEBHOOK_PAGERDUTY] = { .name = "pagerduty",
                                .style = FORMAT_ALERTS,
                                .most = 1,
                                .content_type = "application/json",
                                .list_content_type = "application/json",
                                .render_alerts = format_pagerduty },
        [WEBHOOK_ALERTMANAGER] = { .name = "alertmanager",
                                   .style = FORMAT_ALERTS,
                                   .most = 100,
                                   .repeats = true,
                                   .content_type = "application/json",
                                   .list_content_type = "application/json",
                                   .render_alerts = format_alertmanager },
};

EventMask format_event_mask(const Format *f, EventMask selected) {
        EventMask mask = 0;

        if (f->style != FORMAT_ALERTS)
                return selected;
        for (unsigned kind = 0; kind < ALERT_KIND_COUNT; kind++) {
                EventMask raises = EVENT_BIT(alert_raised_by((AlertKind) kind));

                if (selected & raises)
                        mask |= raises | alert_ended_by((AlertKind) kind);
        }
        return mask;
}

void format_summary(JsonText *j, const FormatSettings *settings, const Alert *a) {
        char text[FORMAT_SUMMARY_SIZE];

        if (alert_sentence(a, settings->minimal, text, sizeof text))
                jsontext_string(j, "summary", text);
        else
                jsontext_raw(j, "summary", NULL); /* it fails */
}

char *format_more(size_t events, char out[static FORMAT_MORE_SIZE]) {
        (void) snprintf(out, FORMAT_MORE_SIZE, "… and %zu more event%s", events,
                        events == 1 ? "" : "s");
        return out;
}
