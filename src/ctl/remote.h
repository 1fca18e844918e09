/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/cleanup.h"
#include "control/protocol.h"
#include "ctl/ctl.h"

/* A request to the rosterd that runs, and its answers. */
typedef struct Remote Remote;

/* Connects and asks; the database that c is about is added to the request.  E_UNAVAILABLE: no rosterd
 * runs for that database; -EACCES: one does, and does not take it from us. */
int remote_ask(Ctl *c, const ControlRequest *request, Remote **ret, Error *err);
void remote_free(Remote *r);
DEFINE_CLEANUP(Remote *, remote_free)

/* Waits for the next answer: CONTROL_PROGRESS, CONTROL_RESULT (the last one), or -errno with what
 * rosterd has said; E_ABSENT where it names something that is not there.  *ret_body is borrowed until
 * the next call on r. */
int remote_next(Remote *r, json_object **ret_body, Error *err);

/* A number of an answer; 0 where it has none. */
int64_t remote_number(json_object *body, const char *name);
/* A text of an answer; NULL where it has none.  Borrowed from body. */
const char *remote_text(json_object *body, const char *name);

/* ---- without a rosterd ---- */

/* The database, open for writing as its owner (root becomes that user, for good).  Owned by the
 * caller.  -EBUSY: a rosterd has it, which could not be asked. */
int remote_open_writer(Ctl *c, Store **ret, Error *err);
