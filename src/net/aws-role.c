/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles that assume a role: which, and with whose keys. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "net/aws-internal.h"

/* One profile's name for a message. */
typedef struct Shown {
        char text[48];
} Shown;

static const char *show(Shown *s, const char *name) {
        return text_clean(s->text, sizeof s->text, name, strlen(name));
}

int aws_role_add(AwsPlan *plan, const char *arn, const char *session_name, const char *external_id,
                 const char *duration, Error *err) {
        AwsRole *role = &plan->roles[plan->n_roles];

        if (plan->n_roles >= AWS_ROLES_MAX)
                return error_set(err, -ELOOP, "more than %d roles would have to be assumed",
                                 AWS_ROLES_MAX);
        plan->n_roles++;
        /* botocore does without a duration that is no number */
        if (duration && (!*duration || strspn(duration, "0123456789") != strlen(duration)))
                duration = NULL;
        if (secret_set(&role->arn, arn) < 0 || secret_set(&role->session_name, session_name) < 0 ||
            secret_set(&role->external_id, external_id) < 0 ||
            secret_set(&role->duration, duration) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        return 0;
}

/* A profile with web_identity_token_file has a role, too, but another way to it. */
bool aws_profile_has_role(const AwsProfiles *profiles, const char *profile) {
        return aws_profiles_get(profiles, profile, "role_arn") &&
               !aws_profiles_get(profiles, profile, "web_identity_token_file");
}

static bool has_keys(const AwsProfiles *profiles, const char *profile) {
        return aws_profiles_get(profiles, profile, "aws_access_key_id") ||
               aws_profiles_get(profiles, profile, "aws_secret_access_key");
}

static int add_role_of(AwsPlan *plan, const AwsProfiles *ps, const char *profile, Error *err) {
        Shown shown;

        if (aws_profiles_get(ps, profile, "mfa_serial"))
                return error_set(err, -EOPNOTSUPP,
                                 "profile \"%s\" wants an MFA code, which a service cannot type; "
                                 "use a role without mfa_serial, or credential_process",
                                 show(&shown, profile));
        return aws_role_add(plan, aws_profiles_get(ps, profile, "role_arn"),
                            aws_profiles_get(ps, profile, "role_session_name"),
                            aws_profiles_get(ps, profile, "external_id"),
                            aws_profiles_get(ps, profile, "duration_seconds"), err);
}

/* Exactly one of source_profile and credential_source. */
static int check_source(const char *profile, const char *source_profile,
                        const char *credential_source, Error *err) {
        Shown shown;

        if (source_profile && credential_source)
                return error_set(err, -EINVAL,
                                 "profile \"%s\" has both source_profile and credential_source; "
                                 "give one of them",
                                 show(&shown, profile));
        if (!source_profile && !credential_source)
                return error_set(err, -EINVAL,
                                 "profile \"%s\" has role_arn, but neither source_profile nor "
                                 "credential_source",
                                 show(&shown, profile));
        return 0;
}

/* A profile may name itself if it has keys of its own; any other way back is a loop. */
static int check_loop(const AwsProfiles *ps, const char *const *visited, size_t n,
                      const char *profile, const char *source, Error *err) {
        bool seen = false;
        Shown from, to;

        for (size_t i = 0; i < n; i++)
                seen = seen || strcmp(visited[i], source) == 0;
        if (!seen || (strcmp(source, profile) == 0 && has_keys(ps, source)))
                return 0;
        return error_set(err, -ELOOP, "source_profile goes in circles: from \"%s\" back to \"%s\"",
                         show(&from, profile), show(&to, source));
}

static int find_in_source(AwsPlan *plan, const AwsProfiles *ps, const char *source, Error *err) {
        int r = aws_find_in_profile(plan, ps, source, false, err);
        Shown shown;

        if (r == AWS_NOT_HERE)
                return error_set(err, -ENOKEY, "the source profile \"%s\" has no credentials",
                                 show(&shown, source));
        return r;
}

int aws_find_roles(AwsPlan *plan, const AwsProfiles *ps, const char *profile, Error *err) {
        const char *visited[AWS_ROLES_MAX + 1];
        Shown from, to;

        for (size_t n = 0; n < AWS_ROLES_MAX + 1; profile = visited[n]) {
                const char *source = aws_profiles_get(ps, profile, "source_profile");
                const char *provider = aws_profiles_get(ps, profile, "credential_source");
                int r = add_role_of(plan, ps, profile, err);

                visited[n++] = profile;
                if (r == 0)
                        r = check_source(profile, source, provider, err);
                if (r < 0)
                        return r;
                if (provider)
                        return aws_find_by_source(plan, provider, err);
                if (!aws_profiles_has(ps, source))
                        return error_set(err, -EINVAL,
                                         "profile \"%s\" names a source_profile that does not "
                                         "exist: \"%s\"",
                                         show(&from, profile), show(&to, source));
                r = check_loop(ps, visited, n, profile, source, err);
                if (r < 0)
                        return r;
                if (has_keys(ps, source) || !aws_profile_has_role(ps, source))
                        return find_in_source(plan, ps, source, err);
                if (n == AWS_ROLES_MAX + 1)
                        break;
                visited[n] = source;
        }
        return error_set(err, -ELOOP, "more than %d roles would have to be assumed", AWS_ROLES_MAX);
}
