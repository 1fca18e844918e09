/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/timefmt.h"
#include "model/event.h"

static void fill(User *u) {
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++) {
                const char *text = user_fields[i].column;

                if (user_fields[i].type == FIELD_BOOL)
                        text = "1";
                else if (user_fields[i].type == FIELD_JSON)
                        text = "{\"Shoe\":42}";
                else if (user_fields[i].type == FIELD_TIME)
                        text = "2026-01-02T03:04:05.000Z";
                assert_int_equal(user_set(u, i, text), 0);
        }
}

/* Texts that are part of one block are replaced and cleared as others are. */
static void test_block(void **state) {
        User u = { 0 };

        (void) state;
        u.block = strdup("a b");
        assert_non_null(u.block);
        u.block[1] = '\0';
        user_set_in_block(&u, USER_FIELD_USER_ID, u.block);
        user_set_in_block(&u, USER_FIELD_USER_TYPE, u.block + 2);
        assert_int_equal(user_set(&u, USER_FIELD_LICENSE_TYPE, "Pro"), 0);
        assert_string_equal(user_get(&u, USER_FIELD_USER_ID), "a");
        assert_string_equal(user_get(&u, USER_FIELD_USER_TYPE), "b");

        assert_int_equal(user_set(&u, USER_FIELD_USER_TYPE, "c"), 0);
        assert_int_equal(user_set(&u, USER_FIELD_USER_TYPE, "d"), 0);
        assert_string_equal(user_get(&u, USER_FIELD_USER_TYPE), "d");
        assert_int_equal(user_set(&u, USER_FIELD_USER_ID, NULL), 0);
        assert_null(user_get(&u, USER_FIELD_USER_ID));
        assert_int_equal(user_set(&u, USER_FIELD_USER_ID, "e"), 0);
        user_clear(&u);
        assert_null(u.block);
        assert_int_equal(u.in_block, 0);
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                assert_null(u.value[i]);
        user_clear(&u);
}

/* Every field, alone: a change must be seen, and seen as that field only. */
static void test_diff_sees_every_field(void **state) {
        (void) state;
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++) {
                User a = { 0 }, b = { 0 };
                FieldMask want = user_fields[i].flags & FIELD_KEY ? 0 : FIELD_BIT(i);

                fill(&a);
                fill(&b);
                assert_int_equal(user_diff(&a, &b), 0);
                assert_int_equal(user_set(&b, i, "other"), 0);
                assert_int_equal(user_diff(&a, &b), want);
                assert_int_equal(user_set(&b, i, NULL), 0);
                assert_int_equal(user_diff(&a, &b), want);
                assert_int_equal(user_diff(&b, &a), want);
                user_clear(&a);
                user_clear(&b);
        }
}

#define R USER_FIELD_USER_REGISTRATION_STATUS
#define I USER_FIELD_USER_INVITATION_STATUS

static const struct {
        const char *old, *new, *kind;
} registration[] = {
        { "Unregistered", "Registered", "user.registered" },
        { NULL, "Registered", "user.registered" },
        { "Released", "Registered", "user.registered" },
        { "Suspended", "Registered", "user.reinstated" },
        { "Registered", "Suspended", "user.suspended" },
        { NULL, "Suspended", "user.suspended" },
        { "Registered", "Unregistered", "user.unregistered" },
        { "Suspended", "Unregistered", "user.unregistered" },
        { "Registered", "Released", "user.registration_changed" },
        { "Suspended", NULL, "user.registration_changed" },
}, invitation[] = {
        { NULL, "Pending", "user.invited" },
        { "Failed", "Pending", "user.invited" },
        { "Pending", "Accepted", "user.invitation_accepted" },
        { "Pending", "Failed", "user.invitation_failed" },
        { "Pending", "Lost", "user.invitation_changed" },
        { "Pending", NULL, "user.invitation_changed" },
};

static void check_kinds(UserFieldId field, const char *old, const char *new, const char *kind) {
        User a = { 0 }, b = { 0 };
        EventPlan plan[EVENT_PLAN_MAX];

        fill(&a);
        fill(&b);
        assert_int_equal(user_set(&a, field, old), 0);
        assert_int_equal(user_set(&b, field, new), 0);
        assert_int_equal(event_plan(USER_CHANGE_UPDATED, &a, &b, plan), 1);
        assert_string_equal(event_types[plan[0].kind].name, kind);
        assert_int_equal(plan[0].fields, FIELD_BIT(field));
        user_clear(&a);
        user_clear(&b);
}

static void test_kinds(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof registration / sizeof registration[0]; i++)
                check_kinds(R, registration[i].old, registration[i].new, registration[i].kind);
        for (size_t i = 0; i < sizeof invitation / sizeof invitation[0]; i++)
                check_kinds(I, invitation[i].old, invitation[i].new, invitation[i].kind);
}

static void test_plans(void **state) {
        User a = { 0 }, b = { 0 };
        EventPlan plan[EVENT_PLAN_MAX];

        (void) state;
        fill(&a);
        fill(&b);
        (void) user_set(&a, R, "Registered");
        (void) user_set(&b, R, "Suspended");
        (void) user_set(&a, I, "Pending");
        (void) user_set(&b, I, "Accepted");
        (void) user_set(&b, USER_FIELD_DISPLAY_NAME, "new");
        (void) user_set(&b, USER_FIELD_LICENSE_TYPE, "Pro");
        (void) user_set(&b, USER_FIELD_PERSONAL_PIN, "999");

        assert_int_equal(event_plan(USER_CHANGE_UPDATED, &a, &b, plan), 3);
        assert_int_equal(plan[0].kind, EVENT_USER_SUSPENDED);
        assert_int_equal(plan[1].kind, EVENT_USER_INVITATION_ACCEPTED);
        assert_int_equal(plan[2].kind, EVENT_USER_UPDATED);
        assert_int_equal(plan[2].fields,
                         FIELD_BIT(USER_FIELD_DISPLAY_NAME) | FIELD_BIT(USER_FIELD_LICENSE_TYPE));

        assert_int_equal(event_plan(USER_CHANGE_RETURNED, &a, &b, plan), 3);
        assert_int_equal(plan[0].kind, EVENT_USER_RETURNED);
        assert_int_equal(plan[1].kind, EVENT_USER_SUSPENDED);
        assert_int_equal(plan[2].kind, EVENT_USER_INVITATION_ACCEPTED);

        /* suspended before and after: who comes back as such is news all the same */
        (void) user_set(&a, R, "Suspended");
        (void) user_set(&a, I, "Accepted");
        assert_int_equal(event_plan(USER_CHANGE_RETURNED, &a, &b, plan), 2);
        assert_int_equal(plan[1].kind, EVENT_USER_SUSPENDED);

        assert_int_equal(event_plan(USER_CHANGE_ADDED, NULL, &b, plan), 2);
        assert_int_equal(plan[0].kind, EVENT_USER_ADDED);
        assert_int_equal(plan[1].kind, EVENT_USER_SUSPENDED);
        assert_int_equal(event_plan(USER_CHANGE_REMOVED, &b, NULL, plan), 1);
        assert_int_equal(plan[0].kind, EVENT_USER_REMOVED);

        /* a PIN alone is nobody's business */
        user_clear(&b);
        fill(&b);
        user_clear(&a);
        fill(&a);
        (void) user_set(&b, USER_FIELD_PERSONAL_PIN, "999");
        assert_int_equal(event_plan(USER_CHANGE_UPDATED, &a, &b, plan), 0);
        user_clear(&a);
        user_clear(&b);
}

static Event *suspended(void) {
        User a = { 0 }, b = { 0 };
        UserDates before = { .first_seen_at = 1000, .last_changed_at = 2000 };
        UserDates after = { .first_seen_at = 1000, .last_changed_at = 1700000000000 };
        EventPlan plan[EVENT_PLAN_MAX];
        Event *e = NULL;

        fill(&a);
        fill(&b);
        (void) user_set(&a, R, "Registered");
        (void) user_set(&b, R, "Suspended");
        (void) user_set(&b, USER_FIELD_PRIMARY_EMAIL, "ana@example.com");
        (void) user_set(&a, USER_FIELD_PRIMARY_EMAIL, "ana@example.com");
        assert_int_equal(event_plan(USER_CHANGE_UPDATED, &a, &b, plan), 1);
        assert_int_equal(event_for_user(plan, &a, &b, &before, &after, 17, 1700000000000, &e), 0);
        e->account = strdup("acme");
        e->account_id = strdup("0f2c");
        e->seq = 41;
        user_clear(&a);
        user_clear(&b);
        return e;
}

static void test_event_contents(void **state) {
        CLEANUP(event_freep) Event *e = suspended();
        char text[200];

        (void) state;
        assert_string_equal(e->field, "user_registration_status");
        assert_string_equal(e->old_value, "Registered");
        assert_string_equal(e->new_value, "Suspended");
        assert_string_equal(e->changes,
                            "[{\"field\":\"user_registration_status\",\"old\":\"Registered\","
                            "\"new\":\"Suspended\"},{\"field\":\"last_changed_at\",\"old\":"
                            "\"1970-01-01T00:00:02.000Z\",\"new\":\"2023-11-14T22:13:20.000Z\"}]");
        assert_null(strstr(e->user, "personal_pin"));
        assert_string_equal(event_sentence(e, false, text, sizeof text),
                            "acme: ana@example.com was suspended (was Registered)");
        assert_string_equal(event_sentence(e, true, text, sizeof text),
                            "acme: user_id was suspended (was Registered)");
}

/* Every field of a new user is in the image, in the JSON type that it has; the PIN is not. */
static void test_image(void **state) {
        CLEANUP(event_freep) Event *e = suspended();

        (void) state;
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++) {
                char key[64];

                (void) snprintf(key, sizeof key, "\"%s\":", user_fields[i].column);
                if (user_fields[i].flags & FIELD_SECRET)
                        assert_null(strstr(e->user, key));
                else
                        assert_non_null(strstr(e->user, key));
        }
        assert_non_null(strstr(e->user, "\"alexa_for_business_enabled\":true"));
        assert_non_null(strstr(e->user, "\"extra\":{\"Shoe\":42}"));
        assert_non_null(strstr(e->user, "\"first_seen_at\":\"1970-01-01T00:00:01.000Z\""));
        assert_non_null(strstr(e->user, "\"user_registration_status\":\"Suspended\""));
}

static void test_account_event(void **state) {
        CLEANUP(event_freep) Event *e = NULL;
        char text[200];

        (void) state;
        assert_int_equal(event_for_account(EVENT_SYNC_REMOVALS_HELD,
                                           "{\"held\":120,\"users\":1000,\"limit\":100}", 3, 5000,
                                           &e),
                         0);
        e->account = strdup("acme");
        assert_string_equal(event_sentence(e, false, text, sizeof text),
                            "acme: 120 of 1000 users are missing from the listing, more than "
                            "max_removals allows (100): nobody was removed");
}

/* A name cannot forge a second line. */
static void test_sentence_is_one_line(void **state) {
        CLEANUP(event_freep) Event *e = suspended();
        char text[200];

        (void) state;
        free(e->primary_email);
        e->primary_email = strdup("a@b\nacme: everybody was reinstated\x1b[2J");
        assert_null(strpbrk(event_sentence(e, false, text, sizeof text), "\n\x1b"));
}

static void test_kind_table(void **state) {
        (void) state;
        for (unsigned i = 0; i < EVENT_KIND_COUNT; i++) {
                assert_int_equal(event_kind_from_name(event_types[i].name), i);
                assert_int_equal(strlen(event_types[i].message_id), 32);
                for (unsigned k = 0; k < i; k++)
                        assert_string_not_equal(event_types[i].message_id,
                                                event_types[k].message_id);
        }
        assert_int_equal(event_kind_from_name("user.gone"), EVENT_KIND_COUNT);
        assert_true(event_types[EVENT_USER_SUSPENDED].priority <= LOG_WARNING);
        assert_true(event_types[EVENT_USER_INVITATION_FAILED].priority <= LOG_WARNING);
        assert_true(event_types[EVENT_SYNC_FAILED].priority <= LOG_WARNING);
        assert_true(event_types[EVENT_SYNC_REMOVALS_HELD].priority <= LOG_WARNING);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_block),          cmocka_unit_test(test_diff_sees_every_field),
                cmocka_unit_test(test_kinds),          cmocka_unit_test(test_plans),
                cmocka_unit_test(test_event_contents), cmocka_unit_test(test_image),
                cmocka_unit_test(test_account_event),  cmocka_unit_test(test_sentence_is_one_line),
                cmocka_unit_test(test_kind_table),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
