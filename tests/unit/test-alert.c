/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts, and the two formats that tell of them. */
#include "sink/alert.h"

#include "conf/config-internal.h"

#include "render.h"

typedef enum Effect { NOTHING, RAISES, ENDS } Effect;

static const char suspended[] = "{\"user_id\":\"u\",\"user_registration_status\":\"Suspended\"}";
static const char registered[] = "{\"user_id\":\"u\",\"user_registration_status\":\"Registered\"}";

/* old_value and user stand in place of the sample's, where they are not NULL. */
static const struct {
        EventKind kind;
        const char *old_value, *user;
        Effect effect;
        AlertKind alert;
} cases[] = {
        { EVENT_USER_SUSPENDED, NULL, NULL, RAISES, ALERT_USER_SUSPENDED },
        { EVENT_USER_REINSTATED, NULL, NULL, ENDS, ALERT_USER_SUSPENDED },
        { EVENT_USER_REGISTERED, "Unregistered", NULL, NOTHING, 0 },
        { EVENT_USER_REGISTERED, "Suspended", NULL, ENDS, ALERT_USER_SUSPENDED },
        { EVENT_USER_UNREGISTERED, "Registered", NULL, NOTHING, 0 },
        { EVENT_USER_UNREGISTERED, "Suspended", NULL, ENDS, ALERT_USER_SUSPENDED },
        { EVENT_USER_REGISTRATION_CHANGED, "Registered", NULL, NOTHING, 0 },
        { EVENT_USER_REGISTRATION_CHANGED, "Suspended", NULL, ENDS, ALERT_USER_SUSPENDED },
        { EVENT_USER_REMOVED, NULL, registered, NOTHING, 0 },
        { EVENT_USER_REMOVED, NULL, suspended, ENDS, ALERT_USER_SUSPENDED },
        { EVENT_USER_REMOVED, NULL, "{", NOTHING, 0 },
        { EVENT_USER_ADDED, NULL, suspended, NOTHING, 0 },
        { EVENT_USER_RETURNED, NULL, suspended, NOTHING, 0 },
        { EVENT_USER_INVITED, NULL, NULL, NOTHING, 0 },
        { EVENT_USER_INVITATION_ACCEPTED, NULL, NULL, NOTHING, 0 },
        { EVENT_USER_INVITATION_FAILED, "Suspended", NULL, NOTHING, 0 },
        { EVENT_USER_INVITATION_CHANGED, NULL, NULL, NOTHING, 0 },
        { EVENT_USER_UPDATED, "Suspended", NULL, NOTHING, 0 },
        { EVENT_SYNC_BASELINE, NULL, NULL, NOTHING, 0 },
        { EVENT_SYNC_FAILED, NULL, NULL, RAISES, ALERT_SYNC_FAILED },
        { EVENT_SYNC_RECOVERED, NULL, NULL, ENDS, ALERT_SYNC_FAILED },
        { EVENT_SYNC_REMOVALS_HELD, NULL, NULL, RAISES, ALERT_REMOVALS_HELD },
};

static void replace(char **text, const char *by) {
        if (!by)
                return;
        free(*text);
        *text = strdup(by);
        assert_non_null(*text);
}

static void test_events(void **state) {
        EventMask seen = 0;

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                CLEANUP(event_freep) Event *e = sample_event(cases[i].kind, 1);
                Alert a = { 0 };
                bool is;

                seen |= EVENT_BIT(cases[i].kind);
                replace(&e->old_value, cases[i].old_value);
                replace(&e->user, cases[i].user);
                is = alert_from_event(e, &a);
                if (is != (cases[i].effect != NOTHING))
                        fail_msg("case %zu: %s", i, event_types[cases[i].kind].name);
                if (!is)
                        continue;
                assert_int_equal(a.kind, cases[i].alert);
                assert_int_equal(a.starts_at, cases[i].effect == RAISES ? e->time : TIME_NONE);
                assert_int_equal(a.ends_at, cases[i].effect == RAISES ? TIME_NONE : e->time);
                assert_ptr_equal(a.user_id, e->user_id);
                if (cases[i].effect == RAISES)
                        assert_int_equal(alert_raised_by(a.kind), e->kind);
                else
                        assert_true(alert_ended_by(a.kind) & EVENT_BIT(e->kind));
        }
        assert_int_equal(seen, EVENT_MASK_ALL);
}

static void test_details(void **state) {
        CLEANUP(event_freep) Event *failed = sample_event(EVENT_SYNC_FAILED, 1);
        CLEANUP(event_freep) Event *held = sample_event(EVENT_SYNC_REMOVALS_HELD, 1);
        Alert a;

        (void) state;
        assert_true(alert_from_event(failed, &a));
        assert_string_equal(a.error, "page 3: chime.us-east-1.amazonaws.com answered 503 "
                                     "ServiceUnavailableException");
        assert_true(alert_from_event(held, &a));
        assert_int_equal(a.held, 80);
        assert_string_equal(a.error, "");
        replace(&failed->detail, "[]");
        replace(&held->detail, "{\"held\":null}");
        assert_true(alert_from_event(failed, &a));
        assert_string_equal(a.error, "");
        assert_true(alert_from_event(held, &a));
        assert_int_equal(a.held, 0);
}

/* conf/ cannot see this table: its list of what raises alerts is held equal here. */
static void test_configuration_agrees(void **state) {
        (void) state;
        assert_int_equal(config_n_alert_events, ALERT_KIND_COUNT);
        for (unsigned i = 0; i < ALERT_KIND_COUNT; i++)
                assert_string_equal(config_alert_events[i],
                                    event_types[alert_raised_by((AlertKind) i)].name);
}

static Alert alert_of(const Event *e) {
        Alert a = { 0 };

        assert_true(alert_from_event(e, &a));
        return a;
}

static void test_keys(void **state) {
        char key[ALERT_KEY_SIZE], other[ALERT_KEY_SIZE], id[1025];
        CLEANUP(event_freep) Event *begin = sample_event(EVENT_USER_SUSPENDED, 1);
        CLEANUP(event_freep) Event *end = sample_event(EVENT_USER_REINSTATED, 2);
        CLEANUP(event_freep) Event *failed = sample_event(EVENT_SYNC_FAILED, 3);
        Alert a = alert_of(begin), b = alert_of(end), c = alert_of(failed);

        (void) state;
        assert_string_equal(alert_key(&a, key, sizeof key),
                            "rosterd/" SAMPLE_ACCOUNT_ID "/user.suspended/" SAMPLE_USER_ID);
        b.account = "renamed";
        b.primary_email = "byron@example.com";
        assert_string_equal(alert_key(&b, other, sizeof other), key);
        assert_string_equal(alert_key(&c, key, sizeof key),
                            "rosterd/" SAMPLE_ACCOUNT_ID "/sync.failed");
        c.account_id = NULL;
        assert_string_equal(alert_key(&c, key, sizeof key), "rosterd/acme/sync.failed");

        /* long ids that differ at their end only */
        memset(id, 'x', 1024);
        id[1024] = '\0';
        a.user_id = id;
        (void) alert_key(&a, key, sizeof key);
        (void) alert_key(&a, other, sizeof other);
        assert_string_equal(key, other);
        id[1023] = 'y';
        (void) alert_key(&a, other, sizeof other);
        assert_string_not_equal(key, other);
        assert_true(strlen(key) <= 255);
}

static void test_longest_key(void **state) {
        char key[ALERT_KEY_SIZE], id[512];
        size_t head = strlen("rosterd/" SAMPLE_ACCOUNT_ID "/user.suspended/");
        Alert a = { .kind = ALERT_USER_SUSPENDED, .account_id = SAMPLE_ACCOUNT_ID, .user_id = id };

        (void) state;
        memset(id, 'x', sizeof id);
        id[255 - head] = '\0';
        assert_int_equal(strlen(alert_key(&a, key, sizeof key)), 255);
        assert_string_equal(key + head, id); /* just fits */
        id[255 - head] = 'x';
        id[256 - head] = '\0';
        assert_null(strstr(alert_key(&a, key, sizeof key), "xxxx"));
}

static const struct {
        EventKind kind;
        bool minimal;
        const char *sentence;
} sentences[] = {
        { EVENT_USER_SUSPENDED, false, "acme: ana@example.com is suspended" },
        { EVENT_USER_SUSPENDED, true, "acme: " SAMPLE_USER_ID " is suspended" },
        { EVENT_USER_REINSTATED, false, "acme: ana@example.com is no longer suspended" },
        { EVENT_SYNC_FAILED, false,
          "acme: sync fails: page 3: chime.us-east-1.amazonaws.com answered 503 "
          "ServiceUnavailableException" },
        { EVENT_SYNC_RECOVERED, false, "acme: sync works again" },
        { EVENT_SYNC_REMOVALS_HELD, false,
          "acme: 80 users are missing from the listing and not removed" },
};

static void test_sentences(void **state) {
        char out[256];
        Alert none = { .kind = ALERT_REMOVALS_HELD, .account = "acme", .ends_at = 1 };

        (void) state;
        for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
                CLEANUP(event_freep) Event *e = sample_event(sentences[i].kind, 1);
                Alert a = alert_of(e);

                assert_string_equal(alert_sentence(&a, sentences[i].minimal, out, sizeof out),
                                    sentences[i].sentence);
        }
        assert_string_equal(alert_sentence(&none, false, out, sizeof out),
                            "acme: no removals are held any more");
}

static json_object *rendered(WebhookFormat format, const Alert *a, bool minimal) {
        FormatSettings settings = { .minimal = minimal,
                                    .routing_key = "R0UT1NG",
                                    .now = INT64_C(1770091506789),
                                    .lasting_until = INT64_C(1770091806789) };
        CLEANUP_FREE char *text = NULL;

        assert_int_equal(formats[format].render_alerts(&settings, a, 1, &text), 0);
        return parse_strictly(text);
}

static void test_pagerduty(void **state) {
        static const struct {
                EventKind kind;
                const char *severity, *class;
        } raised[] = { { EVENT_USER_SUSPENDED, "warning", "user.suspended" },
                       { EVENT_SYNC_FAILED, "error", "sync.failed" },
                       { EVENT_SYNC_REMOVALS_HELD, "warning", "sync.removals_held" } };

        (void) state;
        for (size_t i = 0; i < sizeof raised / sizeof raised[0]; i++) {
                CLEANUP(event_freep) Event *e = sample_event(raised[i].kind, 1);
                Alert a = alert_of(e);
                CLEANUP_JSON json_object *o = rendered(WEBHOOK_PAGERDUTY, &a, false);
                char key[ALERT_KEY_SIZE];

                assert_string_equal(text_at(o, "routing_key"), "R0UT1NG");
                assert_string_equal(text_at(o, "event_action"), "trigger");
                assert_string_equal(text_at(o, "dedup_key"), alert_key(&a, key, sizeof key));
                assert_string_equal(text_at(o, "payload.severity"), raised[i].severity);
                assert_string_equal(text_at(o, "payload.class"), raised[i].class);
                assert_string_equal(text_at(o, "payload.source"), "acme");
                assert_string_equal(text_at(o, "payload.timestamp"), "2026-02-03T04:05:06.789Z");
        }
}

static void test_pagerduty_resolves(void **state) {
        CLEANUP(event_freep) Event *e = sample_event(EVENT_USER_REINSTATED, 1);
        Alert a = alert_of(e);
        CLEANUP_JSON json_object *o = rendered(WEBHOOK_PAGERDUTY, &a, false);

        (void) state;
        assert_string_equal(json_object_to_json_string_ext(o,
                                                           JSON_C_TO_STRING_PLAIN |
                                                                   JSON_C_TO_STRING_NOSLASHESCAPE),
                            "{\"routing_key\":\"R0UT1NG\",\"event_action\":\"resolve\","
                            "\"dedup_key\":\"rosterd/" SAMPLE_ACCOUNT_ID
                            "/user.suspended/" SAMPLE_USER_ID "\"}");
}

/* A summary of 1024 characters at most, however long the name. */
static void test_pagerduty_summary(void **state) {
        char name[4096];
        Alert a = {
                .kind = ALERT_USER_SUSPENDED, .account = "acme", .user_id = "u", .starts_at = 1
        };

        (void) state;
        memset(name, 'n', sizeof name);
        name[sizeof name - 1] = '\0';
        a.primary_email = name;
        CLEANUP_JSON json_object *o = rendered(WEBHOOK_PAGERDUTY, &a, false);
        assert_true(strlen(text_at(o, "payload.summary")) <= 1024);
        assert_non_null(strstr(text_at(o, "payload.summary"), "…"));
}

static void test_alertmanager(void **state) {
        CLEANUP(event_freep) Event *begin = sample_event(EVENT_USER_SUSPENDED, 1);
        CLEANUP(event_freep) Event *end = sample_event(EVENT_USER_REINSTATED, 2);
        Alert a = alert_of(begin), b = alert_of(end);
        CLEANUP_JSON json_object *first = NULL, *again = NULL, *last = NULL;

        (void) state;
        first = rendered(WEBHOOK_ALERTMANAGER, &a, false);
        a.primary_email = b.primary_email = "byron@example.com"; /* people marry */
        again = rendered(WEBHOOK_ALERTMANAGER, &a, false);
        last = rendered(WEBHOOK_ALERTMANAGER, &b, false);

        assert_string_equal(text_at(first, "0.labels"),
                            "{ \"alertname\": \"UserSuspended\", \"account\": \"acme\", "
                            "\"account_id\": \"" SAMPLE_ACCOUNT_ID "\", \"user_id\": "
                            "\"" SAMPLE_USER_ID "\", \"severity\": \"warning\" }");
        assert_true(json_object_equal(at(first, "0.labels"), at(again, "0.labels")));
        assert_true(json_object_equal(at(first, "0.labels"), at(last, "0.labels")));
        assert_string_equal(text_at(first, "0.annotations.primary_email"), "ana@example.com");
        assert_string_equal(text_at(again, "0.annotations.primary_email"), "byron@example.com");
        assert_string_equal(text_at(first, "0.startsAt"), "2026-02-03T04:05:06.789Z");
        assert_string_equal(text_at(first, "0.endsAt"), "2026-02-03T04:10:06.789Z");
        assert_null(at(last, "0.startsAt"));
        assert_string_equal(text_at(last, "0.endsAt"), "2026-02-03T04:05:06.789Z");
}

/* One that lasts always has a beginning: Alertmanager would take its end for it.  And none that is yet
 * to come, after the clock was set back. */
static void test_alertmanager_unknown_beginning(void **state) {
        const FormatSettings settings = { .lasting_until = INT64_C(1770091806789),
                                          .now = INT64_C(1770091506789) };
        Alert a = { .kind = ALERT_REMOVALS_HELD, .account = "acme", .held = 7 };
        CLEANUP_FREE char *text = NULL, *later = NULL;
        CLEANUP_JSON json_object *o = NULL;

        (void) state;
        assert_int_equal(formats[WEBHOOK_ALERTMANAGER].render_alerts(&settings, &a, 1, &text), 0);
        o = parse_strictly(text);
        assert_string_equal(text_at(o, "0.startsAt"), "2026-02-03T04:05:06.789Z");
        assert_string_equal(text_at(o, "0.endsAt"), "2026-02-03T04:10:06.789Z");

        a.starts_at = settings.now + 1;
        assert_int_equal(formats[WEBHOOK_ALERTMANAGER].render_alerts(&settings, &a, 1, &later), 0);
        assert_string_equal(later, text);
}

static void test_alertmanager_names(void **state) {
        static const char *const names[ALERT_KIND_COUNT] = { "UserSuspended", "RosterdSyncFailed",
                                                             "RosterdRemovalsHeld" };
        static const char *const severities[ALERT_KIND_COUNT] = { "warning", "error", "warning" };

        (void) state;
        for (unsigned i = 0; i < ALERT_KIND_COUNT; i++) {
                CLEANUP(event_freep) Event *e = sample_event(alert_raised_by((AlertKind) i), 1);
                Alert a = alert_of(e);
                CLEANUP_JSON json_object *o = rendered(WEBHOOK_ALERTMANAGER, &a, true);

                assert_string_equal(text_at(o, "0.labels.alertname"), names[i]);
                assert_string_equal(text_at(o, "0.labels.severity"), severities[i]);
                assert_null(at(o, "0.annotations.primary_email"));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_events),
                cmocka_unit_test(test_details),
                cmocka_unit_test(test_configuration_agrees),
                cmocka_unit_test(test_keys),
                cmocka_unit_test(test_longest_key),
                cmocka_unit_test(test_sentences),
                cmocka_unit_test(test_pagerduty),
                cmocka_unit_test(test_pagerduty_resolves),
                cmocka_unit_test(test_pagerduty_summary),
                cmocka_unit_test(test_alertmanager),
                cmocka_unit_test(test_alertmanager_unknown_beginning),
                cmocka_unit_test(test_alertmanager_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
