/* SPDX-License-Identifier: Apache-2.0 */
/* Digests, and the two formats that tell them. */
#include "sink/digest.h"

#include "render.h"

/* Of this user and run, if it is about a user. */
static int try(Digest *d, EventKind kind, const char *account, const char *user, int64_t run) {
        CLEANUP(event_freep) Event *e = sample_event(kind, 1);

        free(e->account);
        e->account = strdup(account);
        if (e->user_id) {
                free(e->user_id);
                e->user_id = strdup(user);
        }
        e->run = run;
        return digest_add(d, e, false);
}

/* Of somebody else each time. */
static void add(Digest *d, EventKind kind, const char *account, const char *name, bool minimal) {
        CLEANUP(event_freep) Event *e = sample_event(kind, 1);

        free(e->account);
        e->account = strdup(account);
        if (e->user_id) {
                free(e->user_id);
                e->user_id = NULL;
                assert_true(asprintf(&e->user_id, "u%zu", d->events) > 0);
                free(e->primary_email);
                e->primary_email = name ? strdup(name) : NULL;
        }
        assert_int_equal(digest_add(d, e, minimal), DIGEST_ADDED);
}

/* Accounts as they came; in each, warnings before notices, and what is equal in the table's order. */
static void test_order(void **state) {
        static const struct {
                const char *account;
                EventKind kind;
                size_t count;
        } want[] = {
                { "beta", EVENT_SYNC_FAILED, 1 },      { "beta", EVENT_USER_SUSPENDED, 2 },
                { "beta", EVENT_USER_REMOVED, 1 },     { "beta", EVENT_USER_ADDED, 3 },
                { "acme", EVENT_USER_SUSPENDED, 1 },   { "acme", EVENT_USER_ADDED, 1 },
                { "gamma", EVENT_USER_REINSTATED, 1 },
        };
        CLEANUP(digest_clear) Digest d = { 0 };

        (void) state;
        add(&d, EVENT_USER_ADDED, "beta", "a@b", false);
        add(&d, EVENT_USER_ADDED, "beta", "b@b", false);
        add(&d, EVENT_USER_REMOVED, "beta", "c@b", false);
        add(&d, EVENT_USER_ADDED, "acme", "a@a", false);
        add(&d, EVENT_USER_SUSPENDED, "beta", "d@b", false);
        add(&d, EVENT_USER_REINSTATED, "gamma", "a@g", false);
        add(&d, EVENT_USER_SUSPENDED, "acme", "b@a", false);
        add(&d, EVENT_USER_SUSPENDED, "beta", "e@b", false);
        add(&d, EVENT_SYNC_FAILED, "beta", NULL, false);
        add(&d, EVENT_USER_ADDED, "beta", "f@b", false);
        assert_int_equal(d.n_lines, sizeof want / sizeof want[0]);
        assert_int_equal(d.events, 10);
        for (size_t i = 0; i < d.n_lines; i++) {
                assert_string_equal(d.lines[i].account, want[i].account);
                assert_int_equal(d.lines[i].kind, want[i].kind);
                assert_int_equal(d.lines[i].count, want[i].count);
        }
        assert_string_equal(d.lines[1].names[0], "d@b");
        assert_string_equal(d.lines[1].names[1], "e@b");
        assert_int_equal(d.lines[0].n_names, 0);
}

/* A digest tells one change of a user, and one thing of each kind of an account: what came next is for
 * the next digest. */
static void test_nobody_twice(void **state) {
        static const struct {
                EventKind kind;
                const char *account, *user;
                int64_t run;
                DigestAdd want;
        } steps[] = {
                { EVENT_USER_ADDED, "acme", "ana", 1, DIGEST_ADDED },
                { EVENT_USER_SUSPENDED, "acme", "ana", 1, DIGEST_ADDED },
                { EVENT_USER_INVITED, "acme", "ana", 1, DIGEST_ADDED },
                { EVENT_USER_REINSTATED, "acme", "ana", 1, DIGEST_FULL }, /* twice on a listing */
                { EVENT_USER_UPDATED, "acme", "ana", 2, DIGEST_FULL },
                { EVENT_USER_UPDATED, "acme", "bo", 1, DIGEST_ADDED },
                { EVENT_USER_UPDATED, "acme", "ana", 1, DIGEST_FULL },
                { EVENT_USER_UPDATED, "acme", "bo", 1, DIGEST_FULL },
                { EVENT_USER_REMOVED, "acme", "bo", 2, DIGEST_FULL },
                { EVENT_USER_REMOVED, "beta", "bo", 2, DIGEST_ADDED },
                { EVENT_USER_RETURNED, "beta", "bo", 3, DIGEST_FULL },
                { EVENT_SYNC_RECOVERED, "acme", NULL, 3, DIGEST_ADDED },
                { EVENT_SYNC_BASELINE, "acme", NULL, 3, DIGEST_ADDED },
                { EVENT_SYNC_REMOVALS_HELD, "acme", NULL, 3, DIGEST_ADDED },
                { EVENT_SYNC_FAILED, "acme", NULL, 4, DIGEST_FULL },
                { EVENT_SYNC_FAILED, "beta", NULL, 4, DIGEST_ADDED },
        };
        CLEANUP(digest_clear) Digest d = { 0 };
        size_t events = 0;

        (void) state;
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
                int r = try(&d, steps[i].kind, steps[i].account, steps[i].user, steps[i].run);

                if (r != (int) steps[i].want)
                        fail_msg("step %zu: %d", i, r);
                events += steps[i].want == DIGEST_ADDED;
                assert_int_equal(d.events, events);
        }
        digest_clear(&d);
        assert_int_equal(try(&d, EVENT_USER_REINSTATED, "acme", "ana", 1), DIGEST_ADDED);
}

static void test_texts(void **state) {
        CLEANUP(digest_clear) Digest d = { 0 }, minimal = { 0 };
        char text[2048], name[32];

        (void) state;
        add(&d, EVENT_USER_SUSPENDED, "acme", "ana@example.com", false);
        assert_string_equal(digest_line_text(&d.lines[0], text, sizeof text),
                            "ana@example.com was suspended (was Registered)");
        add(&d, EVENT_USER_SUSPENDED, "acme", NULL, false);
        assert_string_equal(digest_line_text(&d.lines[0], text, sizeof text),
                            "2 were suspended: ana@example.com, u1");
        for (int i = 3; i <= 20; i++) {
                (void) snprintf(name, sizeof name, "n%d", i);
                add(&d, EVENT_USER_SUSPENDED, "acme", name, false);
        }
        assert_non_null(strstr(digest_line_text(&d.lines[0], text, sizeof text), "n19, n20"));
        assert_null(strstr(text, "more"));
        add(&d, EVENT_USER_SUSPENDED, "acme", "n21", false);
        assert_string_equal(digest_line_text(&d.lines[0], text, 128),
                            "21 were suspended: ana@example.com, u1, n3, n4, n5, n6, n7, n8, "
                            "n9, n10, n11, n12, n13, n14 and 7 more");
        (void) digest_line_text(&d.lines[0], text, sizeof text);
        assert_string_equal(strstr(text, "n20"), "n20 and 1 more");

        add(&d, EVENT_SYNC_FAILED, "acme", NULL, false);
        assert_string_equal(digest_line_text(&d.lines[0], text, sizeof text),
                            "sync failed: page 3: chime.us-east-1.amazonaws.com answered 503 "
                            "ServiceUnavailableException");

        add(&minimal, EVENT_USER_SUSPENDED, "acme", "ana@example.com", true);
        add(&minimal, EVENT_USER_SUSPENDED, "acme", "bo@example.com", true);
        assert_string_equal(digest_line_text(&minimal.lines[0], text, sizeof text),
                            "2 were suspended: u0, u1");
}

/* Every kind has words for one and for many. */
static void test_every_kind(void **state) {
        char one[512], many[512];

        (void) state;
        for (unsigned kind = 0; kind < EVENT_KIND_COUNT; kind++) {
                CLEANUP(digest_clear) Digest d = { 0 };
                CLEANUP(event_freep) Event *e = sample_event((EventKind) kind, 1);

                assert_int_equal(digest_add(&d, e, false), DIGEST_ADDED);
                (void) digest_line_text(&d.lines[0], one, sizeof one);
                assert_null(strstr(one, "acme"));
                assert_null(strstr(one, event_types[kind].name));
                if (!e->user_id)
                        continue;
                *e->user_id = 'x';
                assert_int_equal(digest_add(&d, e, false), DIGEST_ADDED);
                (void) digest_line_text(&d.lines[0], many, sizeof many);
                assert_memory_equal(many, "2 ", 2);
                assert_non_null(strstr(many, ": " SAMPLE_EMAIL ", " SAMPLE_EMAIL));
        }
}

static json_object *rendered(WebhookFormat format, const Digest *d, size_t *ret_len) {
        CLEANUP_FREE char *text = NULL;
        FormatSettings settings = { 0 };

        assert_int_equal(formats[format].render_digest(&settings, d, &text), 0);
        if (ret_len)
                *ret_len = strlen(text);
        return parse_strictly(text);
}

static void test_one_event(void **state) {
        static const char sentence[] = "acme: <b&c> was suspended (was Registered)";
        CLEANUP(digest_clear) Digest d = { 0 };
        CLEANUP_JSON json_object *slack = NULL, *teams = NULL;

        (void) state;
        add(&d, EVENT_USER_SUSPENDED, "acme", "<b&c>", false);
        slack = rendered(WEBHOOK_SLACK, &d, NULL);
        teams = rendered(WEBHOOK_TEAMS, &d, NULL);
        assert_int_equal(json_object_array_length(at(slack, "blocks")), 1);
        assert_string_equal(text_at(slack, "blocks.0.text.text"),
                            "acme: &lt;b&amp;c&gt; was suspended (was Registered)");
        assert_string_equal(text_at(slack, "text"), text_at(slack, "blocks.0.text.text"));
        assert_string_equal(text_at(slack, "blocks.0.text.type"), "plain_text");
        assert_int_equal(json_object_array_length(at(teams, "attachments.0.content.body")), 1);
        assert_string_equal(text_at(teams, "attachments.0.content.body.0.inlines.0.text"),
                            sentence);
}

static void test_several(void **state) {
        CLEANUP(digest_clear) Digest d = { 0 };
        CLEANUP_JSON json_object *slack = NULL, *teams = NULL;
        json_object *body;

        (void) state;
        add(&d, EVENT_USER_ADDED, "acme", "eve@example.com", false);
        add(&d, EVENT_USER_SUSPENDED, "acme", "ana@example.com", false);
        add(&d, EVENT_USER_SUSPENDED, "acme", "bo@example.com", false);
        add(&d, EVENT_SYNC_RECOVERED, "beta", NULL, false);
        slack = rendered(WEBHOOK_SLACK, &d, NULL);
        assert_int_equal(json_object_array_length(at(slack, "blocks")), 4);
        assert_string_equal(text_at(slack, "blocks.0.type"), "header");
        assert_string_equal(text_at(slack, "blocks.0.text.text"), "acme");
        assert_string_equal(text_at(slack, "blocks.1.type"), "section");
        assert_string_equal(text_at(slack, "blocks.1.text.text"),
                            "2 were suspended: ana@example.com, bo@example.com\n"
                            "eve@example.com was added");
        assert_string_equal(text_at(slack, "blocks.2.text.text"), "beta");
        assert_string_equal(text_at(slack, "text"),
                            "acme: 2 were suspended: ana@example.com, bo@example.com\n"
                            "acme: eve@example.com was added\n"
                            "beta: sync works again after 4 failed runs");

        teams = rendered(WEBHOOK_TEAMS, &d, NULL);
        body = at(teams, "attachments.0.content.body");
        assert_int_equal(json_object_array_length(body), 5);
        assert_string_equal(text_at(body, "0.inlines.0.text"), "acme");
        assert_string_equal(text_at(body, "0.inlines.0.weight"), "Bolder");
        assert_string_equal(text_at(body, "1.inlines.0.text"),
                            "2 were suspended: ana@example.com, bo@example.com");
        assert_string_equal(text_at(body, "3.inlines.0.text"), "beta");
        for (size_t i = 0; i < 5; i++)
                assert_string_equal(text_at(json_object_array_get_idx(body, i), "type"),
                                    "RichTextBlock");
}

/* ---- worst cases ---- */

/* How many events a text's lines tell of: each begins with its number, or is one. */
static size_t told(const char *text) {
        size_t n = 0;

        for (const char *line = text; line && *line;
             line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                const char *more = "… and ", *held = "80 of 239 users are missing";
                bool rest = strncmp(line, more, strlen(more)) == 0;
                char *end = NULL;
                unsigned long count = strtoul(line + (rest ? strlen(more) : 0), &end, 10);

                n += count > 0 && strncmp(line, held, strlen(held)) != 0 ? count : 1;
        }
        return n;
}

/* What one Unicode character takes as a name, n of them. */
static const char *const stuff[] = { "n", "&", "\"", "\\", "<", "😀", "é", "\x01", "\xff" };

static void fill(Digest *d, const char *letter, size_t letters, unsigned accounts, unsigned each) {
        char name[2048] = "", account[65];
        Event *events[EVENT_KIND_COUNT];

        for (size_t i = 0; i < letters; i++)
                memcpy(name + i * strlen(letter), letter, strlen(letter) + 1);
        for (unsigned kind = 0; kind < EVENT_KIND_COUNT; kind++) {
                events[kind] = sample_event((EventKind) kind, 1);
                free(events[kind]->primary_email);
                events[kind]->primary_email = strdup(name);
        }
        for (unsigned a = 0; a < accounts; a++) {
                (void) snprintf(account, sizeof account, "%064u", a);
                for (unsigned i = 0; i < each * EVENT_KIND_COUNT; i++) {
                        Event *e = events[i % EVENT_KIND_COUNT];

                        /* one thing of each kind of an account; that runs work again is of a kind
                         * with their failure */
                        if (!e->user_id &&
                            (i >= EVENT_KIND_COUNT || e->kind == EVENT_SYNC_RECOVERED))
                                continue;
                        free(e->account);
                        e->account = strdup(account);
                        if (e->user_id)
                                (void) snprintf(e->user_id, strlen(SAMPLE_USER_ID), "u%u", i);
                        assert_int_equal(digest_add(d, e, false), DIGEST_ADDED);
                }
        }
        for (unsigned kind = 0; kind < EVENT_KIND_COUNT; kind++)
                event_free(events[kind]);
}

static void check_slack(const Digest *d) {
        size_t len = 0, n = 0, count;
        CLEANUP_JSON json_object *o = rendered(WEBHOOK_SLACK, d, &len);
        json_object *blocks = at(o, "blocks");

        count = json_object_array_length(blocks);
        assert_in_range(count, 1, 50);
        assert_true(strlen(json_object_to_json_string_ext(
                            blocks, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)) <=
                    10000);
        for (size_t i = 0; i < count; i++) {
                json_object *block = json_object_array_get_idx(blocks, i);
                const char *text = text_at(block, "text.text");

                if (strcmp(text_at(block, "type"), "header") == 0) {
                        assert_in_range(strlen(text), 1, 150);
                        continue;
                }
                assert_in_range(strlen(text), 1, 3000);
                n += told(text);
        }
        assert_int_equal(n, d->events); /* none is passed over in silence */
        assert_in_range(strlen(text_at(o, "text")), 1, 3100);
}

static void check_teams(const Digest *d) {
        size_t len = 0, n = 0;
        CLEANUP_JSON json_object *o = rendered(WEBHOOK_TEAMS, d, &len);
        json_object *body = at(o, "attachments.0.content.body");

        assert_true(len < 14336);
        for (size_t i = 0; i < json_object_array_length(body); i++) {
                json_object *block = json_object_array_get_idx(body, i);

                if (!at(block, "inlines.0.weight"))
                        n += told(text_at(block, "inlines.0.text"));
        }
        assert_int_equal(n, d->events);
}

static void test_worst_cases(void **state) {
        static const struct {
                size_t letters;
                unsigned accounts, each;
        } shapes[] = {
                { 1, 1, 1 },  { 1, 60, 1 },   { 1, 3, 40 },
                { 64, 3, 5 }, { 300, 40, 2 }, { 300, 2, 25 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
                for (size_t k = 0; k < sizeof stuff / sizeof stuff[0]; k++) {
                        CLEANUP(digest_clear) Digest d = { 0 };

                        fill(&d, stuff[k], shapes[i].letters, shapes[i].accounts, shapes[i].each);
                        check_slack(&d);
                        check_teams(&d);
                }
}

/* Little to say of many accounts: it is the number of blocks that Slack limits. */
static void test_many_accounts(void **state) {
        CLEANUP(digest_clear) Digest d = { 0 };
        char account[8];

        (void) state;
        for (int i = 0; i < 100; i++) {
                (void) snprintf(account, sizeof account, "a%d", i);
                add(&d, EVENT_USER_ADDED, account, "n", false);
        }
        check_slack(&d);
        check_teams(&d);
}

/* What no message has room for is counted at its end. */
static void test_rest_is_counted(void **state) {
        CLEANUP(digest_clear) Digest d = { 0 };
        CLEANUP_JSON json_object *slack = NULL, *teams = NULL;
        json_object *list;

        (void) state;
        fill(&d, "n", 20, 200, 2);
        slack = rendered(WEBHOOK_SLACK, &d, NULL);
        list = at(slack, "blocks");
        assert_non_null(
                strstr(text_at(json_object_array_get_idx(list, json_object_array_length(list) - 1),
                               "text.text"),
                       "… and "));
        assert_non_null(strstr(text_at(slack, "text"), "\n… and "));
        teams = rendered(WEBHOOK_TEAMS, &d, NULL);
        list = at(teams, "attachments.0.content.body");
        assert_memory_equal(text_at(json_object_array_get_idx(list,
                                                              json_object_array_length(list) - 1),
                                    "inlines.0.text"),
                            "… and ", strlen("… and "));
}

/* Many events grow a digest no further. */
static void test_memory_is_bounded(void **state) {
        CLEANUP(digest_clear) Digest d = { 0 };
        CLEANUP(event_freep) Event *e = sample_event(EVENT_USER_ADDED, 1);
        unsigned i = 0;
        int r;

        (void) state;
        do
                (void) snprintf(e->user_id, strlen(SAMPLE_USER_ID), "u%u", i++);
        while ((r = digest_add(&d, e, false)) == DIGEST_ADDED);
        assert_int_equal(r, DIGEST_FULL);
        assert_int_equal(d.n_lines, 1);
        assert_int_equal(d.events, DIGEST_SUBJECTS);
        assert_int_equal(d.lines[0].count, DIGEST_SUBJECTS);
        assert_int_equal(d.lines[0].n_names, DIGEST_NAMES);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order),           cmocka_unit_test(test_nobody_twice),
                cmocka_unit_test(test_texts),           cmocka_unit_test(test_every_kind),
                cmocka_unit_test(test_one_event),       cmocka_unit_test(test_several),
                cmocka_unit_test(test_worst_cases),     cmocka_unit_test(test_many_accounts),
                cmocka_unit_test(test_rest_is_counted), cmocka_unit_test(test_memory_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
