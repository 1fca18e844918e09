/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/credentials.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "base/timespan.h"
#include "daemon/log.h"

#define AHEAD_PAUSE USEC_PER_MINUTE /* between renewals ahead of time */

typedef struct Identity Identity;

struct CredentialsRequest {
        CredentialsRequest *next;
        Identity *identity;
        AwsKeys refused;
        bool has_refused;
        CredentialsReady on_ready;
        void *userdata;
        char provider[64];
        bool due; /* error, or the keys at hand, are its answer */
        Error error;
};

struct Identity {
        Identity *next;
        Credentials *owner;
        AwsIdentity who;
        char account[80]; /* one that has it, for the log */
        AwsKeys keys;
        bool has_keys;
        bool outdated;        /* see credentials_outdate() */
        bool local;           /* the keys cost nothing to look up again, and are, each time */
        char provider[64];    /* of the keys at hand */
        uint64_t tried_ahead; /* the last renewal ahead of time, boot time; 0: none */
        AwsFetch *fetch;
        bool fetch_ahead; /* it is a renewal ahead of time */
        sd_event_source *hand_out;
        CredentialsRequest *requests; /* the longest waiting first */
};

struct Credentials {
        sd_event *event;
        Http *http;
        bool ahead;
        Identity *identities;
};

/* ---- requests ---- */

static void request_free(CredentialsRequest *r) {
        CredentialsRequest **at = &r->identity->requests;

        while (*at != r)
                at = &(*at)->next;
        *at = r->next;
        aws_keys_clear(&r->refused);
        free(r);
}

void credentials_cancel(CredentialsRequest *r) {
        request_free(r);
}

static CredentialsRequest *first_due(const Identity *i) {
        CredentialsRequest *r = i->requests;

        while (r && !r->due)
                r = r->next;
        return r;
}

/* Answers whoever is due.  One that asks again at once is answered in a later turn. */
static int on_hand_out(sd_event_source *source, void *userdata) {
        Identity *i = userdata;
        CredentialsRequest *r = first_due(i);

        if (r) {
                CredentialsReady on_ready = r->on_ready;
                char provider[sizeof r->provider];
                void *who = r->userdata;
                CredentialsAnswer answer = { .keys = r->error.code < 0 ? NULL : &i->keys,
                                             .provider = provider,
                                             .error = r->error };

                (void) snprintf(provider, sizeof provider, "%s", r->provider);
                request_free(r);
                if (first_due(i) && sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) < 0)
                        return -EIO;
                on_ready(&answer, who);
        }
        return 0;
}

/* The request has its answer: why, or the keys at hand if they are not those that were refused. */
static void settle(CredentialsRequest *r, const char *provider, const Error *why) {
        (void) snprintf(r->provider, sizeof r->provider, "%s", provider);
        r->due = true;
        if (why)
                r->error = *why;
        else if (r->has_refused && aws_keys_equal(&r->refused, &r->identity->keys))
                (void) error_set(&r->error, -EKEYREJECTED, "%s has no others to give",
                                 r->identity->provider);
        (void) sd_event_source_set_enabled(r->identity->hand_out, SD_EVENT_ONESHOT);
}

/* All that wait.  Returns whether any did. */
static bool settle_all(Identity *i, const char *provider, const Error *why) {
        bool any = false;

        for (CredentialsRequest *r = i->requests; r; r = r->next)
                if (!r->due) {
                        any = true;
                        settle(r, provider, why);
                }
        return any;
}

/* ---- identities ---- */

static void identity_free(Identity *i) {
        if (!i)
                return;
        while (i->requests)
                request_free(i->requests);
        aws_fetch_free(i->fetch);
        (void) sd_event_source_disable_unref(i->hand_out);
        aws_keys_clear(&i->keys);
        aws_identity_clear(&i->who);
        free(i);
}
DEFINE_CLEANUP(Identity *, identity_free)

/* Texts are borrowed from the account. */
static AwsIdentity identity_of(const AccountConfig *a) {
        return (AwsIdentity){
                .access_key_id = a->access_key_id,
                .secret_access_key = a->secret_access_key,
                .session_token = a->session_token,
                .profile = a->profile,
                .role_arn = a->role_arn,
                .external_id = a->external_id,
                .role_session_name = a->role_session_name,
                .credential_source = a->credential_source,
                .region = a->region,
                .ca_file = a->ca_file,
                .proxy = a->proxy,
        };
}

static int identity_new(Credentials *c, const AwsIdentity *who, Identity **ret, Error *err) {
        CLEANUP(identity_freep) Identity *i = calloc(1, sizeof *i);
        int r = i ? aws_identity_copy(&i->who, who, err) : error_set(err, -ENOMEM, "out of memory");

        if (r < 0)
                return r;
        r = sd_event_add_defer(c->event, &i->hand_out, on_hand_out, i);
        if (r >= 0)
                r = sd_event_source_set_enabled(i->hand_out, SD_EVENT_OFF);
        if (r < 0)
                return error_set(err, r, "cannot set up credentials: %s", strerror(-r));
        (void) sd_event_source_set_exit_on_failure(i->hand_out, true);
        (void) sd_event_source_set_description(i->hand_out, "credentials");
        i->owner = c;
        i->next = c->identities;
        c->identities = i;
        *ret = take_ptr(i);
        return 0;
}

static int identity_find(Credentials *c, const AccountConfig *account, Identity **ret, Error *err) {
        const AwsIdentity who = identity_of(account);

        for (Identity *i = c->identities; i; i = i->next)
                if (aws_identity_equal(&i->who, &who)) {
                        *ret = i;
                        return 0;
                }
        return identity_new(c, &who, ret, err);
}

/* ---- fetching ---- */

/* A renewal ahead of time has failed: nobody waits for it, and the keys at hand still do. */
static void tell_failure(const Identity *i, const Error *why) {
        char when[TIME_TEXT_SIZE];

        time_format(i->keys.expires, when);
        log_line(LOG_WARNING, LOG_ID_CREDENTIALS_NOT_RENEWED, i->account,
                 "%s: credentials could not be renewed, those at hand are good until %s: %s",
                 i->account, when, why->msg);
}

static void on_fetched(const AwsResult *result, void *userdata) {
        Identity *i = userdata;
        bool waited_for;

        if (result->code == 0) {
                (void) snprintf(i->provider, sizeof i->provider, "%s", result->provider);
                aws_keys_clear(&i->keys);
                i->keys = *result->keys;
                *result->keys = (AwsKeys){ 0 };
                i->has_keys = true;
                i->outdated = false;
                i->local = result->local;
        }
        if (result->note)
                log_line(LOG_NOTICE, LOG_ID_CREDENTIALS_REMARK, i->account, "%s: %s", i->account,
                         result->note);
        waited_for = settle_all(i, result->provider, result->code < 0 ? &result->error : NULL);
        if (result->code < 0 && !waited_for && i->fetch_ahead)
                tell_failure(i, &result->error);
        i->fetch_ahead = false;
        aws_fetch_free(take_ptr(i->fetch));
}

static int fetch(Identity *i, Error *err) {
        return i->fetch ? 0
                        : aws_fetch_start(i->owner->event, i->owner->http, &i->who, on_fetched, i,
                                          &i->fetch, err);
}

/* Whether the keys at hand will do for the request, and in *renew whether they will not for long. */
static bool keys_will_do(const Identity *i, const CredentialsRequest *r, bool *renew) {
        AwsFreshness freshness = aws_keys_freshness(&i->keys, time_now_ms());

        *renew = freshness != AWS_FRESH;
        return i->has_keys && !i->outdated && !i->local &&
               (freshness == AWS_FRESH || freshness == AWS_ADVISORY) &&
               !(r->has_refused && aws_keys_equal(&r->refused, &i->keys));
}

/* Nobody waits for it.  Not with each run: whoever gives keys may have none that last longer. */
static void renew_ahead(Identity *i) {
        uint64_t now = 0;
        Error err = { 0 };

        if (!i->owner->ahead || i->fetch ||
            sd_event_now(i->owner->event, CLOCK_BOOTTIME, &now) < 0 ||
            (i->tried_ahead && now - i->tried_ahead < AHEAD_PAUSE))
                return;
        i->tried_ahead = now;
        if (fetch(i, &err) < 0)
                tell_failure(i, &err);
        else
                i->fetch_ahead = true;
}

static void append(CredentialsRequest *r) {
        CredentialsRequest **at = &r->identity->requests;

        while (*at)
                at = &(*at)->next;
        *at = r;
}

int credentials_get(Credentials *c, const AccountConfig *account, const AwsKeys *refused,
                    CredentialsReady on_ready, void *userdata, CredentialsRequest **ret,
                    Error *err) {
        CredentialsRequest *r = calloc(1, sizeof *r);
        bool renew = false;
        int code = 0;

        if (!r)
                return error_set(err, -ENOMEM, "out of memory");
        r->on_ready = on_ready;
        r->userdata = userdata;
        r->has_refused = refused != NULL;
        if (refused)
                code = aws_keys_copy(&r->refused, refused, err);
        if (code == 0)
                code = identity_find(c, account, &r->identity, err);
        if (code < 0) {
                aws_keys_clear(&r->refused);
                free(r);
                return code;
        }
        append(r);
        (void) snprintf(r->identity->account, sizeof r->identity->account, "%s", account->name);

        if (keys_will_do(r->identity, r, &renew)) {
                settle(r, r->identity->provider, NULL);
                if (renew)
                        renew_ahead(r->identity);
        } else {
                code = fetch(r->identity, err);
                if (code < 0) {
                        request_free(r);
                        return code;
                }
        }
        *ret = r;
        return 0;
}

/* ---- all of them ---- */

int credentials_new(sd_event *event, Http *http, bool ahead, Credentials **ret, Error *err) {
        Credentials *c = calloc(1, sizeof *c);

        if (!c)
                return error_set(err, -ENOMEM, "out of memory");
        c->event = sd_event_ref(event);
        c->http = http;
        c->ahead = ahead;
        *ret = c;
        return 0;
}

void credentials_free(Credentials *c) {
        if (!c)
                return;
        while (c->identities) {
                Identity *i = c->identities;

                c->identities = i->next;
                identity_free(i);
        }
        (void) sd_event_unref(c->event);
        free(c);
}

void credentials_outdate(Credentials *c) {
        for (Identity *i = c->identities; i; i = i->next) {
                Error err = { 0 };

                i->outdated = true;
                if (!i->fetch)
                        continue;
                i->fetch_ahead = false; /* the keys at hand are no longer given out */
                aws_fetch_free(take_ptr(i->fetch));
                if (fetch(i, &err) < 0)
                        (void) settle_all(i, "", &err);
        }
}

static bool is_wanted(const Identity *i, const Config *config) {
        for (size_t k = 0; k < config->n_accounts; k++) {
                const AwsIdentity who = identity_of(&config->accounts[k]);

                if (aws_identity_equal(&i->who, &who))
                        return true;
        }
        return i->requests != NULL;
}

void credentials_prune(Credentials *c, const Config *config) {
        for (Identity **at = &c->identities; *at;) {
                Identity *i = *at;

                if (is_wanted(i, config)) {
                        at = &i->next;
                        continue;
                }
                *at = i->next;
                identity_free(i);
        }
}
