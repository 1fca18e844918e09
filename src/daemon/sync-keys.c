/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that sign a run's requests. */
#include <assert.h>
#include <stdio.h>

#include "base/timespan.h"
#include "daemon/sync-internal.h"

#define KEYS_PATIENCE (500 * USEC_PER_MSEC) /* with a run that waits for keys and counts */

static void on_credentials(const CredentialsAnswer *answer, void *userdata) {
        Sync *s = userdata;
        Error err = answer->error;
        char text[sizeof err.msg];

        s->asked = NULL;
        if (answer->keys && aws_keys_copy(&s->keys, answer->keys, &err) == 0) {
                (void) sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
                if (s->waits)
                        s->on_waits(s->userdata);
                else
                        sync_ask(s);
                return;
        }
        if (!s->renewed) {
                sync_fail(s, &err);
                return;
        }
        (void) snprintf(text, sizeof text, "%.165s (%.70s)", s->refusal, err.msg);
        sync_fail_page(s, text);
}

void sync_get_keys(Sync *s, const AwsKeys *refused) {
        Error err = { 0 };

        if (credentials_get(s->world->credentials, s->account, refused, on_credentials, s,
                            &s->asked, &err) < 0)
                sync_fail(s, &err);
        else
                sync_set_timer(s, KEYS_PATIENCE);
}

bool sync_may_go_on(const Sync *s) {
        return s->waits && !s->asked;
}

void sync_go_on(Sync *s) {
        assert(sync_may_go_on(s));
        s->waits = false;
        sync_ask(s);
}

void sync_renew_keys(Sync *s, const char *refusal) {
        if (s->renewed) {
                sync_fail_page(s, refusal);
                return;
        }
        s->renewed = true;
        (void) snprintf(s->refusal, sizeof s->refusal, "%s", refusal);
        sync_get_keys(s, &s->keys);
}
