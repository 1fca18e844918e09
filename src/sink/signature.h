/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "conf/config.h"

/* The value of `webhook-signature` (Standard Webhooks 1.0): for each secret "v1," and the base64 of
 * HMAC-SHA256 over "ID.TIMESTAMP.BODY", separated by spaces, so that a receiver that knows either
 * secret of a rotation is satisfied.  secrets are "whsec_" and base64, as the configuration checked
 * them.  timestamp is Unix seconds of the attempt.  *ret is the caller's. */
int signature_make(const TextList *secrets, const char *id, int64_t timestamp, const char *body,
                   size_t len, char **ret, Error *err);
