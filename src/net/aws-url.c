/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/aws-internal.h"

static bool is_loopback(const char *host) {
        struct in6_addr six;
        struct in_addr four;

        if (strcasecmp(host, "localhost") == 0)
                return true;
        if (inet_pton(AF_INET, host, &four) == 1)
                return ntohl(four.s_addr) >> 24 == 127;
        return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* By curl's own parser, so that who is judged is who will be asked. */
int aws_url_parse(const char *url, AwsUrl *ret) {
        char *scheme = NULL, *host = NULL, *user = NULL;
        CURLU *parts = curl_url();
        AwsUrl u = { 0 };
        int r = -EINVAL;

        for (const char *p = url; *p; p++)
                if (*p <= ' ' || *p > '~') {
                        curl_url_cleanup(parts);
                        return -EINVAL;
                }
        if (parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
            curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
            curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
            curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
            (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) && *host &&
            strlen(host) < sizeof u.host) {
                u.https = strcmp(scheme, "https") == 0;
                if (*host == '[')
                        (void) snprintf(u.host, sizeof u.host, "%.*s", (int) strcspn(host + 1, "]"),
                                        host + 1);
                else
                        (void) snprintf(u.host, sizeof u.host, "%s", host);
                u.loopback = is_loopback(u.host);
                *ret = u;
                r = 0;
        }
        curl_free(scheme);
        curl_free(host);
        curl_free(user);
        curl_url_cleanup(parts);
        return r;
}
