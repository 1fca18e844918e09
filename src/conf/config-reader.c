/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of one file, through inih.
 *
 * inih cuts a line after 199 bytes and a section name after 49, joins indented lines to the key
 * above and counts lines wrongly after a cut.  So lines are cut here, and inih sees a short stand-in
 * of each: "KEY=@" for a pair.  It judges that and calls back at once, before it asks for the next
 * line, and the callback takes the real value.  A line that it does not call back for is no pair.
 * Section headers, which inih reports only together with a key, are read here. */
#include "conf/config-internal.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/lines.h"
#include "base/text.h"

#define STAND_IN "@"
#define KEY_TEXT_MAX ((size_t) 80) /* longer ones are no key */
#define NOT_A_PAIR "this line is no \"KEY = VALUE\", [section] or comment"

/* Ends text before " ;", as inih does. */
static void cut_comment(char *text) {
        for (char *p = text; (p = strchr(p, ';')); p++)
                if (p > text && strchr(BLANKS, p[-1])) {
                        *p = '\0';
                        return;
                }
}

static void complain_line(Loader *l, const char *what) {
        const Section *s = l->current ? &l->sections[l->current - 1] : NULL;

        loader_complain(l, -EINVAL, loader_here(l), s, NULL, "%s", what);
}

/* A header that names no known kind of section; below it no key can be judged. */
static void unknown_section(Loader *l, const char *text) {
        char shown[64], suggestion[64] = "";
        size_t len = strcspn(text, BLANKS);
        char word[32];
        const char *meant = NULL;

        if (len < sizeof word) {
                memcpy(word, text, len);
                word[len] = '\0';
                meant = text_did_you_mean(word, section_words, SECTION_KIND_COUNT);
        }
        l->elsewhere = !meant || strcmp(meant, section_words[SECTION_ROSTERD]) != 0;
        if (meant)
                (void) snprintf(suggestion, sizeof suggestion, "; did you mean [%s%s]?", meant,
                                strcmp(meant, "rosterd") == 0 ? "" : " NAME");
        l->current = 0;
        l->in_unknown = l->lost_sections = true;
        loader_complain(l, -EINVAL, loader_here(l), NULL, NULL,
                        "[%s] is not a section; sections are [rosterd], [account NAME] and "
                        "[webhook NAME]%s",
                        text_clean(shown, sizeof shown, text, strlen(text)), suggestion);
}

/* "[kind name]", from behind its "[". */
static int read_header(Loader *l, char *text) {
        const char *ours = section_words[SECTION_ROSTERD];
        char *close = strchr(text, ']'), *rest;
        size_t len;

        l->elsewhere = strncmp(skip_blanks(text), ours, strlen(ours)) != 0;
        if (!close) {
                l->current = 0;
                l->in_unknown = l->lost_sections = true;
                complain_line(l, "this section header lacks its \"]\"");
                return 0;
        }
        rest = skip_blanks(close + 1);
        *close = '\0';
        text = skip_blanks(text);
        trim_end(text);
        if (*rest && *rest != ';' && *rest != '#')
                loader_complain(l, -EINVAL, loader_here(l), NULL, NULL,
                                "something follows the \"]\" of this section header; begin the "
                                "next line with it");

        len = strcspn(text, BLANKS);
        for (unsigned kind = 0; kind < SECTION_KIND_COUNT; kind++)
                if (strlen(section_words[kind]) == len &&
                    memcmp(text, section_words[kind], len) == 0)
                        return loader_open_section(l, (SectionKind) kind, skip_blanks(text + len));
        unknown_section(l, text);
        return 0;
}

/* Keeps the real value and writes the stand-in for inih. */
static void read_pair(Loader *l, char *line, char *out, size_t size) {
        char *equals = strchr(line, '=');
        size_t key_len = equals ? (size_t) (equals - line) : strlen(line);

        l->value = NULL;
        if (equals && !memchr(line, ':', key_len)) {
                cut_comment(equals + 1);
                l->value = skip_blanks(equals + 1);
                trim_end(l->value);
        }
        if (key_len > KEY_TEXT_MAX || key_len + sizeof STAND_IN + 2 > size) {
                complain_line(l, equals ? "what stands before the \"=\" is too long for a key"
                                        : NOT_A_PAIR);
                return;
        }
        l->pending = true;
        (void) snprintf(out, size, "%.*s%s\n", (int) key_len, line, equals ? "=" STAND_IN : "");
}

/* fgets() for inih.  Want of memory is kept in l->code. */
static char *read_line(char *out, int size, void *stream) {
        Loader *l = stream;
        char *line;

        if (l->pending)
                complain_line(l, NOT_A_PAIR);
        l->pending = false;
        line = lines_next(&l->lines);
        if (!line || l->code == -ENOMEM)
                return NULL;

        (void) snprintf(out, (size_t) size, "\n");
        if (!*skip_blanks(line) || strchr(";#", *skip_blanks(line)))
                return out;
        if (*line == '[')
                (void) read_header(l, line + 1);
        else if (skip_blanks(line) != line)
                complain_line(l, "this line is indented; values cannot go on in a second line, and "
                                 "keys begin at the start of theirs");
        else
                read_pair(l, line, out, (size_t) size);
        return out;
}

static int on_pair(void *userdata, const char *section, const char *name, const char *value) {
        Loader *l = userdata;

        (void) section;
        (void) value;
        l->pending = false;
        if (!l->value)
                complain_line(l,
                              "this line has a \":\" where \"=\" belongs; write \"KEY = VALUE\"");
        else if (l->code != -ENOMEM)
                (void) loader_assign(l, name, l->value);
        return 1; /* go on: every mistake is wanted */
}

/* A file that is no text at all gets one complaint, not one for each line. */
static bool is_text(Loader *l, const char *text, size_t len) {
        const char *nul = memchr(text, '\0', len);
        unsigned line = 1;

        if (!nul)
                return true;
        for (const char *p = text; p < nul; p++)
                line += *p == '\n';
        l->lines.number = line;
        l->lost_sections = true;
        loader_complain(l, -EINVAL, loader_here(l), NULL, NULL,
                        "holds a NUL byte; write the file as UTF-8 text");
        return false;
}

static int complain_unreadable(Loader *l, const char *path, bool dropin, const Error *why) {
        if (why->code == -ENOMEM)
                return -ENOMEM;
        l->lost_sections = true;
        if (why->code == -ENOENT && !dropin)
                loader_complain_file(l, -ENOENT, path,
                                     "does not exist; create it after the example in "
                                     "rosterd.conf(5), or name another file with --config");
        else if (why->code == -EFBIG || why->code == -EINVAL)
                loader_complain_file(l, -EINVAL, path, "%s", why->msg);
        else
                loader_complain_file(l, -EACCES, path, "%s; let the service's user read it",
                                     why->msg);
        return 0;
}

int loader_read_file(Loader *l, const char *path, bool dropin) {
        char **files = reallocarray(l->files, l->n_files + 1, sizeof *files), *text = NULL;
        Error why = { 0 };
        size_t len = 0;

        if (!files)
                return -ENOMEM;
        l->files = files;
        files[l->n_files] = strdup(path);
        if (!files[l->n_files])
                return -ENOMEM;
        l->n_files++;

        if (file_read(path, CONFIG_FILE_MAX, &text, &len, &why) < 0)
                return complain_unreadable(l, path, dropin, &why);
        if (stat(path, &l->st) < 0)
                l->st = (struct stat){ .st_mode = 07777 }; /* gone since: fear the worst */

        l->secret_said = l->in_unknown = l->elsewhere = l->pending = false;
        l->current = 0;
        l->lines = (Lines){ .at = text, .end = text + len };
        if (is_text(l, text, len)) {
                if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
                        l->lines.at += 3;
                while (l->lines.at < l->lines.end &&
                       l->code != -ENOMEM) /* some builds of inih stop early */
                        (void) ini_parse_stream(read_line, l, on_pair, l);
                if (l->pending)
                        complain_line(l, NOT_A_PAIR);
        }
        explicit_bzero(text, len);
        free(text);
        l->lines = (Lines){ 0 };
        l->value = NULL;
        return l->code == -ENOMEM ? -ENOMEM : 0;
}
