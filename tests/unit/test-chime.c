/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/timefmt.h"
#include "base/timespan.h"
#include "source/source.h"

/* 2026-03-01T12:00:00Z, and as a header writes it */
#define NOW INT64_C(1772366400000)
#define NOW_DATE "Sun, 01 Mar 2026 12:00:00 GMT"

/* The answer's headers, in place of net/http.c, which this test does not link. */
static const char *headers[8][2];

const char *http_header(const HttpResult *res, const char *name) {
        (void) res;
        for (size_t i = 0; i < 8 && headers[i][0]; i++)
                if (strcasecmp(headers[i][0], name) == 0)
                        return headers[i][1];
        return NULL;
}

static const Source *chime(void) {
        const Source *s = source_find("chime");

        assert_non_null(s);
        return s;
}

/* Texts of a configuration are not const; nothing writes to these. */
#define TEXT(literal) ((char[]){ literal })

static AccountConfig account(void) {
        static char endpoint[] = "https://chime.example.com", id[] = "0F2c-1";

        return (AccountConfig){ .endpoint = endpoint, .account_id = id, .max_results = 200 };
}

static void test_table(void **state) {
        (void) state;
        assert_string_equal(chime()->name, "chime");
        assert_null(source_find("Chime"));
        assert_null(source_find(""));
}

/* ---- requests ---- */

static void check_url(AccountConfig a, const char *continuation, const char *rest) {
        SourceRequest r = { 0 };
        Error err = { 0 };
        char want[512];

        assert_ok(chime()->request(&a, continuation, &r, &err), err);
        (void) snprintf(want, sizeof want, "https://chime.example.com/accounts/0F2c-1/users?%s",
                        rest);
        assert_string_equal(r.url, want);
        assert_string_equal(r.service, "chime");
        source_request_clear(&r);
        assert_null(r.url);
}

static void test_request(void **state) {
        AccountConfig a = account();

        (void) state;
        check_url(a, NULL, "max-results=200");
        check_url(a, "", "max-results=200");
        a.max_results = 5;
        a.user_email = TEXT("");
        a.user_type = TEXT("");
        check_url(a, "t", "max-results=5&next-token=t");
        a.user_email = TEXT("ana+b@example.com");
        a.user_type = TEXT("PrivateUser");
        check_url(a, "a+b/c=d~e f:g%h&i",
                  "max-results=5&next-token=a%2Bb%2Fc%3Dd~e%20f%3Ag%25h%26i"
                  "&user-email=ana%2Bb%40example.com&user-type=PrivateUser");
        check_url(a, NULL, "max-results=5&user-email=ana%2Bb%40example.com&user-type=PrivateUser");
        a.user_email = a.user_type = NULL;
        check_url(a, "\xc3\xa9\x01*'()!-._",
                  "max-results=5&next-token=%C3%A9%01%2A%27%28%29%21-._");
}

static void test_request_of_an_id_that_fits_no_url(void **state) {
        AccountConfig a = account();
        SourceRequest r = { 0 };
        Error err = { 0 };

        (void) state;
        a.account_id = TEXT("a/b");
        assert_int_equal(chime()->request(&a, NULL, &r, &err), -EINVAL);
        assert_null(r.url);
}

/* ---- answers: pages ---- */

static SourceAnswer answer_of(long status, const char *body, bool had_continuation) {
        HttpResult res = { .status = status, .body = body, .body_len = strlen(body) };
        SourceAnswer a = { 0 };
        Error err = { 0 };

        chime()->answer(&res, had_continuation, NOW, &a);
        if (a.verdict == SOURCE_PAGE)
                assert_ok(chime()->page(body, strlen(body), NULL, &a, &err), err);
        return a;
}

static void test_page(void **state) {
        static const struct {
                const char *body, *next;
                size_t n;
        } cases[] = {
                { "{\"Users\":[]}", NULL, 0 },
                { "{\"Users\":[{},{}],\"NextToken\":null}", NULL, 2 },
                { "{\"Users\":[{}],\"NextToken\":\"\"}", NULL, 1 },
                { "{\"NextToken\":\"a\\/b\\u0041\",\"Users\":[]}", "a/bA", 0 },
                { "{\"Users\":[1,null],\"NextToken\":\"t\",\"Other\":{\"NextToken\":5}}", "t", 2 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                SourceAnswer a = answer_of(200, cases[i].body, i % 2);

                if (a.verdict != SOURCE_PAGE)
                        fail_msg("%s: %s", cases[i].body, a.error);
                assert_int_equal(a.page.n_records, cases[i].n);
                if (cases[i].next)
                        assert_string_equal(a.page.next, cases[i].next);
                else
                        assert_null(a.page.next);
                assert_int_equal(a.retry_after, 0);
                source_answer_clear(&a);
                assert_null(a.page.records);
        }
}

static void check_failed_page(const char *body, const char *clause) {
        SourceAnswer a = answer_of(200, body, true);

        if (a.verdict != SOURCE_RETRY || strncmp(a.error, clause, strlen(clause)) != 0)
                fail_msg("%.80s: %d, %s", body, (int) a.verdict, a.error);
        assert_null(a.page.records);
        assert_null(a.page.next);
        assert_int_equal(a.page.n_records, 0);
        source_answer_clear(&a);
}

static void test_failed_page(void **state) {
        (void) state;
        check_failed_page("", "the answer is empty");
        check_failed_page("{}", "the answer has no Users array");
        check_failed_page("{\"NextToken\":\"a\"}", "the answer has no Users array");
        check_failed_page("{\"Users\":null}", "the answer has a member Users that is no array");
        check_failed_page("{\"Users\":{}}", "the answer has a member Users that is no array");
        check_failed_page("{\"Users\":[],\"Users\":[]}",
                          "the answer has more than one Users array");
        check_failed_page("{\"Users\":[{\"UserId\":\"secret", "the answer is cut off (at byte 27)");
        check_failed_page("{\"Users\":[]}x", "the answer goes on behind its end");
        check_failed_page("[]", "the answer is no JSON object");
        check_failed_page("<html>\n<p>Please  log in\x1b[0m",
                          "the answer is no JSON object: <html> <p>Please log in?[0m");
        check_failed_page("{\"Users\":[],\"NextToken\":5}",
                          "the answer has a NextToken that is no string");
        check_failed_page("{\"Users\":[],\"NextToken\":[\"a\"]}",
                          "the answer has a NextToken that is no string");
        check_failed_page("{\"Users\":[],\"NextToken\":false}",
                          "the answer has a NextToken that is no string");
        check_failed_page("{\"Users\":[],\"NextToken\":\"a\\u0000b\"}",
                          "the answer has a NextToken that is no plain string");
        check_failed_page("{\"Users\":[],\"NextToken\":\"a\",\"NextToken\":\"a\"}",
                          "the answer has more than one NextToken");
        check_failed_page("{\"Users\":[],\"NextToken\":\"a\",\"Next\\u0054oken\":null}",
                          "the answer has more than one NextToken");
        check_failed_page("{\"Users\":[],\"NextToken\":\"\xff\"}", "the answer is not UTF-8");
}

static void check_token(size_t len, const char *piece, const char *clause) {
        size_t size = len * strlen(piece) + 64;
        CLEANUP_FREE char *body = malloc(size);
        char *p = body;
        SourceAnswer a;

        assert_non_null(body);
        p += snprintf(p, size, "{\"Users\":[],\"NextToken\":\"");
        for (size_t i = 0; i < len; i++, p += strlen(piece))
                memcpy(p, piece, strlen(piece));
        (void) snprintf(p, 4, "\"}");
        if (clause) {
                check_failed_page(body, clause);
                return;
        }
        a = answer_of(200, body, false);
        assert_int_equal(a.verdict, SOURCE_PAGE);
        assert_int_equal(strlen(a.page.next), len);
        source_answer_clear(&a);
}

static void test_long_token(void **state) {
        static const char clause[] = "the answer has a NextToken that is too long";

        (void) state;
        check_token(65536, "a", NULL);
        check_token(65536, "\\u0041", NULL);
        check_token(65537, "a", clause);
        check_token(65537, "\\u0041", clause);
        check_token(1000000, "a", clause);
}

static void test_personal_data_is_not_quoted(void **state) {
        static const char *const bodies[] = {
                "{\"Users\":[{\"PrimaryEmail\":\"ana@example.com\"",
                " [{\"PrimaryEmail\":\"ana@example.com\"}]",
                "\"ana@example.com",
        };

        (void) state;
        for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
                SourceAnswer a = answer_of(200, bodies[i], false);

                assert_int_equal(a.verdict, SOURCE_RETRY);
                assert_null(strstr(a.error, "ana"));
                source_answer_clear(&a);
        }
}

/* ---- answers: errors ---- */

#define POLICY "the policy needs chime:ListUsers"
#define PARAMETERS "check account_id, user_email and user_type"
#define KEYS "check secret_access_key and region"
#define AHEAD "this machine's clock is 17min ahead of the service's: set it right"
#define LATE "Sun, 01 Mar 2026 11:43:00 GMT"

static const struct {
        long status;
        const char *type, *body; /* x-amzn-ErrorType and body */
        bool had_continuation;
        SourceVerdict verdict;
        const char *error;
        const char *date;
} errors[] = {
        /* where the name comes from */
        { 403, "ForbiddenException", "{\"Code\":\"Forbidden\",\"Message\":\"No\"}", 0,
          SOURCE_REFUSED, "the service answered 403 ForbiddenException: No; " POLICY, NULL },
        { 403, "ForbiddenException:http://internal/#x", "", 0, SOURCE_REFUSED,
          "the service answered 403 ForbiddenException; " POLICY, NULL },
        { 403, "com.amazonaws.chime#ForbiddenException:http://x#y", "{}", 0, SOURCE_REFUSED,
          "the service answered 403 ForbiddenException; " POLICY, NULL },
        { 403, NULL, "{\"__type\":\"a.b#ForbiddenException\",\"code\":\"x\",\"message\":\"No\"}", 0,
          SOURCE_REFUSED, "the service answered 403 ForbiddenException: No; " POLICY, NULL },
        { 403, NULL, "{\"code\":\"ForbiddenException\",\"Code\":\"Forbidden\"}", 0, SOURCE_REFUSED,
          "the service answered 403 ForbiddenException; " POLICY, NULL },
        { 403, "", "{\"__type\":null,\"code\":7,\"Code\":\"Forbidden\",\"Message\":null}", 0,
          SOURCE_REFUSED, "the service answered 403 Forbidden; " POLICY, NULL },
        { 403, NULL, "", 0, SOURCE_REFUSED, "the service answered 403; " POLICY, NULL },
        { 403, NULL, "<html><b>Go\naway</b></html>", 0, SOURCE_REFUSED,
          "the service answered 403: <html><b>Go away</b></html>; " POLICY, NULL },
        { 403, NULL, "\x01\xff junk", 0, SOURCE_REFUSED,
          "the service answered 403: ?? junk; " POLICY, NULL },
        { 403, NULL, "[\"x\"]", 0, SOURCE_REFUSED, "the service answered 403: [\"x\"]; " POLICY,
          NULL },

        /* what may pass */
        { 429, "ThrottledClientException", "{\"Message\":\"Slow down\"}", 1, SOURCE_THROTTLED,
          "the service answered 429 ThrottledClientException: Slow down", NULL },
        { 500, "ServiceFailureException", "", 0, SOURCE_RETRY,
          "the service answered 500 ServiceFailureException", NULL },
        { 502, NULL, "<html>Bad gateway</html>", 0, SOURCE_RETRY,
          "the service answered 502: <html>Bad gateway</html>", NULL },
        { 503, NULL, "{\"message\":\"Later\"}", 1, SOURCE_RETRY, "the service answered 503: Later",
          NULL },
        { 504, NULL, "", 1, SOURCE_RETRY, "the service answered 504", NULL },
        { 599, "ExpiredTokenException", "", 1, SOURCE_RETRY,
          "the service answered 599 ExpiredTokenException", NULL },
        { 408, NULL, "", 1, SOURCE_RETRY, "the service answered 408", NULL },
        { 201, NULL, "{\"Users\":[]}", 0, SOURCE_RETRY,
          "the service answered 201; that is no page of users", NULL },
        { 204, NULL, "", 0, SOURCE_RETRY, "the service answered 204; that is no page of users",
          NULL },

        /* what may not */
        { 400, "BadRequestException", "{\"Message\":\"Bad\"}", 0, SOURCE_REFUSED,
          "the service answered 400 BadRequestException: Bad; " PARAMETERS, NULL },
        { 400, NULL, "", 0, SOURCE_REFUSED, "the service answered 400; " PARAMETERS, NULL },
        { 401, "UnauthorizedClientException", "", 1, SOURCE_REFUSED,
          "the service answered 401 UnauthorizedClientException; check access_key_id and its "
          "policy",
          NULL },
        { 401, NULL, "", 0, SOURCE_REFUSED,
          "the service answered 401; check access_key_id and secret_access_key", NULL },
        { 403, "AccessDeniedException", "", 0, SOURCE_REFUSED,
          "the service answered 403 AccessDeniedException; " POLICY, NULL },
        { 403, "UnrecognizedClientException", "{\"message\":\"Who?\"}", 0, SOURCE_CREDENTIALS,
          "the service answered 403 UnrecognizedClientException: Who?; check access_key_id and "
          "session_token",
          NULL },
        { 403, "SignatureDoesNotMatch", "", 0, SOURCE_CREDENTIALS,
          "the service answered 403 SignatureDoesNotMatch; " KEYS, NULL },
        { 403, "SignatureDoesNotMatch",
          "{\"message\":\"The request signature we calculated does not match the signature you "
          "provided. Check your AWS Secret Access Key and signing method.\"}",
          0, SOURCE_CREDENTIALS, "the service answered 403 SignatureDoesNotMatch; " KEYS, NULL },
        { 403, "MissingAuthenticationTokenException", "", 0, SOURCE_REFUSED,
          "the service answered 403 MissingAuthenticationTokenException; check endpoint", NULL },
        { 404, "NotFoundException", "{\"Message\":\"No such account\"}", 1, SOURCE_REFUSED,
          "the service answered 404 NotFoundException: No such account; check account_id", NULL },
        { 404, NULL, "nothing here", 0, SOURCE_REFUSED,
          "the service answered 404: nothing here; check endpoint and account_id", NULL },
        { 407, NULL, "", 0, SOURCE_REFUSED, "the service answered 407; check proxy", NULL },
        { 418, NULL, "", 0, SOURCE_REFUSED, "the service answered 418; check endpoint", NULL },

        /* a continuation that has expired, and what only looks like it */
        { 400, "BadRequestException", "", 1, SOURCE_CURSOR_EXPIRED,
          "the service answered 400 BadRequestException", NULL },
        { 400, "InvalidNextTokenException", "", 1, SOURCE_CURSOR_EXPIRED,
          "the service answered 400 InvalidNextTokenException", NULL },
        { 400, NULL, "", 1, SOURCE_CURSOR_EXPIRED, "the service answered 400", NULL },
        { 400, "InvalidSignatureException", "", 1, SOURCE_CREDENTIALS,
          "the service answered 400 InvalidSignatureException; " KEYS, NULL },
        { 400, "UnrecognizedClientException", "", 1, SOURCE_CREDENTIALS,
          "the service answered 400 UnrecognizedClientException; check access_key_id and "
          "session_token",
          NULL },
        { 400, "SomeCredentialException", "", 1, SOURCE_REFUSED,
          "the service answered 400 SomeCredentialException; " PARAMETERS, NULL },

        /* a session token that has */
        { 400, "ExpiredTokenException", "", 1, SOURCE_CREDENTIALS,
          "the service answered 400 ExpiredTokenException; fresh credentials are needed", NULL },
        { 401, NULL, "{\"__type\":\"ExpiredToken\"}", 0, SOURCE_CREDENTIALS,
          "the service answered 401 ExpiredToken; fresh credentials are needed", NULL },
        { 403, "ExpiredTokenException", "", 1, SOURCE_CREDENTIALS,
          "the service answered 403 ExpiredTokenException; fresh credentials are needed", NULL },
        { 404, "ExpiredTokenException", "", 0, SOURCE_REFUSED,
          "the service answered 404 ExpiredTokenException; fresh credentials are needed", NULL },

        /* clocks */
        { 403, "RequestTimeTooSkewed", "", 0, SOURCE_REFUSED,
          "the service answered 403 RequestTimeTooSkewed; " AHEAD, LATE },
        { 403, "InvalidSignatureException",
          "{\"message\":\"Signature expired: 2026 is now earlier\"}", 0, SOURCE_REFUSED,
          "the service answered 403 InvalidSignatureException: Signature expired: 2026 is now "
          "earlier; " AHEAD,
          LATE },
        { 400, "InvalidSignatureException", "{\"message\":\"Signature not yet current: 1\"}", 1,
          SOURCE_REFUSED,
          "the service answered 400 InvalidSignatureException: Signature not yet current: 1; this "
          "machine's clock is 1h behind the service's: set it right",
          "Sun, 01 Mar 2026 13:00:00 GMT" },
        { 403, "RequestExpired", "", 0, SOURCE_REFUSED,
          "the service answered 403 RequestExpired; set this machine's clock right", NULL },
        { 403, "RequestExpired", "", 0, SOURCE_REFUSED,
          "the service answered 403 RequestExpired; set this machine's clock right", "yesterday" },
};

static void test_errors(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
                size_t n = 0;
                SourceAnswer a;

                memset(headers, 0, sizeof headers);
                if (errors[i].type)
                        headers[n][0] = "X-Amzn-ErrorType", headers[n++][1] = errors[i].type;
                if (errors[i].date)
                        headers[n][0] = "Date", headers[n++][1] = errors[i].date;
                a = answer_of(errors[i].status, errors[i].body, errors[i].had_continuation);
                assert_string_equal(a.error, errors[i].error);
                assert_int_equal(a.verdict, errors[i].verdict);
                assert_null(a.page.records);
                source_answer_clear(&a);
        }
        memset(headers, 0, sizeof headers);
}

static void test_redirects(void **state) {
        static const struct {
                const char *location, *place;
        } cases[] = {
                { "https://user:secret@elsewhere.example:444/path?token=secret#x",
                  "elsewhere.example:444" },
                { "https://a@b@elsewhere.example", "elsewhere.example" },
                { "http://elsewhere.example?secret@x", "elsewhere.example" },
                { "/login?secret", "another place" },
                { "https://secret@/", "another place" },
                { "", "another place" },
                { NULL, "another place" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                char want[200];
                SourceAnswer a;

                headers[0][0] = cases[i].location ? "Location" : NULL;
                headers[0][1] = cases[i].location;
                a = answer_of(301 + (long) i, "", i % 2);
                (void) snprintf(want, sizeof want,
                                "the service answered %zu; redirects to another place (%s) are not "
                                "followed: check endpoint",
                                301 + i, cases[i].place);
                assert_string_equal(a.error, want);
                assert_int_equal(a.verdict, SOURCE_REFUSED);
        }
        memset(headers, 0, sizeof headers);
}

/* What AWS says of a wrong signature holds the whole request behind the first line. */
static void test_secrets_are_not_quoted(void **state) {
        static const char *const bodies[] = {
                "{\"message\":\"It does not match.\\n\\nx-amz-security-token:SECRET\"}",
                "{\"message\":\"Give a date. Authorization=AWS4 Credential=SECRET\"}",
                "{\"message\":\"Token SECRETSECRETSECRETSECRETSECRETSECRETSECRETSECRETSECRET\"}",
                "<p>SECRETSECRETSECRETSECRETSECRETSECRETSECRETSECRETSECRETSECRET",
                "{\"message\":\"Credential=SECRET\"}",
        };

        (void) state;
        for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
                SourceAnswer a = answer_of(403, bodies[i], false);

                assert_null(strstr(a.error, "SECRET"));
                assert_non_null(strstr(a.error, POLICY));
        }
}

/* However long the texts of the service are, the advice is there. */
static void test_long_messages(void **state) {
        char body[4000] = "{\"message\":\"", name[300];
        SourceAnswer a;

        (void) state;
        while (strlen(body) < 3900)
                (void) snprintf(body + strlen(body), 16, "%s", "words \xc3\xa9 go ");
        (void) snprintf(body + strlen(body), 4, "\"}");
        a = answer_of(403, body, false);
        assert_non_null(strstr(a.error, "words \xc3\xa9 go"));
        assert_non_null(strstr(a.error, "…; " POLICY));

        memset(name, 'N', sizeof name - 1);
        name[sizeof name - 1] = '\0';
        headers[0][0] = "x-amzn-errortype", headers[0][1] = name;
        a = answer_of(403, body, false);
        assert_non_null(strstr(a.error, "NNNN…"));
        assert_non_null(strstr(a.error, POLICY));
        memset(headers, 0, sizeof headers);
}

static void test_retry_after(void **state) {
        static const struct {
                const char *text;
                uint64_t seconds;
        } cases[] = {
                { NULL, 0 },
                { "", 0 },
                { "0", 0 },
                { "1", 1 },
                { "120", 120 },
                { "3600", 3600 },
                { "3601", 3600 },
                { "99999999999999999999999999", 3600 },
                { "-1", 0 },
                { "+1", 0 },
                { "1.5", 0 },
                { "soon", 0 },
                { NOW_DATE, 0 },
                { "Sun, 01 Mar 2026 11:59:59 GMT", 0 },
                { "Sun, 01 Mar 2026 12:00:30 GMT", 30 },
                { "Sun, 01 Mar 2026 12:59:59 GMT", 3599 },
                { "Mon, 01 Mar 2027 12:00:00 GMT", 3600 },
                { "Sun, 01 Foo 2026 12:00:30 GMT", 0 },
                { "Sun, 31 Feb 2026 12:00:30 GMT", 0 },
                { "Sun, 01 Mar 2026 12:00:30 CET", 0 },
                { "Sun, 01 Mar 2026 12:00:30 GMT ", 0 },
        };
        static const long statuses[] = { 429, 503, 408 };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                for (size_t k = 0; k < 3; k++) {
                        SourceAnswer a;

                        headers[0][0] = cases[i].text ? "Retry-After" : NULL;
                        headers[0][1] = cases[i].text;
                        a = answer_of(statuses[k], "", false);
                        assert_int_equal(a.retry_after, cases[i].seconds * USEC_PER_SEC);
                }
        memset(headers, 0, sizeof headers);
}

static void test_no_answer(void **state) {
        static const struct {
                HttpFailure failure;
                SourceVerdict verdict;
        } cases[] = {
                { HTTP_DNS, SOURCE_RETRY },    { HTTP_CONNECT, SOURCE_RETRY },
                { HTTP_TLS, SOURCE_REFUSED },  { HTTP_TIMEOUT, SOURCE_RETRY },
                { HTTP_BROKEN, SOURCE_RETRY }, { HTTP_TOO_LARGE, SOURCE_RETRY },
                { HTTP_LOCAL, SOURCE_RETRY },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                HttpResult res = { .failure = cases[i].failure,
                                   .body = "{\"Users\":[]}",
                                   .body_len = 12,
                                   .reason = "why" };
                SourceAnswer a = { 0 };

                chime()->answer(&res, true, NOW, &a);
                assert_int_equal(a.verdict, cases[i].verdict);
                assert_string_equal(a.error, cases[i].failure == HTTP_TLS
                                                     ? "why; check ca_file and the name in endpoint"
                                                     : "why");
                assert_null(a.page.records);
        }
}

static void test_glance(void **state) {
        static const struct {
                const char *body, *next;
        } cases[] = {
                { "{\"Users\":[],\"NextToken\":\"a b~+/=\"}", "a b~+/=" },
                { "{\"Users\":[],\"NextToken\":\"t\"", NULL },
                { " { \"Users\" : [ ] , \"NextToken\" : \"t\" } \n", "t" },
                { "{\"NextToken\":\"t\"}", "t" }, /* which is no page */
                { ",\"NextToken\":\"t\"}", "t" },
                { "{\"Users\":[],\"NextToken\":\"\"}", NULL },
                { "{\"Users\":[],\"NextToken\":null}", NULL },
                { "{\"Users\":[],\"NextToken\":5}", NULL },
                { "{\"NextToken\":\"t\",\"Users\":[]}", NULL },
                { "{\"Users\":[],\"NextToken\":\"a\\/b\"}", NULL },
                { "{\"Users\":[],\"NextToken\":\"a\\\"\"}", NULL },
                { "{\"Users\":[],\"NextToken\":\"\xc3\xa9\"}", NULL },
                { "{\"Users\":[],\"NextToken\":\"a\tb\"}", NULL },
                { "{\"Users\":[],\"OtherToken\":\"t\"}", NULL },
                { "{\"Users\":[],\"My\\\"NextToken\":\"t\"}", NULL },
                { "{\"Users\":[],\"My,\\\"NextToken\":\"t\"}", NULL },
                { "\"NextToken\":\"t\"}", NULL },
                { "NextToken\":\"t\"}", NULL },
                { ":\"t\"}", NULL },
                { "\"t\"}", NULL },
                { "t\"}", NULL },
                { "\"}", NULL },
                { " }", NULL },
                { "}", NULL },
                { " ", NULL },
                { "", NULL },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                size_t len = strlen(cases[i].body);
                CLEANUP_FREE char *exact = malloc(len + !len); /* no NUL behind it */
                CLEANUP_FREE char *next = NULL;

                assert_non_null(exact);
                memcpy(exact, cases[i].body, len);
                next = chime()->glance(exact, len);
                if (!next != !cases[i].next || (next && strcmp(next, cases[i].next) != 0))
                        fail_msg("%s: %s", cases[i].body, next ? next : "nothing");
        }
}

/* ---- records ---- */

static int record_of(const char *text, User *u, Error *err) {
        AccountConfig a = account();
        size_t len = strlen(text);
        CLEANUP_FREE char *copy = malloc(len + !len); /* no NUL behind it */
        int r;

        assert_non_null(copy);
        memcpy(copy, text, len);
        r = chime()->record(&a, &(SourceRecord){ .data = copy, .len = len }, u, err);
        assert_true(r >= 0);
        return r;
}

static void test_every_field(void **state) {
        static const char text[] =
                "{\"UserId\":\"u\",\"AccountId\":\"0f2C-1\",\"PrimaryEmail\":\"ana@example.com\","
                "\"PrimaryProvisionedNumber\":\"+1\",\"DisplayName\":\"Ana \\u00c1\","
                "\"LicenseType\":\"Pro\",\"UserType\":\"PrivateUser\","
                "\"UserRegistrationStatus\":\"Suspended\",\"UserInvitationStatus\":\"Accepted\","
                "\"RegisteredOn\":\"2026-01-02T03:04:05+02:00\",\"InvitedOn\":1767323045.25,"
                "\"AlexaForBusinessMetadata\":{\"IsAlexaForBusinessEnabled\":true,"
                "\"AlexaForBusinessRoomArn\":\"arn\"},\"PersonalPIN\":\"1234\"}";
        static const char *const want[USER_FIELD_COUNT] = {
                [USER_FIELD_ACCOUNT_ID] = "0f2C-1",
                [USER_FIELD_USER_ID] = "u",
                [USER_FIELD_PRIMARY_EMAIL] = "ana@example.com",
                [USER_FIELD_PRIMARY_PROVISIONED_NUMBER] = "+1",
                [USER_FIELD_DISPLAY_NAME] = "Ana \xc3\x81",
                [USER_FIELD_LICENSE_TYPE] = "Pro",
                [USER_FIELD_USER_TYPE] = "PrivateUser",
                [USER_FIELD_USER_REGISTRATION_STATUS] = "Suspended",
                [USER_FIELD_USER_INVITATION_STATUS] = "Accepted",
                [USER_FIELD_REGISTERED_ON] = "2026-01-02T01:04:05.000Z",
                [USER_FIELD_INVITED_ON] = "2026-01-02T03:04:05.250Z",
                [USER_FIELD_ALEXA_FOR_BUSINESS_ENABLED] = "1",
                [USER_FIELD_ALEXA_FOR_BUSINESS_ROOM_ARN] = "arn",
                [USER_FIELD_PERSONAL_PIN] = "1234",
                [USER_FIELD_EXTRA] = NULL,
        };
        User u = { 0 };
        Error err = { 0 };

        (void) state;
        assert_int_equal(record_of(text, &u, &err), RECORD_USER);
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++) {
                if (!want[i]) {
                        assert_null(u.value[i]);
                        continue;
                }
                assert_non_null(u.value[i]);
                assert_string_equal(u.value[i], want[i]);
        }
        user_clear(&u);
}

/* Each field of the table alone: null, absent, and of every wrong type. */
static void check_field(const UserField *f, const char *value, int want) {
        char text[256];
        User u = { 0 };
        Error err = { .msg = "" };
        int r;

        if (*f->parent)
                (void) snprintf(text, sizeof text, "{\"UserId\":\"u\",\"%s\":{\"%s\":%s}}",
                                f->parent, f->json, value);
        else
                (void) snprintf(text, sizeof text, "{\"UserId\":\"u\",\"%s\":%s}", f->json, value);
        r = record_of(text, &u, &err);
        if (r != want)
                fail_msg("%s: %d, %s", text, r, err.msg);
        if (r == RECORD_UNREADABLE) {
                assert_string_equal(user_get(&u, USER_FIELD_USER_ID), "u");
                for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                        assert_true(i == USER_FIELD_USER_ID || !u.value[i]);
                assert_memory_equal(err.msg, f->json, strlen(f->json));
                assert_null(strstr(err.msg, "canary"));
        }
        user_clear(&u);
}

static void test_wrong_types(void **state) {
        (void) state;
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++) {
                const UserField *f = &user_fields[i];
                bool text = f->type == FIELD_TEXT, flag = f->type == FIELD_BOOL;
                bool time = f->type == FIELD_TIME;

                if (i == USER_FIELD_USER_ID || i == USER_FIELD_EXTRA)
                        continue;
                check_field(f, "null", RECORD_USER);
                check_field(f, "[]", RECORD_UNREADABLE);
                check_field(f, "{\"a\":\"canary\"}", RECORD_UNREADABLE);
                check_field(f, "true", flag ? RECORD_USER : RECORD_UNREADABLE);
                check_field(f, "false", flag ? RECORD_USER : RECORD_UNREADABLE);
                check_field(f, "7", time ? RECORD_USER : RECORD_UNREADABLE);
                check_field(f, "-1.5", time ? RECORD_USER : RECORD_UNREADABLE);
                check_field(f, "\"canary\\u0000\"", RECORD_UNREADABLE);
                if (i != USER_FIELD_ACCOUNT_ID) {
                        check_field(f, "\"canary\"", text ? RECORD_USER : RECORD_UNREADABLE);
                        check_field(f, "\"\"", text ? RECORD_USER : RECORD_UNREADABLE);
                }
        }
}

static void test_times(void **state) {
        static const struct {
                const char *json, *text; /* NULL: unreadable */
        } cases[] = {
                { "\"2026-01-02T03:04:05.6789Z\"", "2026-01-02T03:04:05.678Z" },
                { "\"2026-01-02 03:04\"", "2026-01-02T03:04:00.000Z" },
                { "\"2026-01-02T03:04:05-0130\"", "2026-01-02T04:34:05.000Z" },
                { "0", "1970-01-01T00:00:00.000Z" },
                { "1767323045", "2026-01-02T03:04:05.000Z" },
                { "1.767323045001E9", "2026-01-02T03:04:05.001Z" },
                { "-1", "1969-12-31T23:59:59.000Z" },
                { "253402300799", "9999-12-31T23:59:59.000Z" },
                { "253402300799.9999", NULL }, /* rounds up into the year 10000 */
                { "253402300800", NULL },
                { "1e300", NULL },
                { "1e999", NULL },
                { "-1e300", NULL },
                { "99999999999999999999999", NULL },
                { "\"2026-02-30T03:04:05Z\"", NULL },
                { "\"yesterday\"", NULL },
                { "\"1767323045\"", NULL },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                char text[128];
                User u = { 0 };
                Error err = { 0 };
                int r;

                (void) snprintf(text, sizeof text, "{\"UserId\":\"u\",\"InvitedOn\":%s}",
                                cases[i].json);
                r = record_of(text, &u, &err);
                if (cases[i].text) {
                        assert_int_equal(r, RECORD_USER);
                        assert_string_equal(user_get(&u, USER_FIELD_INVITED_ON), cases[i].text);
                } else {
                        assert_int_equal(r, RECORD_UNREADABLE);
                        assert_string_equal(err.msg, "InvitedOn is not a time");
                }
                user_clear(&u);
        }
}

static void test_alexa(void **state) {
        static const struct {
                const char *json;
                int state;
                const char *enabled;
        } cases[] = {
                { "null", RECORD_USER, NULL },
                { "{}", RECORD_USER, NULL },
                { "{\"IsAlexaForBusinessEnabled\":false}", RECORD_USER, "0" },
                { "{\"IsAlexaForBusinessEnabled\":null}", RECORD_USER, NULL },
                { "[]", RECORD_UNREADABLE, NULL },
                { "\"yes\"", RECORD_UNREADABLE, NULL },
                { "true", RECORD_UNREADABLE, NULL },
                { "{\"IsAlexaForBusinessEnabled\":\"yes\"}", RECORD_UNREADABLE, NULL },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                char text[128];
                User u = { 0 };
                Error err = { 0 };

                (void) snprintf(text, sizeof text,
                                "{\"UserId\":\"u\",\"AlexaForBusinessMetadata\":%s}",
                                cases[i].json);
                assert_int_equal(record_of(text, &u, &err), cases[i].state);
                if (cases[i].enabled)
                        assert_string_equal(user_get(&u, USER_FIELD_ALEXA_FOR_BUSINESS_ENABLED),
                                            cases[i].enabled);
                else
                        assert_null(user_get(&u, USER_FIELD_ALEXA_FOR_BUSINESS_ENABLED));
                assert_null(user_get(&u, USER_FIELD_EXTRA));
                user_clear(&u);
        }
}

static void test_extra(void **state) {
        static const struct {
                const char *members, *extra;
        } cases[] = {
                { "\"DisplayName\":\"x\"", NULL },
                { "\"Shoe\":42", "{\"Shoe\":42}" },
                { "\"b\":1,\"a\":null,\"c\":true", "{\"a\":null,\"b\":1,\"c\":true}" },
                { "\"z\":{\"b\":[{\"y\":1,\"x\":[]},{}],\"a\":\"/\\u00e9\\n\\\"\"}",
                  "{\"z\":{\"a\":\"/\xc3\xa9\\n\\\"\",\"b\":[{\"x\":[],\"y\":1},{}]}}" },
                { "\"n\":1.50,\"m\":1e2,\"l\":-0.0", "{\"l\":-0.0,\"m\":1e2,\"n\":1.50}" },
                { "\"AlexaForBusinessMetadata\":{\"Q\":1,\"IsAlexaForBusinessEnabled\":true,\"P\":["
                  "]}",
                  "{\"AlexaForBusinessMetadata\":{\"P\":[],\"Q\":1}}" },
                { "\"Zoo\":1,\"AlexaForBusinessMetadata\":{\"UserId\":1}",
                  "{\"AlexaForBusinessMetadata\":{\"UserId\":1},\"Zoo\":1}" },
                { "\"IsAlexaForBusinessEnabled\":7", "{\"IsAlexaForBusinessEnabled\":7}" },
                { "\"\":{},\"displayname\":1", "{\"\":{},\"displayname\":1}" },
                { "\"k\\\"\":1", "{\"k\\\"\":1}" },
                { "\"d\":1,\"d\":2", "{\"d\":2}" },
                { "\"s\":\"a\\u0000b\"", "{\"s\":\"a\\u0000b\"}" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                char text[256];
                User u = { 0 };
                Error err = { 0 };

                (void) snprintf(text, sizeof text, "{%s,\"UserId\":\"u\"}", cases[i].members);
                if (record_of(text, &u, &err) != RECORD_USER)
                        fail_msg("%s: %s", text, err.msg);
                if (cases[i].extra) {
                        assert_non_null(user_get(&u, USER_FIELD_EXTRA));
                        assert_string_equal(user_get(&u, USER_FIELD_EXTRA), cases[i].extra);
                } else
                        assert_null(user_get(&u, USER_FIELD_EXTRA));
                user_clear(&u);
        }
}

static void test_unknown_words_are_kept(void **state) {
        User u = { 0 };
        Error err = { 0 };

        (void) state;
        assert_int_equal(record_of("{\"UserId\":\"u\",\"UserRegistrationStatus\":\"Released\","
                                   "\"LicenseType\":\"Ultra\"}",
                                   &u, &err),
                         RECORD_USER);
        assert_string_equal(user_get(&u, USER_FIELD_USER_REGISTRATION_STATUS), "Released");
        assert_string_equal(user_get(&u, USER_FIELD_LICENSE_TYPE), "Ultra");
        user_clear(&u);
}

static void test_unidentified(void **state) {
        static const char *const texts[] = {
                "",
                "null",
                "42",
                "\"text\"",
                "true",
                "[]",
                "{}",
                "{\"userid\":\"u\"}",
                "{\"UserId\":null}",
                "{\"UserId\":\"\"}",
                "{\"UserId\":7}",
                "{\"UserId\":[\"u\"]}",
                "{\"UserId\":\"a\\u0000b\"}",
                "{\"UserId\":\"a\xff\"}",
                "{\"UserId\":\"\xc0\x80\"}",
                "{\"UserId\":\"\xed\xa0\x80\"}",
                "{\"UserId\":\"u\",\"DisplayName\":\"\xc3\"}",
                "{\"UserId\":\"u\"",
                "{\"UserId\":\"u\"}}",
                "{\"UserId\":\"u\"} x",
                "{\"UserId\":\"u\",}",
                "{'UserId':'u'}",
        };

        (void) state;
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                User u = { 0 };
                Error err = { .msg = "" };

                assert_int_equal(user_set(&u, USER_FIELD_DISPLAY_NAME, "of the one before"), 0);
                if (record_of(texts[i], &u, &err) != RECORD_UNIDENTIFIED)
                        fail_msg("%s", texts[i]);
                assert_true(err.msg[0] != '\0');
                for (unsigned f = 0; f < USER_FIELD_COUNT; f++)
                        assert_null(u.value[f]);
        }
}

static void check_long_id(size_t len, int want) {
        char text[4096] = "{\"UserId\":\"";
        size_t at = strlen(text);
        User u = { 0 };
        Error err = { 0 };

        memset(text + at, 'u', len);
        (void) snprintf(text + at + len, 4, "\"}");
        assert_int_equal(record_of(text, &u, &err), want);
        user_clear(&u);
}

static void check_deep(size_t depth, int want) {
        char text[1024] = "{\"UserId\":\"u\",\"x\":";
        size_t at = strlen(text);
        User u = { 0 };
        Error err = { 0 };

        memset(text + at, '[', depth);
        memset(text + at + depth, ']', depth);
        (void) snprintf(text + at + 2 * depth, 4, "}");
        assert_int_equal(record_of(text, &u, &err), want);
        user_clear(&u);
}

static void test_bounds(void **state) {
        (void) state;
        check_long_id(1024, RECORD_USER);
        check_long_id(1025, RECORD_UNIDENTIFIED);
        check_deep(20, RECORD_USER);
        check_deep(40, RECORD_UNIDENTIFIED);
        check_deep(1, RECORD_USER); /* and the parser is sound afterwards */
}

static void test_foreign(void **state) {
        static const struct {
                const char *json;
                int want;
        } cases[] = {
                { "\"0f2c-1\"", RECORD_USER },     { "\"0F2C-1\"", RECORD_USER },
                { "null", RECORD_USER },           { "\"0f2c-2\"", RECORD_FOREIGN },
                { "\"0f2c-1 \"", RECORD_FOREIGN }, { "\"\"", RECORD_FOREIGN },
                { "7", RECORD_UNREADABLE },        { "\"0f2c-1\\u0000\"", RECORD_UNREADABLE },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                char text[128];
                User u = { 0 };
                Error err = { .msg = "" };

                (void) snprintf(text, sizeof text, "{\"UserId\":\"u\",\"AccountId\":%s}",
                                cases[i].json);
                assert_int_equal(record_of(text, &u, &err), cases[i].want);
                if (cases[i].want == RECORD_FOREIGN) {
                        assert_non_null(strstr(err.msg, "AccountId"));
                        assert_null(strstr(err.msg, "0f2c"));
                }
                user_clear(&u);
        }
}

/* ---- scope ---- */

static void test_scope(void **state) {
        static const struct {
                const char *endpoint, *id, *type, *email;
        } cases[] = {
                { "https://a", "b", NULL, NULL },
                { "https://a", "b", "PrivateUser", NULL },
                { "https://a", "b", NULL, "PrivateUser" },
                { "https://a", "b\",\"c", NULL, NULL },
                { "https://a", "b", "\",\"", NULL },
                { "https://a\",\"b", "", NULL, NULL },
                { "https://a", "B", NULL, NULL },
                { "https://ab", "", NULL, NULL },
                { "https://a", "b", "\\", "\"" },
                { "https://a", "b", "\\\",\"\"", NULL },
        };
        enum { N = sizeof cases / sizeof cases[0] };
        char *texts[N] = { 0 }, *again = NULL;
        Error err = { 0 };

        (void) state;
        for (size_t i = 0; i < N; i++) {
                char *parts[4] = { strdup(cases[i].endpoint), strdup(cases[i].id),
                                   cases[i].type ? strdup(cases[i].type) : NULL,
                                   cases[i].email ? strdup(cases[i].email) : NULL };
                AccountConfig a = { .endpoint = parts[0],
                                    .account_id = parts[1],
                                    .user_type = parts[2],
                                    .user_email = parts[3],
                                    .max_results = (unsigned) i };

                assert_ok(chime()->scope(&a, &texts[i], &err), err);
                for (size_t k = 0; k < i; k++)
                        assert_string_not_equal(texts[i], texts[k]);
                /* the same, however often one asks and whatever is no part of it */
                a.max_results = 100;
                assert_ok(chime()->scope(&a, &again, &err), err);
                assert_string_equal(again, texts[i]);
                free(again);
                for (size_t k = 0; k < 4; k++)
                        free(parts[k]);
        }
        for (size_t i = 0; i < N; i++)
                free(texts[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_request),
                cmocka_unit_test(test_request_of_an_id_that_fits_no_url),
                cmocka_unit_test(test_page),
                cmocka_unit_test(test_failed_page),
                cmocka_unit_test(test_long_token),
                cmocka_unit_test(test_personal_data_is_not_quoted),
                cmocka_unit_test(test_errors),
                cmocka_unit_test(test_redirects),
                cmocka_unit_test(test_secrets_are_not_quoted),
                cmocka_unit_test(test_long_messages),
                cmocka_unit_test(test_retry_after),
                cmocka_unit_test(test_no_answer),
                cmocka_unit_test(test_glance),
                cmocka_unit_test(test_every_field),
                cmocka_unit_test(test_wrong_types),
                cmocka_unit_test(test_times),
                cmocka_unit_test(test_alexa),
                cmocka_unit_test(test_extra),
                cmocka_unit_test(test_unknown_words_are_kept),
                cmocka_unit_test(test_unidentified),
                cmocka_unit_test(test_bounds),
                cmocka_unit_test(test_foreign),
                cmocka_unit_test(test_scope),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
