/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/event-row.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/event.h"

char *event_row_sentence(const Record *row, char out[static EVENT_WHAT_SIZE]) {
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

        if (kind == EVENT_KIND_COUNT) /* of a later version */
                return text_clean(out, EVENT_WHAT_SIZE, type, strlen(type));
        if (!event_sentence(&e, false, out, EVENT_WHAT_SIZE))
                return text_clean(out, EVENT_WHAT_SIZE, type, strlen(type));
        if (strlen(out) >= prefix)
                memmove(out, out + prefix, strlen(out + prefix) + 1);
        return out;
}

static const char *value(json_object *change, const char *key) {
        json_object *v = NULL;

        (void) json_object_object_get_ex(change, key, &v);
        return v ? json_object_get_string(v) : "none";
}

char *event_row_changes(const Record *row, char out[static EVENT_WHAT_SIZE]) {
        const char *text = record_get(row, "changes");
        json_object *list = text ? json_tokener_parse(text) : NULL;
        size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
        char buf[EVENT_WHAT_SIZE] = "";
        size_t at = 0;

        for (size_t i = 0; i < n && at < sizeof buf; i++) {
                json_object *change = json_object_array_get_idx(list, i);
                const char *field = value(change, "field");

                if (strcmp(field, "last_changed_at") == 0)
                        continue;
                if (strcmp(field, "user_registration_status") == 0)
                        field = "registration";
                else if (strcmp(field, "user_invitation_status") == 0)
                        field = "invitation";
                at += (size_t) snprintf(buf + at, sizeof buf - at, "%s%s: %s → %s", at ? ", " : "",
                                        field, value(change, "old"), value(change, "new"));
        }
        (void) json_object_put(list);
        return text_clean(out, EVENT_WHAT_SIZE, buf, strlen(buf));
}
