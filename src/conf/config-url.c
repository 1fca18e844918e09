/* SPDX-License-Identifier: Apache-2.0 */
/* URLs (RFC 3986), as strict as the three keys that hold one need it.  No reason quotes a part of
 * the URL: it may be a secret. */
#include "conf/config-internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

typedef struct Url {
        char *scheme, *userinfo, *host, *port, *rest; /* into the text; NULL: absent */
        size_t scheme_len, host_len, port_len;
} Url;

/* The part before "://", if it is one of schemes (space-separated). */
static int split_scheme(char *text, const char *schemes, Url *u, Error *err) {
        char *colon = strstr(text, "://");
        size_t len = colon ? (size_t) (colon - text) : 0;

        for (const char *s = schemes; len > 0 && *s; s += strspn(s, " ")) {
                size_t n = strcspn(s, " ");

                if (n == len && strncmp(s, text, len) == 0) {
                        u->scheme = text;
                        u->scheme_len = len;
                        return 0;
                }
                s += n;
        }
        return error_set(err, -EINVAL, "does not begin with %s",
                         strcmp(schemes, "https http") == 0 ? "https://"
                                                            : "http://, https://, socks5:// or "
                                                              "socks5h://");
}

static bool port_is_good(const char *port, size_t len) {
        unsigned n = 0;

        for (size_t i = 0; i < len; i++) {
                if (port[i] < '0' || port[i] > '9' || n > 65535)
                        return false;
                n = n * 10 + (unsigned) (port[i] - '0');
        }
        return len > 0 && n > 0 && n <= 65535;
}

static bool host_is_good(const char *host, size_t len) {
        static const char allowed[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
        struct in6_addr addr;
        char copy[64];

        if (len == 0 || len > 253)
                return false;
        if (*host != '[') {
                for (size_t i = 0; i < len; i++)
                        if (!memchr(allowed, host[i], sizeof allowed - 1))
                                return false;
                return true;
        }
        if (len < 4 || len - 2 >= sizeof copy || host[len - 1] != ']')
                return false;
        memcpy(copy, host + 1, len - 2);
        copy[len - 2] = '\0';
        return inet_pton(AF_INET6, copy, &addr) == 1;
}

static int split(char *text, const char *schemes, Url *ret, Error *err) {
        Url u = { 0 };
        char *authority, *at, *colon;
        size_t len;
        int r;

        for (const char *p = text; *p; p++)
                if (*p <= ' ' || *p > '~')
                        return error_set(err, -EINVAL,
                                         "holds a space or a character beyond ASCII, which a URL "
                                         "must percent-encode");
        r = split_scheme(text, schemes, &u, err);
        if (r < 0)
                return r;

        authority = text + u.scheme_len + 3;
        len = strcspn(authority, "/?#\\");
        u.rest = authority + len;
        at = memrchr(authority, '@', len);
        u.host = at ? at + 1 : authority;
        u.userinfo = at ? authority : NULL;
        len = (size_t) (u.rest - u.host);
        colon = memrchr(u.host, ':', len);
        if (colon && !memchr(colon, ']', (size_t) (u.rest - colon))) {
                u.port = colon + 1;
                u.port_len = (size_t) (u.rest - u.port);
                len = (size_t) (colon - u.host);
                if (!port_is_good(u.port, u.port_len))
                        return error_set(err, -EINVAL,
                                         "has a port that is not a number from 1 to 65535");
        }
        u.host_len = len;
        if (!host_is_good(u.host, len))
                return error_set(err, -EINVAL, "has no valid host name after \"://\"");
        *ret = u;
        return 0;
}

/* Lower-case host, no default port, no path: what can be compared byte by byte. */
int check_endpoint(char *text, Error *err) {
        Url u = { .rest = text + strlen(text) };
        int r = split(text, "https http", &u, err);

        if (r < 0)
                return r;
        if (u.userinfo)
                return error_set(err, -EINVAL,
                                 "holds a user name or password before \"@\"; the keys go into "
                                 "access_key_id and secret_access_key");
        if (strchr(u.rest, '#'))
                return error_set(err, -EINVAL,
                                 "has a fragment (\"#\"); write scheme and host only");
        if (strchr(u.rest, '?'))
                return error_set(err, -EINVAL, "has a query (\"?\"); write scheme and host only");
        if (*u.rest && strcmp(u.rest, "/") != 0)
                return error_set(err, -EINVAL, "has a path; write scheme and host only");
        *u.rest = '\0';
        for (size_t i = 0; i < u.host_len; i++)
                if (u.host[i] >= 'A' && u.host[i] <= 'Z')
                        u.host[i] = (char) (u.host[i] + ('a' - 'A'));
        if (u.port && strcmp(u.port, u.scheme_len == 5 ? "443" : "80") == 0)
                u.port[-1] = '\0';
        return 0;
}

int check_webhook_url(char *text, Error *err) {
        Url u = { .rest = text + strlen(text) };
        int r = split(text, "https http", &u, err);

        if (r < 0)
                return r;
        if (u.userinfo)
                return error_set(err, -EINVAL,
                                 "holds a user name or password before \"@\"; write header = "
                                 "Authorization: Basic … instead");
        if (strchr(u.rest, '#'))
                return error_set(err, -EINVAL, "has a fragment (\"#\"), which is never sent");
        return 0;
}

int check_proxy(char *text, Error *err) {
        Url u = { .rest = text + strlen(text) };
        int r = split(text, "http https socks5 socks5h", &u, err);

        if (r < 0)
                return r;
        if (*u.rest && strcmp(u.rest, "/") != 0)
                return error_set(err, -EINVAL, "has a path; write scheme, host and port only");
        *u.rest = '\0';
        return 0;
}

/* 127.0.0.0/8, ::1 and localhost by name (RFC 6761, 6.3). */
bool url_is_plain_remote(const char *url) {
        struct in6_addr v6;
        struct in_addr v4;
        const char *host;
        char name[64];
        size_t len;

        if (strncmp(url, "http://", 7) != 0)
                return false;
        host = url + 7;
        if (*host == '[') {
                host++;
                len = strcspn(host, "]");
        } else
                len = strcspn(host, ":/?#\\");
        if (len >= sizeof name)
                return true;
        memcpy(name, host, len);
        name[len] = '\0';
        if (host[-1] == '[')
                return inet_pton(AF_INET6, name, &v6) != 1 || !IN6_IS_ADDR_LOOPBACK(&v6);
        if (inet_pton(AF_INET, name, &v4) == 1)
                return ntohl(v4.s_addr) >> 24 != 127;
        return strcasecmp(name, "localhost") != 0;
}
