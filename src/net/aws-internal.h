/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by aws-*.c and nobody else. */

#include <limits.h>

#include "net/aws-credentials.h"
#include "net/aws-process.h"
#include "net/aws-profile.h"

#define AWS_ROLES_MAX 8
#define AWS_BODY_MAX (64u << 10) /* of any answer that brings keys */

/* ---- the plan: which way the keys come, found without asking anybody ---- */

typedef enum AwsProvider {
        AWS_NONE,
        AWS_EXPLICIT,
        AWS_ENV,
        AWS_SHARED_FILE,
        AWS_CONFIG_FILE,
        AWS_PROCESS,
        AWS_WEB_IDENTITY,
        AWS_CONTAINER,
        AWS_IMDS,
} AwsProvider;

/* A role to assume; all but arn may be NULL. */
typedef struct AwsRole {
        char *arn, *session_name, *external_id;
        char *duration; /* decimal digits, seconds */
} AwsRole;

typedef struct AwsImds {
        char *endpoint; /* ends in "/" */
        unsigned attempts;
        uint64_t timeout; /* of each request, microseconds */
        bool disabled;
} AwsImds;

typedef struct AwsPlan {
        AwsProvider provider;
        bool last_resort; /* AWS_IMDS because nothing else was found, not because it was asked for */
        AwsKeys keys;     /* of the providers that have them at hand */
        char *command;    /* AWS_PROCESS */
        char *token_file; /* AWS_WEB_IDENTITY, with web for the role */
        AwsRole web;
        AwsImds imds;
        AwsRole roles[AWS_ROLES_MAX]; /* the last one is assumed first */
        size_t n_roles;
        char *region, *sts_url;
        char unreadable[160]; /* see AwsProfiles */
        char name[64];        /* for people */
} AwsPlan;

/* *ret is the caller's to clear, also on failure: it may know the provider already. */
int aws_plan_make(const AwsIdentity *id, AwsPlan *ret, Error *err);
void aws_plan_clear(AwsPlan *p);

/* What asking for keys in one place comes to; errors are < 0. */
typedef enum AwsFound {
        AWS_FOUND = 1,
        AWS_NOT_HERE,
} AwsFound;

/* aws-chain.c: the providers of one profile.  environment: whether variables of the environment go
 * before it.  Returns AwsFound. */
int aws_find_in_profile(AwsPlan *plan, const AwsProfiles *profiles, const char *profile,
                        bool environment, Error *err);
/* A provider by the name that credential_source has for it. */
int aws_find_by_source(AwsPlan *plan, const char *source, Error *err);

/* aws-role.c: whether the profile is one that assumes a role. */
bool aws_profile_has_role(const AwsProfiles *profiles, const char *profile);
/* Plans the profile's role, and from there to where the first keys come from. */
int aws_find_roles(AwsPlan *plan, const AwsProfiles *profiles, const char *profile, Error *err);
int aws_role_add(AwsPlan *plan, const char *arn, const char *session_name, const char *external_id,
                 const char *duration, Error *err);

/* aws-settings.c: a variable of the environment, else the profile's setting, else NULL. */
const char *aws_setting(const AwsProfiles *profiles, const char *profile, const char *variable,
                        const char *key);
int aws_imds_settings(AwsImds *ret, const AwsProfiles *profiles, const char *profile, Error *err);
/* Settles plan->region and plan->sts_url.  profiles may be NULL. */
int aws_sts_settings(AwsPlan *plan, const AwsProfiles *profiles, const char *profile,
                     const char *region, Error *err);

/* aws-url.c: takes a URL apart.  -EINVAL: it is none. */
typedef struct AwsUrl {
        bool https;
        bool loopback;  /* the host is an address of this machine's, or "localhost" */
        char host[256]; /* without brackets */
} AwsUrl;
int aws_url_parse(const char *url, AwsUrl *ret);

/* aws-container.c: whether keys may be asked for there: with TLS anywhere, without it this machine
 * and the agents' own addresses. */
bool aws_container_may_ask(const AwsUrl *url);

/* ---- going that way ---- */

/* What an answer comes to; errors, which end the fetch, are < 0. */
typedef enum AwsVerdict {
        AWS_DONE = 1,
        AWS_AGAIN, /* err says why, should it have been the last attempt */
} AwsVerdict;

/* One request and what its answer is good for. */
typedef struct AwsStep {
        const char *name;  /* begins messages */
        unsigned attempts; /* 0: as the plan says for the instance metadata */
        uint64_t pause;    /* between them, microseconds */
        int (*send)(AwsFetch *f, Error *err);
        int (*answer)(AwsFetch *f, const HttpResult *res, Error *err);
} AwsStep;

extern const AwsStep aws_step_container, aws_step_imds_token, aws_step_imds_role,
        aws_step_imds_keys, aws_step_web_identity, aws_step_role;

struct AwsFetch {
        sd_event *event;
        Http *http;
        AwsFetchDone on_done;
        void *userdata;
        AwsPlan plan;
        int plan_code; /* the plan could not be made; plan_error says why */
        Error plan_error;

        const AwsStep *steps[3 + AWS_ROLES_MAX];
        size_t n_steps, step;
        unsigned attempts; /* of this step */
        HttpCall *call;
        AwsProcess *process;
        sd_event_source *timer; /* the start, pauses, the end */

        AwsKeys keys; /* the furthest so far */
        char *imds_token, *imds_role;
        char *ca_file, *proxy; /* for STS */
        char note[256];
};

/* aws-fetch.c: starts the request of a step. */
int aws_fetch_request(AwsFetch *f, const HttpRequest *req, Error *err);
/* "name: value", to be wiped by the caller. */
int aws_header(char **ret, const char *name, const char *value, Error *err);
