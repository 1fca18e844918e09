/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "net/http.h"

/* A clause about this machine's clock (now_ms, wall clock) and the service's, which the answer's
 * Date tells: by how much they differ and what to do. */
void http_say_skew(const HttpResult *res, int64_t now_ms, char *out, size_t size);
