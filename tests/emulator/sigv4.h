/* SPDX-License-Identifier: Apache-2.0 */
/* Checks AWS Signature Version 4 as the service would, from the raw request only. */
#pragma once

#include "buf.h"

#include <time.h>

typedef struct Header {
        const char *name, *value;
} Header;

typedef struct SignedRequest {
        const char *method;
        const char *path;  /* as it came, still percent-encoded */
        const char *query; /* as it came, without the question mark; "" for none */
        const Header *headers;
        size_t n_headers;
        const char *body;
        size_t body_len;
} SignedRequest;

typedef struct Credential {
        char *access_key, *secret_key;
        char *session_token; /* "" for long-term keys */
        char *old_token;     /* an expired session token, or "" */
} Credential;

/* What is wrong with a request: the exception's name and text, HTTP status 403 throughout. */
typedef struct SigError {
        const char *exception;
        char message[512];
} SigError;

/* `now` is the service's clock.  false: refused, `err` says why. */
bool sigv4_check(const SignedRequest *r, const Credential *credentials, size_t n_credentials,
                 time_t now, SigError *err);

/* A header's first value, its name compared without case; NULL when there is none. */
const char *header_get(const Header *headers, size_t n, const char *name);

void sha256(const void *data, size_t n, unsigned char ret[32]);
void hmac_sha256(const void *key, size_t key_len, const void *data, size_t n,
                 unsigned char ret[32]);
