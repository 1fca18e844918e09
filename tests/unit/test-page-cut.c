/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "json-judge.h"
#include "source/page-cut.h"
#include "source/source-internal.h"

#define ARRAY "Users"

/* Cuts a copy that ends exactly where the document does, so that a sanitizer sees any step past it. */
static int cut(const char *text, size_t len, char **copy, PageCut *ret, Error *err) {
        *copy = malloc(len + !len);
        assert_non_null(*copy);
        memcpy(*copy, text, len);
        return page_cut(*copy, len, ARRAY, NULL, ret, err);
}

/* ---- good pages ---- */

static const struct {
        const char *text;
        size_t n;
        const char *elements[4];
        size_t n_members;
        const char *name, *value; /* of the first other member */
} good[] = {
        { "{\"Users\":[]}", 0, { 0 }, 0, NULL, NULL },
        { " \t\r\n{ \"Users\" : [ ] } \n", 0, { 0 }, 0, NULL, NULL },
        { "{\"Users\":[1,\"a\",null,[]]}", 4, { "1", "\"a\"", "null", "[]" }, 0, NULL, NULL },
        { "{\"Users\":[ {\"a\":[{}, { }]} , true ]}",
          2,
          { "{\"a\":[{}, { }]}", "true" },
          0,
          NULL,
          NULL },
        { "{\"NextToken\":\"t\",\"Users\":[{}]}", 1, { "{}" }, 1, "NextToken", "\"t\"" },
        { "{\"Users\":[{}] , \"NextToken\" : null }", 1, { "{}" }, 1, "NextToken", "null" },
        { "{\"\":[[[]]],\"Users\":[],\"x\":{\"Users\":1}}", 0, { 0 }, 2, "", "[[[]]]" },
        { "{\"\\u0055s\\u0065rs\":[7]}", 1, { "7" }, 0, NULL, NULL },
        { "{\"Next\\u0054oken\":1,\"Users\":[]}", 0, { 0 }, 1, "NextToken", "1" },
        { "{\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\":1,\"Users\":[]}",
          0,
          { 0 },
          1,
          "a\"\\/\b\f\n\r\t",
          "1" },
        { "{\"users\":[],\"Users\":[0]}", 1, { "0" }, 1, "users", "[]" },
        { "{\"Users2\":1,\"Users\":[-0.5e+7]}", 1, { "-0.5e+7" }, 1, "Users2", "1" },
        { "{\"Users\":[\"]},{[\\\"\"]}", 1, { "\"]},{[\\\"\"" }, 0, NULL, NULL },
        { "{\"Users\":[\"01234567\\u0000\xff 89abcdef\x7f\"]}",
          1,
          { "\"01234567\\u0000\xff 89abcdef\x7f\"" },
          0,
          NULL,
          NULL },
        { "{\"Users\":[0,-0,1.0E5,10]}", 4, { "0", "-0", "1.0E5", "10" }, 0, NULL, NULL },
};

static void test_good(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
                CLEANUP(page_cut_clear) PageCut p = { 0 };
                CLEANUP_FREE char *copy = NULL;
                Error err = { 0 };

                if (cut(good[i].text, strlen(good[i].text), &copy, &p, &err) < 0)
                        fail_msg("%s: %s", good[i].text, err.msg);
                assert_int_equal(p.n_elements, good[i].n);
                for (size_t k = 0; k < p.n_elements; k++) {
                        assert_int_equal(p.elements[k].len, strlen(good[i].elements[k]));
                        assert_memory_equal(p.elements[k].data, good[i].elements[k],
                                            p.elements[k].len);
                }
                assert_int_equal(p.n_members, good[i].n_members);
                if (good[i].name) {
                        assert_true(page_member_is(&p.members[0], good[i].name));
                        assert_false(page_member_is(&p.members[0], "another"));
                        assert_int_equal(p.members[0].value.len, strlen(good[i].value));
                        assert_memory_equal(p.members[0].value.data, good[i].value,
                                            p.members[0].value.len);
                }
        }
}

/* ---- bad pages ---- */

static const struct {
        const char *text, *clause;
} bad[] = {
        { "", "is empty" },
        { " \n\t ", "is empty" },
        { "<html>", "is no JSON object" },
        { "null", "is no JSON object" },
        { "[]", "is no JSON object" },
        { "\xef\xbb\xbf{\"Users\":[]}", "is no JSON object" },
        { "{}", "has no Users array" },
        { "{\"users\":[]}", "has no Users array" },
        { "{\"Users2\":[]}", "has no Users array" },
        { "{\"User\":[]}", "has no Users array" },
        { "{\"x\":{\"Users\":[]}}", "has no Users array" },
        { "{\"Users\":null}", "has a member Users that is no array" },
        { "{\"Users\":{}}", "has a member Users that is no array" },
        { "{\"Users\":\"[]\"}", "has a member Users that is no array" },
        { "{\"Users\":[],\"Users\":[]}", "has more than one Users array" },
        { "{\"Users\":[],\"\\u0055sers\":[]}", "has more than one Users array" },
        { "{\"Users\":[],\"Users\":null}", "has more than one Users array" },
        { "{\"Users\":null,\"Users\":[]}", "has a member Users that is no array" },
        { "{\"Users\":[]}x", "goes on behind its end" },
        { "{\"Users\":[]}{}", "goes on behind its end" },
        { "{\"Users\":[]},", "goes on behind its end" },
        { "{", "is cut off" },
        { "{\"Users", "is cut off" },
        { "{\"Users\"", "is cut off" },
        { "{\"Users\":", "is cut off" },
        { "{\"Users\":[", "is cut off" },
        { "{\"Users\":[{\"a\":1},", "is cut off" },
        { "{\"Users\":[{\"a\":1}", "is cut off" },
        { "{\"Users\":[{\"a\":tru", "is cut off" },
        { "{\"Users\":[{\"a\":-", "is cut off" },
        { "{\"Users\":[\"\\", "is cut off" },
        { "{\"Users\":[\"\\u00", "is cut off" },
        { "{\"Users\":[]", "is cut off" },
        { "{\"Users\":[],", "is cut off" },
        { "{\"Users\":[,]}", "is no JSON" },
        { "{\"Users\":[1,]}", "is no JSON" },
        { "{\"Users\":[1 2]}", "is no JSON" },
        { "{\"Users\":[],}", "is no JSON" },
        { "{,\"Users\":[]}", "is no JSON" },
        { "{\"Users\"[]}", "is no JSON" },
        { "{Users:[]}", "is no JSON" },
        { "{'Users':[]}", "is no JSON" },
        { "{\"Users\":[}", "is no JSON" },
        { "{\"Users\":[]]", "is no JSON" },
        { "{\"Users\":[{]}", "is no JSON" },
        { "{\"Users\":[{}}]}", "is no JSON" },
        { "{\"Users\":[[}]]}", "is no JSON" },
        { "{\"Users\":[{\"a\"}]}", "is no JSON" },
        { "{\"Users\":[{\"a\":}]}", "is no JSON" },
        { "{\"Users\":[{\"a\":1,}]}", "is no JSON" },
        { "{\"Users\":[{1:1}]}", "is no JSON" },
        { "{\"Users\":[\"a\nb\"]}", "is no JSON" },
        { "{\"Users\":[\"01234567\x1f\"]}", "is no JSON" },
        { "{\"Users\":[\"\\x41\"]}", "is no JSON" },
        { "{\"Users\":[\"\\u12G4\"]}", "is no JSON" },
        { "{\"Users\":[True]}", "is no JSON" },
        { "{\"Users\":[nul]}", "is no JSON" },
        { "{\"Users\":[nulll]}", "is no JSON" },
        { "{\"Users\":[NaN]}", "is no JSON" },
        { "{\"Users\":[Infinity]}", "is no JSON" },
        { "{\"Users\":[01]}", "is no JSON" },
        { "{\"Users\":[-01]}", "is no JSON" },
        { "{\"Users\":[1.]}", "is no JSON" },
        { "{\"Users\":[.5]}", "is no JSON" },
        { "{\"Users\":[+1]}", "is no JSON" },
        { "{\"Users\":[1e]}", "is no JSON" },
        { "{\"Users\":[1.5.2]}", "is no JSON" },
        { "{\"Users\":[/**/]}", "is no JSON" },
        { "{\"Users\":[],\"x\":\f1}", "is no JSON" },
        { "{\"Users\":[],\"x\":\"\xff\"}", "is not UTF-8" },
        { "{\"Users\":[],\"\xc0\x80\":1}", "is not UTF-8" },
        { "{\"Users\":[],\"a\\u0000\":1}", "has a NUL in the name of a member" },
        { "{\"Users\":[{\"UserId\\u0000\":1}]}", "has a NUL in the name of a member" },
};

static void test_bad(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                CLEANUP(page_cut_clear) PageCut p = { .n_elements = 7 };
                CLEANUP_FREE char *copy = NULL;
                Error err = { 0 };
                int r = cut(bad[i].text, strlen(bad[i].text), &copy, &p, &err);

                if (r != -EBADMSG || strncmp(err.msg, bad[i].clause, strlen(bad[i].clause)) != 0)
                        fail_msg("%s: %d, %s", bad[i].text, r, err.msg);
                assert_null(p.elements);
                assert_int_equal(p.n_elements, 0);
                assert_int_equal(p.n_members, 0);
        }
}

static void test_nul_byte(void **state) {
        static const char text[] = "{\"Users\":[]}\0", inside[] = "{\"Users\":[\"\0\"]}",
                          escaped[] = "{\"Users\":[\"\\\0\"]}";
        const struct {
                const char *text;
                size_t len;
        } cases[] = { { text, sizeof text - 1 },
                      { inside, sizeof inside - 1 },
                      { escaped, sizeof escaped - 1 } };

        (void) state;
        for (size_t i = 0; i < 3; i++) {
                CLEANUP(page_cut_clear) PageCut p = { 0 };
                CLEANUP_FREE char *copy = NULL;
                Error err = { 0 };

                assert_int_equal(cut(cases[i].text, cases[i].len, &copy, &p, &err), -EBADMSG);
        }
}

/* ---- bounds ---- */

/* before, then n times each of open, then n times each of close, then after */
static char *nested(const char *before, const char *open, const char *close, size_t n,
                    const char *after) {
        size_t len = strlen(before) + n * (strlen(open) + strlen(close)) + strlen(after) + 1;
        char *text = malloc(len), *p = text;

        assert_non_null(text);
        p += snprintf(p, len, "%s", before);
        for (size_t i = 0; i < n; i++)
                p += snprintf(p, strlen(open) + 1, "%s", open);
        for (size_t i = 0; i < n; i++)
                p += snprintf(p, strlen(close) + 1, "%s", close);
        (void) snprintf(p, strlen(after) + 1, "%s", after);
        return text;
}

static void check_nested(const char *before, const char *open, const char *close, size_t n,
                         const char *after, const char *clause) {
        CLEANUP(page_cut_clear) PageCut p = { 0 };
        CLEANUP_FREE char *text = nested(before, open, close, n, after);
        Error err = { .msg = "" };
        int r = page_cut(text, strlen(text), ARRAY, NULL, &p, &err);

        if (!clause)
                assert_ok(r, err);
        else {
                assert_int_equal(r, -EBADMSG);
                assert_memory_equal(err.msg, clause, strlen(clause));
        }
}

static void test_depth(void **state) {
        static const char deep[] = "is nested too deeply";

        (void) state;
        check_nested("{\"Users\":[", "[", "]", PAGE_DEPTH_MAX - 2, "]}", NULL);
        check_nested("{\"Users\":[", "[", "]", PAGE_DEPTH_MAX - 1, "]}", deep);
        check_nested("{\"Users\":[", "{\"a\":[", "]}", (PAGE_DEPTH_MAX - 2) / 2, "]}", NULL);
        check_nested("{\"Users\":[", "{\"a\":[", "]}", PAGE_DEPTH_MAX / 2, "]}", deep);
        check_nested("{\"Users\":[],\"x\":", "[", "]", PAGE_DEPTH_MAX - 1, "}", NULL);
        check_nested("{\"Users\":[],\"x\":", "[", "]", PAGE_DEPTH_MAX, "}", deep);
        check_nested("{\"Users\":[", "[", "]", 1000000, "]}", deep);
        check_nested("{\"Users\":[", "{\"a\":", "}", 1000000, "]}", deep);
}

static void test_too_many(void **state) {
        (void) state;
        check_nested("{\"Users\":[0", ",0", "", PAGE_ELEMENTS_MAX - 1, "]}", NULL);
        check_nested("{\"Users\":[0", ",0", "", PAGE_ELEMENTS_MAX, "]}", "has too many records");
        check_nested("{\"Users\":[]", ",\"a\":0", "", PAGE_MEMBERS_MAX, "}", NULL);
        check_nested("{\"Users\":[]", ",\"a\":0", "", PAGE_MEMBERS_MAX + 1, "}",
                     "has too many members");
}

/* Every prefix of a good page is a bad one. */
static void test_every_cut(void **state) {
        static const char text[] =
                "{\"Users\":[{\"UserId\":\"a\\u00e9\\n\",\"x\":[-1.5e+3,true,false,"
                "null,{}]},[ ]] , \"NextToken\":\"abc\"}";

        (void) state;
        for (size_t len = 0; len < sizeof text - 1; len++) {
                CLEANUP(page_cut_clear) PageCut p = { 0 };
                CLEANUP_FREE char *copy = NULL;
                Error err = { 0 };

                assert_int_equal(cut(text, len, &copy, &p, &err), -EBADMSG);
                assert_true(strncmp(err.msg, len ? "is cut off" : "is empty", 8) == 0);
        }
}

/* ---- mutations ---- */

static json_object *parse(const char *text, size_t len) {
        json_tokener *tok = json_tokener_new_ex(PAGE_DEPTH_MAX + 8);
        json_object *o;

        json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        o = json_tokener_parse_ex(tok, text, (int) len);
        if (json_tokener_get_error(tok) == json_tokener_continue)
                o = json_tokener_parse_ex(tok, "", -1); /* a number that ends the bytes */
        if (json_tokener_get_error(tok) != json_tokener_success) {
                (void) json_object_put(o);
                o = json_object_new_string("\xff"); /* equal to no value */
        }
        json_tokener_free(tok);
        return o;
}

static uint64_t rng = UINT64_C(0x9e3779b97f4a7c15);

static size_t below(size_t limit) {
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        return (size_t) (rng % limit);
}

static const char seed_page[] =
        "{\"Users\": "
        "[{\"UserId\":\"u-1\",\"AccountId\":\"acc\",\"PrimaryEmail\":\"ana@example.com\","
        "\"DisplayName\":\"Ana \\u00c1lvarez \\ud83d\\ude00 "
        "\xc3\xa9\",\"RegisteredOn\":\"2026-01-02T"
        "03:04:05Z\",\"InvitedOn\":1767323045.5,\"AlexaForBusinessMetadata\":{"
        "\"IsAlexaForBusinessEnab"
        "led\":true,\"Zoo\":[1,-2,0.5]},\"Extra\":{\"b\":[],\"a\":{}}},\n  "
        "{\"UserId\":\"u-2\",\"User"
        "RegistrationStatus\":\"Suspended\",\"PersonalPIN\":null} ,{ \"UserId\" : \"u-3\" , \"x\" "
        ": "
        "[ [ ] , false ] } "
        "],\"NextToken\":\"a\\\"b\\\\/=+~\",\"Count\":3,\"More\":{\"k\":[1e3,null]}}";

static size_t mutate(char *text, size_t len, size_t size) {
        static const char bytes[] = "{}[]\",:\\u0123456789aeE+-. \n\tntfx\x01\x7f\x80\xc3\xff";
        size_t at = below(len), n;

        switch (below(6)) {
        case 0:
                text[at] = bytes[below(sizeof bytes - 1)];
                return len;
        case 1:
                text[at] = (char) below(256);
                return len;
        case 2: /* leave out */
                n = 1 + below(len - at < 12 ? len - at : 12);
                memmove(text + at, text + at + n, len - at - n);
                return len - n;
        case 3: /* put in */
                if (len == size)
                        return len;
                memmove(text + at + 1, text + at, len - at);
                text[at] = bytes[below(sizeof bytes - 1)];
                return len + 1;
        case 4: /* copy a piece to elsewhere */
                n = 1 + below(len - at < 40 ? len - at : 40);
                memmove(text + below(len - n + 1), text + at, n);
                return len;
        default: /* exchange two bytes */
                n = below(len);
                if (n != at) {
                        char keep = text[at];

                        text[at] = text[n];
                        text[n] = keep;
                }
                return len;
        }
}

static void compare_elements(const PageCut *p, json_object *whole) {
        json_object *array = NULL;

        assert_true(json_object_object_get_ex(whole, ARRAY, &array));
        assert_int_equal(json_object_array_length(array), p->n_elements);
        for (size_t i = 0; i < p->n_elements; i++) {
                json_object *o = parse(p->elements[i].data, p->elements[i].len);

                assert_true(json_object_equal(o, json_object_array_get_idx(array, i)));
                (void) json_object_put(o);
        }
}

static bool every_record_reads(const PageCut *p) {
        static char id[] = "acc";
        AccountConfig account = { .account_id = id };
        bool all = true;

        for (size_t i = 0; i < p->n_elements; i++) {
                User u = { 0 };
                Error err = { 0 };
                int r = source_chime.record(&account, &p->elements[i], &u, &err);

                assert_true(r >= 0);
                if (r == RECORD_USER || r == RECORD_UNREADABLE) {
                        assert_non_null(user_get(&u, USER_FIELD_USER_ID));
                        assert_true(u.value[USER_FIELD_USER_ID][0] != '\0');
                }
                for (unsigned f = 0; r == RECORD_USER && f < USER_FIELD_COUNT; f++)
                        if (u.value[f])
                                assert_true(text_is_utf8(u.value[f], strlen(u.value[f])));
                all &= r != RECORD_UNIDENTIFIED;
                user_clear(&u);
        }
        return all;
}

static void check_mutant(const char *text, size_t len, unsigned *n_cut, unsigned *n_refused) {
        CLEANUP(page_cut_clear) PageCut p = { 0 };
        CLEANUP_FREE char *copy = NULL;
        Error err = { 0 };
        int r = cut(text, len, &copy, &p, &err);
        bool json = is_json(text, len), sound = r == 0;
        json_object *whole = parse(text, len), *array = NULL;

        if (sound) {
                /* accepts nothing but JSON, and finds what json-c finds */
                assert_true(json);
                if (json_object_is_type(whole, json_type_object))
                        compare_elements(&p, whole);
                else /* json-c refuses: so must whoever reads the records */
                        assert_false(every_record_reads(&p));
                (void) every_record_reads(&p);
                (*n_cut)++;
        } else {
                assert_int_equal(r, -EBADMSG);
                assert_true(err.msg[0] != '\0');
                /* refuses no JSON of the right shape */
                if (json && text_is_utf8(text, len) &&
                    json_object_is_type(whole, json_type_object) &&
                    json_object_object_get_ex(whole, ARRAY, &array) &&
                    json_object_is_type(array, json_type_array) &&
                    !strstr(err.msg, "more than one") && !strstr(err.msg, "is no array"))
                        fail_msg("%.*s: %s", (int) len, text, err.msg);
                (*n_refused)++;
        }
        (void) json_object_put(whole);
}

static void test_mutations(void **state) {
        char text[2 * sizeof seed_page];
        unsigned n_cut = 0, n_refused = 0;

        (void) state;
        check_mutant(seed_page, sizeof seed_page - 1, &n_cut, &n_refused);
        assert_int_equal(n_cut, 1);
        for (unsigned round = 0; round < 60000; round++) {
                size_t len = sizeof seed_page - 1;

                memcpy(text, seed_page, len);
                for (size_t n = 1 + below(3); n > 0 && len > 1; n--)
                        len = mutate(text, len, sizeof text - 1);
                text[len] = '\0';
                check_mutant(text, len, &n_cut, &n_refused);
        }
        /* both sides were tried in earnest */
        assert_true(n_cut > 5000);
        assert_true(n_refused > 5000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),      cmocka_unit_test(test_bad),
                cmocka_unit_test(test_nul_byte),  cmocka_unit_test(test_depth),
                cmocka_unit_test(test_too_many),  cmocka_unit_test(test_every_cut),
                cmocka_unit_test(test_mutations),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
