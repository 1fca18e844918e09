/* SPDX-License-Identifier: Apache-2.0 */
/* Settings beside the keys themselves: where the instance metadata and STS are. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/secret.h"
#include "base/text.h"
#include "base/timespan.h"
#include "net/aws-internal.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

const char *aws_setting(const AwsProfiles *profiles, const char *profile, const char *variable,
                        const char *key) {
        const char *value = getenv(variable);

        return value || !profiles ? value : aws_profiles_get(profiles, profile, key);
}

static bool is_true(const char *value) {
        return value && strcasecmp(value, "true") == 0;
}

/* A whole number of 1 to 60. */
static int read_number(const char *value, const char *name, unsigned *ret, Error *err) {
        unsigned n = 0;

        for (const char *p = value; *p; p++) {
                if (*p < '0' || *p > '9' || n > 60)
                        return error_set(err, -EINVAL, "%s is no whole number from 1 to 60", name);
                n = n * 10 + (unsigned) (*p - '0');
        }
        if (n < 1 || n > 60)
                return error_set(err, -EINVAL, "%s is no whole number from 1 to 60", name);
        *ret = n;
        return 0;
}

static int imds_endpoint(const AwsProfiles *profiles, const char *profile, const char **ret,
                         Error *err) {
        const char *mode = aws_setting(profiles, profile, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                                       "ec2_metadata_service_endpoint_mode");
        const char *given = aws_setting(profiles, profile, "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                        "ec2_metadata_service_endpoint");
        bool six = is_true(aws_setting(profiles, profile, "AWS_IMDS_USE_IPV6", "imds_use_ipv6"));
        AwsUrl url;

        if (mode && strcasecmp(mode, "ipv4") != 0 && strcasecmp(mode, "ipv6") != 0)
                return error_set(err, -EINVAL,
                                 "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE is neither ipv4 nor ipv6");
        if (given && *given && aws_url_parse(given, &url) < 0)
                return error_set(err, -EINVAL, "AWS_EC2_METADATA_SERVICE_ENDPOINT is no http URL");
        if (mode)
                six = strcasecmp(mode, "ipv6") == 0;
        *ret = given && *given ? given
               : six           ? "http://[fd00:ec2::254]/"
                               : "http://169.254.169.254/";
        return 0;
}

int aws_imds_settings(AwsImds *ret, const AwsProfiles *profiles, const char *profile, Error *err) {
        const char *timeout = aws_setting(profiles, profile, "AWS_METADATA_SERVICE_TIMEOUT",
                                          "metadata_service_timeout");
        const char *attempts = aws_setting(profiles, profile, "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
                                           "metadata_service_num_attempts");
        const char *endpoint = NULL;
        unsigned seconds = 1;
        int r;

        ret->attempts = 1;
        ret->disabled = is_true(getenv("AWS_EC2_METADATA_DISABLED"));
        r = timeout ? read_number(timeout, "AWS_METADATA_SERVICE_TIMEOUT", &seconds, err) : 0;
        if (r == 0 && attempts)
                r = read_number(attempts, "AWS_METADATA_SERVICE_NUM_ATTEMPTS", &ret->attempts, err);
        if (r == 0)
                r = imds_endpoint(profiles, profile, &endpoint, err);
        if (r < 0)
                return r;
        assert(endpoint);
        ret->timeout = seconds * USEC_PER_SEC;
        if (asprintf(&ret->endpoint, "%s%s", endpoint,
                     endpoint[strlen(endpoint) - 1] == '/' ? "" : "/") < 0) {
                ret->endpoint = NULL;
                return error_set(err, -ENOMEM, "out of memory");
        }
        return 0;
}

/* A host label (RFC 1123), for it becomes part of a host's name. */
static bool is_region(const char *text) {
        size_t len = strlen(text);

        return len > 0 && len <= 63 && !text[strspn(text, LOWER DIGITS "-")] &&
               text[strspn(text, DIGITS)] && *text != '-' && text[len - 1] != '-';
}

/* AWS_ENDPOINT_URL_STS is public: every newer AWS SDK reads it. */
static int sts_url(const char *region, char **ret, Error *err) {
        const char *given = getenv("AWS_ENDPOINT_URL_STS");
        AwsUrl url;
        int n;

        if (given && *given && !is_true(getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"))) {
                if (aws_url_parse(given, &url) < 0 || !(url.https || url.loopback))
                        return error_set(err, -EINVAL, "AWS_ENDPOINT_URL_STS is no https URL");
                n = asprintf(ret, "%s", given);
        } else
                n = asprintf(ret, "https://sts.%s.amazonaws.com%s/", region,
                             strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
        if (n < 0) {
                *ret = NULL;
                return error_set(err, -ENOMEM, "out of memory");
        }
        return 0;
}

int aws_sts_settings(AwsPlan *plan, const AwsProfiles *profiles, const char *profile,
                     const char *region, Error *err) {
        const char *named = aws_setting(profiles, profile, "AWS_DEFAULT_REGION", "region");
        char shown[32];

        if (named && *named)
                region = named;
        if (!is_region(region))
                return error_set(err, -EINVAL, "\"%s\" is no region for STS; write e.g. us-east-1",
                                 text_clean(shown, sizeof shown, region, strlen(region)));
        if (secret_set(&plan->region, region) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        return sts_url(region, &plan->sts_url, err);
}
