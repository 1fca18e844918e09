/* SPDX-License-Identifier: Apache-2.0 */
/* What event-json.c wrote, read again: how a user was before an event, and once it had happened. */
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "base/jsonread.h"
#include "base/jsontext.h"
#include "base/timefmt.h"
#include "model/event.h"

static void json_putp(json_object **o) {
        (void) json_object_put(*o);
}
#define CLEANUP_JSON CLEANUP(json_putp)

/* A record is at most 32 deep (source/chime-record.c), and events wrap it in more levels. */
#define DEPTH_MAX 64

static int set_time(json_object *v, int64_t *ret) {
        if (!v) {
                *ret = TIME_NONE;
                return 0;
        }
        if (!json_object_is_type(v, json_type_string) ||
            time_parse(json_object_get_string(v), ret) < 0)
                return -EBADMSG;
        return 0;
}

/* A column's text from the JSON type that its field has there. */
static int set_field(User *u, UserFieldId field, json_object *v) {
        const char *text;

        if (!v)
                return user_set(u, field, NULL);
        switch (user_fields[field].type) {
        case FIELD_TEXT:
        case FIELD_TIME:
                if (!json_object_is_type(v, json_type_string))
                        return -EBADMSG;
                return user_set(u, field, json_object_get_string(v));
        case FIELD_BOOL:
                return user_set(u, field, json_object_get_boolean(v) ? "1" : "0");
        case FIELD_JSON:
                text = jsontext_of(v, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
                return text ? user_set(u, field, text) : -ENOMEM;
        }
        return -EBADMSG;
}

/* Columns that only a later version knows are passed over. */
static int set_column(const char *column, json_object *v, User *u, UserDates *dates) {
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if (strcmp(user_fields[i].column, column) == 0)
                        return set_field(u, (UserFieldId) i, v);
        if (strcmp(column, "first_seen_at") == 0)
                return set_time(v, &dates->first_seen_at);
        if (strcmp(column, "last_changed_at") == 0)
                return set_time(v, &dates->last_changed_at);
        if (strcmp(column, "removed_at") == 0)
                return set_time(v, &dates->removed_at);
        return 0;
}

int event_undo(const char *changes, User *u, UserDates *dates) {
        CLEANUP_JSON json_object *list = NULL;
        int r = jsonread_text(changes, DEPTH_MAX, &list);

        if (r < 0)
                return r;
        if (!json_object_is_type(list, json_type_array))
                return -EBADMSG;
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                json_object *change = json_object_array_get_idx(list, i), *field = NULL,
                            *old = NULL;

                if (!json_object_object_get_ex(change, "field", &field) ||
                    !json_object_object_get_ex(change, "old", &old) ||
                    !json_object_is_type(field, json_type_string))
                        return -EBADMSG;
                r = set_column(json_object_get_string(field), old, u, dates);
                if (r < 0)
                        return r;
        }
        return 0;
}

int event_image_read(const char *image, User *u, UserDates *dates) {
        CLEANUP_JSON json_object *o = NULL;
        int r = jsonread_text(image, DEPTH_MAX, &o);

        if (r < 0)
                return r;
        if (!json_object_is_type(o, json_type_object))
                return -EBADMSG;
        user_clear(u);
        *dates = (UserDates){ 0 };
        json_object_object_foreach(o, key, value) {
                r = set_column(key, value, u, dates);
                if (r < 0)
                        return r;
        }
        return 0;
}
