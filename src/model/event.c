/* SPDX-License-Identifier: Apache-2.0 */
#include "model/event.h"

#include <assert.h>
#include <string.h>
#include <syslog.h>

#define EVENT_KIND_ROW(id, type, priority, message_id) \
        [EVENT_##id] = { type, priority, message_id },
const EventType event_types[EVENT_KIND_COUNT] = { EVENT_KINDS(EVENT_KIND_ROW) };
#undef EVENT_KIND_ROW

_Static_assert(EVENT_KIND_COUNT < 32, "EventMask has a bit for each kind");

EventKind event_kind_from_name(const char *name) {
        unsigned i = 0;

        while (i < EVENT_KIND_COUNT && strcmp(event_types[i].name, name) != 0)
                i++;
        return (EventKind) i;
}

void event_clear(Event *e) {
        char *texts[] = { e->account,   e->account_id, e->user_id, e->primary_email, e->field,
                          e->old_value, e->new_value,  e->changes, e->detail,        e->user };

        for (size_t i = 0; !e->packed && i < sizeof texts / sizeof texts[0]; i++)
                free(texts[i]);
        *e = (Event){ 0 };
}

void event_free(Event *e) {
        if (!e)
                return;
        event_clear(e);
        free(e);
}

static bool is(const char *value, const char *word) {
        return value && strcmp(value, word) == 0;
}

EventKind event_kind_registration(const char *old, const char *new) {
        if (is(new, "Suspended"))
                return EVENT_USER_SUSPENDED;
        if (is(new, "Registered"))
                return is(old, "Suspended") ? EVENT_USER_REINSTATED : EVENT_USER_REGISTERED;
        if (is(new, "Unregistered"))
                return EVENT_USER_UNREGISTERED;
        return EVENT_USER_REGISTRATION_CHANGED;
}

EventKind event_kind_invitation(const char *old, const char *new) {
        (void) old;
        if (is(new, "Pending"))
                return EVENT_USER_INVITED;
        if (is(new, "Accepted"))
                return EVENT_USER_INVITATION_ACCEPTED;
        if (is(new, "Failed"))
                return EVENT_USER_INVITATION_FAILED;
        return EVENT_USER_INVITATION_CHANGED;
}

static FieldMask secret_fields(void) {
        FieldMask mask = 0;

        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if (user_fields[i].flags & FIELD_SECRET)
                        mask |= FIELD_BIT(i);
        return mask;
}

size_t event_plan(UserChange change, const User *old, const User *new,
                  EventPlan plan[static EVENT_PLAN_MAX]) {
        const FieldMask registration = FIELD_BIT(USER_FIELD_USER_REGISTRATION_STATUS);
        const FieldMask invitation = FIELD_BIT(USER_FIELD_USER_INVITATION_STATUS);
        FieldMask changed = 0;
        size_t n = 0;

        switch (change) {
        case USER_CHANGE_REMOVED:
                plan[n++] = (EventPlan){ EVENT_USER_REMOVED, 0 };
                return n;
        case USER_CHANGE_ADDED:
                plan[n++] = (EventPlan){ EVENT_USER_ADDED, 0 };
                break;
        case USER_CHANGE_RETURNED:
        case USER_CHANGE_UPDATED:
                assert(old);
                changed = user_diff(old, new) & ~secret_fields();
                break;
        }

        if (change == USER_CHANGE_RETURNED)
                plan[n++] =
                        (EventPlan){ EVENT_USER_RETURNED, changed & ~registration & ~invitation };
        if ((changed & registration) ||
            (change != USER_CHANGE_UPDATED &&
             is(user_get(new, USER_FIELD_USER_REGISTRATION_STATUS), "Suspended")))
                plan[n++] = (EventPlan){
                        event_kind_registration(old ? user_get(old,
                                                               USER_FIELD_USER_REGISTRATION_STATUS)
                                                    : NULL,
                                                user_get(new, USER_FIELD_USER_REGISTRATION_STATUS)),
                        registration
                };
        if (changed & invitation)
                plan[n++] = (EventPlan){
                        event_kind_invitation(user_get(old, USER_FIELD_USER_INVITATION_STATUS),
                                              user_get(new, USER_FIELD_USER_INVITATION_STATUS)),
                        invitation
                };
        changed &= ~registration & ~invitation;
        if (change == USER_CHANGE_UPDATED && changed)
                plan[n++] = (EventPlan){ EVENT_USER_UPDATED, changed };
        return n;
}
