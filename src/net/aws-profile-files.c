/* SPDX-License-Identifier: Apache-2.0 */
/* Where the files of AWS's tools are. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/secret.h"
#include "net/aws-profile.h"

#define FILE_MAX ((size_t) 1 << 20)
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

/* The variable at p ("$NAME" or "${NAME}") and its length; a NULL value: it is none, or not set. */
static const char *read_variable(const char *p, size_t *ret_len) {
        bool braced = p[1] == '{';
        const char *name = p + 1 + braced;
        size_t len = braced ? strcspn(name, "}") : strspn(name, NAME_CHARACTERS);
        char copy[128];

        *ret_len = 1;
        if (len == 0 || len >= sizeof copy || (braced && name[len] != '}'))
                return NULL;
        memcpy(copy, name, len);
        copy[len] = '\0';
        *ret_len = 1 + len + 2 * (size_t) braced;
        return getenv(copy);
}

/* Replaces variables of the environment, then a "~" at the start, as botocore does.  -ENOENT: no such
 * path can be, for want of HOME or for its length. */
static int expand_path(const char *path, char out[static PATH_MAX]) {
        char text[PATH_MAX];
        const char *home = getenv("HOME");
        size_t at = 0;
        int n;

        for (const char *p = path; *p;) {
                size_t len = 1;
                const char *value = *p == '$' ? read_variable(p, &len) : NULL;
                size_t add = value ? strlen(value) : len;

                if (at + add >= sizeof text)
                        return -ENOENT;
                memcpy(text + at, value ? value : p, add);
                at += add;
                p += len;
        }
        text[at] = '\0';
        if (text[0] == '~' && (!text[1] || text[1] == '/')) {
                if (!home || !*home)
                        return -ENOENT;
                n = snprintf(out, PATH_MAX, "%s%s", home, text + 1);
        } else
                n = snprintf(out, PATH_MAX, "%s", text);
        return n >= PATH_MAX ? -ENOENT : 0;
}

/* Reads the file that variable names. */
static int read_one(const char *variable, const char *dflt, AwsProfiles *p, AwsFile *ret,
                    Error *err) {
        const char *given = getenv(variable);
        CLEANUP_FREE char *text = NULL;
        char path[PATH_MAX];
        struct stat st;
        size_t len = 0;
        Error why = { 0 };
        int r;

        if (expand_path(given ? given : dflt, path) < 0 || stat(path, &st) < 0 ||
            !S_ISREG(st.st_mode))
                return 0;
        r = file_read(path, FILE_MAX, &text, &len, &why);
        if (r == -ENOMEM || r == -EFBIG)
                return error_set(err, r == -EFBIG ? -EINVAL : r, "%.160s %s", path, why.msg);
        if (r < 0) {
                (void) snprintf(p->unreadable, sizeof p->unreadable, "%.100s: %.50s", path,
                                why.msg);
                return 0;
        }
        r = aws_file_parse(text, len, ret, &why);
        explicit_bzero(text, len);
        return r < 0 ? error_set(err, r, "%.140s: %.100s", path, why.msg) : 0;
}

int aws_profiles_read(AwsProfiles *ret, Error *err) {
        int r;

        *ret = (AwsProfiles){ 0 };
        r = read_one("AWS_CONFIG_FILE", "~/.aws/config", ret, &ret->config, err);
        if (r == 0)
                r = aws_file_keep_profiles(&ret->config, err);
        if (r == 0)
                r = read_one("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", ret,
                             &ret->credentials, err);
        if (r < 0)
                aws_profiles_clear(ret);
        return r;
}

void aws_profiles_clear(AwsProfiles *p) {
        aws_file_clear(&p->config);
        aws_file_clear(&p->credentials);
}

bool aws_profiles_has(const AwsProfiles *p, const char *profile) {
        return aws_file_has(&p->credentials, profile) || aws_file_has(&p->config, profile);
}

const char *aws_profiles_get(const AwsProfiles *p, const char *profile, const char *key) {
        const char *value = aws_file_get(&p->credentials, profile, key);

        return value ? value : aws_file_get(&p->config, profile, key);
}
