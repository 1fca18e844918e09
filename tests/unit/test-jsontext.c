/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonread.h"
#include "base/jsontext.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "base/cleanup.h"

#include "test.h"

static void test_every_value(void **state) {
        CLEANUP(jsontext_clear) JsonText j = { 0 };
        CLEANUP_FREE char *text = NULL;

        (void) state;
        jsontext_open(&j, NULL, '{');
        jsontext_string(&j, "a", "x");
        jsontext_open(&j, "b", '[');
        jsontext_number(&j, NULL, INT64_MIN);
        jsontext_open(&j, NULL, '[');
        jsontext_close(&j, ']');
        jsontext_open(&j, NULL, '{');
        jsontext_close(&j, '}');
        jsontext_string(&j, NULL, NULL);
        jsontext_close(&j, ']');
        jsontext_time(&j, "c", INT64_C(1770091506789));
        jsontext_time(&j, "d", 0);
        jsontext_raw(&j, "e", "true");
        jsontext_close(&j, '}');
        assert_int_equal(jsontext_finish(&j, &text), 0);
        assert_string_equal(text, "{\"a\":\"x\",\"b\":[-9223372036854775808,[],{},null],"
                                  "\"c\":\"2026-02-03T04:05:06.789Z\",\"d\":null,\"e\":true}");
        assert_null(j.text);
        assert_int_equal(j.len, 0);
}

#define BYTES(text) (text), sizeof(text) - 1

static const struct {
        const char *value;
        size_t len;
        const char *json;
} strings[] = {
        { BYTES(""), "\"\"" },
        { BYTES("\"\\/"), "\"\\\"\\\\/\"" },
        { BYTES("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"" },
        { BYTES("a\0b\x01\x1f\x7f"), "\"a\\u0000b\\u0001\\u001f\x7f\"" },
        { BYTES("ÄÖ\xe2\x80\xa8😀"), "\"ÄÖ\xe2\x80\xa8😀\"" },
        /* not UTF-8: stray, overlong, surrogate, beyond Unicode, cut */
        { BYTES("x\x80y"), "\"x\xef\xbf\xbdy\"" },
        { BYTES("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { BYTES("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { BYTES("\xf4\x90\x80\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { BYTES("x\xe2\x80"), "\"x\xef\xbf\xbd\xef\xbf\xbd\"" },
};

static void test_strings(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
                CLEANUP(jsontext_clear) JsonText j = { 0 };
                CLEANUP_FREE char *text = NULL;

                jsontext_bytes(&j, NULL, strings[i].value, strings[i].len);
                assert_int_equal(jsontext_finish(&j, &text), 0);
                assert_string_equal(text, strings[i].json);
        }
}

static void test_growth(void **state) {
        CLEANUP(jsontext_clear) JsonText j = { 0 };
        CLEANUP_FREE char *text = NULL;

        (void) state;
        jsontext_open(&j, NULL, '[');
        for (int i = 0; i < 100000; i++)
                jsontext_number(&j, NULL, i % 10);
        jsontext_close(&j, ']');
        assert_int_equal(j.len, 200001);
        assert_int_equal(jsontext_finish(&j, &text), 0);
        assert_int_equal(strlen(text), 200001);
        assert_string_equal(text + 200001 - 6, "7,8,9]");
}

/* What failed once has failed, however much is written after it. */
static void test_failure_sticks(void **state) {
        CLEANUP(jsontext_clear) JsonText j = { 0 };
        char *text = NULL;

        (void) state;
        jsontext_open(&j, NULL, '[');
        j.failed = true;
        jsontext_string(&j, NULL, "x");
        jsontext_close(&j, ']');
        assert_int_equal(jsontext_finish(&j, &text), -ENOMEM);
        assert_null(text);
        assert_int_equal(jsontext_finish(&j, &text), -ENOMEM); /* nothing was written */
        assert_null(text);
}

/* ---- reading ---- */

/* json-c is given a text in pieces that end behind numbers. */
static void test_reading_in_pieces(void **state) {
        static const struct {
                const char *text;
                int result;
        } cases[] = {
                { "{\"a\":1,\"b\":[-2,3.5e-7,\"4,\\\"5\\\\\",true,false,null],\"6\":{\"c\":7}}",
                  0 },
                { "[1,2,3]", 0 },
                { "[12345678901234567890,-1,0.1,1E+2]", 0 },
                { "{\"ä1\":\"2é3\",\"n\":4}", 0 },
                { "\"1\"", 0 },
                { "{}", 0 },
                { "[1] 2", 0 },
                { "{\"a\":1}{\"b\":2}", 0 },
                { "{\"a\":1", -EBADMSG },
                { "[1,2", -EBADMSG },
                { "[1,,2]", -EBADMSG },
                { "{\"a\":1 2}", -EBADMSG },
                { "[\"1", -EBADMSG },
                { "[\"\\", -EBADMSG },
                { "[-]", -EBADMSG },
                { "", -EBADMSG },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                json_tokener *tok = json_tokener_new_ex(8);
                size_t end = 0;
                json_object *o = NULL, *whole;

                assert_non_null(tok);
                assert_int_equal(jsonread(tok, cases[i].text, strlen(cases[i].text), &o, &end),
                                 cases[i].result);
                json_tokener_reset(tok);
                whole = json_tokener_parse_ex(tok, cases[i].text, (int) strlen(cases[i].text));
                assert_true(json_object_equal(o, whole));
                if (o)
                        assert_int_equal(end, json_tokener_get_parse_end(tok));
                (void) json_object_put(o);
                (void) json_object_put(whole);
                json_tokener_free(tok);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_value),       cmocka_unit_test(test_strings),
                cmocka_unit_test(test_reading_in_pieces), cmocka_unit_test(test_growth),
                cmocka_unit_test(test_failure_sticks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
