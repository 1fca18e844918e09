/* SPDX-License-Identifier: Apache-2.0 */
/* What an event says, as JSON: its columns `changes` and `user`, by the field table. */
#include <assert.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "base/timefmt.h"
#include "model/event.h"

static void json_putp(json_object **o) {
        (void) json_object_put(*o);
}
#define CLEANUP_JSON CLEANUP(json_putp)

/* Adds value (taken over, also on failure) under key.  A NULL value is JSON's null; so that a failed
 * allocation is not taken for it, makers of values go through `made`. */
static int add(json_object *o, const char *key, json_object *value) {
        if (json_object_object_add(o, key, value) == 0)
                return 0;
        (void) json_object_put(value);
        return -ENOMEM;
}

static int made(json_object *o, const char *key, json_object *value) {
        return value ? add(o, key, value) : -ENOMEM;
}

static int add_text(json_object *o, const char *key, const char *text) {
        return text ? made(o, key, json_object_new_string(text)) : add(o, key, NULL);
}

static int add_time(json_object *o, const char *key, int64_t ms) {
        char text[TIME_TEXT_SIZE];

        if (ms == TIME_NONE)
                return add(o, key, NULL);
        time_format(ms, text);
        return add_text(o, key, text);
}

/* A column's text in the JSON type that its field has. */
static int add_field(json_object *o, const char *key, FieldType type, const char *text) {
        if (!text)
                return add(o, key, NULL);
        switch (type) {
        case FIELD_TEXT:
        case FIELD_TIME:
                return add_text(o, key, text);
        case FIELD_BOOL:
                return made(o, key, json_object_new_boolean(strcmp(text, "1") == 0));
        case FIELD_JSON:
                return made(o, key, json_tokener_parse(text));
        }
        abort(); /* a FieldType without a case is a bug in this file */
}

static char *to_text(json_object *o) {
        const char *text =
                json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
                                                          JSON_C_TO_STRING_NOSLASHESCAPE);

        return text ? strdup(text) : NULL;
}

static int user_image(const User *u, const UserDates *dates, char **ret) {
        CLEANUP_JSON json_object *o = json_object_new_object();

        if (!o)
                return -ENOMEM;
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if (!(user_fields[i].flags & FIELD_SECRET) &&
                    add_field(o, user_fields[i].column, user_fields[i].type, u->value[i]) < 0)
                        return -ENOMEM;
        if (add_time(o, "first_seen_at", dates->first_seen_at) < 0 ||
            add_time(o, "last_changed_at", dates->last_changed_at) < 0)
                return -ENOMEM;
        if (dates->removed_at != TIME_NONE && add_time(o, "removed_at", dates->removed_at) < 0)
                return -ENOMEM;
        *ret = to_text(o);
        return *ret ? 0 : -ENOMEM;
}

static int append_change(json_object *list, const char *column, FieldType type, const char *old,
                         const char *new) {
        json_object *change = json_object_new_object();

        if (!change || add_text(change, "field", column) < 0 ||
            add_field(change, "old", type, old) < 0 || add_field(change, "new", type, new) < 0 ||
            json_object_array_add(list, change) < 0) {
                (void) json_object_put(change);
                return -ENOMEM;
        }
        return 0;
}

/* Old and new of every changed column.  last_changed_at is one, so that the past can be rebuilt
 * exactly. */
static int changes_json(FieldMask fields, const User *old, const User *new,
                        const UserDates *old_dates, const UserDates *new_dates, char **ret) {
        CLEANUP_JSON json_object *list = json_object_new_array();
        char before[TIME_TEXT_SIZE], after[TIME_TEXT_SIZE];

        if (!list)
                return -ENOMEM;
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if ((fields & FIELD_BIT(i)) &&
                    append_change(list, user_fields[i].column, user_fields[i].type,
                                  old ? old->value[i] : NULL, new ? new->value[i] : NULL) < 0)
                        return -ENOMEM;
        if (old_dates && new_dates && old_dates->last_changed_at != new_dates->last_changed_at) {
                time_format(old_dates->last_changed_at, before);
                time_format(new_dates->last_changed_at, after);
                if (append_change(list, "last_changed_at", FIELD_TIME, before, after) < 0)
                        return -ENOMEM;
        }
        *ret = to_text(list);
        return *ret ? 0 : -ENOMEM;
}

/* "display_name,license_type" */
static int field_list(FieldMask fields, char **ret) {
        char text[1024] = "";
        size_t at = 0;

        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if (fields & FIELD_BIT(i)) {
                        size_t len = strlen(user_fields[i].column);

                        assert(at + len + 2 < sizeof text);
                        if (at > 0)
                                text[at++] = ',';
                        memcpy(text + at, user_fields[i].column, len + 1);
                        at += len;
                }
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

static int copy_text(const char *text, char **ret) {
        if (!text)
                return 0;
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

static Event *event_new(EventKind kind, int64_t run, int64_t now) {
        Event *e = calloc(1, sizeof *e);

        if (e) {
                random_event_id(e->id);
                e->kind = kind;
                e->run = run;
                e->time = now;
        }
        return e;
}

int event_for_user(const EventPlan *plan, const User *old, const User *new,
                   const UserDates *old_dates, const UserDates *new_dates, int64_t run, int64_t now,
                   Event **ret) {
        CLEANUP(event_freep) Event *e = event_new(plan->kind, run, now);
        const User *u = new ? new : old;

        if (!e)
                return -ENOMEM;
        if (copy_text(user_get(u, USER_FIELD_USER_ID), &e->user_id) < 0 ||
            copy_text(user_get(u, USER_FIELD_PRIMARY_EMAIL), &e->primary_email) < 0 ||
            user_image(u, new_dates, &e->user) < 0 ||
            changes_json(plan->fields, old, new, old_dates, new_dates, &e->changes) < 0)
                return -ENOMEM;
        if (plan->fields && field_list(plan->fields, &e->field) < 0)
                return -ENOMEM;
        if (plan->fields && !(plan->fields & (plan->fields - 1))) { /* just one */
                unsigned i = (unsigned) __builtin_ctz(plan->fields);

                if ((old && copy_text(old->value[i], &e->old_value) < 0) ||
                    (new &&copy_text(new->value[i], &e->new_value) < 0))
                        return -ENOMEM;
        }
        *ret = take_ptr(e);
        return 0;
}

int event_for_account(EventKind kind, const char *detail_json, int64_t run, int64_t now,
                      Event **ret) {
        CLEANUP(event_freep) Event *e = event_new(kind, run, now);

        if (!e || copy_text(detail_json, &e->detail) < 0)
                return -ENOMEM;
        *ret = take_ptr(e);
        return 0;
}
