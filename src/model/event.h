/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/rand.h"
#include "model/user.h"

/* THE table of event types: enumerator, public name, syslog priority, journal MESSAGE_ID.  The ids
 * are part of the contract: never change or reuse one.  systemd/rosterd.catalog explains each. */
#define EVENT_KINDS(X)                                                                            \
        X(USER_ADDED, "user.added", LOG_INFO, "a041ae3e309c4b3988bb0c0dbb146f97")                 \
        X(USER_REMOVED, "user.removed", LOG_NOTICE, "1db6b108f9504108a31bd0d358703157")           \
        X(USER_RETURNED, "user.returned", LOG_NOTICE, "7b7760efdf1f4d988667267e86b52a02")         \
        X(USER_REGISTERED, "user.registered", LOG_NOTICE, "22a7bf40e731455194379114e4d2723b")     \
        X(USER_SUSPENDED, "user.suspended", LOG_WARNING, "412cf2ba5b1b4b1fb3c0276e83de0844")      \
        X(USER_REINSTATED, "user.reinstated", LOG_NOTICE, "77619f47573c4c35af38728f6188fe00")     \
        X(USER_UNREGISTERED, "user.unregistered", LOG_NOTICE, "107c60d44f694caf898147ce5e0d1f4e") \
        X(USER_REGISTRATION_CHANGED, "user.registration_changed", LOG_NOTICE,                     \
          "4075311a67fc447eab81d28379babe39")                                                     \
        X(USER_INVITED, "user.invited", LOG_NOTICE, "762716b0da55459dbf102170bc5aa3f3")           \
        X(USER_INVITATION_ACCEPTED, "user.invitation_accepted", LOG_NOTICE,                       \
          "ef9daa30cbe04f8f8822ef20546893f9")                                                     \
        X(USER_INVITATION_FAILED, "user.invitation_failed", LOG_WARNING,                          \
          "f8a8aad2e5fc42628180c06d2017ce06")                                                     \
        X(USER_INVITATION_CHANGED, "user.invitation_changed", LOG_NOTICE,                         \
          "b44ef27e08e54fdaa2b1ec20dc84bebe")                                                     \
        X(USER_UPDATED, "user.updated", LOG_INFO, "4cffe28315594b408cf33d7c81039f7c")             \
        X(SYNC_BASELINE, "sync.baseline", LOG_NOTICE, "260017ea801f442b8efa2c439d919d80")         \
        X(SYNC_FAILED, "sync.failed", LOG_ERR, "a7ee58402a4040aab333f4486007bdb5")                \
        X(SYNC_RECOVERED, "sync.recovered", LOG_NOTICE, "eddabe5a30754c839a725111dc13960a")       \
        X(SYNC_REMOVALS_HELD, "sync.removals_held", LOG_WARNING, "6a4fe01286a043cdb9af8a63c63b28c0")

#define EVENT_KIND_ENUM(id, type, priority, message_id) EVENT_##id,
typedef enum EventKind { EVENT_KINDS(EVENT_KIND_ENUM) EVENT_KIND_COUNT } EventKind;
#undef EVENT_KIND_ENUM

/* A set of kinds. */
typedef uint32_t EventMask;
#define EVENT_BIT(kind) (UINT32_C(1) << (kind))
#define EVENT_MASK_ALL (EVENT_BIT(EVENT_KIND_COUNT) - 1)

typedef struct EventType {
        const char *name;
        int priority;           /* LOG_* of syslog(3) */
        const char *message_id; /* 32 hexadecimal digits */
} EventType;

/* Indexed by EventKind. */
extern const EventType event_types[EVENT_KIND_COUNT];

/* The kind of this public name, or EVENT_KIND_COUNT. */
EventKind event_kind_from_name(const char *name);

/* One row of the event log.  Texts are NULL where they do not apply; all are owned by the event. */
typedef struct Event {
        int64_t seq;            /* 0 until the store has numbered it */
        char id[EVENT_ID_SIZE]; /* random, so that a restored backup never reuses one */
        int64_t time;           /* wall clock, ms */
        EventKind kind;
        int64_t run;
        char *account;    /* section name; the store fills it in when it reads */
        char *account_id; /* likewise */
        char *user_id, *primary_email;
        char *field;                 /* comma list of changed columns */
        char *old_value, *new_value; /* of `field`, where it names one column */
        char *changes;               /* JSON array of {field, old, new} */
        char *detail;                /* JSON object of account-level events */
        char *user;                  /* JSON object: the user's row once the event had happened */
        size_t packed;               /* not 0: the texts are one block of so many bytes behind the
                                      * event, in the same allocation */
} Event;

void event_clear(Event *e);
void event_free(Event *e);
DEFINE_CLEANUP(Event *, event_free)

/* What became of a user, as far as it makes events. */
typedef enum UserChange {
        USER_CHANGE_ADDED,    /* never seen before: old is NULL */
        USER_CHANGE_RETURNED, /* old is the row it left behind */
        USER_CHANGE_UPDATED,  /* old and new are both on the listing */
        USER_CHANGE_REMOVED,  /* new is NULL */
} UserChange;

/* The kind of a change of UserRegistrationStatus / UserInvitationStatus; either may be NULL. */
EventKind event_kind_registration(const char *old, const char *new);
EventKind event_kind_invitation(const char *old, const char *new);

/* One event that a change raises, and the fields that it speaks of. */
typedef struct EventPlan {
        EventKind kind;
        FieldMask fields;
} EventPlan;

/* Which events a change raises, in order; plan has room for EVENT_PLAN_MAX.  Registration and
 * invitation status have an event of their own each, everything else shares one.  A user who comes
 * or comes back as Suspended raises user.suspended too.  Secret fields raise nothing.
 * Returns their number. */
#define EVENT_PLAN_MAX 4
size_t event_plan(UserChange change, const User *old, const User *new,
                  EventPlan plan[static EVENT_PLAN_MAX]);

/* What the JSON of an event says of a user besides its fields. */
typedef struct UserDates {
        int64_t first_seen_at, last_changed_at; /* ms */
        int64_t removed_at;                     /* ms; TIME_NONE while listed */
} UserDates;

/* Fills a fresh event (id, user, changes, field, old_value, …) for one line of a plan.  old_dates
 * may be NULL (a new user).  seq and the account are left for the store.  Returns 0 or -ENOMEM. */
int event_for_user(const EventPlan *plan, const User *old, const User *new,
                   const UserDates *old_dates, const UserDates *new_dates, int64_t run, int64_t now,
                   Event **ret);

/* A fresh account-level event; detail_json is copied.  Returns 0 or -ENOMEM. */
int event_for_account(EventKind kind, const char *detail_json, int64_t run, int64_t now,
                      Event **ret);

/* Puts back into u and dates what the changes of an event (its column of that name) say was there
 * before.  Returns 0, -ENOMEM, or -EBADMSG if it is not what an event holds. */
int event_undo(const char *changes, User *u, UserDates *dates);
/* Reads an event's image of the user into u and dates, which are cleared first.  Returns likewise. */
int event_image_read(const char *image, User *u, UserDates *dates);

/* The sentence for people, e.g. "acme: ana@example.com was suspended (was Registered)", clean of
 * control characters.  With minimal, people are named by their id only.  Returns out; NULL without
 * memory. */
char *event_sentence(const Event *e, bool minimal, char *out, size_t size);
