/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator.h"

#include <stdio.h>
#include <stdlib.h>

static void entry_free(LogEntry *l) {
        free(l->method);
        free(l->path);
        free(l->account);
        free(l->params);
        free(l->headers);
        free(l->error);
        free(l->body);
        *l = (LogEntry){ 0 };
}

static LogEntry *entry_at(const Emulator *e, size_t i) {
        return &e->log[(e->log_start + i) % e->log_cap];
}

void log_add(Emulator *e, LogEntry *entry) {
        entry->number = ++e->log_numbers;
        if (!e->config.log) {
                entry_free(entry);
                return;
        }
        if (e->log_n == MAX_LOG) {
                entry_free(entry_at(e, 0));
                e->log_start = (e->log_start + 1) % e->log_cap;
                e->log_n--;
        }
        if (e->log_n == e->log_cap) { /* only before the first entry is dropped: start is 0 */
                e->log_cap = e->log_cap ? e->log_cap * 2 : 256;
                if (e->log_cap > MAX_LOG)
                        e->log_cap = MAX_LOG;
                e->log = xrealloc(e->log, e->log_cap * sizeof *e->log);
        }
        e->log_n++;
        *entry_at(e, e->log_n - 1) = *entry;
        *entry = (LogEntry){ 0 };
}

void log_clear(Emulator *e) {
        for (size_t i = 0; i < e->log_n; i++)
                entry_free(entry_at(e, i));
        e->log_n = e->log_start = 0;
}

static json_object *text_or_null(const char *s) {
        return s ? json_object_new_string(s) : NULL;
}

static json_object *entry_to_json(const LogEntry *l) {
        json_object *o = json_object_new_object();

        json_object_object_add(o, "number", json_object_new_uint64(l->number));
        json_object_object_add(o, "time", json_object_new_double(l->time));
        json_object_object_add(o, "method", text_or_null(l->method));
        json_object_object_add(o, "path", text_or_null(l->path));
        json_object_object_add(o, "account", text_or_null(l->account));
        json_object_object_add(o, "params", l->params ? json_tokener_parse(l->params) : NULL);
        json_object_object_add(o, "headers", l->headers ? json_tokener_parse(l->headers) : NULL);
        json_object_object_add(o, "page", json_object_new_int64(l->page));
        json_object_object_add(o, "signature_ok", json_object_new_boolean(l->signature_ok));
        json_object_object_add(o, "status", json_object_new_int64(l->status));
        json_object_object_add(o, "error", text_or_null(l->error));
        json_object_object_add(o, "fault", json_object_new_uint64(l->fault));
        if (l->body)
                json_object_object_add(o, "body", json_object_new_string(l->body));
        json_object_object_add(o, "bytes", json_object_new_uint64(l->bytes));
        json_object_object_add(o, "connection", json_object_new_uint64(l->connection));
        json_object_object_add(o, "connection_request",
                               json_object_new_uint64(l->connection_request));
        json_object_object_add(o, "reused", json_object_new_boolean(l->connection_request > 1));
        return o;
}

json_object *log_to_json(const Emulator *e, uint64_t since, size_t limit) {
        json_object *list = json_object_new_array();

        for (size_t i = 0; i < e->log_n && json_object_array_length(list) < limit; i++)
                if (entry_at(e, i)->number > since)
                        json_object_array_add(list, entry_to_json(entry_at(e, i)));
        return list;
}

json_object *stats_to_json(const Emulator *e) {
        json_object *o = json_object_new_object(), *by_status = json_object_new_object();
        const Stats *s = &e->stats;
        const struct {
                const char *name;
                uint64_t value;
        } rows[] = {
                { "listing_requests", s->listing_requests },
                { "signature_failures", s->signature_failures },
                { "pages", s->pages },
                { "users", s->users },
                { "bytes", s->bytes },
                { "throttled", s->throttled },
                { "faults", s->faults },
                { "control_requests", s->control_requests },
                { "listings", e->runs },
                { "connections", __atomic_load_n(&e->connections, __ATOMIC_RELAXED) },
                { "open_connections", __atomic_load_n(&e->open_connections, __ATOMIC_RELAXED) },
        };

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                json_object_object_add(o, rows[i].name, json_object_new_uint64(rows[i].value));
        for (unsigned i = 0; i < sizeof s->by_status / sizeof *s->by_status; i++) {
                char name[16];

                if (s->by_status[i] == 0)
                        continue;
                (void) snprintf(name, sizeof name, "%u", i);
                json_object_object_add(by_status, name, json_object_new_uint64(s->by_status[i]));
        }
        json_object_object_add(o, "by_status", by_status);
        return o;
}
