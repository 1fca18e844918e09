/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One event of every kind, the same each time, made by the model as the daemon makes them. */

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "model/event.h"

#define SAMPLE_ACCOUNT_ID "0f2c1d5e-7a3b-4c6d-8e9f-0a1b2c3d4e5f"
#define SAMPLE_USER_ID "3c1d7f60-52e8-4b8a-9c55-8d0f6a2b9e11"
#define SAMPLE_EMAIL "ana@example.com"
#define SAMPLE_PIN "7788991122" /* must never be seen again */

typedef struct SampleValue {
        UserFieldId field;
        const char *text;
} SampleValue;

/* What is personal about ana, besides the number that opens her meetings. */
static const SampleValue sample_personal[] = {
        { USER_FIELD_PRIMARY_EMAIL, SAMPLE_EMAIL },
        { USER_FIELD_PRIMARY_PROVISIONED_NUMBER, "+15550100199" },
        { USER_FIELD_DISPLAY_NAME, "Ana Lovelace" },
        { USER_FIELD_ALEXA_FOR_BUSINESS_ROOM_ARN, "arn:aws:a4b:us-east-1:111122223333:room/b7" },
        { USER_FIELD_EXTRA, "{\"Nickname\":\"countess\"}" },
};

static const SampleValue sample_rest[] = {
        { USER_FIELD_ACCOUNT_ID, SAMPLE_ACCOUNT_ID },
        { USER_FIELD_USER_ID, SAMPLE_USER_ID },
        { USER_FIELD_LICENSE_TYPE, "Pro" },
        { USER_FIELD_USER_TYPE, "PrivateUser" },
        { USER_FIELD_USER_REGISTRATION_STATUS, "Registered" },
        { USER_FIELD_USER_INVITATION_STATUS, "Accepted" },
        { USER_FIELD_REGISTERED_ON, "2025-03-02T09:30:00.000Z" },
        { USER_FIELD_INVITED_ON, "2025-03-01T08:00:00.000Z" },
        { USER_FIELD_ALEXA_FOR_BUSINESS_ENABLED, "1" },
        { USER_FIELD_PERSONAL_PIN, SAMPLE_PIN },
};

#define REGISTRATION USER_FIELD_USER_REGISTRATION_STATUS
#define INVITATION USER_FIELD_USER_INVITATION_STATUS

/* What became of ana; detail is of events about the account. */
static const struct SampleKind {
        FieldMask fields;
        UserFieldId field; /* one of them */
        const char *old, *new;
        const char *detail;
} sample_kinds[EVENT_KIND_COUNT] = {
        [EVENT_USER_ADDED] = { 0 },
        [EVENT_USER_REMOVED] = { 0 },
        [EVENT_USER_RETURNED] = { FIELD_BIT(USER_FIELD_LICENSE_TYPE), USER_FIELD_LICENSE_TYPE,
                                  "Basic", "Pro", NULL },
        [EVENT_USER_REGISTERED] = { FIELD_BIT(REGISTRATION), REGISTRATION, "Unregistered",
                                    "Registered", NULL },
        [EVENT_USER_SUSPENDED] = { FIELD_BIT(REGISTRATION), REGISTRATION, "Registered", "Suspended",
                                   NULL },
        [EVENT_USER_REINSTATED] = { FIELD_BIT(REGISTRATION), REGISTRATION, "Suspended",
                                    "Registered", NULL },
        [EVENT_USER_UNREGISTERED] = { FIELD_BIT(REGISTRATION), REGISTRATION, "Registered",
                                      "Unregistered", NULL },
        [EVENT_USER_REGISTRATION_CHANGED] = { FIELD_BIT(REGISTRATION), REGISTRATION, "Registered",
                                              "Released", NULL },
        [EVENT_USER_INVITED] = { FIELD_BIT(INVITATION), INVITATION, NULL, "Pending", NULL },
        [EVENT_USER_INVITATION_ACCEPTED] = { FIELD_BIT(INVITATION), INVITATION, "Pending",
                                             "Accepted", NULL },
        [EVENT_USER_INVITATION_FAILED] = { FIELD_BIT(INVITATION), INVITATION, "Pending", "Failed",
                                           NULL },
        [EVENT_USER_INVITATION_CHANGED] = { FIELD_BIT(INVITATION), INVITATION, "Pending", NULL,
                                            NULL },
        [EVENT_USER_UPDATED] = { FIELD_BIT(USER_FIELD_DISPLAY_NAME) |
                                         FIELD_BIT(USER_FIELD_ALEXA_FOR_BUSINESS_ENABLED) |
                                         FIELD_BIT(USER_FIELD_EXTRA),
                                 USER_FIELD_DISPLAY_NAME, "Ana Byron", "Ana Lovelace", NULL },
        [EVENT_SYNC_BASELINE] = { .detail = "{\"users\":239,\"suspended\":2,"
                                            "\"pending_invitations\":5,\"failed_invitations\":1,"
                                            "\"rescoped\":false}" },
        [EVENT_SYNC_FAILED] = { .detail =
                                        "{\"error\":\"page 3: chime.us-east-1.amazonaws.com "
                                        "answered 503 ServiceUnavailableException\","
                                        "\"failures\":1,\"since\":\"2026-02-03T04:00:00.000Z\"}" },
        [EVENT_SYNC_RECOVERED] = { .detail = "{\"failures\":4,"
                                             "\"since\":\"2026-02-03T04:00:00.000Z\"}" },
        [EVENT_SYNC_REMOVALS_HELD] = { .detail = "{\"held\":80,\"users\":239,\"limit\":23}" },
};

static inline void sample_set(User *u, UserFieldId field, const char *text) {
        int r = user_set(u, field, text);

        assert(r == 0);
        (void) r;
}

static inline void sample_user(User *u) {
        for (size_t i = 0; i < sizeof sample_personal / sizeof sample_personal[0]; i++)
                sample_set(u, sample_personal[i].field, sample_personal[i].text);
        for (size_t i = 0; i < sizeof sample_rest / sizeof sample_rest[0]; i++)
                sample_set(u, sample_rest[i].field, sample_rest[i].text);
}

/* The event, the caller's (event_free()). */
static inline Event *sample_event(EventKind kind, int64_t seq) {
        const struct SampleKind *k = &sample_kinds[kind];
        const int64_t now = INT64_C(1770091506789);
        UserDates before = { .first_seen_at = INT64_C(1740819600000),
                             .last_changed_at = INT64_C(1740907800000) };
        UserDates after = { .first_seen_at = before.first_seen_at,
                            .last_changed_at = now,
                            .removed_at = kind == EVENT_USER_REMOVED ? now : TIME_NONE };
        User old = { 0 }, new = { 0 };
        Event *e = NULL;
        int r;

        sample_user(&old);
        sample_user(&new);
        if (k->fields) {
                sample_set(&old, k->field, k->old);
                sample_set(&new, k->field, k->new);
        }
        if (kind == EVENT_USER_UPDATED) {
                sample_set(&old, USER_FIELD_ALEXA_FOR_BUSINESS_ENABLED, "0");
                sample_set(&old, USER_FIELD_EXTRA, NULL);
        }
        if (k->detail)
                r = event_for_account(kind, k->detail, 17, now, &e);
        else
                r = event_for_user(&(EventPlan){ kind, k->fields },
                                   kind == EVENT_USER_ADDED ? NULL : &old,
                                   kind == EVENT_USER_REMOVED ? NULL : &new,
                                   kind == EVENT_USER_ADDED ? NULL : &before, &after, 17, now, &e);
        user_clear(&old);
        user_clear(&new);
        assert(r == 0);
        (void) r;
        e->seq = seq;
        (void) snprintf(e->id, sizeof e->id, "evt_%032jx", (uintmax_t) seq);
        e->account = strdup("acme");
        e->account_id = strdup(SAMPLE_ACCOUNT_ID);
        assert(e->account && e->account_id);
        return e;
}

#undef REGISTRATION
#undef INVITATION
