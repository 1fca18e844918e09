/* SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

#include <stdlib.h>
#include <string.h>

static void fault_free(Fault *f) {
        json_object_put(f->spec);
        free(f->account);
        free(f);
}

int64_t fault_number(const Fault *f, const char *name, int64_t otherwise) {
        json_object *v;

        return json_object_object_get_ex(f->spec, name, &v) ? json_object_get_int64(v) : otherwise;
}

const char *fault_text(const Fault *f, const char *name, const char *otherwise) {
        json_object *v;

        return json_object_object_get_ex(f->spec, name, &v) &&
                               json_object_is_type(v, json_type_string)
                       ? json_object_get_string(v)
                       : otherwise;
}

bool fault_flag(const Fault *f, const char *name) {
        json_object *v;

        return json_object_object_get_ex(f->spec, name, &v) && json_object_get_boolean(v);
}

static bool parse_match(Fault *f, json_object *match, Buf *err) {
        if (!json_object_is_type(match, json_type_object)) {
                buf_puts(err, "match must be an object");
                return false;
        }
        json_object_object_foreach(match, name, v) {
                if (strcmp(name, "account") == 0 && v)
                        f->account = xstrdup(json_object_get_string(v));
                else if (strcmp(name, "page") == 0)
                        f->page = json_object_get_int64(v);
                else if (strcmp(name, "request") == 0)
                        f->request = json_object_get_int64(v);
                else if (strcmp(name, "has_token") == 0)
                        f->has_token = json_object_get_boolean(v);
                else if (v) {
                        buf_printf(err, "unknown member of match: %s", name);
                        return false;
                }
        }
        return true;
}

/* Of the action "change". */
static bool calls_are_sound(json_object *spec) {
        json_object *calls, *call, *v;

        if (!json_object_object_get_ex(spec, "calls", &calls))
                return true;
        if (!json_object_is_type(calls, json_type_array))
                return false;
        for (size_t i = 0; i < json_object_array_length(calls); i++) {
                call = json_object_array_get_idx(calls, i);
                if (!json_object_object_get_ex(call, "method", &v) ||
                    !json_object_is_type(v, json_type_string) ||
                    !json_object_object_get_ex(call, "path", &v) ||
                    !json_object_is_type(v, json_type_string))
                        return false;
        }
        return true;
}

static bool parse_fault(Fault *f, Buf *err) {
        const char *action = fault_text(f, "action", ""), *exception;
        const char *times = fault_text(f, "times", "");
        json_object *match;
        unsigned status;
        const char *code;

        f->action = fault_action_find(action);
        if (!f->action) {
                buf_printf(err, "unknown action: '%s'", action);
                return false;
        }
        exception = fault_text(f, "exception", NULL);
        if (exception && !exception_find(exception, &status, &code) &&
            fault_number(f, "status", 0) == 0) {
                buf_printf(err, "exception '%s' is not known: give its status", exception);
                return false;
        }
        if (!calls_are_sound(f->spec)) {
                buf_puts(err, "calls must be a list of {\"method\", \"path\", \"body\"}");
                return false;
        }
        f->after = fault_number(f, "after", 0);
        f->times = strcmp(times, "always") == 0 ? -1 : fault_number(f, "times", 1);
        f->has_token = f->action->needs_token ? 1 : -1;
        return !json_object_object_get_ex(f->spec, "match", &match) || parse_match(f, match, err);
}

Fault *fault_add(Emulator *e, json_object *spec, Buf *err) {
        Fault *f = xcalloc(1, sizeof *f), **at = &e->faults;

        f->spec = json_object_get(spec);
        if (!parse_fault(f, err)) {
                fault_free(f);
                return NULL;
        }
        f->id = ++e->next_fault;
        while (*at)
                at = &(*at)->next;
        return *at = f;
}

bool fault_remove(Emulator *e, uint64_t id) {
        for (Fault **at = &e->faults; *at; at = &(*at)->next) {
                Fault *f = *at;

                if (f->id != id)
                        continue;
                *at = f->next;
                fault_free(f);
                return true;
        }
        return false;
}

void faults_clear(Emulator *e) {
        while (e->faults)
                (void) fault_remove(e, e->faults->id);
}

json_object *faults_to_json(const Emulator *e) {
        json_object *list = json_object_new_array();

        for (const Fault *f = e->faults; f; f = f->next) {
                json_object *o = json_object_new_object();

                json_object_object_add(o, "id", json_object_new_uint64(f->id));
                json_object_object_add(o, "applied", json_object_new_uint64(f->applied));
                json_object_object_add(o, "left", json_object_new_int64(f->times));
                json_object_object_add(o, "fault", json_object_get(f->spec));
                json_object_array_add(list, o);
        }
        return list;
}

static bool fault_matches(const Fault *f, const Emulator *e, const Account *a, const Position *p) {
        uint64_t request = f->account ? a->requests : e->requests;

        return f->times != 0 && (!f->account || strcmp(f->account, a->id) == 0) &&
               (f->page == 0 || f->page == (int64_t) p->page) &&
               (f->request == 0 || f->request == (int64_t) request) &&
               (f->has_token < 0 || f->has_token == p->given);
}

Fault *fault_take(Emulator *e, const Account *a, const Position *p) {
        for (Fault *f = e->faults; f; f = f->next) {
                if (!fault_matches(f, e, a, p))
                        continue;
                if (f->after > 0) {
                        f->after--;
                        continue;
                }
                if (f->times > 0)
                        f->times--;
                f->applied++;
                e->stats.faults++;
                return f;
        }
        return NULL;
}

void fault_render_normal(const FaultCall *c) {
        Selection s;
        Position next;

        listing_select(c->account, c->query, c->position, &s);
        next = listing_next(c->account, &s, c->position);
        listing_render(c->e, c->account, c->query, &s, NULL, s.more ? &next : NULL,
                       &c->answer->body);
        c->answer->status = 200;
        c->answer->content_type = "application/json";
}

void fault_apply(const FaultCall *c) {
        c->answer->status = 200;
        c->answer->content_type = "application/json";
        c->answer->delay_ms = (unsigned) fault_number(c->fault, "delay_ms", 0);
        c->fault->action->apply(c);
}
