/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/secret.h"
#include "net/aws-credentials.h"

#define MEMBER(name) offsetof(AwsIdentity, name)

static const size_t members[] = {
        MEMBER(access_key_id),
        MEMBER(secret_access_key),
        MEMBER(session_token),
        MEMBER(profile),
        MEMBER(role_arn),
        MEMBER(external_id),
        MEMBER(role_session_name),
        MEMBER(credential_source),
        MEMBER(region),
        MEMBER(ca_file),
        MEMBER(proxy),
};
#define N_MEMBERS (sizeof members / sizeof members[0])
_Static_assert(N_MEMBERS * sizeof(char *) == sizeof(AwsIdentity), "every member is listed");

static char **slot(AwsIdentity *id, size_t i) {
        return (char **) (void *) ((char *) id + members[i]);
}

static const char *text(const AwsIdentity *id, size_t i) {
        return *(char *const *) (const void *) ((const char *) id + members[i]);
}

void aws_identity_clear(AwsIdentity *id) {
        for (size_t i = 0; i < N_MEMBERS; i++)
                wipe_free(take_ptr(*slot(id, i)));
}

int aws_identity_copy(AwsIdentity *to, const AwsIdentity *from, Error *err) {
        AwsIdentity copy = { 0 };

        for (size_t i = 0; i < N_MEMBERS; i++)
                if (secret_set(slot(&copy, i), text(from, i)) < 0) {
                        aws_identity_clear(&copy);
                        return error_set(err, -ENOMEM, "out of memory");
                }
        aws_identity_clear(to);
        *to = copy;
        return 0;
}

bool aws_identity_equal(const AwsIdentity *a, const AwsIdentity *b) {
        for (size_t i = 0; i < N_MEMBERS; i++) {
                const char *x = text(a, i), *y = text(b, i);

                if (x && y ? strcmp(x, y) != 0 : x != y)
                        return false;
        }
        return true;
}
