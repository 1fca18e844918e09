/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/digest.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define NAME_SIZE 256
#define SENTENCE_SIZE 1024
#define MORE_SIZE 32 /* of " and N more" */

/* What became of several people.  Kinds about the account itself have none: of those, the latest
 * sentence is shown. */
static const char *const what_they_did[EVENT_KIND_COUNT] = {
        [EVENT_USER_ADDED] = "were added",
        [EVENT_USER_REMOVED] = "were removed: no longer on the listing",
        [EVENT_USER_RETURNED] = "are back on the listing",
        [EVENT_USER_REGISTERED] = "have registered",
        [EVENT_USER_SUSPENDED] = "were suspended",
        [EVENT_USER_REINSTATED] = "were reinstated",
        [EVENT_USER_UNREGISTERED] = "are unregistered",
        [EVENT_USER_REGISTRATION_CHANGED] = "have another registration status",
        [EVENT_USER_INVITED] = "were invited",
        [EVENT_USER_INVITATION_ACCEPTED] = "have accepted the invitation",
        [EVENT_USER_INVITATION_FAILED] = "could not be invited",
        [EVENT_USER_INVITATION_CHANGED] = "have another invitation status",
        [EVENT_USER_UPDATED] = "have changed",
};

static void line_clear(DigestLine *line) {
        free(line->account);
        free(line->sentence);
        for (size_t i = 0; i < line->n_names; i++)
                free(line->names[i]);
        *line = (DigestLine){ 0 };
}

void digest_clear(Digest *d) {
        for (size_t i = 0; i < d->n_lines; i++)
                line_clear(&d->lines[i]);
        free(d->lines);
        *d = (Digest){ 0 };
}

static const char *account_of(const Event *e) {
        return e->account ? e->account : "?";
}

/* Whether a stands before b in an account: the more urgent first (syslog's numbers fall), else in
 * the order of the table of kinds. */
static bool before(EventKind a, EventKind b) {
        int x = event_types[a].priority, y = event_types[b].priority;

        return x != y ? x < y : a < b;
}

/* Where the event's line is or belongs, and whether it is there.  Events come in runs of one
 * account, so the search begins at the latest line's. */
static size_t find(const Digest *d, const Event *e, bool *there) {
        const char *account = account_of(e);
        size_t i = d->latest;

        *there = false;
        if (d->n_lines == 0)
                return 0;
        if (strcmp(d->lines[i].account, account) == 0)
                while (i > 0 && strcmp(d->lines[i - 1].account, account) == 0)
                        i--;
        else
                for (i = 0; i < d->n_lines && strcmp(d->lines[i].account, account) != 0;)
                        i++;
        while (i < d->n_lines && strcmp(d->lines[i].account, account) == 0 &&
               before(d->lines[i].kind, e->kind))
                i++;
        *there = i < d->n_lines && d->lines[i].kind == e->kind &&
                 strcmp(d->lines[i].account, account) == 0;
        return i;
}

static char *name_of(const Event *e, bool minimal) {
        char name[NAME_SIZE];
        const char *label = user_label(e->user_id, e->primary_email, minimal);

        return strdup(text_clean(name, sizeof name, label, strlen(label)));
}

static char *sentence_of(const Event *e, bool minimal) {
        char sentence[SENTENCE_SIZE];

        return event_sentence(e, minimal, sentence, sizeof sentence) ? strdup(sentence) : NULL;
}

/* An empty line at i; the lines from there on move up. */
static int insert(Digest *d, size_t i, const Event *e) {
        DigestLine *bigger = reallocarray(d->lines, d->n_lines + 1, sizeof *bigger);
        char *account = strdup(account_of(e));

        if (bigger)
                d->lines = bigger;
        if (!bigger || !account) {
                free(account);
                return -ENOMEM;
        }
        memmove(&d->lines[i + 1], &d->lines[i], (d->n_lines - i) * sizeof *d->lines);
        d->lines[i] = (DigestLine){ .account = account, .kind = e->kind };
        d->n_lines++;
        return 0;
}

int digest_add(Digest *d, const Event *e, bool minimal) {
        CLEANUP_FREE char *sentence = sentence_of(e, minimal);
        CLEANUP_FREE char *name = e->user_id ? name_of(e, minimal) : NULL;
        DigestLine *line;
        bool there;
        size_t i = find(d, e, &there);

        if (!sentence || (e->user_id && !name) || (!there && insert(d, i, e) < 0))
                return -ENOMEM;
        line = &d->lines[i];
        free(line->sentence);
        line->sentence = take_ptr(sentence);
        if (name && line->n_names < DIGEST_NAMES)
                line->names[line->n_names++] = take_ptr(name);
        line->count++;
        d->events++;
        d->latest = i;
        return 0;
}

/* "acme: ana was suspended" without "acme: ". */
static const char *bare_sentence(const DigestLine *line) {
        size_t len = strlen(line->account);

        return strncmp(line->sentence, line->account, len) == 0 &&
                               strncmp(line->sentence + len, ": ", 2) == 0
                       ? line->sentence + len + 2
                       : line->sentence;
}

static char *names_text(const DigestLine *line, char *out, size_t size) {
        int n = snprintf(out, size, "%zu %s", line->count, what_they_did[line->kind]);
        size_t at = (size_t) n, shown = 0;

        for (; shown < line->n_names; shown++) {
                if (at + strlen(line->names[shown]) + 2 + MORE_SIZE >= size)
                        break;
                n = snprintf(out + at, size - at, "%s%s", shown ? ", " : ": ", line->names[shown]);
                at += (size_t) n;
        }
        if (shown > 0 && shown < line->count)
                (void) snprintf(out + at, size - at, " and %zu more", line->count - shown);
        return out;
}

char *digest_line_text(const DigestLine *line, char *out, size_t size) {
        char text[SENTENCE_SIZE + MORE_SIZE];

        assert(size >= DIGEST_TEXT_MIN);
        if (line->count > 1 && what_they_did[line->kind])
                return names_text(line, out, size);
        if (line->count > 1)
                (void) snprintf(text, sizeof text, "%zu times, the latest: %s", line->count,
                                bare_sentence(line));
        else
                (void) snprintf(text, sizeof text, "%s", bare_sentence(line));
        return text_clean(out, size, text, strlen(text));
}
