/* SPDX-License-Identifier: Apache-2.0 */
/* What is read on the way to AWS keys: files, command lines, JSON, XML, times, URLs. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/shellsplit.h"
#include "base/timefmt.h"
#include "net/aws-internal.h"
#include "net/aws-xml.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* ---- words ---- */

static const struct {
        const char *in, *out; /* words, each in "<>"; or what is wrong */
        int code;
} splits[] = {
        { "", "", 0 },
        { "  \t\r\n ", "", 0 },
        { "a b\tc\nd", "<a><b><c><d>", 0 },
        { "'a b' \"c d\"", "<a b><c d>", 0 },
        { "a'b'\"c\"d", "<abcd>", 0 },
        { "'' \"\"", "<><>", 0 },
        { "a\\ b \\' \\\" \\\\", "<a b><'><\"><\\>", 0 },
        { "'a\\b' '\"'", "<a\\b><\">", 0 },
        { "\"a\\b\" \"\\\"\" \"\\\\\" \"'\"", "<a\\b><\"><\\><'>", 0 },
        { "$HOME `x` *", "<$HOME><`x`><*>", 0 },
        { "a # b", "<a><#><b>", 0 },
        { "a\\\nb", "<a\nb>", 0 },
        { "'a", "has a quotation mark that is not closed", -EINVAL },
        { "\"a", "has a quotation mark that is not closed", -EINVAL },
        { "\"a\\\"", "has a quotation mark that is not closed", -EINVAL },
        { "a\\", "ends with a lone backslash", -EINVAL },
        { "\"a\\", "ends with a lone backslash", -EINVAL },
};

static void test_words(void **state) {
        (void) state;
        for (size_t i = 0; i < N(splits); i++) {
                CLEANUP(words_clear) Words words = { 0 };
                char shown[128] = "";
                Error err = { 0 };

                assert_int_equal(shell_split(splits[i].in, &words, &err), splits[i].code);
                for (size_t k = 0; k < words.count; k++) {
                        (void) strncat(shown, "<", 2);
                        (void) strncat(shown, words.items[k], 32);
                        (void) strncat(shown, ">", 2);
                }
                if (words.count)
                        assert_null(words.items[words.count]);
                assert_string_equal(splits[i].code ? err.msg : shown, splits[i].out);
        }
}

/* ---- files ---- */

/* "section.key=value" for each setting, "[]" for a section without any. */
static void render_file(const AwsFile *f, char *out, size_t size) {
        size_t at = 0;

        *out = '\0';
        for (size_t i = 0; i < f->n; i++) {
                const AwsSection *s = &f->sections[i];

                if (s->n == 0)
                        at += (size_t) snprintf(out + at, size - at, "[%s]", s->name);
                for (size_t k = 0; k < s->n; k++)
                        at += (size_t) snprintf(out + at, size - at, "%s.%s=%s|", s->name,
                                                s->settings[k].key, s->settings[k].value);
                assert_true(at < size);
        }
}

static const struct {
        const char *in, *out;
        int code;
} files[] = {
        { "", "", 0 },
        { "[a]\nk = v\n", "a.k=v|", 0 },
        { "[a]\nk=v", "a.k=v|", 0 },
        { "[a]\r\nk = v\r\n", "a.k=v|", 0 },
        { "\n# x\n  ; y\n[a]\n", "[a]", 0 },
        { "[a b]\n[ c ]\n", "[a b][ c ]", 0 },
        { "[a]rest ] more\nk=v", "a]rest .k=v|", 0 },
        { "[a] # x\nK: v : w = x\n", "a.k=v : w = x|", 0 },
        { "[a]\nk = # x ; y\n", "a.k=# x ; y|", 0 },
        { "[a]\nk =\n", "a.k=|", 0 },
        { "[a]\nk = v\n  w\n\n\n  x\n\n[b]\n", "a.k=v\nw\n\n\nx|[b]", 0 },
        { "[a]\nk = v\n # no\n  w\n", "a.k=v\nw|", 0 },
        { "[a]\ns3 =\n  x = 1\n  y=2\nk = v\n", "a.s3=\nx = 1\ny=2|a.k=v|", 0 },
        { "[a]\n  k = v\n  l = w\n", "a.k=v|a.l=w|", 0 },
        { "  [a]\n   k = v\n", "a.k=v|", 0 },
        { "[a]\nk [b] = v\n", "a.k [b]=v|", 0 },
        { "[a]\n[k = v\n", "a.[k=v|", 0 },
        { "[DEFAULT]\nk = v\n[a]\n", "[a]", 0 },
        { "[a]\n[a]\n", "line 2 begins a section that was there before", -EINVAL },
        { "[a]\nk=1\nK=2\n", "line 3 gives a key a second time", -EINVAL },
        { "k=1\n", "line 1 stands before the first [section]", -EINVAL },
        { "[a]\nrubbish\n", "line 2 is no \"KEY = VALUE\", [section] or comment", -EINVAL },
        { "[a]\n[]\n", "line 2 is no \"KEY = VALUE\", [section] or comment", -EINVAL },
        { "[a]\n= v\n", "line 2 has no key", -EINVAL },
        { "[a]\ns3 =\n  x\n", "a line of the block s3 in [a] has no \"=\"", -EINVAL },
        { "[a]\ns3 =\n  x\n  y = z\n", "a line of the block s3 in [a] has no \"=\"", -EINVAL },
        { "[DEFAULT]\ns3 =\n  x\n", "a line of the block s3 in [DEFAULT] has no \"=\"", -EINVAL },
        { "[a]\nk = \xff\n", "is not UTF-8 text", -EINVAL },
        { "\xef\xbb\xbf[a]\nk=v\n", "line 1 stands before the first [section]", -EINVAL },
};

static void test_files(void **state) {
        (void) state;
        for (size_t i = 0; i < N(files); i++) {
                CLEANUP(aws_file_clear) AwsFile f = { 0 };
                CLEANUP_FREE char *text = strdup(files[i].in);
                char shown[256];
                Error err = { 0 };

                assert_int_equal(aws_file_parse(text, strlen(text), &f, &err), files[i].code);
                render_file(&f, shown, sizeof shown);
                assert_string_equal(files[i].code ? err.msg : shown, files[i].out);
        }
}

static void test_file_bounds(void **state) {
        CLEANUP(aws_file_clear) AwsFile f = { 0 };
        CLEANUP(aws_file_clear) AwsFile g = { 0 };
        char *text = NULL, nul[] = "[a]\nk=a\0b\n";
        size_t len = 0;
        Error err = { 0 };
        FILE *m = open_memstream(&text, &len);

        (void) state;
        for (int i = 0; i <= 4096; i++)
                (void) fprintf(m, "[s%d]\n", i);
        (void) fclose(m);
        assert_int_equal(aws_file_parse(text, len, &f, &err), -EINVAL);
        assert_string_equal(err.msg, "line 4097 begins one section too many");
        free(text);
        assert_int_equal(aws_file_parse(nul, sizeof nul - 1, &g, &err), -EINVAL);
}

static void test_profiles(void **state) {
        CLEANUP(aws_file_clear) AwsFile f = { 0 };
        char text[] = "[DEFAULT]\nregion = d\n[default]\nk = 1\n[profile a]\nk = 2\nregion = a\n"
                      "[profile \"b c\"]\nk = 3\n[a]\nk = 4\n[profile b c]\nk = 5\n"
                      "[profile 'a']\nk = 6\n[profile 'x]\nk = 7\n[sso-session s]\nk = 8\n";
        Error err = { 0 };

        (void) state;
        assert_ok(aws_file_parse(text, strlen(text), &f, &err), err);
        assert_ok(aws_file_keep_profiles(&f, &err), err);
        assert_string_equal(aws_file_get(&f, "default", "k"), "1");
        assert_string_equal(aws_file_get(&f, "a", "k"), "6"); /* the last one, whole */
        assert_string_equal(aws_file_get(&f, "a", "region"), "d");
        assert_string_equal(aws_file_get(&f, "b c", "k"), "3");
        assert_false(aws_file_has(&f, "x") || aws_file_has(&f, "s") || aws_file_has(&f, "b"));
        assert_null(aws_file_get(&f, "x", "region"));
        assert_null(aws_file_get(&f, "a", "none"));
}

/* ---- JSON ---- */

#define GOOD "\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"canary\""
#define EXPIRES "\"Expiration\":\"2040-01-01T00:00:00Z\""

static const struct {
        const char *in, *why; /* NULL: good */
        AwsJsonShape shape;
        int code;
} jsons[] = {
        { "{\"Version\":1," GOOD "}", NULL, AWS_JSON_PROCESS, 0 },
        { " {\"Version\":1," GOOD ",\"SessionToken\":null,\"Expiration\":null}\n", NULL,
          AWS_JSON_PROCESS, 0 },
        { "{\"Version\":1," GOOD "," EXPIRES ",\"More\":[{}]}", NULL, AWS_JSON_PROCESS, 0 },
        { "{" GOOD "}", "it lacks Version", AWS_JSON_PROCESS, -EINVAL },
        { "{\"Version\":\"1\"," GOOD "}", "its Version is not 1", AWS_JSON_PROCESS, -EINVAL },
        { "{\"Version\":1.0," GOOD "}", "its Version is not 1", AWS_JSON_PROCESS, -EINVAL },
        { "{\"Version\":2," GOOD "}", "its Version is not 1", AWS_JSON_PROCESS, -EINVAL },
        { "{\"Version\":1,\"SecretAccessKey\":\"canary\"}", "it lacks AccessKeyId",
          AWS_JSON_PROCESS, -EINVAL },
        { "{\"Version\":1,\"AccessKeyId\":\"A\"}", "it lacks SecretAccessKey", AWS_JSON_PROCESS,
          -EINVAL },
        { "{\"Version\":1,\"AccessKeyId\":null}", "its AccessKeyId is null", AWS_JSON_PROCESS,
          -EINVAL },
        { "{\"Version\":1,\"AccessKeyId\":\"\",\"SecretAccessKey\":\"canary\"}",
          "its keys: the access key id is empty", AWS_JSON_PROCESS, -EINVAL },
        { "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"canary\\nx\"}",
          "its keys: the secret access key holds a blank or a character beyond ASCII",
          AWS_JSON_PROCESS, -EINVAL },
        { "{\"Version\":1," GOOD ",\"SessionToken\":\"canary\\r\\nX: y\"}",
          "its keys: the session token holds a blank or a character beyond ASCII", AWS_JSON_PROCESS,
          -EINVAL },
        { "{\"Version\":1,\"AccessKeyId\":\"A\\u0000B\",\"SecretAccessKey\":\"canary\"}",
          "its AccessKeyId holds a NUL", AWS_JSON_PROCESS, -EINVAL },
        { "{\"Version\":1," GOOD ",\"Expiration\":1700000000}", "its Expiration is no text",
          AWS_JSON_PROCESS, -EINVAL },
        { "{\"Version\":1," GOOD ",\"Expiration\":\"2040-01-01T00:00:00\"}",
          "its Expiration is no time with an offset; write e.g. 2030-01-31T12:00:00Z",
          AWS_JSON_PROCESS, -EINVAL },
        { "{\"Version\":1," GOOD "} x", "it is no JSON", AWS_JSON_PROCESS, -EBADMSG },
        { "{\"Version\":1," GOOD, "it is no JSON", AWS_JSON_PROCESS, -EBADMSG },
        { "", "it is no JSON", AWS_JSON_PROCESS, -EBADMSG },
        { "[[[[[[[[[[[[[[]]]]]]]]]]]]]]", "it is no JSON", AWS_JSON_PROCESS, -EBADMSG },
        { "7", "it is no JSON object", AWS_JSON_PROCESS, -EINVAL },
        { "null", "it is no JSON object", AWS_JSON_PROCESS, -EINVAL },
        { "{" GOOD ",\"Token\":\"t\"," EXPIRES "}", NULL, AWS_JSON_ENDPOINT, 0 },
        { "{" GOOD "," EXPIRES "}", "it lacks Token", AWS_JSON_ENDPOINT, -EINVAL },
        { "{" GOOD ",\"Token\":\"t\"}", "it lacks Expiration", AWS_JSON_ENDPOINT, -EINVAL },
        { "{\"Code\":\"Success\"}", "it lacks AccessKeyId", AWS_JSON_ENDPOINT, -EINVAL },
        { "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot\"}",
          "it says AssumeRoleUnauthorizedAccess: EC2 cannot", AWS_JSON_ENDPOINT, -EINVAL },
        { "{\"Code\":\"No\",\"Message\":\"token=abc of https://u:p@host\"}",
          "it says No: token=… of …", AWS_JSON_ENDPOINT, -EINVAL },
};

static void test_json(void **state) {
        (void) state;
        for (size_t i = 0; i < N(jsons); i++) {
                CLEANUP(aws_keys_clear) AwsKeys k = { 0 };
                Error err = { 0 };
                int r = aws_keys_parse_json(jsons[i].in, strlen(jsons[i].in), jsons[i].shape, &k,
                                            &err);

                if (r != jsons[i].code)
                        fail_msg("%s: %d %s", jsons[i].in, r, err.msg);
                if (r == 0) {
                        assert_string_equal(k.access_key_id, "A");
                        assert_string_equal(k.secret_access_key, "canary");
                        assert_true(strstr(jsons[i].in, EXPIRES) ? k.expires > 0
                                                                 : k.expires == TIME_NONE);
                } else {
                        assert_string_equal(err.msg, jsons[i].why);
                        assert_null(k.access_key_id);
                }
        }
}

/* ---- XML ---- */

static int note(const char *path, const char *text, void *userdata) {
        char *out = userdata;
        size_t at = strlen(out);

        (void) snprintf(out + at, 256 - at, "%s=%s|", path, text);
        return strcmp(text, "stop") == 0 ? -ECANCELED : 0;
}

static const struct {
        const char *in, *out;
        int code;
} xmls[] = {
        { "<a/>", "a=|", 0 },
        { "<a></a>", "a=|", 0 },
        { "<?xml version=\"1.0\"?>\n<!-- x --><a>t</a>\n<!-- y -->\n", "a=t|", 0 },
        { "\xef\xbb\xbf<a>t</a>", "a=t|", 0 },
        { "<a><b>1</b> <c>2</c></a>", "a/b=1|a/c=2|", 0 },
        { "<a x='1' y=\"<\"/>", "an attribute holds a \"<\"", -EBADMSG },
        { "<a x='1' y = \"&amp;\" >t<!-- c -->u</a>", "a=tu|", 0 },
        { "<a>&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#xe9;&#x20AC;&#x1F600;</a>",
          "a=<>&\"'AB\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80|", 0 },
        { "<a> b\n</a>", "a= b\n|", 0 },
        { "<a><b>stop</b><c>", "", -ECANCELED },
        { "", "it does not begin with an element", -EBADMSG },
        { "text", "it does not begin with an element", -EBADMSG },
        { "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "an element has no name", -EBADMSG },
        { "<a><![CDATA[x]]></a>", "an element has no name", -EBADMSG },
        { "<a><?php x?></a>", "an element has no name", -EBADMSG },
        { "<a>", "it is cut", -EBADMSG },
        { "<a><b></b>", "it is cut", -EBADMSG },
        { "<a", "a tag does not end", -EBADMSG },
        { "<a></a", "a tag does not end", -EBADMSG },
        { "<a></b>", "an element is closed by another one's tag", -EBADMSG },
        { "<a></ab>", "an element is closed by another one's tag", -EBADMSG },
        { "<ab></a>", "an element is closed by another one's tag", -EBADMSG },
        { "<a><b></a></b>", "an element is closed by another one's tag", -EBADMSG },
        { "<a/><b/>", "something follows its end", -EBADMSG },
        { "<a/>x", "something follows its end", -EBADMSG },
        { "<a>&nbsp;</a>", "an entity is not known", -EBADMSG },
        { "<a>&#;</a>", "a character reference does not end", -EBADMSG },
        { "<a>&#65</a>", "a character reference is no number", -EBADMSG },
        { "<a>&#0;</a>", "a character reference is no character", -EBADMSG },
        { "<a>&#xd800;</a>", "a character reference is no character", -EBADMSG },
        { "<a>&#99999999999;</a>", "a character reference is no number", -EBADMSG },
        { "<a x></a>", "an attribute has no value", -EBADMSG },
        { "<a x=1></a>", "an attribute is not quoted", -EBADMSG },
        { "<a x=\"1></a>", "an attribute holds a \"<\"", -EBADMSG },
        { "<a x=\"1", "an attribute does not end", -EBADMSG },
        { "<a><!-- -- --></a>", "a comment does not end", -EBADMSG },
        { "<a><!-- ", "a comment does not end", -EBADMSG },
        { "<a>\xff</a>", "it is not UTF-8", -EBADMSG },
        { "<?xml version", "its declaration does not end", -EBADMSG },
        { "<1/>", "an element has no name", -EBADMSG },
        { "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>", "elements are nested too deep",
          -EBADMSG },
};

static void test_xml(void **state) {
        (void) state;
        for (size_t i = 0; i < N(xmls); i++) {
                char noted[256] = "";
                Error err = { 0 };
                int r = xml_read(xmls[i].in, strlen(xmls[i].in), note, noted, &err);

                if (r != xmls[i].code)
                        fail_msg("%s: %d %s", xmls[i].in, r, err.msg);
                assert_string_equal(r == 0 ? noted : err.msg, xmls[i].out);
        }
}

/* Cut anywhere, it is refused, and nothing is read behind its end. */
static void test_xml_cut(void **state) {
        static const char whole[] =
                "<?xml version=\"1.0\"?><a x=\"y\"><b>&amp;&#65;</b><!-- --></a>";

        (void) state;
        for (size_t len = 0; len < sizeof whole - 1; len++) {
                CLEANUP_FREE char *part = strndup(whole, len);
                char noted[256] = "";
                Error err = { 0 };

                assert_int_equal(xml_read(part, len, note, noted, &err), -EBADMSG);
        }
}

/* ---- freshness and times ---- */

static void test_freshness(void **state) {
        static const struct {
                int64_t left; /* ms */
                AwsFreshness freshness;
        } windows[] = {
                { 3600000, AWS_FRESH },   { 900000, AWS_FRESH },     { 899999, AWS_ADVISORY },
                { 600000, AWS_ADVISORY }, { 599999, AWS_MANDATORY }, { 1, AWS_MANDATORY },
                { 0, AWS_EXPIRED },       { -1, AWS_EXPIRED },
        };
        const int64_t now = INT64_C(1764250000000);

        (void) state;
        for (size_t i = 0; i < N(windows); i++)
                assert_int_equal(aws_keys_freshness(&(AwsKeys){ .expires = now + windows[i].left },
                                                    now),
                                 windows[i].freshness);
        assert_int_equal(aws_keys_freshness(&(AwsKeys){ 0 }, now), AWS_FRESH);
}

static void test_times(void **state) {
        static const char *const bad[] = { "",
                                           "now",
                                           "2040-01-01",
                                           "2040-01-01T00:00:00",
                                           "2040-01-01 00:00",
                                           "1893456000",
                                           "2040-13-01T00:00:00Z" };
        int64_t t = 0;

        (void) state;
        assert_int_equal(aws_time_parse("2040-01-01T00:00:00Z", &t), 0);
        assert_true(t == INT64_C(2208988800000));
        assert_int_equal(aws_time_parse("2040-01-01T02:00:00.5+02:00", &t), 0);
        assert_true(t == INT64_C(2208988800500));
        assert_int_equal(aws_time_parse("1970-01-01T00:00:00Z", &t), 0);
        assert_true(t != TIME_NONE && t < 1000);
        for (size_t i = 0; i < N(bad); i++)
                assert_int_equal(aws_time_parse(bad[i], &t), -EINVAL);
}

static void test_long_values(void **state) {
        char *text = malloc(200000), *at = stpcpy(text, "[a]\nk = v\n");
        AwsFile f = { 0 };
        Error err = { 0 };

        (void) state;
        for (int i = 0; i < 70; i++) {
                memset(at, ' ', 2);
                memset(at + 2, 'x', 1000);
                at = stpcpy(at + 1002, "\n");
        }
        assert_int_equal(aws_file_parse(text, strlen(text), &f, &err), -EINVAL);
        assert_string_equal(err.msg, "line 68 makes its value longer than 64 KiB");
        aws_file_clear(&f);
        free(text);
}

static void test_shown_ids(void **state) {
        char out[AWS_ID_SHOWN_SIZE];

        (void) state;
        aws_id_show("AKIAIOSFODNN7EXAMPLE", out);
        assert_string_equal(out, "AKIA…MPLE");
        aws_id_show("SHORT", out);
        assert_string_equal(out, "SH…");
        aws_id_show("", out);
        assert_string_equal(out, "…");
}

/* ---- URLs ---- */

/* The rules of botocore 1.43: https anywhere; without it loopback addresses, "localhost" and the
 * agents' three. */
static const struct {
        const char *url;
        enum { NO_URL, REFUSED, ALLOWED } verdict;
} urls[] = {
        { "https://anything.example.com/x?y=z", ALLOWED },
        { "http://169.254.170.2/v2", ALLOWED },
        { "http://169.254.170.23/v1/credentials", ALLOWED },
        { "http://[fd00:ec2::23]/v1/credentials", ALLOWED },
        { "http://localhost:8080/x", ALLOWED },
        { "http://LOCALHOST/x", ALLOWED },
        { "http://127.0.0.1/", ALLOWED },
        { "http://127.9.8.7:1/", ALLOWED },
        { "http://[::1]/", ALLOWED },
        { "http://169.254.170.3/", REFUSED },
        { "http://169.254.169.254/", REFUSED },
        { "http://[fd00:ec2::254]/", REFUSED },
        { "http://128.0.0.1/", REFUSED },
        { "http://10.0.0.1/", REFUSED },
        { "http://[::2]/", REFUSED },
        { "http://example.com/", REFUSED },
        { "http://localhost.example.com/", REFUSED },
        { "http://127.0.0.1.example.com/", REFUSED },
        { "http://169.254.170.2.example.com/", REFUSED },
        { "http://169.254.170.2@example.com/", NO_URL },
        { "http://user:pass@127.0.0.1/", NO_URL },
        { "ftp://127.0.0.1/", NO_URL },
        { "file:///etc/passwd", NO_URL },
        { "127.0.0.1/x", NO_URL },
        { "http://", NO_URL },
        { "", NO_URL },
        { "http://127.0.0.1/a b", NO_URL },
        { "http://127.0.0.1/\r\nX: y", NO_URL },
};

static void test_urls(void **state) {
        (void) state;
        for (size_t i = 0; i < N(urls); i++) {
                AwsUrl url;
                int r = aws_url_parse(urls[i].url, &url);

                if ((r < 0) != (urls[i].verdict == NO_URL) ||
                    (r == 0 && aws_container_may_ask(&url) != (urls[i].verdict == ALLOWED)))
                        fail_msg("%s: %d", urls[i].url, r);
        }
}

/* ---- masks ---- */

static const struct {
        const char *in, *out;
} masks[] = {
        { "", "" },
        { "a plain  message\n", "a plain message" },
        { "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY!", "…" },
        { "twenty-characters-ok and twenty-one-characters", "twenty-characters-ok and …" },
        { "secret=abc token:def Password=x", "secret=… token:… Password=…" },
        { "secret: abc def", "secret: … def" },
        { "FwoGZXIvYXdzKeyEaDHZbPxRfiCYEXAMPLEzz== x", "… x" },
        { "AWS_SECRET_ACCESS_KEY=abc", "AWS_SECRET_ACCESS_KEY=…" },
        { "{\"SecretAccessKey\": \"abc\", \"x\": 1}", "{\"SecretAccessKey\": \"…\", \"x\": 1}" },
        { "{\"password\":\"abc\",\"token\":12,\"n\":1}",
          "{\"password\":\"…\",\"token\":…,\"n\":1}" },
        { "password = abc pwd : 'd' x : y", "password = … pwd : '…' x : y" },
        { "at https://u:pw@vault and https://vault", "at … and https://vault" },
        { "GET /x?u=me&token=abc", "GET /x?u=me&token=…" },
        { "x=1:key:abc=def a:b=c", "x=1:key:… a:b=c" },
        { "the secret is out: abc", "the secret is out: abc" },
        { "arn:aws:iam::123456789012:role/long-name-of-a-role", "arn:aws:iam::123456789012:role/"
                                                                "long-name-of-a-role" },
        { "\x1b[31mred\x1b[0m", "?[31mred?[0m" },
};

static void test_masks(void **state) {
        char out[256], *big = malloc(100001);

        (void) state;
        for (size_t i = 0; i < N(masks); i++)
                assert_string_equal(aws_mask(out, sizeof out, masks[i].in, strlen(masks[i].in), 20),
                                    masks[i].out);
        memset(big, 'x', 100000);
        big[100000] = '\0';
        assert_string_equal(aws_mask(out, sizeof out, big, 100000, 20), "…");
        for (size_t i = 1; i < 100000; i += 2)
                big[i] = ' ';
        assert_true(strlen(aws_mask(out, sizeof out, big, 100000, 20)) < sizeof out);
        free(big);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),       cmocka_unit_test(test_files),
                cmocka_unit_test(test_file_bounds), cmocka_unit_test(test_profiles),
                cmocka_unit_test(test_json),        cmocka_unit_test(test_xml),
                cmocka_unit_test(test_xml_cut),     cmocka_unit_test(test_freshness),
                cmocka_unit_test(test_times),       cmocka_unit_test(test_long_values),
                cmocka_unit_test(test_shown_ids),   cmocka_unit_test(test_urls),
                cmocka_unit_test(test_masks),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
