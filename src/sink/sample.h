/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "sink/webhook.h"

/* A request to try a webhook out: the body that it would be sent for one event.  The event is a made-up
 * user.reinstated of the account "test", user "rosterd-test": it opens no incident anywhere. */
typedef struct Sample {
        char id[WEBHOOK_ID_SIZE];
        const char *content_type;
        char *body; /* the caller's */
} Sample;

/* now is wall clock, ms.  -ENOMEM. */
int sample_make(const WebhookConfig *config, bool minimal, int64_t now, Sample *ret, Error *err);
void sample_clear(Sample *s);
