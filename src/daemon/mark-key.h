/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "store/store.h"

/* The secret that marks (daemon/known.h) are made with and kept by: a file beside the database, its path and
 * ".key", for rosterd's user alone.  A backup of the database, and those who may read it, do without. */
typedef struct MarkKey MarkKey;

/* Reads it, or makes one, and has the store use it; it must live as long as the store.  A failure costs only
 * time, for there are no marks then. */
int mark_key_open(const char *database, Store *store, MarkKey **ret, Error *err);
void mark_key_free(MarkKey *k);
DEFINE_CLEANUP(MarkKey *, mark_key_free)
