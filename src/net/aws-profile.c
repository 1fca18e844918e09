/* SPDX-License-Identifier: Apache-2.0 */
/* The files of AWS's tools.
 *
 * inih does not read them, though it reads rosterd.conf: here "#" and ";" within a line belong to the
 * value (secrets may hold them), ":" parts key and value as "=" does, and an indented line goes on with
 * the value above. */
#include "net/aws-profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/lines.h"
#include "base/secret.h"
#include "base/shellsplit.h"
#include "base/text.h"

#define SECTIONS_MAX 4096
#define SETTINGS_MAX 1024     /* of a section */
#define VALUE_MAX (64u << 10) /* of more than one line: each copies it */

typedef struct Parser {
        AwsFile *file;
        AwsSection *section; /* NULL before the first */
        AwsSetting *setting; /* that an indented line goes on with, or NULL */
        size_t indent;       /* of the line that began it */
        size_t blank;        /* empty lines since its last one */
        unsigned line;
        Error *err;
} Parser;

static int no_memory(Error *err) {
        return error_set(err, -ENOMEM, "out of memory");
}

static int complain(const Parser *p, const char *what) {
        return error_set(p->err, -EINVAL, "line %u %s", p->line, what);
}

static void section_clear(AwsSection *s) {
        for (size_t i = 0; i < s->n; i++) {
                free(s->settings[i].key);
                wipe_free(s->settings[i].value);
        }
        free(s->settings);
        free(s->name);
        *s = (AwsSection){ 0 };
}

void aws_file_clear(AwsFile *f) {
        for (size_t i = 0; i < f->n; i++)
                section_clear(&f->sections[i]);
        free(f->sections);
        section_clear(&f->defaults);
        *f = (AwsFile){ 0 };
}

/* ---- reading ---- */

/* "[name]", up to the last "]" of the line; what follows it does not count. */
static int begin_section(Parser *p, char *text, const char *last) {
        AwsFile *f = p->file;
        AwsSection *grown;

        text[last - text] = '\0';
        text++;
        p->setting = NULL;
        if (strcmp(text, "DEFAULT") == 0) {
                p->section = &f->defaults;
                return 0;
        }
        for (size_t i = 0; i < f->n; i++)
                if (strcmp(f->sections[i].name, text) == 0)
                        return complain(p, "begins a section that was there before");
        if (f->n >= SECTIONS_MAX)
                return complain(p, "begins one section too many");
        grown = reallocarray(f->sections, f->n + 1, sizeof *grown);
        if (!grown)
                return no_memory(p->err);
        f->sections = grown;
        p->section = &grown[f->n];
        *p->section = (AwsSection){ .name = strdup(text) };
        if (!p->section->name)
                return no_memory(p->err);
        f->n++;
        return 0;
}

static void lower(char *text) {
        for (; *text; text++)
                if (*text >= 'A' && *text <= 'Z')
                        *text = (char) (*text + ('a' - 'A'));
}

static int begin_setting(Parser *p, char *text) {
        AwsSection *s = p->section;
        char *sep = text + strcspn(text, "=:");
        AwsSetting *grown, new = { 0 };

        if (!*sep)
                return complain(p, "is no \"KEY = VALUE\", [section] or comment");
        *sep = '\0';
        trim_end(text);
        if (!*text)
                return complain(p, "has no key");
        lower(text);
        for (size_t i = 0; i < s->n; i++)
                if (strcmp(s->settings[i].key, text) == 0)
                        return complain(p, "gives a key a second time");
        if (s->n >= SETTINGS_MAX)
                return complain(p, "is one too many for its section");
        grown = reallocarray(s->settings, s->n + 1, sizeof *grown);
        if (!grown)
                return no_memory(p->err);
        s->settings = grown;
        new = (AwsSetting){ .key = strdup(text), .value = strdup(skip_blanks(sep + 1)) };
        grown[s->n++] = new; /* cleared with its section, whole or not */
        if (!new.key || !new.value)
                return no_memory(p->err);
        p->setting = &grown[s->n - 1];
        p->blank = 0;
        return 0;
}

/* A further line of the value. */
static int go_on(Parser *p, const char *text) {
        size_t old = strlen(p->setting->value), breaks = p->blank + 1, len = strlen(text);
        char *longer;

        if (old + breaks + len > VALUE_MAX)
                return complain(p, "makes its value longer than 64 KiB");
        longer = malloc(old + breaks + len + 1);
        if (!longer)
                return no_memory(p->err);
        memcpy(longer, p->setting->value, old);
        memset(longer + old, '\n', breaks);
        memcpy(longer + old + breaks, text, len + 1);
        wipe_free(p->setting->value);
        p->setting->value = longer;
        p->blank = 0;
        return 0;
}

static int read_line(Parser *p, char *line) {
        char *text = skip_blanks(line);
        size_t indent = (size_t) (text - line);
        const char *last;

        trim_end(text);
        if (*text == '#' || *text == ';')
                return 0;
        if (!*text) {
                p->blank++;
                return 0;
        }
        if (p->setting && indent > p->indent)
                return go_on(p, text);
        p->indent = indent;
        last = *text == '[' ? strrchr(text, ']') : NULL;
        if (last && last > text + 1)
                return begin_section(p, text, last);
        if (!p->section)
                return complain(p, "stands before the first [section]");
        return begin_setting(p, text);
}

/* A value that begins in its second line is a block of settings of its own: none of them concern
 * us, but each must be one. */
static int check_nested(const AwsSection *s, const char *section, Error *err) {
        for (size_t i = 0; i < s->n; i++) {
                const char *line = s->settings[i].value, *key = s->settings[i].key;
                char key_shown[64], shown[64];

                if (*line != '\n')
                        continue;
                for (; *(line += strspn(line, "\n")); line += strcspn(line, "\n")) {
                        const char *equals = strchr(line, '=');

                        if (equals && equals < line + strcspn(line, "\n"))
                                continue;
                        return error_set(err, -EINVAL,
                                         "a line of the block %s in [%s] has no \"=\"",
                                         text_clean(key_shown, sizeof key_shown, key, strlen(key)),
                                         text_clean(shown, sizeof shown, section, strlen(section)));
                }
        }
        return 0;
}

int aws_file_parse(char *text, size_t len, AwsFile *ret, Error *err) {
        Parser p = { .file = ret, .err = err };
        Lines lines = { .at = text, .end = text + len };
        char *line;
        int r = 0;

        if (!text_is_utf8(text, len))
                return error_set(err, -EINVAL, "is not UTF-8 text");
        while (r == 0 && (line = lines_next(&lines))) {
                p.line = lines.number;
                r = read_line(&p, line);
        }
        for (size_t i = 0; i < ret->n && r == 0; i++)
                r = check_nested(&ret->sections[i], ret->sections[i].name, err);
        return r == 0 ? check_nested(&ret->defaults, "DEFAULT", err) : r;
}

/* ---- profiles ---- */

/* The name of the profile that the section describes; NULL in *ret: it is none. */
static int profile_name(const char *section, char **ret, Error *err) {
        CLEANUP(words_clear) Words words = { 0 };
        const char *name = NULL;
        int r;

        *ret = NULL;
        if (strncmp(section, "profile", 7) == 0) {
                r = shell_split(section, &words, err);
                if (r == -ENOMEM)
                        return r;
                if (r == 0 && words.count == 2)
                        name = words.items[1];
        } else if (strcmp(section, "default") == 0)
                name = section;
        if (!name)
                return 0;
        *ret = strdup(name);
        return *ret ? 0 : no_memory(err);
}

int aws_file_keep_profiles(AwsFile *f, Error *err) {
        size_t kept = 0;
        int r = 0;

        for (size_t i = 0; i < f->n; i++) {
                AwsSection s = f->sections[i];
                char *name = NULL;

                if (r == 0)
                        r = profile_name(s.name, &name, err);
                if (!name) {
                        section_clear(&s);
                        continue;
                }
                free(s.name);
                s.name = name;
                f->sections[kept++] = s;
        }
        f->n = kept;
        return r;
}

/* Of two that describe the same profile the last counts. */
static const AwsSection *find_section(const AwsFile *f, const char *name) {
        for (size_t i = f->n; i-- > 0;)
                if (strcmp(f->sections[i].name, name) == 0)
                        return &f->sections[i];
        return NULL;
}

static const char *find_setting(const AwsSection *s, const char *key) {
        for (size_t i = 0; i < s->n; i++)
                if (strcmp(s->settings[i].key, key) == 0)
                        return s->settings[i].value;
        return NULL;
}

bool aws_file_has(const AwsFile *f, const char *section) {
        return find_section(f, section) != NULL;
}

const char *aws_file_get(const AwsFile *f, const char *section, const char *key) {
        const AwsSection *s = find_section(f, section);
        const char *value = s ? find_setting(s, key) : NULL;

        return s && !value ? find_setting(&f->defaults, key) : value;
}
