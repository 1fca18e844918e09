/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/words.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "ctl/command.h"
#include "model/event.h"

#define SUGGESTIONS_MAX 4096

void words_clear(Words *w) {
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

static int add_all(Words *w, const char *const *list) {
        int r = 0;

        for (size_t i = 0; list[i] && r == 0; i++)
                r = words_add(w, list[i]);
        return r;
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

int words_list(Ctl *c, WordKind kind, Words *ret, Error *err) {
        static const char *const formats[] = { "table", "csv", "json", "ndjson", NULL };
        static const char *const checks[] = { "suspended", "sync", "webhooks", NULL };
        static const char *const actions[] = { "list", "test", "replay", "dead", NULL };
        static const char *const registrations[] = { "Registered", "Suspended", "Unregistered",
                                                     NULL };
        static const char *const invitations[] = { "Accepted", "Failed", "Pending", NULL };
        int r = 0;

        switch (kind) {
        case WORDS_ANY:
        case WORDS_FLAG:
        case WORDS_FILES:
                break;
        case WORDS_COMMANDS:
                r = add_commands(ret);
                break;
        case WORDS_FORMATS:
                r = add_all(ret, formats);
                break;
        case WORDS_EVENT_TYPES:
                r = add_event_types(ret);
                break;
        case WORDS_CHECKS:
                r = add_all(ret, checks);
                break;
        case WORDS_WEBHOOK_ACTIONS:
                r = add_all(ret, actions);
                break;
        case WORDS_ACCOUNTS:
                r = add_stored(c, READ_ACCOUNT_NAMES, ret, err);
                if (r >= 0)
                        r = add_configured(c, false, ret);
                break;
        case WORDS_WEBHOOKS:
                r = add_stored(c, READ_WEBHOOKS, ret, err);
                if (r >= 0)
                        r = add_configured(c, true, ret);
                break;
        case WORDS_REGISTRATIONS:
                r = add_all(ret, registrations);
                if (r >= 0)
                        r = add_stored(c, READ_REGISTRATIONS, ret, err);
                break;
        case WORDS_INVITATIONS:
                r = add_all(ret, invitations);
                if (r >= 0)
                        r = add_stored(c, READ_INVITATIONS, ret, err);
                break;
        }
        return r == -ENOMEM ? error_set(err, r, "out of memory") : r;
}

/* ---- looking one up ---- */

static int say_absent(const Words *w, const char *noun, const char *name, Error *err) {
        const char *meant = text_did_you_mean(name, (const char *const *) w->items, w->n);
        char list[160] = "", shown[64];
        size_t at = 0;

        (void) text_clean(shown, sizeof shown, name, strlen(name));
        if (meant)
                return error_set(err, E_ABSENT, "there is no %s '%s'; did you mean %s?", noun,
                                 shown, meant);
        for (size_t i = 0; i < w->n && at + strlen(w->items[i]) + 8 < sizeof list; i++) {
                size_t len = strlen(w->items[i]);

                memcpy(list + at, i ? ", " : "; there is ", i ? 2 : 11);
                at += i ? 2 : 11;
                memcpy(list + at, w->items[i], len);
                at += len;
                list[at] = '\0';
        }
        return error_set(err, E_ABSENT, "there is no %s '%s'%s", noun, shown, list);
}

int words_check(Ctl *c, WordKind kind, const char *noun, const char **name, Error *err) {
        CLEANUP(words_clear) Words w = { 0 };
        int r = words_list(c, kind, &w, err);

        for (size_t i = 0; r >= 0 && i < w.n; i++)
                if (strcasecmp(w.items[i], *name) == 0) {
                        char *kept = ctl_keep(c, w.items[i]);

                        if (!kept)
                                return error_set(err, -ENOMEM, "out of memory");
                        *name = kept;
                        return 0;
                }
        return r < 0 ? r : say_absent(&w, noun, *name, err);
}
