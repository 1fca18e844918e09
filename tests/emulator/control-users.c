/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at, adding, changing and deleting single users. */
#include "control.h"

#include <stdlib.h>
#include <string.h>

#define MAX_IDS ((size_t) 100000)

static User user_from_json(Account *a, json_object *o) {
        size_t len;
        const char *text = json_object_to_json_string_length(
                o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);

        return account_user_from_text(a, text, len);
}

static unsigned list_users(const ControlCall *c, const Account *a) {
        json_object *v;
        size_t offset = 0, limit = a->n;

        if (json_object_object_get_ex(c->query, "offset", &v))
                offset = strtoull(json_object_get_string(v), NULL, 10);
        if (json_object_object_get_ex(c->query, "limit", &v))
                limit = strtoull(json_object_get_string(v), NULL, 10);
        buf_printf(c->out, "{\"total\":%zu,\"Users\":[", a->n);
        for (size_t i = offset, sent = 0; i < a->n && sent < limit; i++, sent++) {
                buf_puts(c->out, sent > 0 ? "," : "");
                buf_add(c->out, a->users[i].json, a->users[i].json_len);
        }
        buf_puts(c->out, "]}\n");
        return 200;
}

/* Says what was added: users[at] to users[at + n - 1]. */
static unsigned reply_added(const ControlCall *c, const Account *a, size_t at, size_t n) {
        json_object *o = json_object_new_object(), *ids = json_object_new_array();

        for (size_t i = 0; i < n && i < MAX_IDS; i++)
                json_object_array_add(ids, json_object_new_string(a->users[at + i].id));
        json_object_object_add(o, "added", json_object_new_uint64(n));
        json_object_object_add(o, "user_ids", ids);
        return control_reply(c, o);
}

/* A user given without UserId or AccountId gets them, for convenience. */
static void complete_user(Account *a, json_object *o) {
        if (!json_object_object_get_ex(o, "UserId", NULL)) {
                GeneratedUser g;
                Buf ignored = { 0 };

                generate_user(a->id, a->seed, a->generated++, &g, &ignored);
                buf_free(&ignored);
                json_object_object_add(o, "UserId", json_object_new_string(g.id));
        }
        if (!json_object_object_get_ex(o, "AccountId", NULL))
                json_object_object_add(o, "AccountId", json_object_new_string(a->id));
}

static unsigned add_users(const ControlCall *c, Account *a) {
        size_t at = control_position(c, a), n;
        json_object *one = control_member(c, "user"), *many = control_member(c, "users");
        int64_t generate = control_number(c, "generate", 0);
        User *fresh;

        if (generate > 0 && generate <= 10000000) {
                n = account_generate(a, at, (size_t) generate);
                return reply_added(c, a, at, n);
        }
        if (!json_object_is_type(one, json_type_object) &&
            !json_object_is_type(many, json_type_array))
                return control_fail(c, "user, users or generate is expected");
        n = one ? 1 : json_object_array_length(many);
        fresh = xcalloc(n, sizeof *fresh);
        for (size_t i = 0; i < n; i++) {
                json_object *o = one ? one : json_object_array_get_idx(many, i);

                if (json_object_is_type(o, json_type_object))
                        complete_user(a, o);
                fresh[i] = user_from_json(a, o);
        }
        account_insert(a, at, fresh, n);
        free(fresh);
        return reply_added(c, a, at, n);
}

static unsigned add_raw(const ControlCall *c, Account *a) {
        const char *text = control_text(c, "text", NULL);
        const char *base64 = control_text(c, "base64", NULL);
        size_t at = control_position(c, a);
        Buf bytes = { 0 };
        User u;

        if (text)
                buf_puts(&bytes, text);
        else if (!base64 || !base64_decode(base64, strlen(base64), &bytes)) {
                buf_free(&bytes);
                return control_fail(c, "text or base64 is expected");
        }
        u = account_user_raw(a, bytes.data ? bytes.data : "", bytes.len);
        account_insert(a, at, &u, 1);
        buf_free(&bytes);
        return reply_added(c, a, at, 1);
}

/* RFC 7396 */
static json_object *merge(json_object *target, json_object *patch) {
        if (!json_object_is_type(patch, json_type_object))
                return json_object_get(patch);
        if (!json_object_is_type(target, json_type_object))
                target = json_object_new_object();
        else
                target = json_object_get(target);
        json_object_object_foreach(patch, name, v) {
                json_object *old = NULL;

                if (!v) {
                        json_object_object_del(target, name);
                        continue;
                }
                (void) json_object_object_get_ex(target, name, &old);
                json_object_object_add(target, name, merge(old, v));
        }
        return target;
}

static void replace_user(Account *a, size_t at, User fresh) {
        fresh.key = a->users[at].key;
        a->users[at] = fresh;
}

bool control_patch_user(Account *a, size_t at, json_object *patch) {
        json_object *old = json_tokener_parse(a->users[at].json), *merged;

        if (!json_object_is_type(old, json_type_object)) {
                json_object_put(old);
                return false;
        }
        merged = merge(old, patch);
        replace_user(a, at, user_from_json(a, merged));
        json_object_put(merged);
        json_object_put(old);
        return true;
}

static unsigned one_user(const ControlCall *c, Account *a) {
        size_t at = account_find(a, c->segments[3]);

        if (at == a->n)
                return control_fail(c, "no such user");
        if (control_is(c, "DELETE", 4, NULL)) {
                account_remove_range(a, at, 1);
                return control_reply(c, json_object_new_object());
        }
        if (control_is(c, "PUT", 4, NULL) || control_is(c, "PATCH", 4, NULL)) {
                if (!json_object_is_type(c->body, json_type_object))
                        return control_fail(c, "an object is expected");
                if (*c->method == 'P' && c->method[1] == 'U')
                        replace_user(a, at, user_from_json(a, c->body));
                else if (!control_patch_user(a, at, c->body))
                        return control_fail(c, "this user is not a JSON object");
        } else if (!control_is(c, "GET", 4, NULL))
                return control_fail(c, "no such method");
        buf_add(c->out, a->users[at].json, a->users[at].json_len);
        buf_putc(c->out, '\n');
        return 200;
}

static unsigned duplicate_user(const ControlCall *c, Account *a) {
        size_t from = account_find(a, control_text(c, "user_id", ""));
        size_t at = control_position(c, a);
        json_object *patch = control_member(c, "patch");
        User copy;

        if (from == a->n)
                return control_fail(c, "no such user");
        copy = a->users[from];
        account_insert(a, at, &copy, 1);
        if (patch && !control_patch_user(a, at, patch))
                return control_fail(c, "this user is not a JSON object");
        return reply_added(c, a, at, 1);
}

unsigned control_account(const ControlCall *c, Account *a) {
        unsigned status;

        if (control_is(c, "GET", 3, "users"))
                return list_users(c, a);
        if (control_is(c, "POST", 3, "users"))
                return add_users(c, a);
        if (c->n_segments == 4 && strcmp(c->segments[2], "users") == 0)
                return one_user(c, a);
        if (control_is(c, "POST", 3, "raw"))
                return add_raw(c, a);
        if (control_is(c, "POST", 3, "duplicate"))
                return duplicate_user(c, a);
        status = control_change(c, a);
        return status ? status : control_fail(c, "no such path or method");
}
