/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "conf/config.h"
#include "daemon/schedule.h"
#include "daemon/webhooks.h"

/* The control socket: where rosterctl asks a running rosterd to do something (control/protocol.h has
 * the language).  Nothing that a client does, or does not do, holds anything else up: lines, answers,
 * times and the number of clients are bounded. */
typedef struct Control Control;

/* Listens at path (mode 0660), which is there until control_free.  -EBUSY: another rosterd listens
 * there.  world must outlive it. */
int control_new(const SyncWorld *world, const char *path, Control **ret, Error *err);
/* Tells those who wait that rosterd stops. */
void control_free(Control *c);
DEFINE_CLEANUP(Control *, control_free)

/* What requests are about from now on; all must stay until the next call.  c may be NULL. */
void control_use(Control *c, Config *config, Schedule *schedule, Webhooks *webhooks);

/* A run has ended.  c may be NULL. */
void control_run_ended(Control *c, const AccountConfig *account, const SyncResult *result);
