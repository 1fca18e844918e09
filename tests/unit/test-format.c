/* SPDX-License-Identifier: Apache-2.0 */
/* Formats of single events, and what all formats keep to: personal data, hostile texts. */
#include "sink/format.h"

#include <errno.h>

#include "render.h"

static const FormatSettings full = { .routing_key = "R0UT1NG",
                                     .now = INT64_C(1770091506789),
                                     .lasting_until = INT64_C(1770091806789) };
static const FormatSettings minimal = { .minimal = true,
                                        .routing_key = "R0UT1NG",
                                        .now = INT64_C(1770091506789),
                                        .lasting_until = INT64_C(1770091806789) };

static void test_table(void **state) {
        static const char *const names[] = { "json",  "cloudevents", "slack",
                                             "teams", "pagerduty",   "alertmanager" };

        (void) state;
        for (size_t i = 0; i < WEBHOOK_FORMAT_COUNT; i++) {
                const Format *f = &formats[i];

                assert_string_equal(f->name, names[i]);
                assert_int_equal(f->style == FORMAT_EVENTS, f->render_events != NULL);
                assert_int_equal(f->style == FORMAT_DIGEST, f->render_digest != NULL);
                assert_int_equal(f->style == FORMAT_ALERTS, f->render_alerts != NULL);
                assert_int_equal(f->style == FORMAT_EVENTS, f->most == 0);
                assert_non_null(f->content_type);
                assert_non_null(f->list_content_type);
        }
}

static void test_event_mask(void **state) {
        const EventMask suspended = EVENT_BIT(EVENT_USER_SUSPENDED);
        const EventMask failed = EVENT_BIT(EVENT_SYNC_FAILED);
        const EventMask added = EVENT_BIT(EVENT_USER_ADDED);
        const Format *f = &formats[WEBHOOK_PAGERDUTY];

        (void) state;
        assert_int_equal(format_event_mask(&formats[WEBHOOK_JSON], suspended), suspended);
        assert_int_equal(format_event_mask(&formats[WEBHOOK_SLACK], EVENT_MASK_ALL),
                         EVENT_MASK_ALL);
        assert_int_equal(format_event_mask(f, 0), 0);
        assert_int_equal(format_event_mask(f, added), 0);
        assert_int_equal(format_event_mask(f, failed | added),
                         failed | EVENT_BIT(EVENT_SYNC_RECOVERED));
        assert_int_equal(format_event_mask(f, EVENT_BIT(EVENT_USER_REINSTATED)), 0);
        assert_int_equal(format_event_mask(f, suspended),
                         suspended | alert_ended_by(ALERT_USER_SUSPENDED));
}

/* The example of the contract, whole. */
static void test_json(void **state) {
        CLEANUP(event_freep) Event *e = sample_event(EVENT_USER_SUSPENDED, 41);
        CLEANUP_FREE char *text = render(&formats[WEBHOOK_JSON], &full, &e, 1);

        (void) state;
        assert_string_equal(
                text,
                "{\"id\":\"evt_00000000000000000000000000000029\",\"seq\":41,"
                "\"type\":\"user.suspended\",\"time\":\"2026-02-03T04:05:06.789Z\","
                "\"account\":{\"name\":\"acme\",\"id\":\"" SAMPLE_ACCOUNT_ID "\"},\"run\":17,"
                "\"user\":{\"account_id\":\"" SAMPLE_ACCOUNT_ID "\",\"user_id\":\"" SAMPLE_USER_ID
                "\",\"primary_email\":\"ana@example.com\","
                "\"primary_provisioned_number\":\"+15550100199\",\"display_name\":\"Ana "
                "Lovelace\",\"license_type\":\"Pro\",\"user_type\":\"PrivateUser\","
                "\"user_registration_status\":\"Suspended\",\"user_invitation_status\":"
                "\"Accepted\",\"registered_on\":\"2025-03-02T09:30:00.000Z\","
                "\"invited_on\":\"2025-03-01T08:00:00.000Z\",\"alexa_for_business_enabled\":true,"
                "\"alexa_for_business_room_arn\":\"arn:aws:a4b:us-east-1:111122223333:room/b7\","
                "\"extra\":{\"Nickname\":\"countess\"},"
                "\"first_seen_at\":\"2025-03-01T09:00:00.000Z\","
                "\"last_changed_at\":\"2026-02-03T04:05:06.789Z\"},"
                "\"changes\":[{\"field\":\"user_registration_status\",\"old\":\"Registered\","
                "\"new\":\"Suspended\"},{\"field\":\"last_changed_at\","
                "\"old\":\"2025-03-02T09:30:00.000Z\",\"new\":\"2026-02-03T04:05:06.789Z\"}]}");
}

static void test_json_of_account(void **state) {
        CLEANUP(event_freep) Event *e = sample_event(EVENT_SYNC_REMOVALS_HELD, 42);
        CLEANUP_FREE char *text = render(&formats[WEBHOOK_JSON], &full, &e, 1);

        (void) state;
        assert_string_equal(text,
                            "{\"id\":\"evt_0000000000000000000000000000002a\",\"seq\":42,"
                            "\"type\":\"sync.removals_held\",\"time\":\"2026-02-03T04:05:06.789Z\","
                            "\"account\":{\"name\":\"acme\",\"id\":\"" SAMPLE_ACCOUNT_ID
                            "\"},\"run\":17,\"detail\":{\"held\":80,\"users\":239,\"limit\":23}}");
}

/* An array wherever a list is asked for, even of one. */
static void test_lists(void **state) {
        FormatSettings list = full;

        (void) state;
        list.list = true;
        for (size_t n = 1; n <= 3; n++) {
                Event *events[3];

                for (size_t i = 0; i < 3; i++)
                        events[i] = sample_event(EVENT_USER_ADDED, (int64_t) i + 1);
                for (int f = WEBHOOK_JSON; f <= WEBHOOK_CLOUDEVENTS; f++) {
                        CLEANUP_FREE char *text = render(&formats[f], &list, events, n);
                        CLEANUP_JSON json_object *o = parse_strictly(text);

                        assert_true(json_object_is_type(o, json_type_array));
                        assert_int_equal(json_object_array_length(o), n);
                        assert_string_equal(text_at(o, "0.id"), events[0]->id);
                }
                for (size_t i = 0; i < 3; i++)
                        event_free(events[i]);
        }
}

static void test_json_minimal(void **state) {
        CLEANUP(event_freep) Event *e = sample_event(EVENT_USER_UPDATED, 43);
        CLEANUP_FREE char *text = render(&formats[WEBHOOK_JSON], &minimal, &e, 1);
        CLEANUP_JSON json_object *o = parse_strictly(text);

        (void) state;
        assert_string_equal(text_at(o, "user"), "{ \"user_id\": \"" SAMPLE_USER_ID "\" }");
        assert_string_equal(
                text_at(o, "changes"),
                "[ { \"field\": \"display_name\" }, { \"field\": \"alexa_for_business_enabled\", "
                "\"old\": false, \"new\": true }, { \"field\": \"extra\" }, { \"field\": "
                "\"last_changed_at\", \"old\": \"2025-03-02T09:30:00.000Z\", \"new\": "
                "\"2026-02-03T04:05:06.789Z\" } ]");
}

static void test_cloudevents(void **state) {
        CLEANUP(event_freep) Event *e = sample_event(EVENT_USER_SUSPENDED, 41);
        CLEANUP(event_freep) Event *sync = sample_event(EVENT_SYNC_FAILED, 42);
        CLEANUP_FREE char *text = render(&formats[WEBHOOK_CLOUDEVENTS], &full, &e, 1);
        CLEANUP_FREE char *data = render(&formats[WEBHOOK_JSON], &full, &e, 1);
        CLEANUP_FREE char *about = render(&formats[WEBHOOK_CLOUDEVENTS], &full, &sync, 1);
        CLEANUP_JSON json_object *o = parse_strictly(text), *json = parse_strictly(data);
        CLEANUP_JSON json_object *account = parse_strictly(about);

        (void) state;
        assert_string_equal(text_at(o, "specversion"), "1.0");
        assert_string_equal(text_at(o, "id"), e->id);
        assert_string_equal(text_at(o, "source"), "/rosterd/acme");
        assert_string_equal(text_at(o, "type"), "rosterd.user.suspended");
        assert_string_equal(text_at(o, "subject"), SAMPLE_USER_ID);
        assert_string_equal(text_at(o, "time"), "2026-02-03T04:05:06.789Z");
        assert_string_equal(text_at(o, "sequence"), "0000000000000000041");
        assert_string_equal(text_at(o, "datacontenttype"), "application/json");
        assert_true(json_object_equal(at(o, "data"), json));
        assert_null(at(account, "subject"));
        assert_string_equal(text_at(account, "type"), "rosterd.sync.failed");
}

static void test_sequence_sorts(void **state) {
        CLEANUP(event_freep) Event *e = sample_event(EVENT_USER_ADDED, INT64_MAX);
        CLEANUP_FREE char *text = render(&formats[WEBHOOK_CLOUDEVENTS], &full, &e, 1);
        CLEANUP_JSON json_object *o = parse_strictly(text);

        (void) state;
        assert_string_equal(text_at(o, "sequence"), "9223372036854775807");
        assert_int_equal(json_object_get_int64(at(o, "data.seq")), INT64_MAX);
}

/* Every kind in every format: with minimal nothing personal is in it, and the PIN never. */
static void test_personal_data(void **state) {
        (void) state;
        for (unsigned kind = 0; kind < EVENT_KIND_COUNT; kind++)
                for (unsigned f = 0; f < WEBHOOK_FORMAT_COUNT; f++) {
                        CLEANUP(event_freep) Event *e = sample_event((EventKind) kind, 1);
                        CLEANUP_FREE char *whole = render(&formats[f], &full, &e, 1);
                        CLEANUP_FREE char *bare = render(&formats[f], &minimal, &e, 1);

                        assert_int_equal(whole == NULL, bare == NULL);
                        if (!whole || !bare)
                                continue;
                        assert_null(strstr(whole, SAMPLE_PIN));
                        assert_null(strstr(bare, SAMPLE_PIN));
                        for (size_t i = 0; i < sizeof sample_personal / sizeof *sample_personal;
                             i++) {
                                const char *value = sample_personal[i].text;

                                /* json shows that they would be found */
                                if (f == WEBHOOK_JSON && e->user_id && *value != '{')
                                        assert_non_null(strstr(whole, value));
                                assert_null(strstr(bare, value));
                        }
                        assert_null(strstr(bare, "countess"));
                        assert_null(strstr(bare, "Byron"));
                }
}

/* A database of old may hold what no version stores now. */
static void test_stored_secrets(void **state) {
        (void) state;
        for (unsigned f = 0; f < WEBHOOK_FORMAT_COUNT; f++)
                for (int i = 0; i < 2; i++) {
                        CLEANUP(event_freep) Event *e = sample_event(EVENT_USER_SUSPENDED, 1);
                        CLEANUP_FREE char *text = NULL;

                        free(e->user);
                        free(e->changes);
                        e->user = strdup("{\"user_id\":\"u\",\"personal_pin\":\"" SAMPLE_PIN
                                         "\",\"extra\":{\"a\":[{\"PersonalPIN\":\"" SAMPLE_PIN
                                         "\"}]}}");
                        e->changes = strdup("[{\"field\":\"personal_pin\",\"old\":\"" SAMPLE_PIN
                                            "\",\"new\":null},{\"field\":\"of_a_later_version\","
                                            "\"old\":\"Byron\",\"new\":1}]");
                        text = render(&formats[f], i ? &minimal : &full, &e, 1);
                        assert_non_null(text);
                        assert_null(strstr(text, SAMPLE_PIN));
                        assert_null(strcasestr(text, "personal_pin"));
                        assert_null(strcasestr(text, "personalpin"));
                        if (i)
                                assert_null(strstr(text, "Byron"));
                        if (f == WEBHOOK_JSON)
                                assert_non_null(strstr(text, "of_a_later_version"));
                }
}

/* What is damaged in the database is left out: the event goes its way all the same. */
static void test_damaged(void **state) {
        static const char *const bad[] = {
                NULL, "", "{", "[]", "null", "7", "{\"user_id\":", "{\"a\":1} x"
        };

        (void) state;
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                CLEANUP(event_freep) Event *e = sample_event(EVENT_USER_SUSPENDED, 1);
                CLEANUP(event_freep) Event *sync = sample_event(EVENT_SYNC_FAILED, 1);
                CLEANUP_FREE char *user = NULL, *account = NULL;
                CLEANUP_JSON json_object *o = NULL, *p = NULL;

                free(e->user);
                e->user = bad[i] ? strdup(bad[i]) : NULL;
                free(e->changes);
                e->changes = bad[i] ? strdup(bad[i]) : NULL;
                free(sync->detail);
                sync->detail = bad[i] ? strdup(bad[i]) : NULL;
                o = parse_strictly(user = render(&formats[WEBHOOK_JSON], &full, &e, 1));
                p = parse_strictly(account = render(&formats[WEBHOOK_JSON], &full, &sync, 1));
                assert_string_equal(text_at(o, "user.user_id"), SAMPLE_USER_ID);
                assert_string_equal(text_at(o, "changes"), "[ ]");
                assert_true(json_object_is_type(at(p, "detail"), json_type_object));
        }
}

static const char *const hostile[] = {
        "\"><script>alert(1)</script>",
        "\\\"},{\"seq\":1}",
        "line\nfeed\r\ttab\x01\x1b[31mred",
        /* NOLINTNEXTLINE(misc-misleading-bidirectional): people are called so, or call themselves so */
        "\xe2\x80\xa8\xe2\x80\xa9separators\xe2\x80\xae-desrever",
        "\xd8\xb9\xd8\xb1\xd8\xa8\xd9\x8a \xf0\x9f\x98\x80\xf0\x9f\x87\xaa\xf0\x9f\x87\xb8",
        "<!channel> <@U123> *bold* _it_ `code` [link](http://evil.example) # head",
        "cut in the middle of a letter: \xc3",
        "\xff\xfe\xed\xa0\x80",
        "%s%n%d",
        "&amp;&lt;",
};

/* Whatever a name may hold, what comes out is well-formed, in proper UTF-8, and still one event. */
static void test_hostile_texts(void **state) {
        FormatSettings list = full;

        (void) state;
        list.list = true;
        for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++)
                for (unsigned f = 0; f < WEBHOOK_FORMAT_COUNT; f++) {
                        CLEANUP(event_freep) Event *e = sample_event(EVENT_USER_SUSPENDED, 1);
                        CLEANUP_FREE char *text = NULL;
                        CLEANUP_JSON json_object *o = NULL;

                        free(e->user_id);
                        free(e->primary_email);
                        free(e->old_value);
                        e->user_id = strdup(hostile[i]);
                        e->primary_email = strdup(hostile[i]);
                        e->old_value = strdup(hostile[i]);
                        text = render(&formats[f], &list, &e, 1);
                        o = parse_strictly(text);
                        if (json_object_is_type(o, json_type_array))
                                assert_int_equal(json_object_array_length(o), 1);
                        for (const char *p = text; *p; p++)
                                assert_true((unsigned char) *p >= 0x20);
                }
}

/* Names of 64 KiB and extras as deep as a record may be. */
static void test_large_texts(void **state) {
        char deep[256] = "", *name = malloc(65537);
        size_t at_end = 0;

        (void) state;
        memset(name, '"', 65536);
        name[65536] = '\0';
        for (int i = 0; i < 31; i++)
                at_end += (size_t) snprintf(deep + at_end, sizeof deep - at_end, "{\"a\":");
        at_end += (size_t) snprintf(deep + at_end, sizeof deep - at_end, "7");
        memset(deep + at_end, '}', 31);
        for (unsigned f = 0; f < WEBHOOK_FORMAT_COUNT; f++) {
                CLEANUP(event_freep) Event *e = sample_event(EVENT_USER_SUSPENDED, 1);
                CLEANUP_FREE char *text = NULL;

                free(e->primary_email);
                e->primary_email = strdup(name);
                free(e->user);
                assert_true(asprintf(&e->user, "{\"user_id\":\"u\",\"extra\":%s}", deep) > 0);
                text = render(&formats[f], &full, &e, 1);
                if (f != WEBHOOK_CLOUDEVENTS && f != WEBHOOK_JSON)
                        (void) json_object_put(parse_strictly(text));
                else
                        assert_non_null(strstr(text, deep));
        }
        free(name);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),         cmocka_unit_test(test_event_mask),
                cmocka_unit_test(test_json),          cmocka_unit_test(test_json_of_account),
                cmocka_unit_test(test_lists),         cmocka_unit_test(test_json_minimal),
                cmocka_unit_test(test_cloudevents),   cmocka_unit_test(test_sequence_sorts),
                cmocka_unit_test(test_personal_data), cmocka_unit_test(test_stored_secrets),
                cmocka_unit_test(test_damaged),       cmocka_unit_test(test_hostile_texts),
                cmocka_unit_test(test_large_texts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
