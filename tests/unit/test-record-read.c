/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways of reading a record: what the short one takes, the way of the tree reads the same.  And
 * that it takes what is ordinary, without which it would be of no use. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/record-read.h"
#include "source/source-internal.h"

static char account_id[] = "0F2c-1";
static const AccountConfig account = { .account_id = account_id };

#define ID "\"UserId\":\"u\""

/* ---- two readers ---- */

static bool is_empty(const User *u) {
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if (u->value[i])
                        return false;
        return !u->block && !u->in_block;
}

static void compare_users(const SourceRecord *record, const User *a, const User *b) {
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++) {
                const char *x = a->value[i], *y = b->value[i];

                if (!x != !y || (x && strcmp(x, y) != 0))
                        fail_msg("%s: \"%s\", by the tree \"%s\", of %.*s", user_fields[i].column,
                                 x ? x : "NULL", y ? y : "NULL", (int) record->len, record->data);
        }
}

/* Reads a copy that ends exactly where the record does, so that a sanitizer sees any step past it.
 * Returns whether the short way took it. */
static bool check(const char *text, size_t len) {
        CLEANUP_FREE char *copy = malloc(len + !len);
        SourceRecord record = { .data = copy, .len = len };
        User u = { 0 }, by_tree = { 0 };
        Error err = { .msg = "" }, why = { .msg = "" };
        int r, want;

        assert_non_null(copy);
        memcpy(copy, text, len);
        if (!record_read(&record, &u)) {
                assert_true(is_empty(&u));
                return false;
        }
        user_clear(&u);
        want = chime_record_by_tree(&account, &record, &by_tree, &why);
        r = chime_record(&account, &record, &u, &err);
        if (r != want || strcmp(err.msg, why.msg) != 0)
                fail_msg("%d, %s; by the tree %d, %s; of %.*s", r, err.msg, want, why.msg,
                         (int) len, copy);
        compare_users(&record, &u, &by_tree);
        user_clear(&u);
        user_clear(&by_tree);
        return true;
}

/* ---- records by hand ---- */

#define EVERY_FIELD                                                                                \
        "{\"UserId\":\"3c1d7f60-52e8\",\"AccountId\":\"0f2C-1\",\"PrimaryEmail\":\"a@b.example\"," \
        "\"PrimaryProvisionedNumber\":\"+1\",\"DisplayName\":\"Ana \xc3\x81 \\\"B\\u00e9\\\"\","   \
        "\"LicenseType\":\"Pro\",\"UserType\":\"PrivateUser\","                                    \
        "\"UserRegistrationStatus\":\"Suspended\",\"UserInvitationStatus\":\"Accepted\","          \
        "\"RegisteredOn\":\"2026-01-02T03:04:05+02:00\",\"InvitedOn\":\"2026-01-02T03:04:05."      \
        "250Z\","                                                                                  \
        "\"AlexaForBusinessMetadata\":{\"IsAlexaForBusinessEnabled\":true,"                        \
        "\"AlexaForBusinessRoomArn\":\"arn\"},\"PersonalPIN\":\"1234\"}"

static const char *const ordinary[] = {
        EVERY_FIELD,
        "{" ID "}",
        "{\"UserId\":\"0123456789abcdef0123456789abcdef\",\"AccountId\":\"0f2C-1\"}",
        " { \"UserId\" \t:\r\n \"u\" , \"UserType\":\n\"x\"\r}",
        "{\"PersonalPIN\":\"\",\"UserType\":null,\"AccountId\":null,\"InvitedOn\":null," ID "}",
        "{" ID ",\"AlexaForBusinessMetadata\":null}",
        "{" ID ",\"AlexaForBusinessMetadata\":{}}",
        "{\"AlexaForBusinessMetadata\" : { \"AlexaForBusinessRoomArn\" : null , "
        "\"IsAlexaForBusinessEnabled\":false } , " ID "}",
        "{" ID ",\"DisplayName\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}",
        "{" ID ",\"DisplayName\":\"\\u0001\\u007f\\u0080\\u07FF\\u0800\\uffff\"}",
        "{" ID ",\"DisplayName\":\"\\ud83d\\ude80\\uD800\\uDC00\\udbff\\udfff\"}",
        "{" ID ",\"DisplayName\":\"\x7f\xc2\x80\xe7\x8e\x8b\xf0\xa0\xae\xb7\"}",
        "{\"UserId\":\"\\u0075\"}",
        "{" ID ",\"InvitedOn\":\"2026-01-02 03:04\",\"RegisteredOn\":\"2016-12-31T23:59:60Z\"}",
        /* the last two may be judged later: the reader knows nothing of identities */
        "{}",
        "{\"UserId\":\"\",\"AccountId\":\"other\"}",
};

static const char *const odd[] = {
        "",
        "{",
        "[]",
        "null",
        "\"UserId\"",
        "{" ID "} ",
        "{" ID "}}",
        "{" ID ",}",
        "{," ID "}",
        "{" ID " " ID "}",
        "{\"UserId\"\"u\"}",
        "{\"UserId\":}",
        "{\"UserId\"}",
        "{UserId:\"u\"}",
        "{\"UserId\":'u'}",
        /* names */
        "{" ID "," ID "}",
        "{\"UserId\":null," ID "}",
        "{" ID ",\"UserId\":null}",
        "{" ID ",\"New\":1}",
        "{" ID ",\"\":1}",
        "{" ID ",\"\":null}",
        "{" ID ",\"userId\":\"u\"}",
        "{" ID ",\"UserType2\":\"u\"}",
        "{" ID ",\"UserTyp\":\"u\"}",
        "{" ID ",\"User\\u0054ype\":\"u\"}",
        "{" ID ",\"extra\":\"{}\"}",
        "{" ID ",\"IsAlexaForBusinessEnabled\":true}",
        "{" ID ",\"AlexaForBusinessMetadata\":{\"UserType\":\"u\"}}",
        "{" ID ",\"AlexaForBusinessMetadata\":{\"New\":null}}",
        "{" ID ",\"AlexaForBusinessMetadata\":{\"AlexaForBusinessMetadata\":{}}}",
        "{" ID ",\"AlexaForBusinessMetadata\":{},\"AlexaForBusinessMetadata\":null}",
        "{" ID ",\"AlexaForBusinessMetadata\":{\"IsAlexaForBusinessEnabled\":true},"
        "\"AlexaForBusinessMetadata\":{\"AlexaForBusinessRoomArn\":\"a\"}}",
        "{" ID ",\"AlexaForBusinessMetadata\":{\"IsAlexaForBusinessEnabled\":true,"
        "\"IsAlexaForBusinessEnabled\":true}}",
        /* values */
        "{" ID ",\"AlexaForBusinessMetadata\":[]}",
        "{" ID ",\"AlexaForBusinessMetadata\":\"\"}",
        "{" ID ",\"AlexaForBusinessMetadata\":{\"IsAlexaForBusinessEnabled\":1}}",
        "{" ID ",\"AlexaForBusinessMetadata\":{\"IsAlexaForBusinessEnabled\":\"true\"}}",
        "{" ID ",\"AlexaForBusinessMetadata\":{\"IsAlexaForBusinessEnabled\":tru}}",
        "{" ID ",\"AlexaForBusinessMetadata\":{\"IsAlexaForBusinessEnabled\":trueq}}",
        "{" ID ",\"AlexaForBusinessMetadata\":{\"IsAlexaForBusinessEnabled\":True}}",
        "{" ID ",\"UserType\":nul}",
        "{" ID ",\"UserType\":nulll}",
        "{" ID ",\"UserType\":NULL}",
        "{" ID ",\"UserType\":7}",
        "{" ID ",\"UserType\":true}",
        "{" ID ",\"UserType\":[\"a\"]}",
        "{" ID ",\"UserType\":{}}",
        "{" ID ",\"InvitedOn\":1767323045}",
        "{" ID ",\"InvitedOn\":\"\"}",
        "{" ID ",\"InvitedOn\":\"soon\"}",
        "{" ID ",\"InvitedOn\":\"2026-13-02T03:04:05.250Z\"}",
        "{" ID ",\"InvitedOn\":\"\\u0032026-01-02T03:04:05.250Z\"}",
        /* strings */
        "{" ID ",\"UserType\":\"a\\u0000b\"}",
        "{" ID ",\"UserType\":\"\\ud83d\"}",
        "{" ID ",\"UserType\":\"\\ud83dx\\ude80\"}",
        "{" ID ",\"UserType\":\"\\ud83d\\u0041\"}",
        "{" ID ",\"UserType\":\"\\ud83d\\ud83d\"}",
        "{" ID ",\"UserType\":\"\\ude80\"}",
        "{" ID ",\"UserType\":\"\\u00g0\"}",
        "{" ID ",\"UserType\":\"\\u00\"}",
        "{" ID ",\"UserType\":\"\\x41\"}",
        "{" ID ",\"UserType\":\"\\\"}",
        "{" ID ",\"UserType\":\"a\nb\"}",
        "{" ID ",\"UserType\":\"\\\"a\nb\"}",
        "{" ID ",\"UserType\":\"\xff\"}",
        "{" ID ",\"UserType\":\"\xc0\x80\"}",
        "{" ID ",\"UserType\":\"\xed\xa0\x80\"}",
        "{" ID ",\"UserType\":\"\xc3\"}",
};

static void test_ordinary(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof ordinary / sizeof ordinary[0]; i++)
                if (!check(ordinary[i], strlen(ordinary[i])))
                        fail_msg("left to the tree: %s", ordinary[i]);
}

static void test_odd(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
                if (check(odd[i], strlen(odd[i])))
                        fail_msg("taken for ordinary: %s", odd[i]);
        assert_false(
                check("{" ID ",\"UserType\":\"\0\"}", sizeof "{" ID ",\"UserType\":\"\0\"}" - 1));
}

/* Every byte, at each place in the words that a string is read by. */
static void test_bytes(void **state) {
        static const char whole[] = "{" ID ",\"UserType\":\"0123456789abcdefghi\"}";
        const char *value = strchr(whole, '0');
        char text[sizeof whole];

        (void) state;
        for (int c = 0; c < 256; c++)
                for (size_t at = 0; at < 19; at++) {
                        memcpy(text, whole, sizeof whole);
                        text[value - whole + (ptrdiff_t) at] = (char) c;
                        assert_int_equal(check(text, sizeof whole - 1),
                                         c >= 0x20 && c < 0x80 && c != '"' &&
                                                 (c != '\\' ||
                                                  (at < 18 && strchr("bf", value[at + 1]))));
                }
}

/* A value of n times a piece, and an id of that. */
static bool check_long(const char *name, const char *piece, size_t n) {
        size_t size = n * strlen(piece) + 64;
        CLEANUP_FREE char *text = malloc(size);
        char *p = text;

        assert_non_null(text);
        p += snprintf(p, 64, "{\"%s\":\"", name);
        for (size_t i = 0; i < n; i++, p += strlen(piece))
                memcpy(p, piece, strlen(piece));
        memcpy(p, "\"}", 2);
        return check(text, (size_t) (p - text) + 2);
}

static void test_long(void **state) {
        static const char *const pieces[] = { "a", "\xc3\x81", "\\n", "\\u00e1", "\\ud83d\\ude80" };

        (void) state;
        for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
                for (size_t n = 1; n < 125; n++)
                        assert_true(check_long("DisplayName", pieces[i], n));
        assert_true(check_long("UserId", "a", 1024));
        assert_true(check_long("UserId", "a", 1025));
        assert_true(check_long("DisplayName", "a", 65000));
        assert_false(check_long("DisplayName", "a", 66000));
        assert_true(check_long("DisplayName", "\\n", 30000));
        assert_false(check_long("DisplayName", "\\n", 33000));
}

/* ---- damaged records ---- */

static void test_truncated(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof ordinary / sizeof ordinary[0]; i++)
                for (size_t len = 0; len < strlen(ordinary[i]); len++)
                        if (check(ordinary[i], len))
                                fail_msg("taken for whole: %.*s", (int) len, ordinary[i]);
}

/* Each byte replaced, put before, and taken out. */
static void test_mutated(void **state) {
        static const char bytes[] = "\"\\{}[]:, \n\x01\x7f\x80\xc3unt0eAZ9-";
        static const char whole[] = EVERY_FIELD;
        size_t len = sizeof whole - 1, taken = 0;
        char text[sizeof whole + 1];

        (void) state;
        for (size_t at = 0; at < len; at++) {
                memcpy(text, whole, at);
                memcpy(text + at, whole + at + 1, len - at - 1);
                taken += check(text, len - 1);
                for (size_t i = 0; i < sizeof bytes; i++) { /* the NUL too */
                        memcpy(text, whole, len);
                        text[at] = bytes[i];
                        taken += check(text, len);
                        memcpy(text + at + 1, whole + at, len - at);
                        taken += check(text, len + 1);
                }
        }
        assert_true(taken > len); /* a letter of a text is as good as another */
}

/* ---- generated records ---- */

typedef struct Draft {
        uint64_t dice;
        bool odd; /* may be anything that JSON can say */
        char text[8192];
        size_t len;
} Draft;

static unsigned roll(Draft *d, unsigned sides) {
        d->dice = d->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (unsigned) (d->dice >> 33) % sides;
}

static void put(Draft *d, const char *text) {
        size_t len = strlen(text);

        assert_true(d->len + len < sizeof d->text);
        memcpy(d->text + d->len, text, len);
        d->len += len;
}

static void put_space(Draft *d) {
        static const char *const spaces[] = { " ", "\n", "\r", "\t", " \t\r\n  ", "        " };

        if (roll(d, 8) == 0)
                put(d, spaces[roll(d, sizeof spaces / sizeof spaces[0])]);
}

static void put_string(Draft *d) {
        static const char *const good[] = {
                "a",
                "Suspended",
                "0123456789abcdef",
                "\xc3\xa9",
                "\xe7\x8e\x8b",
                "\\\"",
                "\\\\",
                "\\/",
                "\\b\\f\\n\\r\\t",
                "\\u00E9",
                "\\u0041",
                "\\uFFFF",
                "\\uD83D\\uDE80",
                " ",
                "{}[]:,",
                "\xf0\xa0\xae\xb7",
                "+1 206",
                "null",
        };
        static const char *const bad[] = { "\\u0000", "\\ud83d", "\\ude80", "\xff", "\x01", "\\x" };

        put(d, "\"");
        for (unsigned n = roll(d, 6); n > 0; n--)
                put(d, good[roll(d, sizeof good / sizeof good[0])]);
        if (d->odd && roll(d, 40) == 0)
                put(d, bad[roll(d, sizeof bad / sizeof bad[0])]);
        put(d, "\"");
}

static void put_time(Draft *d) {
        static const char *const endings[] = { "Z",      ".5Z",   ".123Z", ".123456Z",
                                               "+02:00", "-0730", "" };
        char text[64];

        (void) snprintf(text, sizeof text, "\"%04u-%02u-%02uT%02u:%02u:%02u%s\"", 1 + roll(d, 9998),
                        1 + roll(d, 12), 1 + roll(d, d->odd ? 31 : 28), roll(d, 24), roll(d, 60),
                        roll(d, d->odd ? 62 : 60),
                        endings[roll(d, sizeof endings / sizeof endings[0])]);
        put(d, text);
}

static void put_anything(Draft *d) {
        static const char *const values[] = {
                "true",  "false",   "7",       "-1.5e3", "1767323045.25",
                "[]",    "{}",      "[1,[2]]", "\"\"",   "{\"a\":{\"b\":null}}",
                "1e999", "\"soon\""
        };

        put(d, values[roll(d, sizeof values / sizeof values[0])]);
}

static void put_value(Draft *d, FieldType type) {
        if (d->odd && roll(d, 60) == 0)
                put_anything(d);
        else if (roll(d, 8) == 0)
                put(d, "null");
        else if (type == FIELD_TIME)
                put_time(d);
        else if (type == FIELD_BOOL)
                put(d, roll(d, 2) ? "true" : "false");
        else
                put_string(d);
}

static void put_name(Draft *d, const char *name, bool *first) {
        if (!*first)
                put(d, ",");
        *first = false;
        put_space(d);
        put(d, "\"");
        put(d, name);
        put(d, "\"");
        put_space(d);
        put(d, ":");
        put_space(d);
}

/* The members of parent, from a place in the table on, some of them left out, some there twice. */
static void put_members(Draft *d, const char *parent) {
        unsigned start = roll(d, 3) == 0 ? roll(d, USER_FIELD_COUNT) : 0;
        bool first = true, inner = false;

        put(d, "{");
        put_space(d);
        for (unsigned n = 0; n < USER_FIELD_COUNT; n++) {
                const UserField *f = &user_fields[(start + n) % USER_FIELD_COUNT];

                if (d->odd && roll(d, 200) == 0) {
                        put_name(d, roll(d, 2) ? "New" : "UserId", &first);
                        put_anything(d);
                }
                if (!*f->json || roll(d, 6) == 0)
                        continue;
                if (!*parent && *f->parent) {
                        if (inner && !(d->odd && roll(d, 20) == 0))
                                continue;
                        put_name(d, f->parent, &first);
                        put_members(d, f->parent);
                        inner = true;
                } else if (strcmp(f->parent, parent) == 0) {
                        put_name(d, f->json, &first);
                        if (strcmp(f->json, "AccountId") == 0 && roll(d, 50) > 0)
                                put(d, "\"0f2C-1\"");
                        else
                                put_value(d, f->type);
                }
                put_space(d);
        }
        put(d, "}");
}

static void test_generated(void **state) {
        static Draft d = { .dice = 20261127 };
        unsigned taken = 0, n = 3000;

        (void) state;
        for (unsigned i = 0; i < n; i++) {
                d.odd = false;
                d.len = 0;
                put_members(&d, "");
                if (!check(d.text, d.len))
                        fail_msg("left to the tree: %.*s", (int) d.len, d.text);
                d.odd = true;
                d.len = 0;
                put_members(&d, "");
                taken += check(d.text, d.len);
        }
        assert_in_range(taken, n / 4, n - n / 4); /* both ways were walked */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ordinary),  cmocka_unit_test(test_odd),
                cmocka_unit_test(test_bytes),     cmocka_unit_test(test_long),
                cmocka_unit_test(test_truncated), cmocka_unit_test(test_mutated),
                cmocka_unit_test(test_generated),
        };

        return cmocka_run_group_tests_name("record-read", tests, NULL, NULL);
}
