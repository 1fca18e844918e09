/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of texts but URLs.  Reasons continue a sentence that begins with the value. */
#include "conf/config-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define LETTERS LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

const char *const config_event_names[] = {
        "user.added",
        "user.removed",
        "user.returned",
        "user.registered",
        "user.suspended",
        "user.reinstated",
        "user.unregistered",
        "user.registration_changed",
        "user.invited",
        "user.invitation_accepted",
        "user.invitation_failed",
        "user.invitation_changed",
        "user.updated",
        "sync.baseline",
        "sync.failed",
        "sync.recovered",
        "sync.removals_held",
};
const size_t config_n_event_names = sizeof config_event_names / sizeof config_event_names[0];

static bool only(const char *text, const char *allowed) {
        return text[strspn(text, allowed)] == '\0';
}

int check_absolute_path(char *text, Error *err) {
        if (*text != '/')
                return error_set(err, -EINVAL, "is not an absolute path; begin it with \"/\"");
        if (strlen(text) >= PATH_MAX)
                return error_set(err, -EINVAL, "is too long for a path");
        return 0;
}

int check_socket_path(char *text, Error *err) {
        int r = check_absolute_path(text, err);

        if (r >= 0 && strlen(text) >= sizeof((struct sockaddr_un *) NULL)->sun_path)
                return error_set(err, -EINVAL, "is too long for a socket; 107 bytes are allowed");
        return r;
}

int check_ca_file(char *text, Error *err) {
        struct stat st = { 0 };
        int fd, r = check_absolute_path(text, err);

        if (r < 0)
                return r;
        fd = open(text, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return error_set(err, -EINVAL, "cannot be read: %s", strerror(errno));
        r = fstat(fd, &st);
        (void) close(fd);
        if (r < 0 || !S_ISREG(st.st_mode))
                return error_set(err, -EINVAL, "is not a regular file");
        return 0;
}

int check_account_id(char *text, Error *err) {
        if (!only(text, LETTERS DIGITS "-_."))
                return error_set(err, -EINVAL,
                                 "holds characters that a URL would have to percent-encode; write "
                                 "letters, digits, \"-\", \"_\" and \".\" only");
        if (only(text, "."))
                return error_set(err, -EINVAL, "is no account id");
        return 0;
}

int check_access_key(char *text, Error *err) {
        if (!only(text, LETTERS DIGITS "_-"))
                return error_set(err, -EINVAL, "is not made of letters, digits, \"_\" and \"-\"");
        return 0;
}

/* The patterns and lengths of role_arn, external_id and role_session_name are those of IAM's and
 * STS's API references. */
int check_role_arn(char *text, Error *err) {
        size_t partition = strncmp(text, "arn:", 4) == 0 ? strspn(text + 4, LOWER DIGITS "-") : 0;
        const char *rest = text + 4 + partition;

        if (partition == 0 || strncmp(rest, ":iam::", 6) != 0 || strspn(rest + 6, DIGITS) != 12 ||
            strncmp(rest + 18, ":role/", 6) != 0 || !rest[24] ||
            !only(rest + 24, LETTERS DIGITS "_+=,.@/-") || strlen(text) > 2048)
                return error_set(err, -EINVAL,
                                 "is not the ARN of a role; write e.g. "
                                 "arn:aws:iam::123456789012:role/rosterd");
        return 0;
}

int check_external_id(char *text, Error *err) {
        size_t len = strlen(text);

        if (len < 2 || len > 1224 || !only(text, LETTERS DIGITS "_+=,.@:/-"))
                return error_set(err, -EINVAL,
                                 "is not 2 to 1224 letters, digits and \"_+=,.@:/-\"");
        return 0;
}

int check_session_name(char *text, Error *err) {
        size_t len = strlen(text);

        if (len < 2 || len > 64 || !only(text, LETTERS DIGITS "_+=,.@-"))
                return error_set(err, -EINVAL, "is not 2 to 64 letters, digits and \"_+=,.@-\"");
        return 0;
}

int check_printable(char *text, Error *err) {
        for (const char *p = text; *p; p++)
                if (*p <= ' ' || *p > '~')
                        return error_set(err, -EINVAL, "holds a space or a character beyond ASCII");
        return 0;
}

/* The service's own pattern is .+@.+\..+; what it takes beyond an address would be nobody's, and the
 * listing empty. */
int check_email(char *text, Error *err) {
        const char *at = *text ? strchr(text + 1, '@') : NULL;
        const char *dot = at && at[1] ? strchr(at + 2, '.') : NULL;

        if (strchr(text, '"') || *text == '\'')
                return error_set(err, -EINVAL,
                                 "holds quotation marks, which would belong to the address; write "
                                 "it without them, e.g. ana@example.com");
        if (!dot || !dot[1] || strpbrk(text, BLANKS ",;<>"))
                return error_set(err, -EINVAL,
                                 "is not an e-mail address; write e.g. ana@example.com");
        return 0;
}

int check_region(char *text, Error *err) {
        if (!only(text, LOWER DIGITS "-"))
                return error_set(err, -EINVAL,
                                 "is not a region; write lower-case letters, digits and \"-\", "
                                 "e.g. us-east-1");
        return 0;
}

int check_name(char *text, Error *err) {
        size_t len = strlen(text);

        if (len < 1 || len > CONFIG_NAME_MAX || !only(text, LETTERS DIGITS "._-"))
                return error_set(err, -EINVAL,
                                 "is not a name; write 1 to %d letters, digits, \".\", \"_\" and "
                                 "\"-\"",
                                 CONFIG_NAME_MAX);
        return 0;
}

int check_event_glob(char *text, Error *err) {
        if (!only(text, LETTERS "._*?"))
                return error_set(err, -EINVAL,
                                 "is not an event type; write letters, \".\", \"_\" and the "
                                 "wildcards \"*\" and \"?\"");
        for (size_t i = 0; i < config_n_event_names; i++)
                if (fnmatch(text, config_event_names[i], 0) == 0)
                        return 0;
        return error_set(err, -EINVAL,
                         "fits no event type; rosterd.conf(5) lists them, e.g. user.suspended or "
                         "sync.*");
}

/* RFC 9110, 5.1 and 5.6.2. */
int check_header(char *text, Error *err) {
        static const char *const ours[] = { "webhook-id",
                                            "webhook-timestamp",
                                            "content-length",
                                            "webhook-signature",
                                            "content-type",
                                            "transfer-encoding",
                                            "host" };
        size_t len = strspn(text, LETTERS DIGITS "!#$%&'*+-.^_`|~");

        if (len == 0 || text[len] != ':')
                return error_set(err, -EINVAL,
                                 "is not a header; write \"Name: value\", the name without spaces");
        for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
                if (strlen(ours[i]) == len && strncasecmp(ours[i], text, len) == 0)
                        return error_set(err, -EINVAL, "sets %s, which rosterd sets itself",
                                         ours[i]);
        if (!text[len + 1 + strspn(text + len + 1, " \t")])
                return error_set(err, -EINVAL, "has nothing after the \":\"");
        return 0;
}

/* PagerDuty's own are 32 letters and digits; a service that speaks its protocol may have others. */
int check_routing_key(char *text, Error *err) {
        if (strlen(text) > 128 || !only(text, LETTERS DIGITS "_-"))
                return error_set(err, -EINVAL,
                                 "is no routing key; write the integration key that PagerDuty "
                                 "shows for Events API v2, 32 letters and digits");
        return 0;
}

/* Standard Webhooks 1.0: "whsec_" and base64 (RFC 4648, 4) of 24 to 64 bytes. */
int check_webhook_secret(char *text, Error *err) {
        static const char prefix[] = "whsec_";
        const char *data = text + sizeof prefix - 1;
        size_t len, padding, bytes;

        if (strncmp(text, prefix, sizeof prefix - 1) != 0)
                return error_set(err, -EINVAL,
                                 "does not begin with \"whsec_\"; write that and the base64 of 24 "
                                 "to 64 bytes");
        len = strspn(data, LETTERS DIGITS "+/");
        padding = strspn(data + len, "=");
        if (data[len + padding] || padding > 2 || (len + padding) % 4 != 0)
                return error_set(err, -EINVAL, "is not base64 after \"whsec_\"");
        bytes = (len + padding) / 4 * 3 - padding;
        if (bytes < 24 || bytes > 64)
                return error_set(err, -EINVAL, "holds %zu bytes; 24 to 64 are allowed", bytes);
        return 0;
}
