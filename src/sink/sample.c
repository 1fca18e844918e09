/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/sample.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/timefmt.h"
#include "sink/format.h"

static void user_clearp(User *u) {
        user_clear(u);
}

static int fill(User *u, const char *status) {
        int r = user_set(u, USER_FIELD_USER_ID, "rosterd-test");

        if (r >= 0)
                r = user_set(u, USER_FIELD_PRIMARY_EMAIL, "rosterd-test@example.com");
        if (r >= 0)
                r = user_set(u, USER_FIELD_DISPLAY_NAME, "A test of rosterd");
        return r < 0 ? r : user_set(u, USER_FIELD_USER_REGISTRATION_STATUS, status);
}

static int make_event(int64_t now, Event **ret) {
        CLEANUP(user_clearp) User old = { 0 };
        CLEANUP(user_clearp) User new = { 0 };
        CLEANUP(event_freep) Event *e = NULL;
        const EventPlan plan = { EVENT_USER_REINSTATED,
                                 FIELD_BIT(USER_FIELD_USER_REGISTRATION_STATUS) };
        const UserDates dates = { .first_seen_at = now, .last_changed_at = now };

        if (fill(&old, "Suspended") < 0 || fill(&new, "Registered") < 0 ||
            event_for_user(&plan, &old, &new, &dates, &dates, 0, now, &e) < 0 ||
            !(e->account = strdup("test")) || !(e->account_id = strdup("test")))
                return -ENOMEM;
        *ret = take_ptr(e);
        return 0;
}

static int render_digest(const Format *f, const FormatSettings *settings, const Event *e,
                         char **ret) {
        CLEANUP(digest_clear) Digest digest = { 0 };

        return digest_add(&digest, e, settings->minimal) < 0
                       ? -ENOMEM
                       : f->render_digest(settings, &digest, ret);
}

static int render_alert(const Format *f, const FormatSettings *settings, const Event *e,
                        char **ret) {
        Alert alert;

        /* the end of an alert that never was */
        return alert_from_event(e, &alert) > 0 ? f->render_alerts(settings, &alert, 1, ret)
                                               : -ENOMEM;
}

static int render(const Format *f, const FormatSettings *settings, Event *e, char **ret) {
        switch (f->style) {
        case FORMAT_EVENTS:
                return f->render_events(settings, &e, 1, ret);
        case FORMAT_DIGEST:
                return render_digest(f, settings, e, ret);
        case FORMAT_ALERTS:
                return render_alert(f, settings, e, ret);
        }
        abort();
}

int sample_make(const WebhookConfig *config, bool minimal, int64_t now, Sample *ret, Error *err) {
        CLEANUP(event_freep) Event *e = NULL;
        CLEANUP(webhook_id_clear) WebhookIdMaker ids = { 0 };
        const Format *f = &formats[config->format];
        const FormatSettings settings = { .minimal = minimal,
                                          .list = config->batch > 1,
                                          .routing_key = config->routing_key,
                                          .lasting_until = now,
                                          .now = now };
        Sample s = { .content_type = config->batch > 1 ? f->list_content_type : f->content_type };

        if (make_event(now, &e) < 0 || webhook_id_add(&ids, e) < 0 ||
            webhook_id_write(&ids, s.id) < 0 || render(f, &settings, e, &s.body) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        *ret = s;
        return 0;
}

void sample_clear(Sample *s) {
        free(s->body);
        *s = (Sample){ 0 };
}
