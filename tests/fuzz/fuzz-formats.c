/* SPDX-License-Identifier: Apache-2.0 */
/* What webhooks are sent about users as strange as a service may list them: a page, of which every
 * two records are somebody before and after.  Every body is JSON, within the receiver's limits,
 * without the PIN, and with personal_data = minimal without the rest.  The event brings back the user
 * as it was before and after. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/timefmt.h"
#include "fuzz.h"
#include "model/event.h"
#include "sink/format.h"
#include "source/page-cut.h"
#include "source/source.h"

#define ACCOUNT "acme"
#define PIN "7788c4n4ry991122"
#define NOW INT64_C(1770091506789)
#define EVENTS_MAX 64

/* The receivers' limits: bytes where they count bytes, else characters, of which there are no more. */
#define TEAMS_MAX (28u << 10) /* of UTF-16 */
#define SLACK_BLOCKS 50u
#define SLACK_SECTION 3000u
#define PAGERDUTY_SUMMARY 1024u
#define PAGERDUTY_KEY 255u

static char account_id[] = "acc", name[] = ACCOUNT;
static const AccountConfig account = { .name = name, .account_id = account_id };

/* ---- looking into a body ---- */

static const char *member(json_object *o, const char *key) {
        json_object *v = NULL;

        return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : NULL;
}

static void check_slack(json_object *o) {
        json_object *blocks = NULL;

        demand(json_object_object_get_ex(o, "blocks", &blocks));
        demand(json_object_array_length(blocks) <= SLACK_BLOCKS);
        for (size_t i = 0; i < json_object_array_length(blocks); i++) {
                json_object *text = NULL;

                demand(json_object_object_get_ex(json_object_array_get_idx(blocks, i), "text",
                                                 &text));
                demand(strlen(member(text, "text")) <= SLACK_SECTION);
                demand(!strpbrk(member(text, "text"), "<>"));
        }
        demand(member(o, "text") && !strpbrk(member(o, "text"), "<>"));
}

/* Two bytes for each character beyond ASCII too, and four for those beyond 16 bits. */
static size_t utf16_length(const char *text) {
        size_t n = 0, len = strlen(text);

        while (len > 0) {
                size_t step = text_utf8_length(text, len);

                n += step == 4 ? 4 : 2;
                text += step;
                len -= step;
        }
        return n;
}

static void check_pagerduty(json_object *o) {
        json_object *payload = NULL;

        demand(member(o, "dedup_key") && strlen(member(o, "dedup_key")) <= PAGERDUTY_KEY);
        if (strcmp(member(o, "event_action"), "trigger") != 0)
                return;
        demand(json_object_object_get_ex(o, "payload", &payload));
        demand(strlen(member(payload, "summary")) <= PAGERDUTY_SUMMARY);
        demand(fuzz_is_clean(member(payload, "summary")));
}

static bool tells_personal(const char *body, const User *u) {
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++) {
                const char *value = u->value[i];

                /* what is short or plain may stand there for another reason */
                if ((user_fields[i].flags & FIELD_SENSITIVE) && value && strstr(value, "c4n4ry") &&
                    strstr(body, value))
                        return true;
        }
        return false;
}

/* Whether a field without any of these flags holds the text. */
static bool holds(const User *u, unsigned flags, const char *text) {
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if (!(user_fields[i].flags & flags) && u->value[i] && strstr(u->value[i], text))
                        return true;
        return false;
}

/* ---- bodies ---- */

/* Takes text over. */
static void check_body(WebhookFormat format, const FormatSettings *settings, const User *old,
                       const User *new, char *text) {
        CLEANUP_FREE char *body = text;
        CLEANUP_JSON json_object *o = NULL;

        demand(text_is_utf8(body, strlen(body)));
        demand(fuzz_json(body, strlen(body), &o));
        if (!holds(old, FIELD_SECRET, PIN) && !holds(new, FIELD_SECRET, PIN))
                demand(!strstr(body, PIN));
        if (settings->minimal && !holds(old, FIELD_SENSITIVE, "c4n4ry") &&
            !holds(new, FIELD_SENSITIVE, "c4n4ry"))
                demand(!tells_personal(body, old) && !tells_personal(body, new));
        if (format == WEBHOOK_SLACK)
                check_slack(o);
        else if (format == WEBHOOK_TEAMS)
                demand(utf16_length(body) <= TEAMS_MAX);
        else if (format == WEBHOOK_PAGERDUTY)
                check_pagerduty(o);
}

static char *render(const Format *f, const FormatSettings *settings, Event *const *events,
                    size_t n) {
        CLEANUP(digest_clear) Digest digest = { 0 };
        Alert alerts[EVENT_PLAN_MAX];
        size_t n_alerts = 0;
        char *text = NULL;

        switch (f->style) {
        case FORMAT_EVENTS:
                demand(f->render_events(settings, events, settings->list ? n : 1, &text) == 0);
                break;
        case FORMAT_DIGEST:
                for (size_t i = 0; i < n; i++)
                        demand(digest_add(&digest, events[i], settings->minimal) == 0);
                demand(f->render_digest(settings, &digest, &text) == 0);
                break;
        case FORMAT_ALERTS:
                for (size_t i = 0; i < n; i++)
                        n_alerts += alert_from_event(events[i], &alerts[n_alerts]) > 0;
                if (f->most && n_alerts > f->most)
                        n_alerts = f->most;
                if (n_alerts > 0)
                        demand(f->render_alerts(settings, alerts, n_alerts, &text) == 0);
                break;
        }
        return text;
}

static void check_formats(Event *const *events, size_t n, const User *old, const User *new) {
        for (unsigned i = 0; i < 4 * WEBHOOK_FORMAT_COUNT; i++) {
                FormatSettings settings = { .minimal = i & 1,
                                            .list = i & 2,
                                            .routing_key = "R0",
                                            .lasting_until = NOW + 1000,
                                            .now = NOW };
                char *text = render(&formats[i / 4], &settings, events, n);

                if (text)
                        check_body((WebhookFormat) (i / 4), &settings, old, new, text);
        }
}

/* ---- events ---- */

static bool same_but_secrets(const User *a, const User *b) {
        return !(user_diff(a, b) & ~FIELD_BIT(USER_FIELD_PERSONAL_PIN));
}

static void check_past(const Event *e, FieldMask fields, const User *old, const User *new) {
        UserDates dates = { 0 };
        User u = { 0 };

        demand(event_image_read(e->user, &u, &dates) == 0);
        demand(same_but_secrets(&u, new) && dates.last_changed_at == NOW);
        demand(event_undo(e->changes, &u, &dates) == 0);
        demand(!(user_diff(&u, old) & fields));
        user_clear(&u);
}

/* The event log is no place for the PIN. */
static void check_no_pin(const Event *e) {
        const char *const texts[] = { e->user, e->changes, e->old_value, e->new_value };

        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
                demand(!texts[i] || !strstr(texts[i], PIN));
}

static void check_sentence(const Event *e) {
        char text[1024];

        demand(fuzz_is_clean(event_sentence(e, false, text, sizeof text)));
        demand(strncmp(text, ACCOUNT ": ", sizeof ACCOUNT + 1) == 0);
        demand(strlen(event_sentence(e, true, text, 64)) < 64);
}

static void check_change(const User *old, const User *new) {
        static const UserDates before = { NOW - 2000, NOW - 1000, TIME_NONE },
                               after = { NOW - 2000, NOW, TIME_NONE };
        EventPlan plan[EVENT_PLAN_MAX];
        Event *events[EVENT_PLAN_MAX];
        size_t n = event_plan(USER_CHANGE_UPDATED, old, new, plan);

        demand(n <= EVENT_PLAN_MAX);
        for (size_t i = 0; i < n; i++) {
                demand(event_for_user(&plan[i], old, new, &before, &after, 17, NOW, &events[i]) ==
                       0);
                events[i]->account = strdup(ACCOUNT);
                events[i]->account_id = strdup(account_id);
                demand(events[i]->account && events[i]->account_id);
                check_past(events[i], plan[i].fields, old, new);
                check_sentence(events[i]);
                if (!holds(old, FIELD_SECRET, PIN) && !holds(new, FIELD_SECRET, PIN))
                        check_no_pin(events[i]);
        }
        if (n > 0)
                check_formats(events, n, old, new);
        for (size_t i = 0; i < n; i++)
                event_free(events[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const Source *source = source_find("chime");
        CLEANUP(page_cut_clear) PageCut p = { 0 };
        Error err = { 0 };

        if (page_cut((const char *) data, size, "Users", NULL, &p, &err) < 0)
                return 0;
        for (size_t i = 0; i + 1 < p.n_elements && i < EVENTS_MAX; i += 2) {
                User old = { 0 }, new = { 0 };

                if (source->record(&account, &p.elements[i], &old, &err) == RECORD_USER &&
                    source->record(&account, &p.elements[i + 1], &new, &err) == RECORD_USER)
                        check_change(&old, &new);
                user_clear(&old);
                user_clear(&new);
        }
        return 0;
}
