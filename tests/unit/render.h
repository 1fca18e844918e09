/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Rendering one event or alert in any format, and looking into what came out. */

#include <json-c/json.h>
#include <string.h>

#include "base/cleanup.h"
#include "samples.h"
#include "sink/format.h"

#include "test.h"

static inline void render_json_putp(json_object **o) {
        (void) json_object_put(*o);
}
#define CLEANUP_JSON CLEANUP(render_json_putp)

/* What the format makes of the events; NULL if it makes nothing of them (no alerts among them). */
static inline char *render(const Format *f, const FormatSettings *settings, Event *const *events,
                           size_t n) {
        CLEANUP(digest_clear) Digest digest = { 0 };
        Alert alerts[EVENT_KIND_COUNT];
        size_t n_alerts = 0;
        char *text = NULL;

        assert_true(n <= EVENT_KIND_COUNT);
        switch (f->style) {
        case FORMAT_EVENTS:
                assert_int_equal(f->render_events(settings, events, n, &text), 0);
                break;
        case FORMAT_DIGEST:
                for (size_t i = 0; i < n; i++)
                        assert_true(digest_add(&digest, events[i], settings->minimal) >= 0);
                assert_int_equal(f->render_digest(settings, &digest, &text), 0);
                break;
        case FORMAT_ALERTS:
                for (size_t i = 0; i < n; i++)
                        n_alerts += alert_from_event(events[i], &alerts[n_alerts]) > 0;
                if (n_alerts > 0)
                        assert_int_equal(f->render_alerts(settings, alerts, n_alerts, &text), 0);
                break;
        }
        return text;
}

/* The text as JSON, by a reader that forgives nothing. */
static inline json_object *parse_strictly(const char *text) {
        json_tokener *tok = json_tokener_new();
        json_object *o;

        json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        o = json_tokener_parse_ex(tok, text, -1);
        if (!o)
                fail_msg("%s: %s", json_tokener_error_desc(json_tokener_get_error(tok)), text);
        json_tokener_free(tok);
        return o;
}

/* A value by its path, "attachments.0.content.body". Borrowed. */
static inline json_object *at(json_object *o, const char *path) {
        char step[64];

        while (*path) {
                size_t len = strcspn(path, ".");

                assert_true(len < sizeof step);
                memcpy(step, path, len);
                step[len] = '\0';
                if (json_object_is_type(o, json_type_array))
                        o = json_object_array_get_idx(o, (size_t) strtoul(step, NULL, 10));
                else if (!json_object_object_get_ex(o, step, &o))
                        return NULL;
                path += len + (path[len] == '.');
        }
        return o;
}

static inline const char *text_at(json_object *o, const char *path) {
        json_object *v = at(o, path);

        return v ? json_object_get_string(v) : NULL;
}
