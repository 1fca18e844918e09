/* SPDX-License-Identifier: Apache-2.0 */
/* The default chain: who is asked for keys, in botocore's order.
 *
 * Whether a provider is the one shows in the environment and the files alone, with one exception, the
 * instance metadata, and that comes last.  So the way is found here, at once, and gone in
 * aws-fetch.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "net/aws-internal.h"

static const char *const provider_names[] = {
        [AWS_NONE] = "",
        [AWS_EXPLICIT] = "explicit",
        [AWS_ENV] = "env",
        [AWS_SHARED_FILE] = "shared-credentials-file",
        [AWS_CONFIG_FILE] = "config-file",
        [AWS_PROCESS] = "custom-process",
        [AWS_WEB_IDENTITY] = "assume-role-with-web-identity",
        [AWS_CONTAINER] = "container-role",
        [AWS_IMDS] = "iam-role",
};

static void role_clear(AwsRole *r) {
        wipe_free(r->arn);
        wipe_free(r->session_name);
        wipe_free(r->external_id);
        wipe_free(r->duration);
        *r = (AwsRole){ 0 };
}

void aws_plan_clear(AwsPlan *p) {
        aws_keys_clear(&p->keys);
        role_clear(&p->web);
        for (size_t i = 0; i < p->n_roles; i++)
                role_clear(&p->roles[i]);
        wipe_free(p->command);
        free(p->token_file);
        free(p->imds.endpoint);
        wipe_free(p->region);
        free(p->sts_url);
        *p = (AwsPlan){ 0 };
}

/* Settles on a provider that has to be asked. */
static int found(AwsPlan *plan, AwsProvider provider) {
        plan->provider = provider;
        return AWS_FOUND;
}

/* Settles on one that has the keys at hand. */
static int found_keys(AwsPlan *plan, AwsProvider provider, const char *what, const char *id,
                      const char *secret, const char *token, Error *err) {
        int r = aws_keys_set(&plan->keys, what, id, secret, token, err);

        plan->provider = provider;
        return r < 0 ? r : AWS_FOUND;
}

static const char *not_empty(const char *value) {
        return value && *value ? value : NULL;
}

/* ---- the environment ---- */

static int find_in_environment(AwsPlan *plan, Error *err) {
        const char *id = not_empty(getenv("AWS_ACCESS_KEY_ID"));
        const char *secret = not_empty(getenv("AWS_SECRET_ACCESS_KEY"));
        const char *token = not_empty(getenv("AWS_SECURITY_TOKEN")); /* the old name goes first */
        const char *expires = not_empty(getenv("AWS_CREDENTIAL_EXPIRATION"));

        if (!id)
                return AWS_NOT_HERE;
        plan->provider = AWS_ENV;
        if (!secret)
                return error_set(err, -EINVAL,
                                 "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY");
        if (!token)
                token = not_empty(getenv("AWS_SESSION_TOKEN"));
        if (expires && aws_time_parse(expires, &plan->keys.expires) < 0)
                return error_set(err, -EINVAL,
                                 "AWS_CREDENTIAL_EXPIRATION is no time with an offset; write e.g. "
                                 "2030-01-31T12:00:00Z");
        return found_keys(plan, AWS_ENV, "the environment", id, secret, token, err);
}

/* ---- one profile ---- */

static int find_web_identity(AwsPlan *plan, const AwsProfiles *ps, const char *profile,
                             bool environment, Error *err) {
        static const char *const variables[] = { "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
                                                 "AWS_ROLE_SESSION_NAME" };
        static const char *const keys[] = { "web_identity_token_file", "role_arn",
                                            "role_session_name" };
        const char *values[3];

        for (size_t i = 0; i < 3; i++)
                values[i] = environment ? aws_setting(ps, profile, variables[i], keys[i])
                                        : aws_profiles_get(ps, profile, keys[i]);
        if (!not_empty(values[0]))
                return AWS_NOT_HERE;
        plan->provider = AWS_WEB_IDENTITY;
        if (!not_empty(values[1]))
                return error_set(err, -EINVAL,
                                 "there is a web identity token, but no role for it: set "
                                 "AWS_ROLE_ARN, or role_arn in the profile");
        if (secret_set(&plan->token_file, values[0]) < 0 ||
            secret_set(&plan->web.arn, values[1]) < 0 ||
            secret_set(&plan->web.session_name, not_empty(values[2])) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        return AWS_FOUND;
}

/* Sessions that begin with a person at a browser. */
static int refuse_sessions(const AwsProfiles *ps, const char *profile, bool login, Error *err) {
        static const char advice[] = "which takes a person at a browser; a service uses a role, "
                                     "credential_process or keys";
        char shown[48];

        (void) text_clean(shown, sizeof shown, profile, strlen(profile));
        if (!login && (aws_profiles_get(ps, profile, "sso_role_name") ||
                       aws_profiles_get(ps, profile, "sso_account_id")))
                return error_set(err, -EOPNOTSUPP, "profile \"%s\" wants an SSO session, %s", shown,
                                 advice);
        if (login && aws_profiles_get(ps, profile, "login_session"))
                return error_set(err, -EOPNOTSUPP, "profile \"%s\" wants a login session, %s",
                                 shown, advice);
        return AWS_NOT_HERE;
}

/* Keys as such, of one file alone. */
static int find_in_file(AwsPlan *plan, AwsProvider provider, const AwsFile *file,
                        const char *profile, Error *err) {
        const char *id = aws_file_get(file, profile, "aws_access_key_id");
        const char *secret = aws_file_get(file, profile, "aws_secret_access_key");
        const char *token = aws_file_get(file, profile, "aws_security_token");
        char what[80], shown[48];

        if (!id)
                return AWS_NOT_HERE;
        (void) snprintf(what, sizeof what, "profile \"%s\"",
                        text_clean(shown, sizeof shown, profile, strlen(profile)));
        plan->provider = provider;
        if (!secret)
                return error_set(err, -EINVAL,
                                 "%s has aws_access_key_id without aws_secret_access_key", what);
        if (!token)
                token = aws_file_get(file, profile, "aws_session_token");
        return found_keys(plan, provider, what, id, secret, token, err);
}

static int find_process(AwsPlan *plan, const AwsProfiles *ps, const char *profile, Error *err) {
        const char *command = aws_profiles_get(ps, profile, "credential_process");

        if (!command)
                return AWS_NOT_HERE;
        if (secret_set(&plan->command, command) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        return found(plan, AWS_PROCESS);
}

int aws_find_in_profile(AwsPlan *plan, const AwsProfiles *ps, const char *profile, bool environment,
                        Error *err) {
        int r = find_web_identity(plan, ps, profile, environment, err);

        if (r == AWS_NOT_HERE)
                r = refuse_sessions(ps, profile, false, err);
        if (r == AWS_NOT_HERE)
                r = find_in_file(plan, AWS_SHARED_FILE, &ps->credentials, profile, err);
        if (r == AWS_NOT_HERE)
                r = refuse_sessions(ps, profile, true, err);
        if (r == AWS_NOT_HERE)
                r = find_process(plan, ps, profile, err);
        if (r == AWS_NOT_HERE)
                r = find_in_file(plan, AWS_CONFIG_FILE, &ps->config, profile, err);
        return r;
}

/* ---- the machine ---- */

static int find_container(AwsPlan *plan) {
        if (!getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") &&
            !getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
                return AWS_NOT_HERE;
        return found(plan, AWS_CONTAINER);
}

static int find_imds(AwsPlan *plan) {
        return plan->imds.disabled ? AWS_NOT_HERE : found(plan, AWS_IMDS);
}

int aws_find_by_source(AwsPlan *plan, const char *source, Error *err) {
        bool instance = strcmp(source, "Ec2InstanceMetadata") == 0;
        char shown[48];
        int r;

        if (instance)
                r = find_imds(plan);
        else if (strcmp(source, "Environment") == 0)
                r = find_in_environment(plan, err);
        else if (strcmp(source, "EcsContainer") == 0)
                r = find_container(plan);
        else
                return error_set(err, -EINVAL,
                                 "credential_source \"%s\" is not Environment, EcsContainer or "
                                 "Ec2InstanceMetadata",
                                 text_clean(shown, sizeof shown, source, strlen(source)));
        if (r == AWS_NOT_HERE)
                return error_set(err, -ENOKEY, "credential_source %s gives no credentials: %s",
                                 source,
                                 instance ? "AWS_EC2_METADATA_DISABLED is set"
                                          : "its environment variables are not set");
        return r;
}

/* ---- all of it ---- */

static int find_nothing(const AwsPlan *plan, const char *profile, Error *err) {
        char shown[48];

        return error_set(err, -ENOKEY,
                         "there are no credentials: not in the section, the environment, or "
                         "profile \"%s\" of AWS's files, nor from a container or the instance%s%s",
                         text_clean(shown, sizeof shown, profile, strlen(profile)),
                         *plan->unreadable ? "; " : "", plan->unreadable);
}

/* With a profile that was asked for, the environment's keys do not count. */
static int walk_chain(AwsPlan *plan, const AwsProfiles *ps, const char *profile, bool environment,
                      Error *err) {
        int r = environment ? find_in_environment(plan, err) : AWS_NOT_HERE;

        if (r == AWS_NOT_HERE && aws_profile_has_role(ps, profile))
                return aws_find_roles(plan, ps, profile, err);
        if (r == AWS_NOT_HERE)
                r = aws_find_in_profile(plan, ps, profile, environment, err);
        if (r == AWS_NOT_HERE)
                r = find_container(plan);
        if (r == AWS_NOT_HERE) {
                r = find_imds(plan);
                plan->last_resort = r == AWS_FOUND;
        }
        return r == AWS_NOT_HERE ? find_nothing(plan, profile, err) : r;
}

/* The profile and, in *named, whether anybody asked for it. */
static const char *choose_profile(const AwsIdentity *id, bool *named) {
        const char *profile = id->profile;

        if (!profile)
                profile = getenv("AWS_DEFAULT_PROFILE");
        if (!profile)
                profile = getenv("AWS_PROFILE");
        *named = profile != NULL;
        return profile ? profile : "default";
}

static int plan_with_profiles(const AwsIdentity *id, AwsPlan *plan, const AwsProfiles *ps,
                              Error *err) {
        bool named = false;
        const char *profile = choose_profile(id, &named);
        char shown[48];
        int r;

        if (named && !aws_profiles_has(ps, profile))
                return error_set(err, -EINVAL, "there is no profile \"%s\" in AWS's files%s%s",
                                 text_clean(shown, sizeof shown, profile, strlen(profile)),
                                 *ps->unreadable ? "; " : "", ps->unreadable);
        r = aws_imds_settings(&plan->imds, ps, profile, err);
        if (r == 0)
                r = id->credential_source ? aws_find_by_source(plan, id->credential_source, err)
                                          : walk_chain(plan, ps, profile, id->profile == NULL, err);
        if (r >= 0 && (plan->n_roles > 0 || plan->provider == AWS_WEB_IDENTITY))
                return aws_sts_settings(plan, ps, profile, id->region, err);
        return r < 0 ? r : 0;
}

static void name_plan(AwsPlan *plan) {
        (void) snprintf(plan->name, sizeof plan->name, "%s%s%s",
                        plan->n_roles > 0 ? "assume-role" : "",
                        plan->n_roles > 0 && plan->provider != AWS_NONE ? " from " : "",
                        provider_names[plan->provider]);
}

int aws_plan_make(const AwsIdentity *id, AwsPlan *ret, Error *err) {
        CLEANUP(aws_profiles_clear) AwsProfiles profiles = { 0 };
        int r = 0;

        *ret = (AwsPlan){ 0 };
        if (id->role_arn) /* assumed last */
                r = aws_role_add(ret, id->role_arn, id->role_session_name, id->external_id, NULL,
                                 err);
        if (r == 0 && id->access_key_id) {
                r = found_keys(ret, AWS_EXPLICIT, "the section", id->access_key_id,
                               id->secret_access_key, id->session_token, err);
                if (r > 0)
                        r = ret->n_roles > 0 ? aws_sts_settings(ret, NULL, "", id->region, err) : 0;
        } else if (r == 0) {
                r = aws_profiles_read(&profiles, err);
                (void) snprintf(ret->unreadable, sizeof ret->unreadable, "%s", profiles.unreadable);
                if (r == 0)
                        r = plan_with_profiles(id, ret, &profiles, err);
        }
        name_plan(ret);
        return r;
}
