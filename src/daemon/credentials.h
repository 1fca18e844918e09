/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "conf/config.h"
#include "net/aws-credentials.h"

/* The keys that sign accounts' requests.  Accounts whose sections say the same about credentials
 * share one identity: its keys are fetched once and renewed before they expire, one fetch at a
 * time. */
typedef struct Credentials Credentials;

/* Somebody who waits for keys.  Owned by Credentials; gone once on_ready runs. */
typedef struct CredentialsRequest CredentialsRequest;

typedef struct CredentialsAnswer {
        const AwsKeys *keys;  /* borrowed, valid during on_ready; NULL: error says why */
        const char *provider; /* see AwsResult; borrowed likewise */
        Error error;
} CredentialsAnswer;

/* Runs once, from the event loop and never from within credentials_get().  It may call
 * credentials_get() and credentials_cancel(), but not free the Credentials. */
typedef void (*CredentialsReady)(const CredentialsAnswer *answer, void *userdata);

/* ahead: keys that will not do for long are renewed while they still do, for those who come later. */
int credentials_new(sd_event *event, Http *http, bool ahead, Credentials **ret, Error *err);
/* Cancels every request (on_ready does not run), wipes and releases everything. */
void credentials_free(Credentials *c);
DEFINE_CLEANUP(Credentials *, credentials_free)

/* Asks for the account's keys.  refused (NULL: none) are keys that the service no longer takes: the
 * answer has others, or none with -EKEYREJECTED.  *ret is borrowed, for credentials_cancel(). */
int credentials_get(Credentials *c, const AccountConfig *account, const AwsKeys *refused,
                    CredentialsReady on_ready, void *userdata, CredentialsRequest **ret,
                    Error *err);

/* Takes the request back, without on_ready. */
void credentials_cancel(CredentialsRequest *r);

/* What is outside the configuration (AWS's files, say) may have changed: keys at hand are not given
 * out any more, and fetches begin anew. */
void credentials_outdate(Credentials *c);

/* Forgets the keys of identities that no account of this configuration has any more. */
void credentials_prune(Credentials *c, const Config *config);
