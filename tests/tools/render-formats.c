/* SPDX-License-Identifier: Apache-2.0 */
/* render-formats DIR SECONDS: writes what webhooks would post about the sample events, one file each,
 * for other programs to judge; SECONDS is the Unix time now.
 *
 *   FORMAT.TYPE.json, FORMAT.TYPE.minimal.json   one event (alert formats: those that do something)
 *   FORMAT.list.json, FORMAT.list.minimal.json   all of them in one request
 *   FORMAT.digest.json                           what one run might bring two accounts
 *   FORMAT.worst.json                            as much as digests ever have to tell
 *   live.begin.json, live.repeat.json, live.end.json   an alert of alertmanager, now
 *   signed.json                                  a request's body, headers and secrets */
#include <stdio.h>

#include "base/jsontext.h"
#include "sink/signature.h"

#include "../unit/render.h"

static const char *dir;

static void write_text(const char *name, const char *text) {
        char path[4096];
        FILE *f;

        assert_true((size_t) snprintf(path, sizeof path, "%s/%s.json", dir, name) < sizeof path);
        f = fopen(path, "we");
        if (!f || fputs(text, f) < 0 || fclose(f) != 0) {
                perror(path);
                exit(1);
        }
}

static void write_events(const Format *f, const char *what, FormatSettings settings,
                         Event *const *events, size_t n) {
        CLEANUP_FREE char *full = NULL, *minimal = NULL;
        char name[128];

        settings.minimal = false;
        full = render(f, &settings, events, n);
        settings.minimal = true;
        minimal = render(f, &settings, events, n);
        if (!full)
                return;
        (void) snprintf(name, sizeof name, "%s.%s", f->name, what);
        write_text(name, full);
        (void) snprintf(name, sizeof name, "%s.%s.minimal", f->name, what);
        write_text(name, minimal);
}

static void write_format(const Format *f, Event *const *events) {
        FormatSettings settings = { .routing_key = "R0123456789ABCDEFGHIJKLMNOPQRSTU",
                                    .now = INT64_C(1770091506789),
                                    .lasting_until = INT64_C(1770091806789) };

        for (unsigned kind = 0; kind < EVENT_KIND_COUNT; kind++)
                write_events(f, event_types[kind].name, settings, &events[kind], 1);
        settings.list = true;
        if (f->most != 1)
                write_events(f, "list", settings, events, EVENT_KIND_COUNT);
}

static void write_digest(const Format *f) {
        static const struct {
                EventKind kind;
                const char *account;
                unsigned count;
        } parts[] = { { EVENT_USER_ADDED, "acme", 1 },
                      { EVENT_USER_SUSPENDED, "acme", 23 },
                      { EVENT_SYNC_RECOVERED, "globex", 1 } };
        CLEANUP(digest_clear) Digest d = { 0 };
        CLEANUP_FREE char *text = NULL;
        FormatSettings settings = { 0 };
        char name[64];

        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
                for (unsigned k = 1; k <= parts[i].count; k++) {
                        CLEANUP(event_freep) Event *e = sample_event(parts[i].kind, 1);

                        (void) snprintf(name, sizeof name, "user%02u@example.com", k);
                        if (e->user_id)
                                *e->user_id = (char) ('A' + k);
                        free(e->account);
                        free(e->primary_email);
                        e->account = strdup(parts[i].account);
                        e->primary_email = strdup(name);
                        assert_int_equal(digest_add(&d, e, false), 0);
                }
        assert_int_equal(f->render_digest(&settings, &d, &text), 0);
        (void) snprintf(name, sizeof name, "%s.digest", f->name);
        write_text(name, text);
}

static void write_worst(const Format *f) {
        CLEANUP(digest_clear) Digest d = { 0 };
        CLEANUP_FREE char *text = NULL;
        FormatSettings settings = { 0 };
        char name[300], account[65], file[32];

        memset(name, '&', sizeof name - 1);
        name[sizeof name - 1] = '\0';
        for (unsigned i = 0; i < 60 * EVENT_KIND_COUNT * 3; i++) {
                CLEANUP(event_freep) Event *e = sample_event((EventKind) (i % EVENT_KIND_COUNT), 1);

                if (e->user_id)
                        (void) snprintf(e->user_id, strlen(SAMPLE_USER_ID), "u%u", i);
                (void) snprintf(account, sizeof account, "%064u", i / EVENT_KIND_COUNT / 3);
                free(e->account);
                free(e->primary_email);
                e->account = strdup(account);
                e->primary_email = strdup(name);
                assert_true(digest_add(&d, e, false) >= 0); /* full of what an account tells once */
        }
        assert_int_equal(f->render_digest(&settings, &d, &text), 0);
        (void) snprintf(file, sizeof file, "%s.worst", f->name);
        write_text(file, text);
}

/* The same alert as it begins, as it lasts under another e-mail address, and as it ends. */
static void write_live(int64_t now) {
        const Format *f = &formats[WEBHOOK_ALERTMANAGER];
        FormatSettings settings = { .now = now * 1000, .lasting_until = (now + 300) * 1000 };
        CLEANUP(event_freep) Event *begin = sample_event(EVENT_USER_SUSPENDED, 1);
        CLEANUP(event_freep) Event *end = sample_event(EVENT_USER_REINSTATED, 2);
        CLEANUP_FREE char *first = NULL, *repeat = NULL, *last = NULL;

        begin->time = (now - 60) * 1000;
        end->time = now * 1000;
        first = render(f, &settings, &begin, 1);
        free(begin->primary_email);
        begin->primary_email = strdup("byron@example.com");
        repeat = render(f, &settings, &begin, 1);
        last = render(f, &settings, &end, 1);
        write_text("live.begin", first);
        write_text("live.repeat", repeat);
        write_text("live.end", last);
}

static void write_signed(Event *e, int64_t now) {
        char first[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        char second[] = "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";
        char *items[] = { first, second };
        const TextList secrets = { items, 2 };
        const FormatSettings settings = { 0 };
        CLEANUP_FREE char *body = render(&formats[WEBHOOK_JSON], &settings, &e, 1);
        CLEANUP_FREE char *signature = NULL, *text = NULL;
        CLEANUP(jsontext_clear) JsonText j = { 0 };
        Error err = { 0 };

        assert_ok(signature_make(&secrets, e->id, now, body, strlen(body), &signature, &err), err);
        jsontext_open(&j, NULL, '{');
        jsontext_open(&j, "secrets", '[');
        jsontext_string(&j, NULL, first);
        jsontext_string(&j, NULL, second);
        jsontext_close(&j, ']');
        jsontext_string(&j, "id", e->id);
        jsontext_number(&j, "timestamp", now);
        jsontext_string(&j, "signature", signature);
        jsontext_string(&j, "body", body);
        jsontext_close(&j, '}');
        assert_int_equal(jsontext_finish(&j, &text), 0);
        write_text("signed", text);
}

int main(int argc, char **argv) {
        Event *events[EVENT_KIND_COUNT];
        int64_t now;

        if (argc != 3) {
                fputs("Usage: render-formats DIR SECONDS\n", stderr);
                return 2;
        }
        dir = argv[1];
        now = strtoll(argv[2], NULL, 10);
        for (unsigned kind = 0; kind < EVENT_KIND_COUNT; kind++)
                events[kind] = sample_event((EventKind) kind, 41 + kind);
        for (unsigned f = 0; f < WEBHOOK_FORMAT_COUNT; f++) {
                write_format(&formats[f], events);
                if (formats[f].style == FORMAT_DIGEST) {
                        write_digest(&formats[f]);
                        write_worst(&formats[f]);
                }
        }
        write_live(now);
        write_signed(events[EVENT_USER_SUSPENDED], now);
        for (unsigned kind = 0; kind < EVENT_KIND_COUNT; kind++)
                event_free(events[kind]);
        return 0;
}
