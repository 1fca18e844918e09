/* SPDX-License-Identifier: Apache-2.0 */
/* What a header or a "KEY = VALUE" line does: find the section and the key, see whether the line may
 * stand there, fetch the value of KEY_file, and let the key's parser store it. */
#include "conf/config-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

static int no_memory(Loader *l) {
        l->code = -ENOMEM;
        return -ENOMEM;
}

Given *loader_given(Section *s, const ConfigKey *k) {
        return &s->given[k - config_keys];
}

void *loader_target(Loader *l, const Section *s) {
        switch (s->kind) {
        case SECTION_ACCOUNT:
                return &l->config->accounts[s->index];
        case SECTION_WEBHOOK:
                return &l->config->webhooks[s->index];
        case SECTION_ROSTERD:
        case SECTION_KIND_COUNT:
                break;
        }
        return l->config;
}

/* Room for one more account or webhook of this name, with its defaults. */
static int add_target(Loader *l, Section *s) {
        Config *c = l->config;
        char *copy = strdup(s->name);
        void *grown = NULL;
        Error err = { 0 };

        if (copy && s->kind == SECTION_ACCOUNT) {
                grown = reallocarray(c->accounts, c->n_accounts + 1, sizeof *c->accounts);
                if (grown) {
                        c->accounts = grown;
                        s->index = c->n_accounts++;
                        c->accounts[s->index] = (AccountConfig){ .name = copy };
                }
        } else if (copy) {
                grown = reallocarray(c->webhooks, c->n_webhooks + 1, sizeof *c->webhooks);
                if (grown) {
                        c->webhooks = grown;
                        s->index = c->n_webhooks++;
                        c->webhooks[s->index] = (WebhookConfig){ .name = copy };
                }
        }
        if (!grown) {
                free(copy);
                return -ENOMEM;
        }
        for (size_t i = 0; i < config_n_keys; i++)
                if (config_keys[i].kind == s->kind &&
                    config_value_default(&config_keys[i], loader_target(l, s), &err) < 0)
                        return err.code;
        return 0;
}

static int add_section(Loader *l, SectionKind kind, const char *name) {
        Section *grown = reallocarray(l->sections, l->n_sections + 1, sizeof *grown), *s;

        if (!grown)
                return no_memory(l);
        l->sections = grown;
        s = &grown[l->n_sections];
        *s = (Section){ .kind = kind, .first = loader_here(l), .latest = loader_here(l) };
        if (kind != SECTION_ROSTERD) {
                s->name = strdup(name);
                if (!s->name)
                        return no_memory(l);
        }
        l->current = ++l->n_sections;
        return kind != SECTION_ROSTERD && add_target(l, s) < 0 ? no_memory(l) : 0;
}

/* The section goes on existing under a cleaned name, so that its keys are judged all the same. */
static void complain_name(Loader *l, SectionKind kind, const char *name, const char *shown) {
        Error why = { 0 };
        char copy[CONFIG_NAME_MAX + 2];

        (void) snprintf(copy, sizeof copy, "%s", name);
        if (kind == SECTION_ROSTERD)
                loader_complain(l, -EINVAL, loader_here(l), NULL, NULL,
                                "[rosterd] takes no name, but \"%s\" follows", shown);
        else if (check_name(copy, &why) < 0)
                loader_complain(l, -EINVAL, loader_here(l), NULL, NULL, "[%s %s]: \"%s\" %s",
                                section_words[kind], shown, shown, why.msg);
}

int loader_open_section(Loader *l, SectionKind kind, const char *name) {
        char shown[CONFIG_NAME_MAX + 8];

        l->current = 0;
        l->in_unknown = false;
        (void) text_clean(shown, sizeof shown, name, strlen(name));
        if (kind != SECTION_ROSTERD && !*name) {
                l->in_unknown = l->lost_sections = true;
                loader_complain(l, -EINVAL, loader_here(l), NULL, NULL,
                                "[%s] lacks a name; write [%s NAME]", section_words[kind],
                                section_words[kind]);
                return 0;
        }
        if (*name)
                complain_name(l, kind, name, shown);

        for (size_t i = 0; i < l->n_sections; i++) {
                Section *s = &l->sections[i];

                if (s->kind != kind || (s->name && strcmp(s->name, shown) != 0))
                        continue;
                l->current = i + 1;
                if (s->latest.file == loader_here(l).file)
                        loader_complain(l, -EINVAL, loader_here(l), s, NULL,
                                        "is given twice in this file; first on line %u",
                                        s->latest.line);
                else
                        s->latest = loader_here(l);
                return 0;
        }
        if (l->n_sections >= CONFIG_SECTION_MAX) {
                l->in_unknown = l->lost_sections = true;
                if (!l->too_many_said)
                        loader_complain(l, -EINVAL, loader_here(l), NULL, NULL,
                                        "there are more than %d sections", CONFIG_SECTION_MAX);
                l->too_many_said = true;
                return 0;
        }
        return add_section(l, kind, shown);
}

/* Whether text can be shown as a key that somebody meant; a secret that has lost its key cannot. */
static bool is_plain_word(const char *text) {
        static const char allowed[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

        return strlen(text) <= 32 && !text[strspn(text, allowed)];
}

static void complain_unknown_key(Loader *l, const Section *s, const char *key) {
        const char *meant = config_key_suggest(s->kind, key), *suffix = "";
        const char *label = is_plain_word(key) ? key : NULL;
        size_t len = strlen(key);
        char base[33];

        for (unsigned kind = 0; kind < SECTION_KIND_COUNT; kind++)
                if (config_key_find((SectionKind) kind, key)) {
                        loader_complain(l, -EINVAL, loader_here(l), s, label,
                                        "is not a key of this section but of [%s%s]",
                                        section_words[kind], kind ? " NAME" : "");
                        return;
                }
        if (len > 5 && len < sizeof base + 5 && strcmp(key + len - 5, "_file") == 0) {
                memcpy(base, key, len - 5);
                base[len - 5] = '\0';
                if (config_key_suggest(s->kind, base)) {
                        meant = config_key_suggest(s->kind, base);
                        suffix = "_file";
                }
        }
        loader_complain(l, -EINVAL, loader_here(l), s, label, "unknown key%s%s%s%s",
                        meant ? "; did you mean " : "", meant ? meant : "", meant ? suffix : "",
                        meant ? "?" : "");
}

/* The key's row; KEY_file counts where no key is called so itself. */
static const ConfigKey *find_key(SectionKind kind, const char *name, bool *from_file) {
        const ConfigKey *k = config_key_find(kind, name);
        size_t len = strlen(name);
        char base[64];

        *from_file = false;
        if (k || len <= 5 || len >= sizeof base + 5 || strcmp(name + len - 5, "_file") != 0)
                return k;
        memcpy(base, name, len - 5);
        base[len - 5] = '\0';
        *from_file = true;
        return config_key_find(kind, base);
}

/* Whether the key may be given here, seeing what this file gave before. */
static bool may_give(Loader *l, Section *s, const ConfigKey *k, const char *label, bool from_file) {
        const Given *g = loader_given(s, k);

        if (g->place.line == 0 || g->place.file != loader_here(l).file)
                return true;
        if (g->from_file != from_file)
                loader_complain(l, -EINVAL, loader_here(l), s, label,
                                "is given besides %s%s on line %u; give one of the two", k->name,
                                g->from_file ? "_file" : "", g->place.line);
        else if (!(k->flags & KEY_REPEATABLE) || from_file)
                loader_complain(l, -EINVAL, loader_here(l), s, label,
                                "is given twice; first on line %u", g->place.line);
        else
                return true;
        return false;
}

/* Judges and stores one value.  origin is the path of a KEY_file, or NULL. */
static int store_value(Loader *l, Section *s, const ConfigKey *k, const char *label,
                       const char *origin, const char *value) {
        const char *sep = origin ? ": " : "";
        char shown[72], quoted[80];
        size_t len = strlen(value);
        Error why = { 0 };
        int r;

        if (!origin)
                origin = "";
        if (len > CONFIG_VALUE_MAX) {
                loader_complain(l, -EINVAL, loader_here(l), s, label,
                                "%s%sthe value is %zu bytes long; at most %zu are allowed", origin,
                                sep, len, CONFIG_VALUE_MAX);
                return 0;
        }
        if (!text_is_utf8(value, len)) {
                loader_complain(l, -EINVAL, loader_here(l), s, label, "%s%sthe value is not UTF-8",
                                origin, sep);
                return 0;
        }
        for (const char *p = value; *p; p++)
                if ((*p >= 0 && *p < ' ' && *p != '\t') || *p == 0x7f) {
                        loader_complain(l, -EINVAL, loader_here(l), s, label,
                                        "%s%sthe value holds a %s", origin, sep,
                                        *p == '\n' ? "line break" : "control character");
                        return 0;
                }

        r = config_value_parse(k, value, loader_target(l, s), &why);
        if (r == -ENOMEM)
                return no_memory(l);
        if (r < 0) {
                (void) snprintf(quoted, sizeof quoted, "\"%s\"",
                                text_clean(shown, sizeof shown, value, len));
                loader_complain(l, -EINVAL, loader_here(l), s, label, "%s%s%s %s", origin, sep,
                                config_value_hidden(k, value) ? "the value" : quoted, why.msg);
        }
        return 0;
}

/* Makes the path that a KEY_file names. */
static int value_path(Loader *l, const Section *s, const char *label, const char *value,
                      char *ret) {
        const char *dir = getenv("CREDENTIALS_DIRECTORY");
        char shown[72];
        int n;

        (void) text_clean(shown, sizeof shown, value, strlen(value));
        if (*value != '/' && strchr(value, '/')) {
                loader_complain(
                        l, -EINVAL, loader_here(l), s, label,
                        "\"%s\" is neither an absolute path nor the bare name of a credential",
                        shown);
                return -EINVAL;
        }
        if (*value != '/' && (!dir || *dir != '/')) {
                loader_complain(l, -EINVAL, loader_here(l), s, label,
                                "\"%s\" names a credential, but CREDENTIALS_DIRECTORY is not set; "
                                "write an absolute path, or start rosterd from a unit with "
                                "LoadCredential=; for a check by hand, set it to the file's "
                                "directory",
                                shown);
                return -EINVAL;
        }
        n = *value == '/' ? snprintf(ret, PATH_MAX, "%s", value)
                          : snprintf(ret, PATH_MAX, "%s/%s", dir, value);
        if (n >= PATH_MAX) {
                loader_complain(l, -EINVAL, loader_here(l), s, label, "the path is too long");
                return -EINVAL;
        }
        return 0;
}

/* Each line that is not empty, for a repeatable key; else all, without the newlines at its end. */
static int store_lines(Loader *l, Section *s, const ConfigKey *k, const char *label,
                       const char *path, char *text) {
        size_t len = strlen(text);
        unsigned stored = 0;
        int r = 0;

        while (len > 0 && strchr("\r\n", text[len - 1]))
                text[--len] = '\0';
        if (!(k->flags & KEY_REPEATABLE) && len > 0) {
                stored++;
                r = store_value(l, s, k, label, path, text);
        }
        for (char *next = text; (k->flags & KEY_REPEATABLE) && r == 0 && next;) {
                char *line = strsep(&next, "\n");

                len = strlen(line);
                if (len > 0 && line[len - 1] == '\r')
                        line[len - 1] = '\0';
                if (*line) {
                        stored++;
                        r = store_value(l, s, k, label, path, line);
                }
        }
        if (!stored)
                loader_complain(l, -EINVAL, loader_here(l), s, label, "%s: is empty", path);
        return r;
}

static int assign_file(Loader *l, Section *s, const ConfigKey *k, const char *label,
                       const char *value) {
        size_t max = (CONFIG_VALUE_MAX + 8) * (k->flags & KEY_REPEATABLE ? k->max + 1 : 1), len = 0;
        char path[PATH_MAX], shown[PATH_MAX + 8], *text = NULL;
        struct stat st = { 0 };
        Error why = { 0 };
        int r;

        if (value_path(l, s, label, value, path) < 0)
                return 0;
        (void) text_clean(shown, sizeof shown, path, strlen(path));
        r = file_read(path, max, &text, &len, &why);
        if (r == -ENOMEM)
                return no_memory(l);
        if (r < 0) {
                loader_complain(l, r == -EACCES ? -EACCES : -EINVAL, loader_here(l), s, label,
                                "%s: %s", shown, why.msg);
                return 0;
        }
        if (memchr(text, '\0', len))
                loader_complain(l, -EINVAL, loader_here(l), s, label, "%s: holds a NUL byte",
                                shown);
        else if (config_value_secret(k, text) && (stat(path, &st) < 0 || (st.st_mode & S_IROTH)))
                loader_complain(l, -EPERM, loader_here(l), s, label,
                                "%s: holds a secret and can be read by others; run: chmod o-r %s",
                                shown, shown);
        else
                r = store_lines(l, s, k, label, shown, text);
        explicit_bzero(text, len);
        free(text);
        return r;
}

/* Once for each file that holds a secret in plain sight. */
static void check_file_mode(Loader *l, const Section *s, const ConfigKey *k, const char *value) {
        if (!config_value_secret(k, value) || !(l->st.st_mode & S_IROTH) || l->secret_said)
                return;
        l->secret_said = true;
        loader_complain(l, -EPERM, loader_here(l), s, k->name,
                        "is a secret, and this file can be read by others; run: chmod o-r %s",
                        l->files[l->n_files - 1]);
}

int loader_assign(Loader *l, const char *name, char *value) {
        Section *s = l->current ? &l->sections[l->current - 1] : NULL;
        const ConfigKey *k;
        bool from_file, first;
        Error err = { 0 };
        Given *g;

        if (l->in_unknown || (l->outline && s && s->kind != SECTION_ROSTERD))
                return 0;
        if (!*name || !s) {
                loader_complain(l, -EINVAL, loader_here(l), s,
                                *name && is_plain_word(name) ? name : NULL,
                                *name ? "this line stands before the first [section]"
                                      : "this line has no key before its \"=\"");
                return 0;
        }
        k = find_key(s->kind, name, &from_file);
        if (!k) {
                complain_unknown_key(l, s, name);
                return 0;
        }
        if (!may_give(l, s, k, name, from_file))
                return 0;

        g = loader_given(s, k);
        first = g->place.line == 0 || g->place.file != loader_here(l).file;
        if (first) {
                g->place = loader_here(l);
                g->from_file = from_file;
                g->set = false;
                if (config_value_default(k, loader_target(l, s), &err) == -ENOMEM)
                        return no_memory(l);
        }
        if (!*value)
                return 0;
        g->set = true;
        if (from_file)
                return assign_file(l, s, k, name, value);
        check_file_mode(l, s, k, value);
        return store_value(l, s, k, name, NULL, value);
}
