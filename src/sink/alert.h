/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/event.h"

/* Conditions that begin with one event and end with another, for services that keep incidents. */
typedef enum AlertKind {
        ALERT_USER_SUSPENDED, /* user.suspended, until the status is another or the user is removed */
        ALERT_SYNC_FAILED,    /* sync.failed, until sync.recovered */
        ALERT_REMOVALS_HELD, /* sync.removals_held; no event ends it */
        ALERT_KIND_COUNT,
} AlertKind;

/* Texts are borrowed; NULL where they do not apply. */
typedef struct Alert {
        AlertKind kind;
        const char *account, *account_id;
        const char *user_id, *primary_email;
        int64_t starts_at; /* wall clock, ms; TIME_NONE: not known (it is ending) */
        int64_t ends_at;   /* TIME_NONE while it lasts */
        char error[256];   /* of ALERT_SYNC_FAILED */
        int64_t held;      /* of ALERT_REMOVALS_HELD: how many users */
} Alert;

/* Whether the event begins or ends an alert, which it then writes to *ret, borrowing from e.  Returns 1,
 * 0 or -ENOMEM. */
int alert_from_event(const Event *e, Alert *ret);

/* The event kind that raises the alert, and all kinds that may end it. */
EventKind alert_raised_by(AlertKind kind);
EventMask alert_ended_by(AlertKind kind);

/* The same for every alert about the same thing, so that its end finds its beginning:
 * "rosterd/ACCOUNT/user.suspended/USER_ID".  account_id stands for ACCOUNT where it is known, for a
 * section may be renamed.  What is too long for that stands there as its SHA-256.  size is at least
 * ALERT_KEY_SIZE (PagerDuty takes 255 characters).  Returns out. */
#define ALERT_KEY_SIZE 256
char *alert_key(const Alert *a, char *out, size_t size);

/* "acme: ana@example.com is suspended", or "… is no longer suspended". Clean; returns out, or NULL:
 * out of memory. */
char *alert_sentence(const Alert *a, bool minimal, char *out, size_t size);
