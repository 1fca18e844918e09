/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration, its drop-in and the file of a KEY_file, parted by lines that begin with "%%".  A
 * complaint is one clean sentence with its place, and shows no secret.  What is accepted is written
 * out and read again, and is the same.  The files are played: nothing on the machine is touched. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "conf/config-internal.h"
#include "fuzz.h"
#include "sink/webhook.h"

#define MAIN_FILE "/fuzz/rosterd.conf"
#define DROPINS MAIN_FILE ".d"
#define CREDENTIALS "/fuzz/credentials"
#define CANARY "c4n4ryc4n4ryc4n4ryc4n4ryc4n4ryc4n4ryc4n4"

/* ---- the files ---- */

static struct {
        const char *path; /* a prefix, where it ends in "/" */
        char *text;       /* NULL: there is none */
        size_t len;
} files[] = { { MAIN_FILE, NULL, 0 }, { DROPINS "/", NULL, 0 }, { CREDENTIALS "/", NULL, 0 } };
enum { FILE_MAIN, FILE_DROPIN, FILE_CREDENTIAL, N_FILES };

static int find_file(const char *path) {
        for (int i = 0; i < N_FILES; i++) {
                size_t len = strlen(files[i].path);
                bool folder = files[i].path[len - 1] == '/';

                if (files[i].text &&
                    (folder ? strncmp(path, files[i].path, len) : strcmp(path, files[i].path)) == 0)
                        return i;
        }
        return -ENOENT;
}

int __wrap_file_read(const char *path, size_t max, char **ret, size_t *ret_len, Error *err);
int __wrap_stat(const char *path, struct stat *ret);
int __real_stat(const char *path, struct stat *ret);
int __wrap_scandir(const char *path, struct dirent ***ret, int (*filter)(const struct dirent *),
                   int (*compare)(const struct dirent **, const struct dirent **));
int __wrap_check_ca_file(char *text, Error *err);

int __wrap_file_read(const char *path, size_t max, char **ret, size_t *ret_len, Error *err) {
        int i = find_file(path);
        char *copy;

        if (i < 0)
                return error_set(err, -ENOENT, "cannot be opened: %s", strerror(ENOENT));
        if (files[i].len > max)
                return error_set(err, -EFBIG, "is larger than %zu bytes", max);
        copy = malloc(files[i].len + 1);
        demand(copy != NULL);
        memcpy(copy, files[i].text, files[i].len + 1);
        *ret = copy;
        if (ret_len)
                *ret_len = files[i].len;
        return 0;
}

/* libFuzzer, too, comes by. */
int __wrap_stat(const char *path, struct stat *ret) {
        if (strncmp(path, "/fuzz/", 6) != 0)
                return __real_stat(path, ret);
        if (find_file(path) < 0) {
                errno = ENOENT;
                return -1;
        }
        *ret = (struct stat){ .st_mode = S_IFREG | 0640 };
        return 0;
}

int __wrap_scandir(const char *path, struct dirent ***ret, int (*filter)(const struct dirent *),
                   int (*compare)(const struct dirent **, const struct dirent **)) {
        struct dirent **list, *d;

        (void) compare;
        if (!files[FILE_DROPIN].text || strcmp(path, DROPINS) != 0) {
                errno = ENOENT;
                return -1;
        }
        list = calloc(1, sizeof(struct dirent *));
        d = calloc(1, sizeof *d);
        demand(list && d);
        (void) snprintf(d->d_name, sizeof d->d_name, "10-fuzz.conf");
        demand(filter(d));
        list[0] = d;
        *ret = list;
        return 1;
}

/* Its file would be opened. */
int __wrap_check_ca_file(char *text, Error *err) {
        return check_absolute_path(text, err);
}

static void files_clear(void) {
        for (size_t i = 0; i < N_FILES; i++) {
                free(files[i].text);
                files[i].text = NULL;
        }
}

static void files_set(Input *in) {
        CLEANUP_FREE char *all = input_rest(in, NULL);
        char *text = all, *end = all + strlen(all);

        for (size_t i = 0; i < N_FILES && text; i++) {
                char *mark = strstr(text, "\n%%"),
                     *next = mark ? mark + 3 + strcspn(mark + 3, "\n") : NULL;

                files[i].len = (size_t) ((mark ? mark + 1 : end) - text);
                files[i].text = strndup(text, files[i].len);
                demand(files[i].text != NULL);
                text = next && *next ? next + 1 : NULL;
        }
}

/* ---- complaints ---- */

static unsigned n_complaints;
static bool canary_is_secret;

static bool is_of_secret(const char *line) {
        static const char *const keys[] = {
                "secret_access_key", "session_token", "url", "secret", "header", "routing_key"
        };
        size_t len = strcspn(line, " \t=");

        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
                if (strlen(keys[i]) == len && memcmp(line, keys[i], len) == 0)
                        return line[len + strspn(line + len, " \t")] == '=';
        return false;
}

/* Whether all lines that hold the canary give it to a key that is secret: elsewhere it may be
 * shown. */
static bool only_in_secrets(const char *text) {
        for (const char *at = text; (at = strstr(at, CANARY)); at++) {
                const char *line = at;

                while (line > text && line[-1] != '\n')
                        line--;
                if (!is_of_secret(line))
                        return false;
        }
        return true;
}

static unsigned count_lines(const char *text) {
        unsigned n = 1;

        for (; (text = strchr(text, '\n')); text++)
                n++;
        return n;
}

/* "FILE:LINE: sentence", or "FILE: sentence" of a whole file. */
static void on_complaint(const char *message, void *userdata) {
        const char *rest;
        size_t file = FILE_MAIN;
        unsigned line = 0;

        (void) userdata;
        n_complaints++;
        demand(fuzz_is_clean(message));
        demand(!canary_is_secret || !strstr(message, CANARY));
        if (strncmp(message, DROPINS "/", sizeof DROPINS) == 0)
                file = FILE_DROPIN;
        else
                demand(strncmp(message, MAIN_FILE ":", sizeof MAIN_FILE) == 0);
        rest = strchr(message, ':') + 1;
        for (; *rest >= '0' && *rest <= '9'; rest++)
                line = line * 10 + (unsigned) (*rest - '0');
        demand(line <= count_lines(files[file].text));
        demand(line == 0 || *rest++ == ':');
        demand(rest[0] == ' ' && rest[1]);
}

/* ---- writing it out ---- */

static void write_list(FILE *f, const ConfigKey *k, const TextList *list) {
        for (size_t i = 0; i < list->count; i++)
                if (k->flags & KEY_REPEATABLE)
                        fprintf(f, "%s = %s\n", k->name, list->items[i]);
                else
                        fprintf(f, "%s%s%s", i ? "," : k->name, i ? "" : " = ", list->items[i]);
        fprintf(f, "\n");
}

static const char *word_of(const ConfigKey *k, int value) {
        const ConfigWord *w = k->words;

        while (w->word && w->value != value)
                w++;
        demand(w->word != NULL);
        return w->word;
}

static void write_value(FILE *f, const ConfigKey *k, const void *slot) {
        const MaxRemovals *share = slot;
        uint64_t seq = 0;

        if (k->type != VALUE_LIST)
                fprintf(f, "%s = ", k->name);
        switch (k->type) {
        case VALUE_TEXT:
                fprintf(f, "%s\n", *(char *const *) slot);
                return;
        case VALUE_LIST:
                write_list(f, k, slot);
                return;
        case VALUE_BOOL:
                fprintf(f, "%s\n", *(const bool *) slot ? "yes" : "no");
                return;
        case VALUE_NUMBER:
                fprintf(f, "%u\n", *(const unsigned *) slot);
                return;
        case VALUE_DECIMAL:
                fprintf(f, "%.9f\n", *(const double *) slot);
                return;
        case VALUE_DURATION:
                fprintf(f, "%" PRIu64 "us\n", *(const uint64_t *) slot);
                return;
        case VALUE_WORD:
                fprintf(f, "%s\n", word_of(k, *(const int *) slot));
                return;
        case VALUE_SEQ:
                seq = *(const uint64_t *) slot;
                if (seq == REPLAY_FROM_NOW)
                        fprintf(f, "now\n");
                else
                        fprintf(f, "%" PRIu64 "\n", seq);
                return;
        case VALUE_SHARE:
                fprintf(f, "%u%s\n", share->value, share->percent ? "%" : "");
                return;
        }
}

typedef union Any {
        Config config;
        AccountConfig account;
        WebhookConfig webhook;
} Any;

/* What is as by default is left out: to say it may be a mistake beside other keys. */
static void write_section(FILE *f, SectionKind kind, const char *name, const void *base) {
        Any plain = { 0 };
        Error err = { 0 };

        fprintf(f, "[%s%s%s]\n", section_words[kind], name ? " " : "", name ? name : "");
        for (size_t i = 0; i < config_n_keys; i++) {
                const ConfigKey *k = &config_keys[i];

                if (k->kind != kind)
                        continue;
                demand(config_value_default(k, &plain, &err) >= 0);
                if (!config_value_equal(k, base, &plain))
                        write_value(f, k, (const char *) base + k->offset);
                config_value_clear(k, &plain);
        }
}

/* The caller's. */
static char *write_config(const Config *c, size_t *len) {
        char *text = NULL;
        FILE *f = open_memstream(&text, len);

        demand(f != NULL);
        write_section(f, SECTION_ROSTERD, NULL, c);
        for (size_t i = 0; i < c->n_accounts; i++)
                write_section(f, SECTION_ACCOUNT, c->accounts[i].name, &c->accounts[i]);
        for (size_t i = 0; i < c->n_webhooks; i++)
                write_section(f, SECTION_WEBHOOK, c->webhooks[i].name, &c->webhooks[i]);
        demand(fclose(f) == 0);
        return text;
}

/* What a line cannot say may come from a file: blanks at either end, and " ;". */
static bool can_be_written(const Config *c) {
        (void) c;
        return !files[FILE_CREDENTIAL].text ||
               (!strpbrk(files[FILE_CREDENTIAL].text, "; \t\v\f\r") &&
                strncmp(files[FILE_CREDENTIAL].text, "\xef\xbb\xbf", 3) != 0);
}

/* ---- comparing ---- */

static bool rosterd_equal(const Config *a, const Config *b) {
        for (size_t i = 0; i < config_n_keys; i++)
                if (config_keys[i].kind == SECTION_ROSTERD &&
                    !config_value_equal(&config_keys[i], a, b))
                        return false;
        return true;
}

static bool config_equal(const Config *a, const Config *b) {
        if (a->n_accounts != b->n_accounts || a->n_webhooks != b->n_webhooks)
                return false;
        for (size_t i = 0; i < a->n_accounts; i++)
                if (strcmp(a->accounts[i].name, b->accounts[i].name) != 0 ||
                    !account_config_equal(&a->accounts[i], &b->accounts[i]))
                        return false;
        for (size_t i = 0; i < a->n_webhooks; i++)
                if (strcmp(a->webhooks[i].name, b->webhooks[i].name) != 0 ||
                    !webhook_config_equal(&a->webhooks[i], &b->webhooks[i]))
                        return false;
        return rosterd_equal(a, b);
}

/* Takes text over. */
static Config *load(char *text, size_t len) {
        Config *c = NULL;
        Error err = { 0 };

        files_clear();
        files[FILE_MAIN].text = text;
        files[FILE_MAIN].len = len;
        n_complaints = 0;
        demand(config_load(MAIN_FILE, on_complaint, NULL, &c, &err) == 0);
        return c;
}

static void check_accepted(const Config *c) {
        CLEANUP(config_unrefp) Config *again = NULL;
        size_t len = 0;
        char *text;

        for (size_t i = 0; i < c->n_webhooks; i++)
                demand(webhook_event_mask(&c->webhooks[i]) != 0);
        if (!can_be_written(c))
                return;
        text = write_config(c, &len);
        again = load(text, len);
        demand(config_equal(c, again));
}

/* For those who may not have the secrets: the same sections, the same [rosterd]. */
static void check_outline(const Config *c) {
        CLEANUP(config_unrefp) Config *outline = NULL;
        Error err = { 0 };
        int r = config_load_outline(MAIN_FILE, &outline, &err);

        demand(r < 0 ? r == err.code && fuzz_is_clean(err.msg) : outline != NULL);
        if (!c)
                return;
        demand(r == 0 && rosterd_equal(c, outline));
        demand(outline->n_accounts == c->n_accounts && outline->n_webhooks == c->n_webhooks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        CLEANUP(config_unrefp) Config *c = NULL;
        Input in = input_of(data, size);
        Error err = { 0 };
        int r;

        demand(setenv("CREDENTIALS_DIRECTORY", CREDENTIALS, 1) == 0);
        demand(unsetenv("STATE_DIRECTORY") == 0 && unsetenv("RUNTIME_DIRECTORY") == 0);
        files_set(&in);
        canary_is_secret =
                files[FILE_MAIN].text && only_in_secrets(files[FILE_MAIN].text) &&
                (!files[FILE_DROPIN].text || only_in_secrets(files[FILE_DROPIN].text)) &&
                (!files[FILE_CREDENTIAL].text || !strstr(files[FILE_CREDENTIAL].text, CANARY));
        n_complaints = 0;
        r = config_load(MAIN_FILE, on_complaint, NULL, &c, &err);
        demand((r == 0) == (n_complaints == 0) && (r == 0) == (c != NULL));
        demand(r == 0 || (r == err.code && fuzz_is_clean(err.msg) && !strstr(err.msg, CANARY)));
        check_outline(c);
        if (r == 0)
                check_accepted(c);
        files_clear();
        return 0;
}
