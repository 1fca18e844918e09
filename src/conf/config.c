/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/config.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "conf/config-internal.h"

Place loader_here(const Loader *l) {
        return (Place){ .file = l->n_files - 1, .line = l->lines.number };
}

/* The code of the summary: what hinders reading goes before what was read. */
static int graver(int a, int b) {
        static const int order[] = { -ENOMEM, -ENOENT, -EACCES, -EPERM };

        for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
                if (a == order[i] || b == order[i])
                        return order[i];
        return -EINVAL;
}

/* An outline takes no notice of what is said below a header that is none of [rosterd]'s. */
static bool is_passed_over(const Loader *l, int code, const Section *s) {
        if (!l->outline || code != -EINVAL)
                return false;
        return s ? s->kind != SECTION_ROSTERD : l->elsewhere;
}

static void complain(Loader *l, int code, const char *message) {
        l->n_mistakes++;
        l->code = graver(l->code, code);
        if (l->complain)
                l->complain(message, l->userdata);
}

void loader_complain(Loader *l, int code, Place where, const Section *s, const char *key,
                     const char *fmt, ...) {
        char text[PATH_MAX + 512], message[2 * PATH_MAX + 1024];
        va_list ap;

        if (is_passed_over(l, code, s))
                return;
        va_start(ap, fmt);
        (void) vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        (void) snprintf(message, sizeof message, "%s:%u: %s%s%s%s%s%s%s%s", l->files[where.file],
                        where.line, s ? "[" : "", s ? section_words[s->kind] : "",
                        s && s->name ? " " : "", s && s->name ? s->name : "", s ? "] " : "",
                        key ? key : "", key ? ": " : "", text);
        complain(l, code, message);
}

void loader_complain_file(Loader *l, int code, const char *path, const char *fmt, ...) {
        char text[512], message[2 * PATH_MAX + 1024];
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        (void) snprintf(message, sizeof message, "%s: %s", path, text);
        complain(l, code, message);
}

void loader_clear(Loader *l) {
        for (size_t i = 0; i < l->n_files; i++)
                free(l->files[i]);
        free(l->files);
        for (size_t i = 0; i < l->n_sections; i++)
                free(l->sections[i].name);
        free(l->sections);
        if (l->config)
                config_unref(l->config);
        *l = (Loader){ 0 };
}

static void free_names(struct dirent **names, int n) {
        for (int i = 0; i < n; i++)
                free(names[i]);
        free(names);
}

static int is_dropin(const struct dirent *d) {
        size_t len = strlen(d->d_name);

        return *d->d_name != '.' && len > 5 && strcmp(d->d_name + len - 5, ".conf") == 0;
}

/* Not alphasort(): that follows the locale. */
static int by_name(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_dropin(Loader *l, const char *dir, const char *name) {
        char path[PATH_MAX];
        struct stat st;
        int n = snprintf(path, sizeof path, "%s/%s", dir, name);

        if (n < 0 || (size_t) n >= sizeof path) {
                loader_complain_file(l, -EACCES, dir, "a path in it is too long");
                return 0;
        }
        if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
                return 0;
        return loader_read_file(l, path, true);
}

static int read_dropins(Loader *l) {
        struct dirent **names = NULL;
        char dir[PATH_MAX];
        int n = snprintf(dir, sizeof dir, "%s.d", l->config->path), r = 0;

        if (n < 0 || (size_t) n >= sizeof dir)
                return 0; /* no such folder can exist */
        n = scandir(dir, &names, is_dropin, by_name);
        if (n < 0) {
                if (errno == ENOMEM)
                        return -ENOMEM;
                if (errno != ENOENT)
                        loader_complain_file(l, errno == EACCES ? -EACCES : -EINVAL, dir,
                                             "cannot be read: %s", strerror(errno));
                return 0;
        }
        if ((size_t) n > CONFIG_DROPIN_MAX)
                loader_complain_file(l, -EINVAL, dir, "holds more than %zu files",
                                     CONFIG_DROPIN_MAX);
        else
                for (int i = 0; i < n && r == 0; i++)
                        r = read_dropin(l, dir, names[i]->d_name);
        free_names(names, n);
        return r;
}

static int load(Loader *l, const char *path) {
        Error err = { 0 };
        int r;

        l->config = calloc(1, sizeof *l->config);
        if (!l->config)
                return -ENOMEM;
        l->config->refs = 1;
        l->config->path = strdup(path);
        if (!l->config->path)
                return -ENOMEM;
        for (size_t i = 0; i < config_n_keys; i++)
                if (config_keys[i].kind == SECTION_ROSTERD &&
                    config_value_default(&config_keys[i], l->config, &err) < 0)
                        return err.code;

        r = loader_read_file(l, path, false);
        if (r < 0 || l->code == -ENOENT)
                return r;
        r = read_dropins(l);
        if (r == 0)
                r = loader_settle(l);
        if (r == 0 && !l->outline)
                loader_check(l);
        return r;
}

static int summary(const Loader *l, const char *path, Error *err) {
        switch (l->code) {
        case -ENOENT:
                return error_set(err, -ENOENT, "%s does not exist", path);
        case -EACCES:
                return error_set(err, -EACCES, "the configuration %s cannot be read whole", path);
        case -EPERM:
                return error_set(err, -EPERM,
                                 "the configuration %s holds secrets that others can read", path);
        default:
                return error_set(err, -EINVAL, "the configuration %s has %zu mistake%s", path,
                                 l->n_mistakes, l->n_mistakes == 1 ? "" : "s");
        }
}

static int load_and_judge(Loader *l, const char *path, Config **ret, Error *err) {
        int r;

        assert(path && ret);
        if (strlen(path) >= PATH_MAX)
                return error_set(err, -ENAMETOOLONG, "the path of the configuration is too long");
        r = load(l, path);
        if (r < 0)
                return error_set(err, r, "the configuration %s does not fit into memory", path);
        if (l->n_mistakes > 0)
                return summary(l, path, err);
        *ret = take_ptr(l->config);
        return 0;
}

int config_load(const char *path, ConfigComplaint complain_cb, void *userdata, Config **ret,
                Error *err) {
        CLEANUP(loader_clear) Loader l = { .complain = complain_cb, .userdata = userdata };

        return load_and_judge(&l, path, ret, err);
}

static void keep_first(const char *message, void *userdata) {
        Error *first = userdata;

        if (first->code == 0) /* a long path may be cut */
                (void) text_clean(first->msg, sizeof first->msg, message, strlen(message));
        first->code = -EINVAL;
}

int config_load_outline(const char *path, Config **ret, Error *err) {
        Error first = { 0 };
        CLEANUP(loader_clear)
        Loader l = { .outline = true, .complain = keep_first, .userdata = &first };
        int r = load_and_judge(&l, path, ret, err);

        return r == -EINVAL && first.code < 0 ? error_set(err, r, "%s", first.msg) : r;
}

Config *config_ref(Config *c) {
        assert(c && c->refs > 0);
        c->refs++;
        return c;
}

static void clear_keys(SectionKind kind, void *base) {
        for (size_t i = 0; i < config_n_keys; i++)
                if (config_keys[i].kind == kind)
                        config_value_clear(&config_keys[i], base);
}

void config_unref(Config *c) {
        if (!c)
                return;
        assert(c->refs > 0);
        if (--c->refs > 0)
                return;
        for (size_t i = 0; i < c->n_accounts; i++) {
                clear_keys(SECTION_ACCOUNT, &c->accounts[i]);
                free(c->accounts[i].name);
        }
        for (size_t i = 0; i < c->n_webhooks; i++) {
                clear_keys(SECTION_WEBHOOK, &c->webhooks[i]);
                free(c->webhooks[i].name);
        }
        clear_keys(SECTION_ROSTERD, c);
        free(c->accounts);
        free(c->webhooks);
        free(c->path);
        free(c);
}

const AccountConfig *config_account(const Config *c, const char *name) {
        for (size_t i = 0; i < c->n_accounts; i++)
                if (strcmp(c->accounts[i].name, name) == 0)
                        return &c->accounts[i];
        return NULL;
}

static bool section_equal(SectionKind kind, const void *a, const void *b) {
        for (size_t i = 0; i < config_n_keys; i++)
                if (config_keys[i].kind == kind && !config_value_equal(&config_keys[i], a, b))
                        return false;
        return true;
}

bool account_config_equal(const AccountConfig *a, const AccountConfig *b) {
        return section_equal(SECTION_ACCOUNT, a, b);
}

bool webhook_config_equal(const WebhookConfig *a, const WebhookConfig *b) {
        return section_equal(SECTION_WEBHOOK, a, b);
}
