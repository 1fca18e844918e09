/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "net/aws-keys.h"
#include "net/http.h"

/* Where AWS keys come from: the rules of botocore's default chain, and nothing that blocks. */

/* Whose keys are wanted, as one account section says it.  Texts are owned; NULL where nothing was
 * given. */
typedef struct AwsIdentity {
        char *access_key_id, *secret_access_key, *session_token;
        char *profile;
        char *role_arn, *external_id, *role_session_name, *credential_source;
        char *region;          /* of STS, where neither environment nor profile names one */
        char *ca_file, *proxy; /* for requests to STS */
} AwsIdentity;

/* 0 or -ENOMEM with *to untouched. */
int aws_identity_copy(AwsIdentity *to, const AwsIdentity *from, Error *err);
bool aws_identity_equal(const AwsIdentity *a, const AwsIdentity *b);
/* Wipes and frees. */
void aws_identity_clear(AwsIdentity *id);

/* One way to keys, from the files and the environment as they are now to the last role. */
typedef struct AwsFetch AwsFetch;

typedef struct AwsResult {
        int code;      /* 0: keys holds keys that have not expired; else what err says */
        AwsKeys *keys; /* borrowed, valid during on_done */
        const char
                *provider; /* which way, by botocore's names, e.g. "assume-role from env"; "" where
                               * none was found; borrowed likewise */
        const char *note;  /* something to log, whether or not it went well; or NULL */
        bool local;        /* nobody had to be asked: neither the network nor a helper program */
        Error error;
} AwsResult;

/* Runs once, from the event loop and never from within aws_fetch_start().  It may free the AwsFetch. */
typedef void (*AwsFetchDone)(const AwsResult *result, void *userdata);

/* Starts.  id need not outlive the call.  The caller frees *ret, at any time: before on_done that cancels. */
int aws_fetch_start(sd_event *event, Http *http, const AwsIdentity *id, AwsFetchDone on_done,
                    void *userdata, AwsFetch **ret, Error *err);
void aws_fetch_free(AwsFetch *f);
DEFINE_CLEANUP(AwsFetch *, aws_fetch_free)
