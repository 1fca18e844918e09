/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/signature.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/rand.h"

#include "test.h"

/* The example of the Standard Webhooks documents. */
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define TIMESTAMP 1614265330
#define BODY "{\"test\": 2432232314}"
#define SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

static char *make(char **secrets, size_t n, const char *id, int64_t timestamp, const char *body) {
        TextList list = { secrets, n };
        Error err = { 0 };
        char *text = NULL;

        assert_ok(signature_make(&list, id, timestamp, body, strlen(body), &text, &err), err);
        return text;
}

static void test_known_answer(void **state) {
        char secret[] = SECRET, *secrets[] = { secret };
        CLEANUP_FREE char *text = make(secrets, 1, ID, TIMESTAMP, BODY);

        (void) state;
        assert_string_equal(text, SIGNATURE);
}

/* Each of the three parts counts. */
static void test_what_is_signed(void **state) {
        char secret[] = SECRET, *secrets[] = { secret };
        CLEANUP_FREE char *id = make(secrets, 1, ID "x", TIMESTAMP, BODY);
        CLEANUP_FREE char *time = make(secrets, 1, ID, TIMESTAMP + 1, BODY);
        CLEANUP_FREE char *body = make(secrets, 1, ID, TIMESTAMP, BODY " ");

        (void) state;
        assert_string_not_equal(id, SIGNATURE);
        assert_string_not_equal(time, SIGNATURE);
        assert_string_not_equal(body, SIGNATURE);
}

static void test_two_secrets(void **state) {
        char first[] = SECRET, second[] = "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh";
        char *both[] = { first, second }, *other[] = { second };
        CLEANUP_FREE char *text = make(both, 2, ID, TIMESTAMP, BODY);
        CLEANUP_FREE char *alone = make(other, 1, ID, TIMESTAMP, BODY);
        size_t len = strlen(SIGNATURE);

        (void) state;
        assert_memory_equal(text, SIGNATURE " ", len + 1);
        assert_string_equal(text + len + 1, alone);
        assert_string_not_equal(alone, SIGNATURE);
}

/* Every length that a secret may have, with its one, two or no signs of padding, against libcrypto's
 * other interface. */
static void test_every_length(void **state) {
        unsigned char key[64], mac[32], text[45];
        char secret[128] = "whsec_", want[64], *secrets[] = { secret };

        (void) state;
        for (size_t i = 0; i < sizeof key; i++)
                key[i] = i % 3 ? (unsigned char) random_below(256) : 0;
        for (int len = 24; len <= 64; len++) {
                CLEANUP_FREE char *got = NULL;

                (void) EVP_EncodeBlock((unsigned char *) secret + 6, key, len);
                assert_non_null(HMAC(EVP_sha256(), key, len, (const unsigned char *) "evt_1.0.{}",
                                     10, mac, NULL));
                (void) EVP_EncodeBlock(text, mac, sizeof mac);
                (void) snprintf(want, sizeof want, "v1,%s", (const char *) text);
                got = make(secrets, 1, "evt_1", 0, "{}");
                assert_string_equal(got, want);
        }
}

#define A24 "AAAAAAAAAAAAAAAAAAAAAAAA"
#define LONG "whsec_" A24 A24 A24 A24

/* The configuration lets none of these through; were it to, none would be signed with, or shown. */
static void test_bad_secrets(void **state) {
        static const char *const bad[] = {
                "",
                "whsec_",
                "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-w",
                "whsec_====",
                LONG, /* 72 bytes */
        };

        (void) state;
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                char secret[128], *secrets[] = { secret }, *text = NULL;
                TextList list = { secrets, 1 };
                Error err = { 0 };

                (void) snprintf(secret, sizeof secret, "%s", bad[i]);
                assert_int_equal(signature_make(&list, ID, 1, BODY, 1, &text, &err), -EINVAL);
                assert_null(text);
                assert_null(strstr(err.msg, "AAAA"));
                assert_null(strstr(err.msg, "MfKQ"));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_known_answer), cmocka_unit_test(test_what_is_signed),
                cmocka_unit_test(test_two_secrets),  cmocka_unit_test(test_every_length),
                cmocka_unit_test(test_bad_secrets),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
