/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "ctl/command.h"
#include "model/event.h"

#define SUGGESTIONS_MAX 4096

void wordlist_clear(Words *w) {
        for (size_t i = 0; i < w->n; i++)
                free(w->items[i]);
        free(w->items);
        *w = (Words){ 0 };
}

int words_add(Words *w, const char *text) {
        char *copy;

        for (size_t i = 0; i < w->n; i++)
                if (strcmp(w->items[i], text) == 0)
                        return 0;
        if (w->n == w->room) {
                size_t room = w->room ? w->room * 2 : 16;
                char **bigger = reallocarray(w->items, room, sizeof *bigger);

                if (!bigger)
                        return -ENOMEM;
                w->items = bigger;
                w->room = room;
        }
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        w->items[w->n++] = copy;
        return 0;
}

int words_add_rows(Words *w, Rows *rows, Error *err) {
        CLEANUP(rows_freep) Rows *owned = rows;
        const Cell *cells = NULL;
        int r;

        while ((r = rows_next(owned, &cells, err)) == ROWS_ROW)
                if (cells[0].text && w->n < SUGGESTIONS_MAX && words_add(w, cells[0].text) < 0)
                        return error_set(err, -ENOMEM, "out of memory");
        return r;
}

/* ---- the kinds ---- */

/* The words of a kind that are known beforehand, up to a NULL; or NULL. */
static const char *const *known_words(WordKind kind) {
        static const char *const formats[] = { "table", "csv", "json", "ndjson", NULL };
        static const char *const checks[] = { "suspended", "sync", "webhooks", NULL };
        static const char *const actions[] = { "list", "dead", "test", "replay", NULL };
        static const char *const registrations[] = { "Registered", "Suspended", "Unregistered",
                                                     NULL };
        static const char *const invitations[] = { "Accepted", "Failed", "Pending", NULL };

        switch ((int) kind) {
        case WORDS_FORMATS:
                return formats;
        case WORDS_CHECKS:
                return checks;
        case WORDS_WEBHOOK_ACTIONS:
                return actions;
        case WORDS_REGISTRATIONS:
                return registrations;
        case WORDS_INVITATIONS:
                return invitations;
        default:
                return NULL;
        }
}

static int add_commands(Words *w) {
        int r = 0;

        for (size_t i = 0; i < n_commands && r == 0; i++)
                r = words_add(w, commands[i]->name);
        return r;
}

static int add_event_types(Words *w) {
        int r = 0;

        for (unsigned i = 0; i < EVENT_KIND_COUNT && r == 0; i++)
                r = words_add(w, event_types[i].name);
        return r;
}

/* What the database holds; nothing where there is none, for whoever needs it says so. */
static int add_stored(Ctl *c, ReadTable what, Words *w, Error *err) {
        Store *store = NULL;
        Rows *rows = NULL;

        if (ctl_store(c, &store, NULL) < 0 || store_read(store, what, &rows, NULL) < 0)
                return 0;
        return words_add_rows(w, rows, err);
}

static int add_configured(Ctl *c, bool webhooks, Words *w) {
        const Config *config = NULL;
        int r = 0;

        if (c->database_path || ctl_config(c, &config, NULL) < 0 || !config)
                return 0;
        for (size_t i = 0; !webhooks && i < config->n_accounts && r == 0; i++)
                r = words_add(w, config->accounts[i].name);
        for (size_t i = 0; webhooks && i < config->n_webhooks && r == 0; i++)
                r = words_add(w, config->webhooks[i].name);
        return r;
}

static int add_read(Ctl *c, WordKind kind, Words *w, Error *err) {
        switch (kind) {
        case WORDS_ACCOUNTS:
                return add_stored(c, READ_ACCOUNT_NAMES, w, err);
        case WORDS_WEBHOOKS:
                return add_stored(c, READ_WEBHOOKS, w, err);
        case WORDS_REGISTRATIONS:
                return add_stored(c, READ_REGISTRATIONS, w, err);
        case WORDS_INVITATIONS:
                return add_stored(c, READ_INVITATIONS, w, err);
        case WORDS_COMMANDS:
                return add_commands(w);
        case WORDS_EVENT_TYPES:
                return add_event_types(w);
        case WORDS_ANY:
        case WORDS_FLAG:
        case WORDS_FILES:
        case WORDS_FORMATS:
        case WORDS_CHECKS:
        case WORDS_WEBHOOK_ACTIONS:
                break;
        }
        return 0;
}

int words_list(Ctl *c, WordKind kind, Words *ret, Error *err) {
        const char *const *known = known_words(kind);
        int r = 0;

        for (size_t i = 0; known && known[i] && r == 0; i++)
                r = words_add(ret, known[i]);
        if (r == 0)
                r = add_read(c, kind, ret, err);
        if (r == 0 && (kind == WORDS_ACCOUNTS || kind == WORDS_WEBHOOKS))
                r = add_configured(c, kind == WORDS_WEBHOOKS, ret);
        return r == -ENOMEM ? error_set(err, r, "out of memory") : r;
}

/* ---- looking one up ---- */

static int say_absent(const Words *w, const char *noun, const char *name, Error *err) {
        const char *meant = text_did_you_mean(name, (const char *const *) w->items, w->n);
        char list[160] = "", shown[64], rest[32] = "";
        size_t at = 0, i;

        (void) text_clean(shown, sizeof shown, name, strlen(name));
        if (meant)
                return error_set(err, E_ABSENT, "there is no %s '%s'; did you mean %s?", noun,
                                 shown, meant);
        for (i = 0; i < w->n && at + strlen(w->items[i]) + 12 < sizeof list; i++) {
                size_t len = strlen(w->items[i]);

                memcpy(list + at, i ? ", " : "; there is ", i ? 2 : 11);
                at += i ? 2 : 11;
                memcpy(list + at, w->items[i], len);
                at += len;
                list[at] = '\0';
        }
        if (i > 0 && i < w->n)
                (void) snprintf(rest, sizeof rest, " and %zu more", w->n - i);
        return error_set(err, E_ABSENT, "there is no %s '%s'%s%s", noun, shown, list, rest);
}

static bool is_stored(WordKind kind) {
        return kind == WORDS_ACCOUNTS || kind == WORDS_WEBHOOKS || kind == WORDS_REGISTRATIONS ||
               kind == WORDS_INVITATIONS;
}

int words_check(Ctl *c, WordKind kind, const char *noun, const char **name, Error *err) {
        CLEANUP(wordlist_clear) Words w = { 0 };
        const char *const *known = known_words(kind);
        int r;

        for (size_t i = 0; known && known[i]; i++) /* reading all statuses takes its time */
                if (strcasecmp(known[i], *name) == 0) {
                        *name = known[i];
                        return 0;
                }
        r = words_list(c, kind, &w, err);
        for (size_t i = 0; r >= 0 && i < w.n; i++)
                if (strcasecmp(w.items[i], *name) == 0) {
                        char *kept = ctl_keep(c, w.items[i]);

                        if (!kept)
                                return error_set(err, -ENOMEM, "out of memory");
                        *name = kept;
                        return 0;
                }
        if (r >= 0 && is_stored(kind)) { /* it may be there, and we could not look */
                Store *store = NULL;

                r = ctl_store(c, &store, err);
        }
        return r < 0 ? r : say_absent(&w, noun, *name, err);
}
