/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

/* Keys that sign requests.  Owned texts, wiped when they go. */
typedef struct AwsKeys {
        char *access_key_id, *secret_access_key;
        char *session_token; /* NULL: none */
        int64_t expires;     /* wall clock, ms; TIME_NONE: never */
} AwsKeys;

void aws_keys_clear(AwsKeys *k);

/* Copies from into *to, whose old keys are wiped.  0, or -ENOMEM with *to as it was. */
int aws_keys_copy(AwsKeys *to, const AwsKeys *from, Error *err);

bool aws_keys_equal(const AwsKeys *a, const AwsKeys *b);

/* Copies texts into *ret, after checks: keys go into headers, so none may hold blanks or control
 * characters.  session_token may be NULL.  what names the source in messages.  *ret keeps its
 * expiry.  -EINVAL, -ENOMEM. */
int aws_keys_set(AwsKeys *ret, const char *what, const char *id, const char *secret,
                 const char *token, Error *err);

/* How fresh keys are; the windows are botocore's. */
#define AWS_ADVISORY_MS INT64_C(900000)  /* fetch new ones, but go on with these if that fails */
#define AWS_MANDATORY_MS INT64_C(600000) /* only new ones will do */

typedef enum AwsFreshness {
        AWS_FRESH,
        AWS_ADVISORY,
        AWS_MANDATORY,
        AWS_EXPIRED,
} AwsFreshness;

AwsFreshness aws_keys_freshness(const AwsKeys *k, int64_t now_ms);

/* Reads an expiry: ISO 8601 with "Z" or an offset (without one it would be a guess).  Returns 0 or
 * -EINVAL. */
int aws_time_parse(const char *text, int64_t *ret);

/* What a JSON object with keys must be like. */
typedef enum AwsJsonShape {
        AWS_JSON_PROCESS,  /* Version 1; SessionToken and Expiration may be missing */
        AWS_JSON_ENDPOINT, /* Token and Expiration are required */
} AwsJsonShape;

/* Reads keys from JSON.  Values never enter messages.  -EBADMSG: no such JSON at all (an endpoint may
 * do better another time); -EINVAL: it lacks something, or says something else; -ENOMEM.  *ret is
 * untouched unless 0. */
int aws_keys_parse_json(const char *text, size_t len, AwsJsonShape shape, AwsKeys *ret, Error *err);

/* "AKIA…MPLE": enough to recognise a key by. */
#define AWS_ID_SHOWN_SIZE 16
void aws_id_show(const char *access_key_id, char out[static AWS_ID_SHOWN_SIZE]);
