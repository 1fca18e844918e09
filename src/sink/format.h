/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "conf/config.h"
#include "model/event.h"
#include "sink/alert.h"
#include "sink/digest.h"

/* The bodies of webhook requests.  A format is one file and one line of the table in format.c.  All
 * of it is pure: no clock, no network, no store. */

typedef struct FormatSettings {
        bool minimal;            /* personal_data = minimal: people by user_id only */
        bool list;               /* a list of events, even of one; json and cloudevents */
        const char *routing_key; /* pagerduty; NULL elsewhere */
        /* alertmanager, of an alert that lasts; wall clock, ms: */
        int64_t lasting_until; /* its endsAt */
        int64_t now;           /* its startsAt if its beginning is not known */
} FormatSettings;

/* What one request tells. */
typedef enum FormatStyle {
        FORMAT_EVENTS, /* events as they are */
        FORMAT_DIGEST, /* what runs brought, summed up for people */
        FORMAT_ALERTS, /* conditions that begin and end; events that do neither are passed over */
} FormatStyle;

typedef struct Format {
        const char *name;
        FormatStyle style;
        size_t most;  /* events or alerts in one request; 0: the webhook's `batch` */
        bool repeats; /* alerts are posted again while they last */
        const char *content_type, *list_content_type;

        /* The one that style names; n >= 1 (FORMAT_EVENTS without settings->list: n == 1).  Returns 0
         * with the caller's NUL-terminated text in *ret, or -ENOMEM. */
        int (*render_events)(const FormatSettings *settings, Event *const *events, size_t n,
                             char **ret);
        int (*render_digest)(const FormatSettings *settings, const Digest *digest, char **ret);
        int (*render_alerts)(const FormatSettings *settings, const Alert *alerts, size_t n,
                             char **ret);
} Format;

/* Indexed by WebhookFormat. */
extern const Format formats[WEBHOOK_FORMAT_COUNT];

/* The event kinds that a webhook of this format has to read if it was asked for those in selected:
 * for alerts, what raises them and was asked for, and what ends these. */
EventMask format_event_mask(const Format *f, EventMask selected);
