/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "conf/config.h"
#include "net/http.h"

/* The keys that sign an account's requests: those of its section, else AWS_ACCESS_KEY_ID,
 * AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of the environment.  Fills the keys of *ret, borrowed
 * from the configuration or the environment.  -ENOKEY: there are none. */
int credentials_find(const AccountConfig *account, HttpSigning *ret, Error *err);
