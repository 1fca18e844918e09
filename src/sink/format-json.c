/* SPDX-License-Identifier: Apache-2.0 */
/* format = json: the event whole, as doc/event.schema.json describes it. */
#include <string.h>

#include "base/text.h"
#include "sink/format-internal.h"
#include "sink/stored.h"

/* What FieldFlags say of a column.  last_changed_at is no field; of a column that this version does
 * not know, the worst is assumed. */
static unsigned column_flags(const char *column) {
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if (strcmp(user_fields[i].column, column) == 0)
                        return user_fields[i].flags;
        return strcmp(column, "last_changed_at") == 0 ? 0 : FIELD_SENSITIVE;
}

/* A secret never leaves, whatever an older version may have stored, and under whatever name. */
static bool is_secret(const char *name) {
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if ((user_fields[i].flags & FIELD_SECRET) &&
                    (strcmp(user_fields[i].column, name) == 0 ||
                     strcmp(user_fields[i].json, name) == 0))
                        return true;
        return false;
}

/* Stored JSON, without secrets and in proper UTF-8.  stored_parse() bounds the depth. */
static void put_value(JsonText *j, const char *key, json_object *v) {
        switch (json_object_get_type(v)) {
        case json_type_object: {
                jsontext_open(j, key, '{');
                json_object_object_foreach(v, name, item) {
                        if (!is_secret(name))
                                put_value(j, name, item);
                }
                jsontext_close(j, '}');
                return;
        }
        case json_type_array:
                jsontext_open(j, key, '[');
                for (size_t i = 0; i < json_object_array_length(v); i++)
                        put_value(j, NULL, json_object_array_get_idx(v, i));
                jsontext_close(j, ']');
                return;
        case json_type_string:
                jsontext_bytes(j, key, json_object_get_string(v),
                               (size_t) json_object_get_string_len(v));
                return;
        case json_type_null:
        case json_type_boolean:
        case json_type_double:
        case json_type_int:
                jsontext_raw(j, key, v ? jsontext_of(v, JSON_C_TO_STRING_SPACED) : "null");
                return;
        }
}

/* Behind the string that begins at p, or NULL if it does not end. */
static const char *skip_string(const char *p) {
        for (p++; *(p += strcspn(p, "\"\\")) == '\\';)
                if (*++p)
                        p++;
        return *p ? p + 1 : NULL;
}

/* Whether the text is one value in brackets, from its first byte to its last: not cut, nothing behind
 * it. */
static bool is_whole(const char *text) {
        const char *p = text;
        size_t depth = 0;

        do {
                if (*p == '"') {
                        p = skip_string(p);
                        if (!p)
                                return false;
                } else if (*p == '{' || *p == '[') {
                        depth++;
                        p++;
                } else { /* it closes, for depth is not 0 */
                        depth--;
                        p++;
                }
                if (depth > 0)
                        p += strcspn(p, "\"{}[]");
        } while (*p && depth > 0);
        return !*p && depth == 0;
}

/* Whether stored text may be sent as it stands: rosterd has written it (model/event-json.c), so that
 * it only has to be looked at for damage, and for what an older version may have let in. */
static bool is_clean(const char *text, char open) {
        if (!text || text[0] != open || !is_whole(text) || !text_is_utf8(text, strlen(text)))
                return false;
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if ((user_fields[i].flags & FIELD_SECRET) &&
                    (strstr(text, user_fields[i].column) || strstr(text, user_fields[i].json)))
                        return false;
        return true;
}

static void put_user(JsonText *j, const FormatSettings *settings, const Event *e) {
        CLEANUP_STORED json_object *user = NULL;

        if (!settings->minimal && is_clean(e->user, '{')) {
                jsontext_raw(j, "user", e->user);
                return;
        }
        j->failed |= stored_parse(e->user, json_type_object, &user) < 0;
        if (user && !settings->minimal && stored_member(user, "user_id")) {
                put_value(j, "user", user);
                return;
        }
        jsontext_open(j, "user", '{');
        jsontext_string(j, "user_id", e->user_id);
        jsontext_close(j, '}');
}

static void put_changes(JsonText *j, const FormatSettings *settings, const Event *e) {
        CLEANUP_STORED json_object *changes = NULL;
        size_t n;

        if (!settings->minimal && is_clean(e->changes, '[')) {
                jsontext_raw(j, "changes", e->changes);
                return;
        }
        j->failed |= stored_parse(e->changes, json_type_array, &changes) < 0;
        n = changes ? json_object_array_length(changes) : 0;
        jsontext_open(j, "changes", '[');
        for (size_t i = 0; i < n; i++) {
                json_object *change = json_object_array_get_idx(changes, i);
                const char *field = stored_member(change, "field");

                if (!field || is_secret(field))
                        continue;
                if (settings->minimal && (column_flags(field) & FIELD_SENSITIVE)) {
                        jsontext_open(j, NULL, '{');
                        jsontext_string(j, "field", field);
                        jsontext_close(j, '}');
                } else
                        put_value(j, NULL, change);
        }
        jsontext_close(j, ']');
}

static void put_detail(JsonText *j, const Event *e) {
        CLEANUP_STORED json_object *detail = NULL;

        j->failed |= stored_parse(e->detail, json_type_object, &detail) < 0;
        if (detail)
                put_value(j, "detail", detail);
        else
                jsontext_raw(j, "detail", "{}");
}

void format_event(JsonText *j, const char *key, const FormatSettings *settings, const Event *e) {
        jsontext_open(j, key, '{');
        jsontext_string(j, "id", e->id);
        jsontext_number(j, "seq", e->seq);
        jsontext_string(j, "type", event_types[e->kind].name);
        jsontext_time(j, "time", e->time);
        jsontext_open(j, "account", '{');
        jsontext_string(j, "name", e->account);
        jsontext_string(j, "id", e->account_id);
        jsontext_close(j, '}');
        if (e->run)
                jsontext_number(j, "run", e->run);
        else
                jsontext_raw(j, "run", "null");
        if (e->user_id) {
                put_user(j, settings, e);
                put_changes(j, settings, e);
        } else
                put_detail(j, e);
        jsontext_close(j, '}');
}

int format_json(const FormatSettings *settings, Event *const *events, size_t n, char **ret) {
        CLEANUP(jsontext_clear) JsonText j = { 0 };
        size_t len = 0;

        for (size_t i = 0; i < n; i++)
                len += 512 + events[i]->packed; /* what was not read from the store is small */
        jsontext_reserve(&j, len);
        if (settings->list)
                jsontext_open(&j, NULL, '[');
        for (size_t i = 0; i < n; i++)
                format_event(&j, NULL, settings, events[i]);
        if (settings->list)
                jsontext_close(&j, ']');
        return jsontext_finish(&j, ret);
}
