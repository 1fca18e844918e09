/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "store/store.h"

/* The one write transaction that all runs share.  It is committed about half a second after the first
 * write that is news, so that a change is told soon after its page has come; after two seconds if there
 * is no news in it, for the more is written at once the less it costs.  Unchanged pages cost no write
 * at all. */
typedef struct Batch Batch;

/* Runs after a commit: there may be new events to tell. */
typedef void (*BatchCommitted)(void *userdata);

/* Runs when the transaction is lost (disk full, …): everything written since the last commit is
 * undone, so every run that has written must fail.  It must not write. */
typedef void (*BatchLost)(const Error *why, void *userdata);

int batch_new(sd_event *event, Store *store, BatchCommitted on_committed, BatchLost on_lost,
              void *userdata, Batch **ret, Error *err);
/* Rolls back what was not committed. */
void batch_free(Batch *b);
DEFINE_CLEANUP(Batch *, batch_free)

/* Before a write: opens the transaction if there is none. */
int batch_write(Batch *b, Error *err);
/* The same, before one that is no news to anybody. */
int batch_write_quietly(Batch *b, Error *err);

/* Commits now.  on_committed or on_lost has run when it returns. */
int batch_flush(Batch *b, Error *err);

/* A write failed with why: undoes the transaction and runs on_lost. */
void batch_lose(Batch *b, const Error *why);
