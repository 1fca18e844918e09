/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include "faults.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned control_fail(const ControlCall *c, const char *fmt, ...) {
        char text[512];
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        c->out->len = 0;
        buf_puts(c->out, "{\"error\":");
        buf_add_json(c->out, text, strlen(text));
        buf_puts(c->out, "}\n");
        return 400;
}

unsigned control_reply(const ControlCall *c, json_object *o) {
        buf_puts(c->out, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
                                                                   JSON_C_TO_STRING_NOSLASHESCAPE));
        buf_putc(c->out, '\n');
        json_object_put(o);
        return 200;
}

bool control_is(const ControlCall *c, const char *method, size_t n_segments, const char *last) {
        return strcmp(c->method, method) == 0 && c->n_segments == n_segments &&
               (!last || strcmp(c->segments[n_segments - 1], last) == 0);
}

json_object *control_member(const ControlCall *c, const char *name) {
        json_object *v;

        return json_object_object_get_ex(c->body, name, &v) ? v : NULL;
}

int64_t control_number(const ControlCall *c, const char *name, int64_t otherwise) {
        json_object *v = control_member(c, name);

        return v ? json_object_get_int64(v) : otherwise;
}

const char *control_text(const ControlCall *c, const char *name, const char *otherwise) {
        json_object *v = control_member(c, name);

        return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : otherwise;
}

size_t control_position(const ControlCall *c, const Account *a) {
        json_object *v = control_member(c, "position");
        int64_t at;

        if (!v || strcmp(json_object_get_string(v), "back") == 0)
                return a->n;
        if (strcmp(json_object_get_string(v), "front") == 0)
                return 0;
        at = json_object_get_int64(v);
        return at < 0 || (uint64_t) at > a->n ? a->n : (size_t) at;
}

static json_object *describe_account(const Account *a) {
        json_object *o = json_object_new_object();

        json_object_object_add(o, "account_id", json_object_new_string(a->id));
        json_object_object_add(o, "users", json_object_new_uint64(a->n));
        json_object_object_add(o, "seed", json_object_new_uint64(a->seed));
        json_object_object_add(o, "requests", json_object_new_uint64(a->requests));
        return o;
}

static unsigned list_accounts(const ControlCall *c) {
        json_object *list = json_object_new_array(), *o = json_object_new_object();

        for (size_t i = 0; i < c->e->n_accounts; i++)
                json_object_array_add(list, describe_account(c->e->accounts[i]));
        json_object_object_add(o, "accounts", list);
        return control_reply(c, o);
}

static unsigned add_account(const ControlCall *c) {
        const char *id = control_text(c, "account_id", NULL);
        int64_t users = control_number(c, "users", 0);
        Account *a;

        if (!id || !*id || strchr(id, '/'))
                return control_fail(c, "account_id is missing");
        if (users < 0 || users > 10000000)
                return control_fail(c, "users must be 0 to 10000000");
        a = emulator_add_account(c->e, id, (uint64_t) control_number(c, "seed", 1));
        (void) account_generate(a, 0, (size_t) users);
        return control_reply(c, describe_account(a));
}

static unsigned below_accounts(const ControlCall *c) {
        Account *a;

        if (control_is(c, "GET", 1, NULL))
                return list_accounts(c);
        if (control_is(c, "POST", 1, NULL))
                return add_account(c);
        a = c->n_segments > 1 ? emulator_account(c->e, c->segments[1]) : NULL;
        if (!a)
                return control_fail(c, "no such account");
        if (control_is(c, "GET", 2, NULL))
                return control_reply(c, describe_account(a));
        if (control_is(c, "DELETE", 2, NULL)) {
                (void) emulator_drop_account(c->e, c->segments[1]);
                return control_reply(c, json_object_new_object());
        }
        return control_account(c, a);
}

static unsigned add_faults(const ControlCall *c) {
        json_object *o, *ids;
        Buf err = { 0 };
        bool many = json_object_is_type(c->body, json_type_array);
        size_t n = many ? json_object_array_length(c->body) : 1;

        if (!many && !json_object_is_type(c->body, json_type_object))
                return control_fail(c, "a fault or a list of faults is expected");
        ids = json_object_new_array();
        for (size_t i = 0; i < n; i++) {
                json_object *spec = many ? json_object_array_get_idx(c->body, i) : c->body;
                Fault *f = fault_add(c->e, spec, &err);

                if (!f) {
                        json_object_put(ids);
                        (void) control_fail(c, "fault %zu: %s", i + 1, err.data);
                        buf_free(&err);
                        return 400;
                }
                json_object_array_add(ids, json_object_new_uint64(f->id));
        }
        o = json_object_new_object();
        json_object_object_add(o, "ids", ids);
        return control_reply(c, o);
}

static unsigned below_faults(const ControlCall *c) {
        json_object *o;

        if (control_is(c, "GET", 1, NULL)) {
                o = json_object_new_object();
                json_object_object_add(o, "faults", faults_to_json(c->e));
                return control_reply(c, o);
        }
        if (control_is(c, "POST", 1, NULL))
                return add_faults(c);
        if (control_is(c, "DELETE", 1, NULL))
                faults_clear(c->e);
        else if (!control_is(c, "DELETE", 2, NULL))
                return control_fail(c, "no such method");
        else if (!fault_remove(c->e, strtoull(c->segments[1], NULL, 10)))
                return control_fail(c, "no such fault");
        return control_reply(c, json_object_new_object());
}

static unsigned below_log(const ControlCall *c) {
        json_object *o, *v;
        uint64_t since = 0;
        size_t limit = MAX_LOG;

        if (control_is(c, "DELETE", 1, NULL)) {
                log_clear(c->e);
                return control_reply(c, json_object_new_object());
        }
        if (json_object_object_get_ex(c->query, "since", &v))
                since = strtoull(json_object_get_string(v), NULL, 10);
        if (json_object_object_get_ex(c->query, "limit", &v))
                limit = strtoull(json_object_get_string(v), NULL, 10);
        o = json_object_new_object();
        json_object_object_add(o, "log", log_to_json(c->e, since, limit));
        return control_reply(c, o);
}

static unsigned reset(const ControlCall *c) {
        faults_clear(c->e);
        log_clear(c->e);
        c->e->requests = 0;
        c->e->stats = (Stats){ 0 };
        for (size_t i = 0; i < c->e->n_accounts; i++) {
                c->e->accounts[i]->requests = 0;
                c->e->accounts[i]->bucket_at_ns = 0;
        }
        return control_reply(c, json_object_new_object());
}

static unsigned route(const ControlCall *c) {
        const char *first = c->n_segments > 0 ? c->segments[0] : "";

        if (strcmp(first, "accounts") == 0)
                return below_accounts(c);
        if (strcmp(first, "faults") == 0)
                return below_faults(c);
        if (strcmp(first, "log") == 0)
                return below_log(c);
        if (control_is(c, "GET", 1, "stats"))
                return control_reply(c, stats_to_json(c->e));
        if (control_is(c, "POST", 1, "reset"))
                return reset(c);
        if (strcmp(first, "config") == 0 || strcmp(first, "credentials") == 0)
                return control_config(c);
        return control_fail(c, "no such path: %s", first);
}

static bool split_path(ControlCall *c, const char *path) {
        for (const char *p = path; *p;) {
                size_t n = strcspn(p, "/");
                Buf segment = { 0 };

                if (n > 0) {
                        if (c->n_segments == CONTROL_SEGMENTS ||
                            !percent_decode(p, n, false, &segment)) {
                                buf_free(&segment);
                                return false;
                        }
                        c->segments[c->n_segments++] = buf_steal(&segment);
                }
                p += n + (p[n] == '/');
        }
        return true;
}

static unsigned answer_parsed(ControlCall *c) {
        enum json_tokener_error error = json_tokener_success;
        unsigned status;

        if (c->raw_body->len > 0) {
                c->body = json_tokener_parse_verbose(c->raw_body->data, &error);
                if (error != json_tokener_success)
                        return control_fail(c, "the body is not JSON: %s",
                                            json_tokener_error_desc(error));
        }
        (void) pthread_mutex_lock(&c->e->lock);
        c->e->stats.control_requests++;
        status = route(c);
        (void) pthread_mutex_unlock(&c->e->lock);
        return status;
}

static void call_clear(ControlCall *c) {
        for (size_t i = 0; i < c->n_segments; i++)
                free(c->segments[i]);
        json_object_put(c->query);
        json_object_put(c->body);
}

unsigned control_change_now(Emulator *e, const char *method, const char *path, json_object *body,
                            Buf *out) {
        ControlCall c = { .e = e, .method = method, .body = json_object_get(body), .out = out };
        unsigned status;

        if (split_path(&c, path) && c.n_segments > 2 && strcmp(c.segments[0], "accounts") == 0)
                status = route(&c);
        else
                status = control_fail(&c, "not a change of an account's users: %s", path);
        call_clear(&c);
        return status;
}

unsigned control_answer(Emulator *e, const char *method, const char *uri, const Buf *body,
                        Buf *out) {
        size_t path_len = strcspn(uri, "?");
        char *path = xstrndup(uri, path_len);
        ControlCall c = { .e = e, .method = method, .raw_body = body, .out = out };
        Buf query = { 0 };
        unsigned status;

        query_describe(uri[path_len] ? uri + path_len + 1 : "", &query);
        c.query = json_tokener_parse(query.data);
        if (split_path(&c, path + strlen("/_control")))
                status = answer_parsed(&c);
        else
                status = control_fail(&c, "malformed path");
        call_clear(&c);
        buf_free(&query);
        free(path);
        return status;
}
