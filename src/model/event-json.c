/* SPDX-License-Identifier: Apache-2.0 */
/* What an event says, as JSON: its columns `changes` and `user`, by the field table. */
#include <assert.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "base/jsonread.h"
#include "base/jsontext.h"
#include "base/timefmt.h"
#include "model/event.h"

#define DEPTH_MAX 32    /* of a record: source/chime-record.c */
#define IMAGE_SIZE 1024 /* of most users */
#define CHANGES_SIZE 256

static void json_putp(json_object **o) {
        (void) json_object_put(*o);
}
#define CLEANUP_JSON CLEANUP(json_putp)

/* What the database has may have been written by others: it is read before it goes into an event. */
static int add_json(JsonText *j, const char *key, const char *text) {
        CLEANUP_JSON json_object *o = NULL;
        const char *plain = NULL;

        if (jsonread_text(text, DEPTH_MAX, &o) >= 0)
                plain = jsontext_of(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        if (!plain)
                return -ENOMEM;
        jsontext_raw(j, key, plain);
        return 0;
}

/* A column's text in the JSON type that its field has. */
static int add_field(JsonText *j, const char *key, FieldType type, const char *text) {
        if (!text) {
                jsontext_string(j, key, NULL);
                return 0;
        }
        switch (type) {
        case FIELD_TEXT:
        case FIELD_TIME:
                jsontext_string(j, key, text);
                return 0;
        case FIELD_BOOL:
                jsontext_raw(j, key, strcmp(text, "1") == 0 ? "true" : "false");
                return 0;
        case FIELD_JSON:
                return add_json(j, key, text);
        }
        abort(); /* a FieldType without a case is a bug in this file */
}

static int user_image(const User *u, const UserDates *dates, char **ret) {
        CLEANUP(jsontext_clear) JsonText j = { 0 };

        jsontext_reserve(&j, IMAGE_SIZE);
        jsontext_open(&j, NULL, '{');
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if (!(user_fields[i].flags & FIELD_SECRET) &&
                    add_field(&j, user_fields[i].column, user_fields[i].type, u->value[i]) < 0)
                        return -ENOMEM;
        jsontext_time(&j, "first_seen_at", dates->first_seen_at);
        jsontext_time(&j, "last_changed_at", dates->last_changed_at);
        if (dates->removed_at != TIME_NONE)
                jsontext_time(&j, "removed_at", dates->removed_at);
        jsontext_close(&j, '}');
        return jsontext_finish(&j, ret);
}

static int append_change(JsonText *j, const char *column, FieldType type, const char *old,
                         const char *new) {
        jsontext_open(j, NULL, '{');
        jsontext_string(j, "field", column);
        if (add_field(j, "old", type, old) < 0 || add_field(j, "new", type, new) < 0)
                return -ENOMEM;
        jsontext_close(j, '}');
        return 0;
}

/* Old and new of every changed column.  last_changed_at is one, so that the past can be rebuilt
 * exactly. */
static int changes_json(FieldMask fields, const User *old, const User *new,
                        const UserDates *old_dates, const UserDates *new_dates, char **ret) {
        CLEANUP(jsontext_clear) JsonText j = { 0 };
        char before[TIME_TEXT_SIZE], after[TIME_TEXT_SIZE];

        jsontext_reserve(&j, CHANGES_SIZE);
        jsontext_open(&j, NULL, '[');
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if ((fields & FIELD_BIT(i)) &&
                    append_change(&j, user_fields[i].column, user_fields[i].type,
                                  old ? old->value[i] : NULL, new ? new->value[i] : NULL) < 0)
                        return -ENOMEM;
        if (old_dates && new_dates && old_dates->last_changed_at != new_dates->last_changed_at) {
                time_format(old_dates->last_changed_at, before);
                time_format(new_dates->last_changed_at, after);
                if (append_change(&j, "last_changed_at", FIELD_TIME, before, after) < 0)
                        return -ENOMEM;
        }
        jsontext_close(&j, ']');
        return jsontext_finish(&j, ret);
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
