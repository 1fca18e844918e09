/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/credentials.h"

#include <errno.h>
#include <stdlib.h>

static const char *environment(const char *name) {
        const char *value = getenv(name);

        return value && *value ? value : NULL;
}

int credentials_find(const AccountConfig *account, HttpSigning *ret, Error *err) {
        const char *id = account->access_key_id, *secret = account->secret_access_key;
        const char *token = account->session_token;

        if (!id) {
                id = environment("AWS_ACCESS_KEY_ID");
                secret = environment("AWS_SECRET_ACCESS_KEY");
                token = environment("AWS_SESSION_TOKEN");
        }
        if (!id || !secret)
                return error_set(err, -ENOKEY,
                                 "there are no credentials: give access_key_id and "
                                 "secret_access_key in [account %s], or AWS_ACCESS_KEY_ID and "
                                 "AWS_SECRET_ACCESS_KEY in the environment",
                                 account->name);
        ret->access_key_id = id;
        ret->secret_access_key = secret;
        ret->session_token = token;
        return 0;
}
