/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/file.h"
#include "base/timespan.h"
#include "conf/config-internal.h"
#include "conf/config.h"
#include "model/event.h"

#define ACME "[account acme]\naccount_id = 0f2c\n"
#define OPS ACME "[webhook ops]\nurl = https://h.example/x\n"
#define WHSEC "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

/* A folder of its own for every test, and what the last load said.  "DIR/" is taken out of
 * messages. */
static char dir[64];
static char said[1 << 16];
static size_t said_count;

static int setup(void **state) {
        (void) state;
        (void) snprintf(dir, sizeof dir, "/tmp/test-config-XXXXXX");
        (void) umask(027);
        (void) unsetenv("STATE_DIRECTORY");
        (void) unsetenv("RUNTIME_DIRECTORY");
        (void) unsetenv("CREDENTIALS_DIRECTORY");
        return mkdtemp(dir) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st;
        (void) type;
        (void) ftw;
        return remove(path);
}

static int teardown(void **state) {
        (void) state;
        return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *in_dir(const char *name) {
        static char paths[4][256];
        static unsigned turn;
        char *p = paths[turn++ % 4];

        (void) snprintf(p, sizeof paths[0], "%s/%s", dir, name);
        return p;
}

static void put_bytes(const char *name, const char *data, size_t len, mode_t mode) {
        const char *path = in_dir(name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, len), (ssize_t) len);
        assert_int_equal(fchmod(fd, mode), 0);
        (void) close(fd);
}

static void put(const char *name, const char *text) {
        put_bytes(name, text, strlen(text), 0640);
}

static void on_complaint(const char *message, void *userdata) {
        size_t at = strlen(said), len = strlen(dir) + 1;
        const char *p = message;

        (void) userdata;
        said_count++;
        if (at > 0 && at + 1 < sizeof said)
                said[at++] = '\n';
        while (*p && at + 1 < sizeof said) {
                if (strncmp(p, dir, len - 1) == 0 && p[len - 1] == '/')
                        p += len;
                else
                        said[at++] = *p++;
        }
        said[at] = '\0';
}

static int load(Config **ret, Error *err) {
        said[0] = '\0';
        said_count = 0;
        return config_load(in_dir("rosterd.conf"), on_complaint, NULL, ret, err);
}

static void assert_loads(Config **ret) {
        Error err = { 0 };
        int r = load(ret, &err);

        if (r < 0)
                fail_msg("%s\n%s", err.msg, said);
        assert_int_equal(said_count, 0);
}

static void assert_refused(int code, const char *messages) {
        Config *c = NULL;
        Error err = { 0 };
        int r = load(&c, &err);

        if (r == 0)
                config_unref(c);
        assert_string_equal(said, messages);
        assert_int_equal(r, code);
        assert_int_equal(err.code, code);
        assert_null(r == 0 ? NULL : c);
}

static const char *render_list(const TextList *list) {
        static char out[4096];
        size_t at = 0;

        out[0] = '\0';
        for (size_t i = 0; i < list->count; i++)
                at += (size_t) snprintf(out + at, sizeof out - at, "%s%s", i ? "|" : "",
                                        list->items[i]);
        return out;
}

/* Any slot as text. */
static const char *render(const ConfigKey *k, const void *base) {
        static char out[64];
        const void *slot = (const char *) base + k->offset;
        const MaxRemovals *share = slot;

        switch (k->type) {
        case VALUE_TEXT:
                return *(char *const *) slot ? *(char *const *) slot : "(none)";
        case VALUE_LIST:
                return render_list(slot);
        case VALUE_BOOL:
                return *(const bool *) slot ? "yes" : "no";
        case VALUE_NUMBER:
                (void) snprintf(out, sizeof out, "%u", *(const unsigned *) slot);
                return out;
        case VALUE_DECIMAL:
                (void) snprintf(out, sizeof out, "%g", *(const double *) slot);
                return out;
        case VALUE_DURATION:
                timespan_format(*(const uint64_t *) slot, out, sizeof out);
                return out;
        case VALUE_WORD:
                for (const ConfigWord *w = k->words; w->word; w++)
                        if (w->value == *(const int *) slot)
                                return w->word;
                return "(unknown word)";
        case VALUE_SEQ:
                if (*(const uint64_t *) slot == REPLAY_FROM_NOW)
                        return "now";
                (void) snprintf(out, sizeof out, "%" PRIu64, *(const uint64_t *) slot);
                return out;
        case VALUE_SHARE:
                (void) snprintf(out, sizeof out, "%u%s", share->value, share->percent ? "%" : "");
                return out;
        }
        return "(unknown type)";
}

static const void *base_of(const Config *c, SectionKind kind) {
        if (kind == SECTION_ACCOUNT)
                return &c->accounts[0];
        return kind == SECTION_WEBHOOK ? (const void *) &c->webhooks[0] : c;
}

#define IN "rosterd.conf:"
#define ROLE "role_arn = arn:aws:iam::123456789012:role/rosterd\n"
#define DURATION "is not a duration; write e.g. 90s, 15min or \"1h 30min\", at least "

static const struct {
        const char *name, *text, *messages;
} mistakes[] = {
        /* lines and sections */
        { "empty file", "",
          "rosterd.conf: has no [account NAME] section; at least one is needed, with its "
          "account_id" },
        { "comments only", "# a\n; b\n  # c\n\t\n",
          "rosterd.conf: has no [account NAME] section; at least one is needed, with its "
          "account_id" },
        { "no account", "[rosterd]\n",
          "rosterd.conf: has no [account NAME] section; at least one is needed, with its "
          "account_id" },
        { "key before section", "interval = 5min\n" ACME,
          IN "1: interval: this line stands before the first [section]" },
        { "unknown section", ACME "[acount b]\nx = y\n",
          IN "3: [acount b] is not a section; sections are [rosterd], [account NAME] and [webhook "
             "NAME]; did you mean [account NAME]?" },
        { "unknown section without a guess", ACME "[database]\n",
          IN "3: [database] is not a section; sections are [rosterd], [account NAME] and [webhook "
             "NAME]" },
        { "unknown section near rosterd", ACME "[roster]\n",
          IN "3: [roster] is not a section; sections are [rosterd], [account NAME] and [webhook "
             "NAME]; did you mean [rosterd]?" },
        { "empty section name", ACME "[]\n",
          IN "3: [] is not a section; sections are [rosterd], [account NAME] and [webhook NAME]" },
        { "only a broken section", "[acme]\naccount_id = 1\n",
          IN
          "1: [acme] is not a section; sections are [rosterd], [account NAME] and [webhook NAME]" },
        { "section without ]", ACME "[webhook ops\nurl = https://h/\n",
          IN "3: this section header lacks its \"]\"" },
        { "text after ]", "[account acme] x\naccount_id = 1\n",
          IN "1: something follows the \"]\" of this section header; begin the next line with it" },
        { "account without name", "[account]\naccount_id = 1\n",
          IN "1: [account] lacks a name; write [account NAME]" },
        { "rosterd with name", ACME "[rosterd x]\n",
          IN "3: [rosterd] takes no name, but \"x\" follows" },
        { "bad name", "[account a/b]\naccount_id = 1\nmax_results = 0\n",
          IN "1: [account a/b]: \"a/b\" is not a name; write 1 to 64 letters, digits, \".\", \"_\" "
             "and \"-\"\n" IN
             "3: [account a/b] max_results: \"0\" is not a whole number from 1 to 200" },
        { "name with space", "[account a b]\naccount_id = 1\n",
          IN "1: [account a b]: \"a b\" is not a name; write 1 to 64 letters, digits, \".\", \"_\" "
             "and \"-\"" },
        { "name of 65",
          "[webhook aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\nurl = "
          "https://h/\n" ACME,
          IN "1: [webhook aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]: "
             "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" is not a name; "
             "write 1 to 64 letters, digits, \".\", \"_\" and \"-\"" },
        { "section twice", ACME "[rosterd]\n" ACME,
          IN "4: [account acme] is given twice in this file; first on line 1\n" IN
             "5: [account acme] account_id: is given twice; first on line 2" },
        { "rosterd twice", "[rosterd]\n[rosterd]\n" ACME,
          IN "2: [rosterd] is given twice in this file; first on line 1" },
        { "no equals", ACME "max_results 100\n",
          IN "3: [account acme] this line is no \"KEY = VALUE\", [section] or comment" },
        { "no equals on the last line", ACME "hello",
          IN "3: [account acme] this line is no \"KEY = VALUE\", [section] or comment" },
        { "a secret alone on a line", ACME WHSEC "\n",
          IN "3: [account acme] this line is no \"KEY = VALUE\", [section] or comment" },
        { "colon for equals", ACME "interval: 5min\n",
          IN "3: [account acme] this line has a \":\" where \"=\" belongs; write \"KEY = VALUE\"" },
        { "colon before equals", OPS "header: A=b\n",
          IN "5: [webhook ops] this line has a \":\" where \"=\" belongs; write \"KEY = VALUE\"" },
        { "no key", ACME "= 5\n", IN "3: [account acme] this line has no key before its \"=\"" },
        { "comment before equals", ACME "interval ; = 5\n",
          IN "3: [account acme] this line is no \"KEY = VALUE\", [section] or comment" },
        { "endless key",
          ACME "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
               "aaaaaaaaaaa = 5\n",
          IN "3: [account acme] what stands before the \"=\" is too long for a key" },
        { "indented line", ACME "  user_email = a@b.c\n",
          IN "3: [account acme] this line is indented; values cannot go on in a second line, and "
             "keys begin at the start of theirs" },
        { "continued value", ACME "user_email =\n\ta@b.c\n",
          IN "4: [account acme] this line is indented; values cannot go on in a second line, and "
             "keys begin at the start of theirs" },
        { "indented section", " [account acme]\n",
          IN "1: this line is indented; values cannot go on in a second line, and keys begin at "
             "the start of theirs\nrosterd.conf: has no [account NAME] section; at least one is "
             "needed, with its account_id" },
        { "control character", ACME "user_email = a\x01@b.c\n",
          IN "3: [account acme] user_email: the value holds a control character" },
        { "carriage return inside", ACME "user_email = a\r@b.c\n",
          IN "3: [account acme] user_email: the value holds a control character" },
        { "not UTF-8", ACME "user_email = \xff@b.c\n",
          IN "3: [account acme] user_email: the value is not UTF-8" },
        /* keys */
        { "unknown key", ACME "max_result = 5\n",
          IN "3: [account acme] max_result: unknown key; did you mean max_results?" },
        { "unknown key without a guess", ACME "frobnicate = 5\n",
          IN "3: [account acme] frobnicate: unknown key" },
        { "unknown key_file", ACME "secret_acces_key_file = /x\n",
          IN "3: [account acme] secret_acces_key_file: unknown key; did you mean "
             "secret_access_key_file?" },
        { "capitals", ACME "Interval = 5min\n",
          IN "3: [account acme] Interval: unknown key; did you mean interval?" },
        { "key of another section", ACME "retention = 5d\n",
          IN "3: [account acme] retention: is not a key of this section but of [rosterd]" },
        { "key of accounts", "[rosterd]\nregion = x\n" ACME,
          IN "2: [rosterd] region: is not a key of this section but of [account NAME]" },
        { "a secret for a key", ACME "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ==\n",
          IN "3: [account acme] unknown key" },
        { "twice", ACME "max_results = 5\n\nmax_results = 6\n",
          IN "5: [account acme] max_results: is given twice; first on line 3" },
        { "twice, also when empty", ACME "max_results =\nmax_results = 6\n",
          IN "4: [account acme] max_results: is given twice; first on line 3" },
        /* [rosterd] */
        { "interval", "[rosterd]\ninterval = 5x\n" ACME,
          IN "2: [rosterd] interval: \"5x\" " DURATION "10s, at most 30d" },
        { "interval too short", "[rosterd]\ninterval = 9s\n" ACME,
          IN "2: [rosterd] interval: \"9s\" is too short; write at least 10s" },
        { "interval too long", "[rosterd]\ninterval = 31d\n" ACME,
          IN "2: [rosterd] interval: \"31d\" is too long; write at most 30d" },
        { "interval over all bounds", "[rosterd]\ninterval = 99999999y\n" ACME,
          IN "2: [rosterd] interval: \"99999999y\" is too long; write at most 30d" },
        { "retention", "[rosterd]\nretention = 1h\n" ACME,
          IN "2: [rosterd] retention: \"1h\" is too short; write at least 1d" },
        { "concurrency 0", "[rosterd]\nconcurrency = 0\n" ACME,
          IN "2: [rosterd] concurrency: \"0\" is not a whole number from 1 to 64" },
        { "concurrency 65", "[rosterd]\nconcurrency = 65\n" ACME,
          IN "2: [rosterd] concurrency: \"65\" is not a whole number from 1 to 64" },
        { "concurrency negative", "[rosterd]\nconcurrency = -1\n" ACME,
          IN "2: [rosterd] concurrency: \"-1\" is not a whole number from 1 to 64" },
        { "concurrency huge", "[rosterd]\nconcurrency = 18446744073709551617\n" ACME,
          IN
          "2: [rosterd] concurrency: \"18446744073709551617\" is not a whole number from 1 to 64" },
        { "boolean", "[rosterd]\nstore_personal_pin = maybe\n" ACME,
          IN "2: [rosterd] store_personal_pin: \"maybe\" is neither yes nor no" },
        { "personal_data", "[rosterd]\npersonal_data = minimum\n" ACME,
          IN
          "2: [rosterd] personal_data: \"minimum\" is not full or minimal; did you mean minimal?" },
        { "log_level", "[rosterd]\nlog_level = verbose\n" ACME,
          IN "2: [rosterd] log_level: \"verbose\" is not error, warning, notice, info or debug" },
        { "database relative", "[rosterd]\ndatabase = roster.db\n" ACME,
          IN "2: [rosterd] database: \"roster.db\" is not an absolute path; begin it with \"/\"" },
        { "control_socket relative", "[rosterd]\ncontrol_socket = control\n" ACME,
          IN "2: [rosterd] control_socket: \"control\" is not an absolute path; begin it with "
             "\"/\"" },
        { "control_socket too long",
          "[rosterd]\ncontrol_socket = "
          "/0123456789012345678901234567890123456789012345678901234567890"
          "12345678901234567890123456789012345678901234567\n" ACME,
          IN
          "2: [rosterd] control_socket: "
          "\"/0123456789012345678901234567890123456789012345678901234567890123456…\" is too long "
          "for a socket; 107 bytes are allowed" },
        { "metrics_file relative", "[rosterd]\nmetrics_file = m.prom\n" ACME,
          IN "2: [rosterd] metrics_file: \"m.prom\" is not an absolute path; begin it with \"/\"" },
        { "value cut and cleaned",
          "[rosterd]\nlog_level = \xc2\x9b"
          "31m aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n" ACME,
          IN "2: [rosterd] log_level: \"?31m "
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…\" is not error, "
             "warning, notice, info or debug" },
        /* [account] */
        { "account_id missing", "\n[account acme]\n",
          IN "2: [account acme] account_id: is missing; it is required" },
        { "account_id empty", "[account acme]\n\naccount_id =\n",
          IN "3: [account acme] account_id: is empty; it is required" },
        { "account_id with slash", "[account acme]\naccount_id = a/b\n",
          IN "2: [account acme] account_id: \"a/b\" holds characters that a URL would have to "
             "percent-encode; write letters, digits, \"-\", \"_\" and \".\" only" },
        { "account_id dots", "[account acme]\naccount_id = ..\n",
          IN "2: [account acme] account_id: \"..\" is no account id" },
        { "source", ACME "source = wickr\n",
          IN "3: [account acme] source: \"wickr\" is not chime" },
        { "user_type", ACME "user_type = privateuser\n",
          IN "3: [account acme] user_type: \"privateuser\" is not PrivateUser or SharedDevice; did "
             "you mean PrivateUser?" },
        { "user_email", ACME "user_email = ana@example\n",
          IN "3: [account acme] user_email: \"ana@example\" is not an e-mail address; write e.g. "
             "ana@example.com" },
        { "user_email without a name", ACME "user_email = @example.com\n",
          IN "3: [account acme] user_email: \"@example.com\" is not an e-mail address; write e.g. "
             "ana@example.com" },
        { "user_email in quotation marks", ACME "user_email = \"ana@example.com\"\n",
          IN "3: [account acme] user_email: \"\"ana@example.com\"\" holds quotation marks, which "
             "would belong to the address; write it without them, e.g. ana@example.com" },
        { "user_email in single ones", ACME "user_email = 'ana@example.com'\n",
          IN "3: [account acme] user_email: \"'ana@example.com'\" holds quotation marks, which "
             "would belong to the address; write it without them, e.g. ana@example.com" },
        { "user_email of two", ACME "user_email = ana@example.com, bo@example.com\n",
          IN "3: [account acme] user_email: \"ana@example.com, bo@example.com\" is not an e-mail "
             "address; write e.g. ana@example.com" },
        { "user_email with a name", ACME "user_email = Ana <ana@example.com>\n",
          IN "3: [account acme] user_email: \"Ana <ana@example.com>\" is not an e-mail address; "
             "write e.g. ana@example.com" },
        { "max_results", ACME "max_results = 201\n",
          IN "3: [account acme] max_results: \"201\" is not a whole number from 1 to 200" },
        { "requests_per_second", ACME "requests_per_second = 1001\n",
          IN "3: [account acme] requests_per_second: \"1001\" is not a number from 0 to 1000; "
             "write e.g. 10 or 2.5" },
        { "requests_per_second inf", ACME "requests_per_second = inf\n",
          IN "3: [account acme] requests_per_second: \"inf\" is not a number from 0 to 1000; write "
             "e.g. 10 or 2.5" },
        { "requests_per_second comma", ACME "requests_per_second = 2,5\n",
          IN "3: [account acme] requests_per_second: \"2,5\" is not a number from 0 to 1000; write "
             "e.g. 10 or 2.5" },
        { "requests_per_second just over", ACME "requests_per_second = 1000.5\n",
          IN "3: [account acme] requests_per_second: \"1000.5\" is not a number from 0 to 1000; "
             "write e.g. 10 or 2.5" },
        { "max_removals", ACME "max_removals = 101%\n",
          IN "3: [account acme] max_removals: \"101%\" is neither a whole number of users nor a "
             "percentage from 0% to 100%; write e.g. 25 or 10%" },
        { "max_removals percent alone", ACME "max_removals = %\n",
          IN "3: [account acme] max_removals: \"%\" is neither a whole number of users nor a "
             "percentage from 0% to 100%; write e.g. 25 or 10%" },
        { "missing_listings", ACME "missing_listings = 0\n",
          IN "3: [account acme] missing_listings: \"0\" is not a whole number from 1 to 100" },
        { "baseline", ACME "baseline = loud\n",
          IN "3: [account acme] baseline: \"loud\" is not quiet or events" },
        { "endpoint scheme", ACME "endpoint = ftp://h\n",
          IN "3: [account acme] endpoint: \"ftp://h\" does not begin with https://" },
        { "endpoint without scheme", ACME "endpoint = chime.example\n",
          IN "3: [account acme] endpoint: \"chime.example\" does not begin with https://" },
        { "endpoint userinfo is not shown", ACME "endpoint = https://u:pw@h\n",
          IN "3: [account acme] endpoint: the value holds a user name or password before \"@\"; "
             "the keys go into access_key_id and secret_access_key" },
        { "endpoint query", ACME "endpoint = https://h?a=b\n",
          IN "3: [account acme] endpoint: \"https://h?a=b\" has a query (\"?\"); write scheme and "
             "host only" },
        { "endpoint fragment", ACME "endpoint = https://h/#a\n",
          IN "3: [account acme] endpoint: \"https://h/#a\" has a fragment (\"#\"); write scheme "
             "and host only" },
        { "endpoint path", ACME "endpoint = https://h/v1\n",
          IN
          "3: [account acme] endpoint: \"https://h/v1\" has a path; write scheme and host only" },
        { "endpoint without host", ACME "endpoint = https:///\n",
          IN "3: [account acme] endpoint: \"https:///\" has no valid host name after \"://\"" },
        { "endpoint port", ACME "endpoint = https://h:65536\n",
          IN "3: [account acme] endpoint: \"https://h:65536\" has a port that is not a number from "
             "1 to 65535" },
        { "endpoint IPv6", ACME "endpoint = https://[::g]\n",
          IN "3: [account acme] endpoint: \"https://[::g]\" has no valid host name after \"://\"" },
        { "endpoint beyond ASCII", ACME "endpoint = https://chïme\n",
          IN "3: [account acme] endpoint: \"https://chïme\" holds a space or a character beyond "
             "ASCII, which a URL must percent-encode" },
        { "endpoint http", ACME "endpoint = http://h:8080\n",
          IN "3: [account acme] endpoint: \"http://h:8080\" is plain http to another machine; "
             "write https://, or set allow_http = yes" },
        { "endpoint like loopback", ACME "endpoint = http://127.0.0.1.example.com\n",
          IN "3: [account acme] endpoint: \"http://127.0.0.1.example.com\" is plain http to "
             "another machine; write https://, or set allow_http = yes" },
        { "endpoint like localhost", ACME "endpoint = http://localhost.example.com\n",
          IN "3: [account acme] endpoint: \"http://localhost.example.com\" is plain http to "
             "another machine; write https://, or set allow_http = yes" },
        { "allow_http no again",
          "[rosterd]\nallow_http = yes\n" ACME "allow_http = no\nendpoint = http://h\n",
          IN "6: [account acme] endpoint: \"http://h\" is plain http to another machine; write "
             "https://, or set allow_http = yes" },
        { "region", ACME "region = US East\n",
          IN "3: [account acme] region: \"US East\" is not a region; write lower-case letters, "
             "digits and \"-\", e.g. us-east-1" },
        { "proxy scheme", ACME "proxy = proxy:3128\n",
          IN "3: [account acme] proxy: \"proxy:3128\" does not begin with http://, https://, "
             "socks5:// or socks5h://" },
        { "proxy with password is not shown", ACME "proxy = socks4://u:pw@h\n",
          IN "3: [account acme] proxy: the value does not begin with http://, https://, socks5:// "
             "or socks5h://" },
        { "proxy path", ACME "proxy = http://h/p\n",
          IN
          "3: [account acme] proxy: \"http://h/p\" has a path; write scheme, host and port only" },
        { "ca_file absent", ACME "ca_file = /nonexistent/ca.pem\n",
          IN "3: [account acme] ca_file: \"/nonexistent/ca.pem\" cannot be read: No such file or "
             "directory" },
        { "ca_file folder", ACME "ca_file = /\n",
          IN "3: [account acme] ca_file: \"/\" is not a regular file" },
        { "ca_file relative", ACME "ca_file = ca.pem\n",
          IN "3: [account acme] ca_file: \"ca.pem\" is not an absolute path; begin it with \"/\"" },
        { "connect_timeout", ACME "connect_timeout = 11min\n",
          IN "3: [account acme] connect_timeout: \"11min\" is too long; write at most 10min" },
        { "request_timeout", ACME "request_timeout = 0\n",
          IN "3: [account acme] request_timeout: \"0\" is too short; write at least 1s" },
        { "access_key_id is not shown", ACME "access_key_id = a+b/c\nsecret_access_key = x\n",
          IN "3: [account acme] access_key_id: the value is not made of letters, digits, \"_\" and "
             "\"-\"" },
        { "access_key_id alone", ACME "access_key_id = AKID\n",
          IN "3: [account acme] access_key_id: is given without secret_access_key; give both or "
             "neither" },
        { "secret_access_key alone", ACME "secret_access_key = x\n",
          IN "3: [account acme] secret_access_key: is given without access_key_id; give both or "
             "neither" },
        { "session_token alone", ACME "session_token = x\n",
          IN
          "3: [account acme] session_token: is given without access_key_id and secret_access_key" },
        { "secret with a space", ACME "access_key_id = A\nsecret_access_key = x y\n",
          IN "4: [account acme] secret_access_key: the value holds a space or a character beyond "
             "ASCII" },
        { "profile besides keys", ACME "access_key_id = A\nsecret_access_key = x\nprofile = p\n",
          IN "5: [account acme] profile: is given besides access_key_id; credentials come from one "
             "of them" },
        { "credential_source besides profile",
          ACME "profile = p\ncredential_source = Environment\n" ROLE,
          IN "4: [account acme] credential_source: is given besides profile; credentials come from "
             "one of them" },
        { "credential_source besides keys",
          ACME "access_key_id = A\nsecret_access_key = x\ncredential_source = Environment\n" ROLE,
          IN "5: [account acme] credential_source: is given besides access_key_id; credentials "
             "come from one of them" },
        { "credential_source alone", ACME "credential_source = Environment\n",
          IN "3: [account acme] credential_source: is given without role_arn, which it belongs "
             "to" },
        { "external_id alone", ACME "external_id = abc\n",
          IN "3: [account acme] external_id: is given without role_arn, which it belongs to" },
        { "role_session_name alone", ACME "role_session_name = abc\n",
          IN "3: [account acme] role_session_name: is given without role_arn, which it belongs "
             "to" },
        { "unknown credential_source", ACME "credential_source = environment\n" ROLE,
          IN "3: [account acme] credential_source: \"environment\" is not Environment, "
             "Ec2InstanceMetadata or EcsContainer; did you mean Environment?" },
        { "role_arn of a user", ACME "role_arn = arn:aws:iam::123456789012:user/x\n",
          IN "3: [account acme] role_arn: \"arn:aws:iam::123456789012:user/x\" is not the ARN of a "
             "role; write e.g. arn:aws:iam::123456789012:role/rosterd" },
        { "role_arn with a short number", ACME "role_arn = arn:aws:iam::12345678901:role/x\n",
          IN "3: [account acme] role_arn: \"arn:aws:iam::12345678901:role/x\" is not the ARN of a "
             "role; write e.g. arn:aws:iam::123456789012:role/rosterd" },
        { "role_arn without a name", ACME "role_arn = arn:aws:iam::123456789012:role/\n",
          IN "3: [account acme] role_arn: \"arn:aws:iam::123456789012:role/\" is not the ARN of a "
             "role; write e.g. arn:aws:iam::123456789012:role/rosterd" },
        { "external_id with a space", ACME "external_id = a b\n" ROLE,
          IN "3: [account acme] external_id: the value is not 2 to 1224 letters, digits and "
             "\"_+=,.@:/-\"" },
        { "role_session_name of one letter", ACME "role_session_name = a\n" ROLE,
          IN "3: [account acme] role_session_name: \"a\" is not 2 to 64 letters, digits and "
             "\"_+=,.@-\"" },
        { "twins",
          ACME "endpoint = https://H:443/\n[account b]\naccount_id = 0f2c\nendpoint = https://h\n",
          IN "4: [account b] has the same source, account_id and endpoint as [account acme] "
             "(rosterd.conf:1); one section is enough" },
        /* [webhook] */
        { "url missing", ACME "[webhook ops]\n",
          IN "3: [webhook ops] url: is missing; it is required" },
        { "url is not shown", ACME "[webhook ops]\nurl = ftp://secret\n",
          IN "4: [webhook ops] url: the value does not begin with https://" },
        { "url http", ACME "[webhook ops]\nurl = http://h/secret\n",
          IN "4: [webhook ops] url: the value is plain http to another machine; write https://, or "
             "set allow_http = yes" },
        { "url with a space", ACME "[webhook ops]\nurl = https://h/a b\n",
          IN "4: [webhook ops] url: the value holds a space or a character beyond ASCII, which a "
             "URL must percent-encode" },
        { "url userinfo", ACME "[webhook ops]\nurl = https://u:p@h/\n",
          IN "4: [webhook ops] url: the value holds a user name or password before \"@\"; write "
             "header = Authorization: Basic … instead" },
        { "url fragment", ACME "[webhook ops]\nurl = https://h/#x\n",
          IN "4: [webhook ops] url: the value has a fragment (\"#\"), which is never sent" },
        { "format", OPS "format = slak\n",
          IN "5: [webhook ops] format: \"slak\" is not json, cloudevents, slack, teams, pagerduty "
             "or alertmanager; did you mean slack?" },
        { "event syntax", OPS "events = user/*\n",
          IN "5: [webhook ops] events: \"user/*\" is not an event type; write letters, \".\", "
             "\"_\" and the wildcards \"*\" and \"?\"" },
        { "event that never comes", OPS "events = sync.*, user.suspend\n",
          IN "5: [webhook ops] events: \"sync.*, user.suspend\" holds \"user.suspend\", which fits "
             "no event type; rosterd.conf(5) lists them, e.g. user.suspended or sync.*" },
        { "only commas", OPS "events = , ,\n",
          IN
          "5: [webhook ops] events: \", ,\" is only commas; name at least one, or nothing at all" },
        { "unknown account", OPS "accounts = acme, acne, zzz\n",
          IN "5: [webhook ops] accounts: there is no [account acne]; did you mean acme?\n" IN
             "5: [webhook ops] accounts: there is no [account zzz]" },
        { "account name syntax", OPS "accounts = a/b\n",
          IN "5: [webhook ops] accounts: \"a/b\" is not a name; write 1 to 64 letters, digits, "
             "\".\", \"_\" and \"-\"" },
        { "secret prefix", OPS "secret = MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
          IN "5: [webhook ops] secret: the value does not begin with \"whsec_\"; write that and "
             "the base64 of 24 to 64 bytes" },
        { "secret base64", OPS "secret = whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-w\n",
          IN "5: [webhook ops] secret: the value is not base64 after \"whsec_\"" },
        { "secret short", OPS "secret = whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLQ==\n",
          IN "5: [webhook ops] secret: the value holds 22 bytes; 24 to 64 are allowed" },
        { "three secrets", OPS "secret = " WHSEC "\nsecret = " WHSEC "\nsecret = " WHSEC "\n",
          IN "7: [webhook ops] secret: the value is one too many; at most 2 are allowed" },
        { "header", OPS "header = Authorization Bearer x\n",
          IN "5: [webhook ops] header: the value is not a header; write \"Name: value\", the name "
             "without spaces" },
        { "header of ours", OPS "header = Webhook-Id: x\n",
          IN "5: [webhook ops] header: the value sets webhook-id, which rosterd sets itself" },
        { "header empty", OPS "header = X-A:\n",
          IN "5: [webhook ops] header: the value has nothing after the \":\"" },
        { "batch", OPS "batch = 1001\n",
          IN "5: [webhook ops] batch: \"1001\" is not a whole number from 1 to 1000" },
        { "timeout", OPS "timeout = soon\n",
          IN "5: [webhook ops] timeout: \"soon\" " DURATION "1s, at most 10min" },
        { "give_up_after", OPS "give_up_after = 2y\n",
          IN "5: [webhook ops] give_up_after: \"2y\" is too long; write at most 365d" },
        { "replay_from", OPS "replay_from = yesterday\n",
          IN
          "5: [webhook ops] replay_from: \"yesterday\" is neither the number of an event (seq) nor "
          "\"now\"" },
        { "replay_from below 0", OPS "replay_from = -1\n",
          IN "5: [webhook ops] replay_from: \"-1\" is neither the number of an event (seq) nor "
             "\"now\"" },
        { "repeat too short", OPS "format = alertmanager\nrepeat = 100ms\n",
          IN "6: [webhook ops] repeat: \"100ms\" is too short; write at least 1s" },
        { "repeat of json", OPS "repeat = 2min\n",
          IN "5: [webhook ops] repeat: is only for format = alertmanager" },
        { "batch of slack", OPS "batch = 10\nformat = slack\n",
          IN "5: [webhook ops] batch: is only for format = json or cloudevents" },
        { "routing_key of json", OPS "routing_key = 0123456789abcdef\n",
          IN "5: [webhook ops] routing_key: is only for format = pagerduty" },
        { "routing_key is not shown", OPS "format = pagerduty\nrouting_key = c4n@ry\n",
          IN "6: [webhook ops] routing_key: the value is no routing key; write the integration key "
             "that PagerDuty shows for Events API v2, 32 letters and digits" },
        { "pagerduty without its key", OPS "format = pagerduty\n",
          IN "3: [webhook ops] routing_key: is missing; format = pagerduty requires it" },
        { "no alerts", OPS "format = alertmanager\nevents = user.added\n",
          IN "6: [webhook ops] events: names nothing that alertmanager makes an alert of: "
             "user.suspended, sync.failed and sync.removals_held" },
        { "webhook ca_file", OPS "ca_file = ca.pem\n",
          IN "5: [webhook ops] ca_file: \"ca.pem\" is not an absolute path; begin it with \"/\"" },
        { "webhook proxy", OPS "proxy = ftp://h\n",
          IN
          "5: [webhook ops] proxy: \"ftp://h\" does not begin with http://, https://, socks5:// or "
          "socks5h://" },
};

static void test_mistakes(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
                print_message("  %s\n", mistakes[i].name);
                put("rosterd.conf", mistakes[i].text);
                assert_refused(-EINVAL, mistakes[i].messages);
        }
}

/* A line of a section, and what its key then holds. */
static const struct {
        SectionKind kind;
        const char *line, *key, *shown;
} values[] = {
        { SECTION_ROSTERD, "database = /x/y.db", "database", "/x/y.db" },
        { SECTION_ROSTERD, "database=/x/y.db", "database", "/x/y.db" },
        { SECTION_ROSTERD, "database\t=\t/x y.db\t", "database", "/x y.db" },
        { SECTION_ROSTERD, "database = /x=y;z", "database", "/x=y;z" },
        { SECTION_ROSTERD, "database = /x#y # z", "database", "/x#y # z" },
        { SECTION_ROSTERD, "database = /x ; y", "database", "/x" },
        { SECTION_ROSTERD, "database = /x\t;y", "database", "/x" },
        { SECTION_ROSTERD, "metrics_file =          ; none", "metrics_file", "(none)" },
        { SECTION_ROSTERD, "interval = 90", "interval", "1min 30s" },
        { SECTION_ROSTERD, "interval = 1h 30min ; long", "interval", "1h 30min" },
        { SECTION_ROSTERD, "interval =", "interval", "15min" },
        { SECTION_ROSTERD, "interval = 10s", "interval", "10s" },
        { SECTION_ROSTERD, "interval = 30d", "interval", "30d" },
        { SECTION_ROSTERD, "concurrency = 64", "concurrency", "64" },
        { SECTION_ROSTERD, "concurrency = 007", "concurrency", "7" },
        { SECTION_ROSTERD, "store_personal_pin = On", "store_personal_pin", "yes" },
        { SECTION_ROSTERD, "store_personal_pin = 1", "store_personal_pin", "yes" },
        { SECTION_ROSTERD, "store_personal_pin = TRUE", "store_personal_pin", "yes" },
        { SECTION_ROSTERD, "store_personal_pin = off", "store_personal_pin", "no" },
        { SECTION_ROSTERD, "personal_data = minimal", "personal_data", "minimal" },
        { SECTION_ROSTERD, "log_level = debug", "log_level", "debug" },
        { SECTION_ACCOUNT, "max_removals = 0", "max_removals", "0" },
        { SECTION_ACCOUNT, "max_removals = 100 %", "max_removals", "100%" },
        { SECTION_ACCOUNT, "max_removals = 4294967295", "max_removals", "4294967295" },
        { SECTION_ACCOUNT, "requests_per_second = 0", "requests_per_second", "0" },
        { SECTION_ACCOUNT, "requests_per_second = 2.5", "requests_per_second", "2.5" },
        { SECTION_ACCOUNT, "requests_per_second = 1000", "requests_per_second", "1000" },
        { SECTION_ACCOUNT, "user_type = SharedDevice", "user_type", "SharedDevice" },
        { SECTION_ACCOUNT, "user_type = ", "user_type", "(none)" },
        { SECTION_ACCOUNT, "user_email = ana+x@exämple.com", "user_email", "ana+x@exämple.com" },
        { SECTION_ACCOUNT, "user_email = o'neill@example.com", "user_email",
          "o'neill@example.com" },
        { SECTION_ACCOUNT, "user_email = @@x.y", "user_email", "@@x.y" },
        { SECTION_ACCOUNT, "baseline = events", "baseline", "events" },
        { SECTION_ACCOUNT, "endpoint = https://Chime.Example/", "endpoint",
          "https://chime.example" },
        { SECTION_ACCOUNT, "endpoint = https://h:443", "endpoint", "https://h" },
        { SECTION_ACCOUNT, "endpoint = https://h:8443", "endpoint", "https://h:8443" },
        { SECTION_ACCOUNT, "endpoint = https://[2001:DB8::1]:8443/", "endpoint",
          "https://[2001:db8::1]:8443" },
        { SECTION_ACCOUNT, "endpoint = http://127.8.9.10:80", "endpoint", "http://127.8.9.10" },
        { SECTION_ACCOUNT, "endpoint = http://localhost:8080", "endpoint",
          "http://localhost:8080" },
        { SECTION_ACCOUNT, "endpoint = http://[::1]:8080", "endpoint", "http://[::1]:8080" },
        { SECTION_ACCOUNT, "endpoint = http://h\nallow_http = yes", "endpoint", "http://h" },
        { SECTION_ACCOUNT, "proxy = socks5h://u:p@h:1080/", "proxy", "socks5h://u:p@h:1080" },
        { SECTION_ACCOUNT, "ca_file = /dev/../etc/passwd", "ca_file", "/dev/../etc/passwd" },
        { SECTION_ACCOUNT, "profile =", "region", "us-east-1" },
        { SECTION_ACCOUNT, "profile = pro d/ü", "profile", "pro d/ü" },
        { SECTION_ACCOUNT, "role_arn = arn:aws-cn:iam::123456789012:role/a/b+c", "role_arn",
          "arn:aws-cn:iam::123456789012:role/a/b+c" },
        { SECTION_ACCOUNT, ROLE "external_id = a:b/c=1", "external_id", "a:b/c=1" },
        { SECTION_ACCOUNT, ROLE "role_session_name = a@b", "role_session_name", "a@b" },
        { SECTION_ACCOUNT, ROLE "credential_source = EcsContainer", "credential_source",
          "EcsContainer" },
        { SECTION_ACCOUNT, ROLE "access_key_id = A\nsecret_access_key = x", "access_key_id", "A" },
        { SECTION_WEBHOOK, "format = alertmanager", "format", "alertmanager" },
        { SECTION_WEBHOOK, "events = user.suspended,sync.* user.?nvited", "events",
          "user.suspended|sync.*|user.?nvited" },
        { SECTION_WEBHOOK, "events =", "events", "user.*|sync.*" },
        { SECTION_WEBHOOK, "accounts = acme", "accounts", "acme" },
        { SECTION_WEBHOOK, "secret = " WHSEC, "secret", WHSEC },
        { SECTION_WEBHOOK, "secret = " WHSEC "\nsecret = " WHSEC, "secret", WHSEC "|" WHSEC },
        { SECTION_WEBHOOK, "header = A: b=c:d\nheader = B:\te", "header", "A: b=c:d|B:\te" },
        { SECTION_WEBHOOK, "give_up_after = 1w", "give_up_after", "7d" },
        { SECTION_WEBHOOK, "replay_from = 17", "replay_from", "17" },
        { SECTION_WEBHOOK, "replay_from = now", "replay_from", "now" },
        { SECTION_WEBHOOK, "format = alertmanager\nrepeat = 30s", "repeat", "30s" },
        { SECTION_WEBHOOK, "format = pagerduty\nrouting_key = R0_k", "routing_key", "R0_k" },
};

/* A whole configuration with line in the section of this kind. */
static void put_line(SectionKind kind, const char *line) {
        static char text[32768];

        (void) snprintf(text, sizeof text,
                        "[rosterd]\n%s\n[account acme]\naccount_id = 0f2c\n%s\n[webhook ops]\n"
                        "url = https://h.example/x\n%s\n",
                        kind == SECTION_ROSTERD ? line : "", kind == SECTION_ACCOUNT ? line : "",
                        kind == SECTION_WEBHOOK ? line : "");
        put("rosterd.conf", text);
}

static void test_values(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
                CLEANUP(config_unrefp) Config *c = NULL;
                const ConfigKey *k = config_key_find(values[i].kind, values[i].key);

                print_message("  %s: %s\n", values[i].key, values[i].shown);
                put_line(values[i].kind, values[i].line);
                assert_loads(&c);
                assert_string_equal(render(k, base_of(c, k->kind)), values[i].shown);
        }
}

static const struct {
        SectionKind kind;
        const char *key, *shown;
} defaults[] = {
        { SECTION_ROSTERD, "database", LOCALSTATEDIR "/lib/rosterd/roster.db" },
        { SECTION_ROSTERD, "interval", "15min" },
        { SECTION_ROSTERD, "concurrency", "4" },
        { SECTION_ROSTERD, "retention", "400d" },
        { SECTION_ROSTERD, "store_personal_pin", "no" },
        { SECTION_ROSTERD, "personal_data", "full" },
        { SECTION_ROSTERD, "metrics_file", "(none)" },
        { SECTION_ROSTERD, "control_socket", "/run/rosterd/control" },
        { SECTION_ROSTERD, "log_level", "info" },
        { SECTION_ROSTERD, "allow_http", "no" },
        { SECTION_ACCOUNT, "source", "chime" },
        { SECTION_ACCOUNT, "account_id", "0f2c" },
        { SECTION_ACCOUNT, "interval", "15min" },
        { SECTION_ACCOUNT, "user_type", "(none)" },
        { SECTION_ACCOUNT, "user_email", "(none)" },
        { SECTION_ACCOUNT, "max_results", "200" },
        { SECTION_ACCOUNT, "requests_per_second", "10" },
        { SECTION_ACCOUNT, "max_removals", "10%" },
        { SECTION_ACCOUNT, "missing_listings", "1" },
        { SECTION_ACCOUNT, "baseline", "quiet" },
        { SECTION_ACCOUNT, "endpoint", "https://chime.us-east-1.amazonaws.com" },
        { SECTION_ACCOUNT, "region", "us-east-1" },
        { SECTION_ACCOUNT, "access_key_id", "(none)" },
        { SECTION_ACCOUNT, "secret_access_key", "(none)" },
        { SECTION_ACCOUNT, "session_token", "(none)" },
        { SECTION_ACCOUNT, "profile", "(none)" },
        { SECTION_ACCOUNT, "role_arn", "(none)" },
        { SECTION_ACCOUNT, "external_id", "(none)" },
        { SECTION_ACCOUNT, "role_session_name", "(none)" },
        { SECTION_ACCOUNT, "credential_source", "(none)" },
        { SECTION_ACCOUNT, "ca_file", "(none)" },
        { SECTION_ACCOUNT, "proxy", "(none)" },
        { SECTION_ACCOUNT, "connect_timeout", "10s" },
        { SECTION_ACCOUNT, "request_timeout", "1min" },
        { SECTION_ACCOUNT, "allow_http", "no" },
        { SECTION_WEBHOOK, "url", "https://h.example/x" },
        { SECTION_WEBHOOK, "format", "json" },
        { SECTION_WEBHOOK, "events", "user.*|sync.*" },
        { SECTION_WEBHOOK, "accounts", "" },
        { SECTION_WEBHOOK, "secret", "" },
        { SECTION_WEBHOOK, "header", "" },
        { SECTION_WEBHOOK, "batch", "1" },
        { SECTION_WEBHOOK, "timeout", "10s" },
        { SECTION_WEBHOOK, "give_up_after", "3d" },
        { SECTION_WEBHOOK, "routing_key", "(none)" },
        { SECTION_WEBHOOK, "repeat", "1min" },
        { SECTION_WEBHOOK, "replay_from", "now" },
        { SECTION_WEBHOOK, "ca_file", "(none)" },
        { SECTION_WEBHOOK, "proxy", "(none)" },
        { SECTION_WEBHOOK, "allow_http", "no" },
};

static void test_defaults(void **state) {
        CLEANUP(config_unrefp) Config *c = NULL;

        (void) state;
        put("rosterd.conf", OPS);
        assert_loads(&c);
        assert_string_equal(c->path, in_dir("rosterd.conf"));
        assert_int_equal(c->log_level, LOG_INFO);
        for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
                const ConfigKey *k = config_key_find(defaults[i].kind, defaults[i].key);

                assert_non_null(k);
                assert_string_equal(render(k, base_of(c, k->kind)), defaults[i].shown);
        }
        assert_int_equal(config_n_keys,
                         sizeof defaults / sizeof defaults[0]); /* a new key belongs above */
}

static void test_inherited(void **state) {
        CLEANUP(config_unrefp) Config *c = NULL;

        (void) state;
        put("rosterd.conf", ACME "endpoint = http://h\n"
                                 "[account b]\naccount_id = 0f2c\ninterval = 5min\n"
                                 "[webhook w]\nurl = http://h\n"
                                 "[rosterd]\ninterval = 1h\nallow_http = yes\n");
        assert_loads(&c);
        assert_int_equal(c->n_accounts, 2);
        assert_true(c->accounts[0].interval == USEC_PER_HOUR);
        assert_true(c->accounts[1].interval == 5 * USEC_PER_MINUTE);
        assert_true(c->accounts[0].allow_http && c->webhooks[0].allow_http);
        assert_ptr_equal(config_account(c, "b"), &c->accounts[1]);
        assert_null(config_account(c, "B"));
}

static void test_database_of_state_directory(void **state) {
        static const struct {
                const char *env, *path;
        } cases[] = {
                { "/s/rosterd", "/s/rosterd/roster.db" },
                { "/s/one:/s/two", "/s/one/roster.db" },
                { "", LOCALSTATEDIR "/lib/rosterd/roster.db" },
                { "relative", LOCALSTATEDIR "/lib/rosterd/roster.db" },
        };

        (void) state;
        put("rosterd.conf", ACME);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                CLEANUP(config_unrefp) Config *c = NULL;

                assert_int_equal(setenv("STATE_DIRECTORY", cases[i].env, 1), 0);
                assert_loads(&c);
                assert_string_equal(c->database, cases[i].path);
        }
}

static void test_socket_of_runtime_directory(void **state) {
        static char deep[130];
        const struct {
                const char *env, *path;
        } cases[] = {
                { "/run/rosterd", "/run/rosterd/control" },
                { "/r/one:/r/two", "/r/one/control" },
                { "", "/run/rosterd/control" },
                { "relative", "/run/rosterd/control" },
                { deep, "/run/rosterd/control" }, /* no room for it in an address */
        };

        (void) state;
        memset(deep, '/', sizeof deep - 1);
        put("rosterd.conf", ACME);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                CLEANUP(config_unrefp) Config *c = NULL;

                assert_int_equal(setenv("RUNTIME_DIRECTORY", cases[i].env, 1), 0);
                assert_loads(&c);
                assert_string_equal(c->control_socket, cases[i].path);
        }
        assert_int_equal(unsetenv("RUNTIME_DIRECTORY"), 0);
}

static void test_lines(void **state) {
        CLEANUP(config_unrefp) Config *c = NULL;

        (void) state;
        put("rosterd.conf", "\xef\xbb\xbf[rosterd]\r\ninterval = 5min\r\n\r\n  ; note\r\n"
                            "[ account   acme ] ; main\r\naccount_id = 0f2c\r\n"
                            "[account b]# x\r\naccount_id = 1");
        assert_loads(&c);
        assert_int_equal(c->n_accounts, 2);
        assert_true(c->interval == 5 * USEC_PER_MINUTE);
        assert_string_equal(c->accounts[0].name, "acme");
        assert_string_equal(c->accounts[0].account_id, "0f2c");
        assert_string_equal(c->accounts[1].account_id, "1");
}

/* prefix, then n times fill, then suffix. */
static const char *long_text(const char *prefix, char fill, size_t n, const char *suffix) {
        static char text[32768];
        size_t at = strlen(prefix);

        assert_true(at + n + strlen(suffix) < sizeof text);
        memcpy(text, prefix, at + 1);
        memset(text + at, fill, n);
        (void) snprintf(text + at + n, sizeof text - at - n, "%s", suffix);
        return text;
}

static void test_long_values(void **state) {
        static const char start[] = OPS "header = X: ",
                          url[] = ACME "[webhook ops]\nurl = https://h/";
        static const size_t lengths[] = { 100, 180, 190, 198, 199, 200, 300, 398, 4096, 8189 };

        (void) state;
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
                CLEANUP(config_unrefp) Config *c = NULL;

                put("rosterd.conf", long_text(start, 'v', lengths[i], " ; note\ntimeout = 5s\n"));
                assert_loads(&c);
                assert_int_equal(strlen(c->webhooks[0].headers.items[0]), lengths[i] + 3);
                assert_true(c->webhooks[0].timeout == 5 * USEC_PER_SEC);
        }
        for (size_t n = 290; n < 300; n++) {
                CLEANUP(config_unrefp) Config *c = NULL;

                put("rosterd.conf", long_text(url, 'u', n, "\n"));
                assert_loads(&c);
                assert_int_equal(strlen(c->webhooks[0].url), n + 10);
        }

        put("rosterd.conf", long_text(start, 'v', 8190, "\ntimeout = x\n"));
        assert_refused(-EINVAL, IN "5: [webhook ops] header: the value is 8193 bytes long; at most "
                                   "8192 are allowed\n" IN
                                   "6: [webhook ops] timeout: \"x\" " DURATION "1s, at most 10min");
        put("rosterd.conf",
            long_text(OPS "accounts = acme", ',', 0,
                      ",acme,acme,acme,acme,a\nevents = "
                      "*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,"
                      "*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*\n"));
        assert_refused(-EINVAL,
                       IN "6: [webhook ops] events: \"*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,"
                          "*,*,*,*,*,*,*,*,*,*,*,*,*,…\" has more than 64 parts\n" IN
                          "5: [webhook ops] accounts: there is no [account a]");
        put("rosterd.conf", long_text("# ", 'c', 20000, "\n" ACME "interval = x\n"));
        assert_refused(-EINVAL,
                       IN "4: [account acme] interval: \"x\" " DURATION "10s, at most 30d");
}

static void test_every_mistake_at_once(void **state) {
        (void) state;
        put("rosterd.conf", "[rosterd]\n"
                            "interval = 5x\n"
                            "concurency = 3\n"
                            "personal_data = none\n"
                            "[account acme]\n"
                            "account_id = a%2Fb\n"
                            "max_results = 500\n"
                            "max_results = 100\n"
                            "  user_email = a@b.c\n"
                            "endpoint = http://chime.example\n"
                            "[webhook ops]\n"
                            "url = hooks.example.com/secret\n"
                            "accounts = acmee\n"
                            "just words\n"
                            "[nonsense]\n"
                            "x = 1\n");
        assert_refused(
                -EINVAL,
                IN "2: [rosterd] interval: \"5x\" " DURATION "10s, at most 30d\n" IN
                   "3: [rosterd] concurency: unknown key; did you mean concurrency?\n" IN
                   "4: [rosterd] personal_data: \"none\" is not full or minimal\n" IN
                   "6: [account acme] account_id: \"a%2Fb\" holds characters that a URL would have "
                   "to percent-encode; write letters, digits, \"-\", \"_\" and \".\" only\n" IN
                   "7: [account acme] max_results: \"500\" is not a whole number from 1 to 200\n" IN
                   "8: [account acme] max_results: is given twice; first on line 7\n" IN
                   "9: [account acme] this line is indented; values cannot go on in a second line, "
                   "and keys begin at the start of theirs\n" IN
                   "12: [webhook ops] url: the value does not begin with https://\n" IN
                   "14: [webhook ops] this line is no \"KEY = VALUE\", [section] or comment\n" IN
                   "15: [nonsense] is not a section; sections are [rosterd], [account NAME] and "
                   "[webhook NAME]\n" IN
                   "10: [account acme] endpoint: \"http://chime.example\" is plain http to another "
                   "machine; write https://, or set allow_http = yes\n" IN
                   "13: [webhook ops] accounts: there is no [account acmee]; did you mean acme?");
        assert_int_equal(said_count, 12);
}

static void test_missing_file(void **state) {
        Config *c = NULL;
        Error err = { 0 };

        (void) state;
        assert_refused(-ENOENT, "rosterd.conf: does not exist; create it after the example in "
                                "rosterd.conf(5), or name another file with --config");
        assert_int_equal(config_load(in_dir("rosterd.conf"), NULL, NULL, &c, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "rosterd.conf does not exist"));
        assert_int_equal(mkdir(in_dir("rosterd.conf"), 0755), 0);
        assert_refused(-EINVAL, "rosterd.conf: is not a regular file");
}

static void test_summary(void **state) {
        Config *c = NULL;
        Error err = { 0 };
        char want[256];

        (void) state;
        put("rosterd.conf", ACME "x = 1\ny = 2\n");
        assert_int_equal(config_load(in_dir("rosterd.conf"), NULL, NULL, &c, &err), -EINVAL);
        (void) snprintf(want, sizeof want, "the configuration %s has 2 mistakes",
                        in_dir("rosterd.conf"));
        assert_string_equal(err.msg, want);
}

/* For those who only want the database: what is said of accounts and webhooks may be anything. */
static void test_outline(void **state) {
        static const char *const passed[] = {
                "[account acme]\nno pair\n indented\nx: y\nmax_results = many\nnonsense = 1\n",
                "[account acme] follows\n[account acme]\n[account acme]\n",
                "[account\n",
                "[account acme\nno pair\n",
                "[account]\nx = 1\nno pair\n",
                "[account not a name]\nx = 1\n",
                "[webhook ops\nurl = http://[::1\n",
                "[accont acme]\nx = 1\nno pair\n",
        };
        static const struct {
                const char *text, *said;
        } judged[] = {
                { "[rosterd\ndatabase = /x\n", "1: this section header lacks its \"]\"" },
                { "[account a\n[ rosterd\n", "2: this section header lacks its \"]\"" },
                { "[account a\n[rosterd] x\n",
                  "2: something follows the \"]\" of this section header; begin the next line with "
                  "it" },
                { "[rostrd]\ndatabase = /x\n",
                  "1: [rostrd] is not a section; sections are [rosterd], [account NAME] and "
                  "[webhook NAME]; did you mean [rosterd]?" },
                { "[account a]\nx\n[rosterd]\nx\n",
                  "4: [rosterd] this line is no \"KEY = VALUE\", [section] or comment" },
                { "[rosterd]\ninterval = 1\nconcurrency = 0\n",
                  "2: [rosterd] interval: \"1\" is too short; write at least 10s" },
                { "database = /x\n", "1: database: this line stands before the first [section]" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
                CLEANUP(config_unrefp) Config *c = NULL;
                char text[512];
                Error err = { 0 };

                (void) snprintf(text, sizeof text, "[rosterd]\ndatabase = /roster.db\n%s",
                                passed[i]);
                put("rosterd.conf", text);
                assert_int_equal(config_load(in_dir("rosterd.conf"), NULL, NULL, &c, &err),
                                 -EINVAL);
                assert_ok(config_load_outline(in_dir("rosterd.conf"), &c, &err), err);
                assert_string_equal(c->database, "/roster.db");
        }
        for (size_t i = 0; i < sizeof judged / sizeof judged[0]; i++) {
                Config *c = NULL;
                Error err = { 0 };
                char want[512];

                put("rosterd.conf", judged[i].text);
                assert_int_equal(config_load_outline(in_dir("rosterd.conf"), &c, &err), -EINVAL);
                (void) snprintf(want, sizeof want, "%s:%s", in_dir("rosterd.conf"), judged[i].said);
                assert_string_equal(err.msg, want);
        }
}

static void test_no_text(void **state) {
        static const char utf16[] = "\xff\xfe[\0a\0]\0\n\0x\0";

        (void) state;
        put_bytes("rosterd.conf", utf16, sizeof utf16 - 1, 0640);
        assert_refused(-EINVAL, IN "1: holds a NUL byte; write the file as UTF-8 text");
}

static void test_dropins(void **state) {
        CLEANUP(config_unrefp) Config *c = NULL;

        (void) state;
        put("rosterd.conf", "[rosterd]\ninterval = 1h\nconcurrency = 2\n" OPS
                            "header = A: 1\nheader = B: 2\nsecret = " WHSEC "\n");
        assert_int_equal(mkdir(in_dir("rosterd.conf.d"), 0755), 0);
        put("rosterd.conf.d/20-b.conf", "[rosterd]\ninterval = 20min\n"
                                        "[account b]\naccount_id = b\n");
        put("rosterd.conf.d/10-a.conf", "[rosterd]\ninterval = 10min\nretention = 30d\n"
                                        "[account acme]\nmax_results = 50\n"
                                        "[webhook ops]\nheader = C: 3\nsecret =\n");
        put("rosterd.conf.d/Z.conf", "[account b]\nmax_results = 7\n");
        put("rosterd.conf.d/.hidden.conf", "nonsense\n");
        put("rosterd.conf.d/30-c.conf~", "nonsense\n");
        put("rosterd.conf.d/README", "nonsense\n");
        assert_int_equal(mkdir(in_dir("rosterd.conf.d/40-folder.conf"), 0755), 0);
        assert_int_equal(symlink("/dev/null", in_dir("rosterd.conf.d/50-masked.conf")), 0);
        assert_loads(&c);
        assert_true(c->interval == 20 * USEC_PER_MINUTE);
        assert_int_equal(c->concurrency, 2);
        assert_true(c->retention == 30 * USEC_PER_DAY);
        assert_int_equal(c->n_accounts, 2);
        assert_int_equal(c->accounts[0].max_results, 50);
        assert_string_equal(c->accounts[0].account_id, "0f2c");
        assert_int_equal(c->accounts[1].max_results, 7);
        assert_string_equal(render_list(&c->webhooks[0].headers), "C: 3");
        assert_int_equal(c->webhooks[0].secrets.count, 0);
}

static void test_dropin_resets(void **state) {
        CLEANUP(config_unrefp) Config *c = NULL;

        (void) state;
        put("rosterd.conf", "[rosterd]\nallow_http = yes\ninterval = 1h\n" ACME
                            "interval = 5min\nmax_results = 5\nallow_http = no\n"
                            "access_key_id = A\nsecret_access_key = S\n");
        assert_int_equal(mkdir(in_dir("rosterd.conf.d"), 0755), 0);
        put("value", "K2\n");
        put("rosterd.conf.d/a.conf",
            long_text("[account acme]\ninterval =\nmax_results =\nallow_http =\n"
                      "secret_access_key_file = ",
                      'x', 0, in_dir("value")));
        assert_loads(&c);
        assert_true(c->accounts[0].interval == USEC_PER_HOUR);
        assert_int_equal(c->accounts[0].max_results, 200);
        assert_true(c->accounts[0].allow_http);
        assert_string_equal(c->accounts[0].secret_access_key, "K2");
}

static void test_dropin_mistakes(void **state) {
        (void) state;
        put("rosterd.conf", ACME);
        assert_int_equal(mkdir(in_dir("rosterd.conf.d"), 0755), 0);
        put("rosterd.conf.d/a.conf", "[account acme]\nx = 1\n[account acme]\nmax_results = 0\n");
        put("rosterd.conf.d/b.conf", "interval = 1h\n[account acne]\naccount_id = 0f2c\n");
        assert_int_equal(symlink("nowhere", in_dir("rosterd.conf.d/c.conf")), 0);
        assert_refused(
                -EACCES,
                "rosterd.conf.d/a.conf:2: [account acme] x: unknown key\n"
                "rosterd.conf.d/a.conf:3: [account acme] is given twice in this file; first on "
                "line 1\n"
                "rosterd.conf.d/a.conf:4: [account acme] max_results: \"0\" is not a whole number "
                "from 1 to 200\n"
                "rosterd.conf.d/b.conf:1: interval: this line stands before the first [section]\n"
                "rosterd.conf.d/c.conf: cannot open: No such file or directory; let the service's "
                "user read it\n"
                "rosterd.conf.d/b.conf:2: [account acne] has the same source, account_id and "
                "endpoint as [account acme] (rosterd.conf:1); one section is enough");
}

static void test_dropin_folder_mistakes(void **state) {
        (void) state;
        put("rosterd.conf", ACME);
        put("rosterd.conf.d", "");
        assert_refused(-EINVAL, "rosterd.conf.d: cannot be read: Not a directory");
        assert_int_equal(unlink(in_dir("rosterd.conf.d")), 0);
        assert_int_equal(mkdir(in_dir("rosterd.conf.d"), 0755), 0);
        for (unsigned i = 0; i <= 1024; i++) {
                char name[64];

                (void) snprintf(name, sizeof name, "rosterd.conf.d/%u.conf", i);
                put(name, "");
        }
        assert_refused(-EINVAL, "rosterd.conf.d: holds more than 1024 files");
}

static void put_with_path(const char *before, const char *name, const char *after) {
        static char text[4096];

        (void) snprintf(text, sizeof text, "%s%s%s", before, in_dir(name), after);
        put("rosterd.conf", text);
}

static void test_value_files(void **state) {
        CLEANUP(config_unrefp) Config *c = NULL, *d = NULL, *e = NULL;

        (void) state;
        put("key", "sEcReT/+=\n\n");
        put_with_path(ACME "access_key_id = AKID\nsecret_access_key_file = ", "key", " ; where\n");
        assert_loads(&c);
        assert_string_equal(c->accounts[0].secret_access_key, "sEcReT/+=");

        put("list", "\nA: 1 ; kept\r\n\nB: 2\n");
        put_with_path(OPS "header_file = ", "list", "\n");
        assert_loads(&d);
        assert_string_equal(render_list(&d->webhooks[0].headers), "A: 1 ; kept|B: 2");

        assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
        put("hook.url", "https://h.example/secret\n");
        put("every", "5min");
        put("rosterd.conf", ACME "interval_file = every\n[webhook ops]\nurl_file = hook.url\n");
        assert_loads(&e);
        assert_string_equal(e->webhooks[0].url, "https://h.example/secret");
        assert_true(e->accounts[0].interval == 5 * USEC_PER_MINUTE);
}

static void test_value_file_mistakes(void **state) {
        (void) state;
        put("rosterd.conf", OPS "secret_file = ops\n");
        assert_refused(-EINVAL, IN "5: [webhook ops] secret_file: \"ops\" names a credential, but "
                                   "CREDENTIALS_DIRECTORY is not set; write an absolute path, or "
                                   "start rosterd from a unit with LoadCredential=; for a check "
                                   "by hand, set it to the file's directory");
        put("rosterd.conf", OPS "secret_file = ./ops\n");
        assert_refused(-EINVAL, IN "5: [webhook ops] secret_file: \"./ops\" is neither an absolute "
                                   "path nor the bare name of a credential");
        put_with_path(OPS "secret_file = ", "none", "\n");
        assert_refused(-EINVAL, IN "5: [webhook ops] secret_file: none: cannot open: No such file "
                                   "or directory");
        put("rosterd.conf", OPS "secret_file = /nonexistent/\x1b[31m\xff\n");
        assert_refused(-EINVAL, IN "5: [webhook ops] secret_file: /nonexistent/?[31m?: cannot "
                                   "open: No such file or directory");
        put("empty", "\n\n");
        put_with_path(OPS "secret_file = ", "empty", "\n");
        assert_refused(-EINVAL, IN "5: [webhook ops] secret_file: empty: is empty");
        put_with_path(ACME "secret_access_key = x\nsecret_access_key_file = ", "empty", "\n");
        assert_refused(-EINVAL, IN "4: [account acme] secret_access_key_file: is given besides "
                                   "secret_access_key on line 3; give one of the two\n" IN
                                   "3: [account acme] secret_access_key: is given without "
                                   "access_key_id; give both or neither");
        put("bad", "hush\n");
        put_with_path(OPS "secret_file = ", "bad", "\nsecret = " WHSEC "\n");
        assert_refused(-EINVAL, IN
                       "5: [webhook ops] secret_file: bad: the value does not begin with "
                       "\"whsec_\"; write that and the base64 of 24 to 64 bytes\n" IN
                       "6: [webhook ops] secret: is given besides secret_file on line 5; give one "
                       "of the two");
        put("words", "5x\n");
        put_with_path(ACME "interval_file = ", "words", "\n");
        assert_refused(-EINVAL, IN "3: [account acme] interval_file: words: \"5x\" " DURATION
                                   "10s, at most 30d");
        put("lines", "5min\n6min\n");
        put_with_path(ACME "interval_file = ", "lines", "\n");
        assert_refused(-EINVAL,
                       IN "3: [account acme] interval_file: lines: the value holds a line break");
        put_bytes("nul", "a\0b", 3, 0640);
        put_with_path(ACME "interval_file = ", "nul", "\n");
        assert_refused(-EINVAL, IN "3: [account acme] interval_file: nul: holds a NUL byte");
        put("large", long_text("", 'x', 8193, "\n"));
        put_with_path(ACME "interval_file = ", "large", "\n");
        assert_refused(-EINVAL,
                       IN "3: [account acme] interval_file: large: the value is 8193 bytes "
                          "long; at most 8192 are allowed");
        put("larger", long_text("", 'x', 9000, "\n"));
        put_with_path(ACME "interval_file = ", "larger", "\n");
        assert_refused(-EINVAL,
                       IN "3: [account acme] interval_file: larger: is larger than 8200 bytes");
}

static void test_value_file_modes(void **state) {
        CLEANUP(config_unrefp) Config *c = NULL;

        (void) state;
        put_bytes("url", "https://h/x\n", 12, 0644);
        put_with_path(ACME "[webhook ops]\nurl_file = ", "url", "\n");
        assert_refused(-EPERM,
                       IN "4: [webhook ops] url_file: url: holds a secret and can be read by "
                          "others; run: chmod o-r url");
        put_bytes("every", "5min\n", 5, 0644);
        put_with_path(ACME "interval_file = ", "every", "\n");
        assert_loads(&c);
}

static void test_secrets_readable_by_others(void **state) {
        static const struct {
                const char *text, *key;
                unsigned line;
        } cases[] = {
                { ACME "access_key_id = A\nsecret_access_key = S\n",
                  "[account acme] secret_access_key", 4 },
                { ACME "access_key_id = A\nsecret_access_key_file = SECRET\nsession_token = T\n",
                  "[account acme] session_token", 5 },
                { ACME "proxy = http://u:p@h\n", "[account acme] proxy", 3 },
                { OPS, "[webhook ops] url", 4 },
                { ACME "[webhook ops]\nurl_file = URL\nsecret = " WHSEC "\n",
                  "[webhook ops] secret", 5 },
                { ACME "[webhook ops]\nurl_file = URL\nheader = A: b\n", "[webhook ops] header",
                  5 },
        };
        CLEANUP(config_unrefp) Config *c = NULL;

        (void) state;
        assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
        put("SECRET", "S");
        put("URL", "https://h/");
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                char want[256];

                (void) snprintf(want, sizeof want,
                                IN "%u: %s: is a secret, and this file can be read by others; run: "
                                   "chmod o-r rosterd.conf",
                                cases[i].line, cases[i].key);
                put_bytes("rosterd.conf", cases[i].text, strlen(cases[i].text), 0644);
                assert_refused(-EPERM, want);
        }
        put_bytes("rosterd.conf", ACME "proxy = http://h\naccess_key_id =\nsecret_access_key =\n",
                  strlen(ACME "proxy = http://h\naccess_key_id =\nsecret_access_key =\n"), 0644);
        assert_loads(&c);
}

static void test_unreadable(void **state) {
        bool root = geteuid() == 0;
        Config *c = NULL;
        Error err = { 0 };
        int r;

        (void) state;
        put_bytes("rosterd.conf", ACME, strlen(ACME), 0);
        if (root) {
                assert_int_equal(chmod(dir, 0755), 0);
                assert_int_equal(seteuid(65534), 0);
        }
        r = load(&c, &err);
        if (root)
                assert_int_equal(seteuid(0), 0);
        assert_int_equal(r, -EACCES);
        assert_string_equal(said, "rosterd.conf: cannot open: Permission denied; let the service's "
                                  "user read it");
}

static void test_equal(void **state) {
        static const char *const lines[] = {
                "interval = 1h",
                "user_type = PrivateUser",
                "user_email = a@b.c",
                "max_results = 5",
                "requests_per_second = 5",
                "max_removals = 5%",
                "max_removals = 10",
                "missing_listings = 2",
                "baseline = events",
                "endpoint = https://h",
                "region = x",
                "access_key_id = A\nsecret_access_key = S",
                "access_key_id = A\nsecret_access_key = T",
                "access_key_id = A\nsecret_access_key = S\nsession_token = T",
                "ca_file = /etc/passwd",
                "proxy = http://h",
                "connect_timeout = 5s",
                "request_timeout = 5s",
                "allow_http = yes",
        };
        enum { N = sizeof lines / sizeof lines[0] };
        Config *all[N + 1] = { 0 };

        (void) state;
        for (size_t i = 0; i <= N; i++) {
                put_line(SECTION_ACCOUNT, i < N ? lines[i] : "");
                assert_loads(&all[i]);
        }
        for (size_t i = 0; i <= N; i++)
                for (size_t j = 0; j <= N; j++)
                        assert_int_equal(account_config_equal(&all[i]->accounts[0],
                                                              &all[j]->accounts[0]),
                                         i == j);
        for (size_t i = 0; i <= N; i++)
                config_unref(all[i]);
}

static void test_reload_is_equal(void **state) {
        CLEANUP(config_unrefp) Config *a = NULL, *b = NULL, *again = NULL;

        (void) state;
        put("rosterd.conf", OPS);
        assert_loads(&a);
        put("rosterd.conf",
            "[account acme]\n# moved\nsource = chime\naccount_id = 0f2c ; same\n"
            "interval = 900s\nendpoint = https://Chime.us-east-1.amazonaws.com:443/\n");
        assert_loads(&b);
        assert_true(account_config_equal(&a->accounts[0], &b->accounts[0]));
        again = config_ref(a);
        assert_ptr_equal(again, a);
        assert_int_equal(a->refs, 2);
}

/* A small generator of our own: the same bytes everywhere. */
static uint32_t noise(uint64_t *seed) {
        *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (uint32_t) (*seed >> 33);
}

static void load_anything(const char *data, size_t len) {
        CLEANUP(config_unrefp) Config *c = NULL;
        Error err = { 0 };

        put_bytes("rosterd.conf", data, len, 0640);
        if (load(&c, &err) < 0) {
                assert_true(said_count > 0);
                assert_true(err.code < 0 && err.msg[0]);
        }
}

static const char *good_file(void) {
        return "[rosterd]\ninterval = 5min ; often\nlog_level = debug\n" ACME
               "max_removals = 10%\nendpoint = https://h:8443/\naccess_key_id = A\n"
               "secret_access_key = S\n[webhook ops]\nurl = https://h/x?y=z\n"
               "events = user.*, sync.failed\naccounts = acme\nsecret = " WHSEC
               "\nheader = A: b\nheader = C: d\n";
}

static void test_garbage(void **state) {
        static const char letters[] = "[]=;:#\n\r\t \"\\/%@.abcdefghiklmnorstuwy_0129\xff\xc3\xa4";
        const char *good = good_file();
        size_t len = strlen(good);
        uint64_t seed = 20260220;
        char data[2048], any[256];

        (void) state;
        for (int i = 0; i < 256; i++)
                any[i] = (char) (i < 128 ? i : i - 256);
        for (size_t cut = 0; cut <= len; cut++)
                load_anything(good, cut);
        for (unsigned round = 0; round < 1500; round++) {
                size_t n = noise(&seed) % sizeof data;

                for (size_t i = 0; i < n; i++)
                        if (round % 2)
                                data[i] = any[noise(&seed) % sizeof any];
                        else
                                data[i] = letters[noise(&seed) % (sizeof letters - 1)];
                load_anything(data, n);
        }
        for (unsigned round = 0; round < 3000; round++) {
                (void) snprintf(data, sizeof data, "%s", good);
                for (unsigned i = 0; i <= round % 4; i++)
                        data[noise(&seed) % len] = letters[noise(&seed) % (sizeof letters - 1)];
                load_anything(data, len);
        }
}

static void test_many_sections(void **state) {
        static char text[1 << 20];
        CLEANUP(config_unrefp) Config *c = NULL;
        size_t at = 0;

        (void) state;
        for (unsigned i = 0; i < 1024; i++)
                at += (size_t) snprintf(text + at, sizeof text - at,
                                        "[account a%u]\naccount_id = %u\n", i, i);
        put("rosterd.conf", text);
        assert_loads(&c);
        assert_int_equal(c->n_accounts, 1024);
        (void) snprintf(text + at, sizeof text - at, "[account b]\nx = 1\n[account c]\ny = 1\n");
        put("rosterd.conf", text);
        assert_refused(-EINVAL, IN "2049: there are more than 1024 sections");
        memset(text, '\n', sizeof text);
        put_bytes("rosterd.conf", text, sizeof text, 0640);
        assert_refused(-EINVAL, "rosterd.conf: has no [account NAME] section; at least one is "
                                "needed, with its account_id");
}

/* The names of the layer above, which conf/ must not include. */
static void test_event_names(void **state) {
#define NAME(id, type, priority, message_id) type,
        static const char *const names[] = { EVENT_KINDS(NAME) };
#undef NAME

        (void) state;
        assert_int_equal(config_n_event_names, sizeof names / sizeof names[0]);
        for (size_t i = 0; i < config_n_event_names; i++)
                assert_string_equal(config_event_names[i], names[i]);
}

static char *read_doc(const char *name) {
        const char *top = getenv("srcdir");
        char path[PATH_MAX], *text = NULL;
        Error err = { 0 };

        (void) snprintf(path, sizeof path, "%s/%s", top ? top : ".", name);
        assert_ok(file_read(path, 1 << 20, &text, NULL, &err), err);
        return text;
}

static void test_manual_names_every_key(void **state) {
        CLEANUP_FREE char *man = read_doc("doc/rosterd.conf.5");
        static const char *const heads[] = { ".Sh THE [ROSTERD] SECTION\n",
                                             ".Sh ACCOUNT SECTIONS\n", ".Sh WEBHOOK SECTIONS\n" };

        (void) state;
        for (size_t i = 0; i < config_n_keys; i++) {
                const ConfigKey *k = &config_keys[i];
                const char *from = strstr(man, heads[k->kind]), *to, *at;
                char item[64];

                assert_non_null(from);
                to = strstr(from + 1, "\n.Sh ");
                assert_non_null(to);
                (void) snprintf(item, sizeof item, "\n.It Cm %s\n", k->name);
                at = strstr(from, item);
                if (!at || at > to)
                        fail_msg("rosterd.conf(5) has no %s of [%s]", k->name,
                                 section_words[k->kind]);
                else if (k->dflt) {
                        (void) snprintf(item, sizeof item, "Default: %s.\n", k->dflt);
                        at = strstr(at, item);
                        if (!at || at > to)
                                fail_msg("rosterd.conf(5) gives no default of %s", k->name);
                }
        }
        for (size_t i = 0; i < config_n_event_names; i++)
                assert_non_null(strstr(man, config_event_names[i]));
}

/* conf/rosterd.conf: "#key = default" for every key, and "# words" for people. */
static void test_installed_file(void **state) {
        CLEANUP_FREE char *text = read_doc("conf/rosterd.conf");
        CLEANUP(config_unrefp) Config *c = NULL, *plain = NULL;
        char *p = text;

        (void) state;
        put("rosterd.conf", text);
        assert_refused(-EINVAL, "rosterd.conf: has no [account NAME] section; at least one is "
                                "needed, with its account_id");
        while (p) {
                if (p[0] == '#' && p[1] != ' ' && p[1] != '\n')
                        memmove(p, p + 1, strlen(p));
                p = strchr(p, '\n');
                p = p ? p + 1 : NULL;
        }
        put("rosterd.conf", text);
        assert_loads(&c);
        put("rosterd.conf", OPS);
        assert_loads(&plain);
        for (size_t i = 0; i < config_n_keys; i++) {
                const ConfigKey *k = &config_keys[i];
                char line[64];

                (void) snprintf(line, sizeof line, "\n%s =", k->name);
                if (!strstr(text, line))
                        fail_msg("conf/rosterd.conf lacks %s", k->name);
                if (!(k->flags & KEY_REQUIRED) &&
                    !config_value_equal(k, base_of(c, k->kind), base_of(plain, k->kind)))
                        fail_msg("conf/rosterd.conf has another %s than the default", k->name);
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_mistakes),
                TEST(test_values),
                TEST(test_defaults),
                TEST(test_inherited),
                TEST(test_database_of_state_directory),
                TEST(test_socket_of_runtime_directory),
                TEST(test_lines),
                TEST(test_long_values),
                TEST(test_every_mistake_at_once),
                TEST(test_missing_file),
                TEST(test_summary),
                TEST(test_outline),
                TEST(test_no_text),
                TEST(test_dropins),
                TEST(test_dropin_resets),
                TEST(test_dropin_mistakes),
                TEST(test_dropin_folder_mistakes),
                TEST(test_value_files),
                TEST(test_value_file_mistakes),
                TEST(test_value_file_modes),
                TEST(test_secrets_readable_by_others),
                TEST(test_unreadable),
                TEST(test_equal),
                TEST(test_reload_is_equal),
                TEST(test_garbage),
                TEST(test_many_sections),
                TEST(test_event_names),
                TEST(test_manual_names_every_key),
                TEST(test_installed_file),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
