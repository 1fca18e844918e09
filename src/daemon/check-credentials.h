/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "conf/config.h"

/* Fetches every account's keys, side by side, and prints a line for each, in the order of the
 * configuration: where they come from, which (shortened) and until when, or why there are none.
 * Returns how many accounts have none, or <0 where this could not even be tried. */
int check_credentials(const Config *config, Error *err);
