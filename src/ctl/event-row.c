/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/event-row.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/jsonread.h"
#include "base/jsontext.h"
#include "base/text.h"
#include "model/event.h"

/* A record is at most 32 deep (source/chime-record.c), and events wrap it in more levels. */
#define DEPTH_MAX 64

static void json_putp(json_object **o) {
        (void) json_object_put(*o);
}

int event_row_sentence(const Record *row, char out[static EVENT_WHAT_SIZE], Error *err) {
        const char *type = record_get(row, "type"), *account = record_get(row, "account");
        size_t prefix = strlen(account ? account : "?") + strlen(": ");
        EventKind kind = event_kind_from_name(type);
        /* event_sentence() only reads; what the row lacks it does not look at */
        Event e = { .kind = kind,
                    .account = (char *) account,
                    .user_id = (char *) record_get(row, "user_id"),
                    .primary_email = (char *) record_get(row, "primary_email"),
                    .field = (char *) record_get(row, "field"),
                    .old_value = (char *) record_get(row, "old_value"),
                    .new_value = (char *) record_get(row, "new_value"),
                    .detail = (char *) record_get(row, "detail") };

        if (kind == EVENT_KIND_COUNT) { /* of a later version */
                (void) text_clean(out, EVENT_WHAT_SIZE, type, strlen(type));
                return 0;
        }
        if (!event_sentence(&e, false, out, EVENT_WHAT_SIZE))
                return error_set(err, -ENOMEM, "out of memory");
        if (strlen(out) >= prefix)
                memmove(out, out + prefix, strlen(out + prefix) + 1);
        return 0;
}

/* NULL: there is no memory for the text. */
static const char *value(json_object *change, const char *key) {
        json_object *v = NULL;

        (void) json_object_object_get_ex(change, key, &v);
        if (!v)
                return "none";
        return json_object_is_type(v, json_type_string) ? json_object_get_string(v)
                                                        : jsontext_of(v, JSON_C_TO_STRING_SPACED);
}

static const char *label(const char *field) {
        return strcmp(field, "user_registration_status") == 0 ? "registration"
               : strcmp(field, "user_invitation_status") == 0 ? "invitation"
                                                              : field;
}

int event_row_changes(const Record *row, char out[static EVENT_WHAT_SIZE], Error *err) {
        const char *text = record_get(row, "changes");
        CLEANUP(json_putp) json_object *list = NULL;
        char buf[EVENT_WHAT_SIZE] = "";
        size_t at = 0, n;

        if (text && jsonread_text(text, DEPTH_MAX, &list) == -ENOMEM)
                return error_set(err, -ENOMEM, "out of memory");
        n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
        for (size_t i = 0; i < n && at < sizeof buf; i++) {
                json_object *change = json_object_array_get_idx(list, i);
                const char *field = value(change, "field"), *old = value(change, "old"),
                           *new = value(change, "new");

                if (!field || !old || !new)
                        return error_set(err, -ENOMEM, "out of memory");
                if (strcmp(field, "last_changed_at") == 0)
                        continue;
                at += (size_t) snprintf(buf + at, sizeof buf - at, "%s%s: %s → %s", at ? ", " : "",
                                        label(field), old, new);
        }
        (void) text_clean(out, EVENT_WHAT_SIZE, buf, strlen(buf));
        return 0;
}
