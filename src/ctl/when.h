/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Reads a time as people type it: "2026-06-01", "2026-06-01 14:00" (as that day and hour were here,
 * or with utc in UTC), ISO 8601 with an offset or "Z", "now", "today", "yesterday", or a duration,
 * which is so long before now.  Returns 0 or -EINVAL. */
int when_parse(const char *text, int64_t now, bool utc, int64_t *ret, Error *err);
