/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/digest.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/text.h"

#define NAME_SIZE 256
#define SENTENCE_SIZE 1024
#define MORE_SIZE 32 /* of " and N more" */

/* What an event speaks of.  One change of a user tells each but once, in this order. */
typedef enum Aspect {
        ASPECT_LISTING,
        ASPECT_REGISTRATION,
        ASPECT_INVITATION,
        ASPECT_REST,
        /* of the account itself */
        ASPECT_BASELINE,
        ASPECT_RUNS,
        ASPECT_REMOVALS,
} Aspect;

/* And what became of several people. */
static const struct {
        Aspect aspect;
        const char *they;
} kinds[EVENT_KIND_COUNT] = {
        [EVENT_USER_ADDED] = { ASPECT_LISTING, "were added" },
        [EVENT_USER_REMOVED] = { ASPECT_LISTING, "were removed: no longer on the listing" },
        [EVENT_USER_RETURNED] = { ASPECT_LISTING, "are back on the listing" },
        [EVENT_USER_REGISTERED] = { ASPECT_REGISTRATION, "have registered" },
        [EVENT_USER_SUSPENDED] = { ASPECT_REGISTRATION, "were suspended" },
        [EVENT_USER_REINSTATED] = { ASPECT_REGISTRATION, "were reinstated" },
        [EVENT_USER_UNREGISTERED] = { ASPECT_REGISTRATION, "are unregistered" },
        [EVENT_USER_REGISTRATION_CHANGED] = { ASPECT_REGISTRATION,
                                              "have another registration status" },
        [EVENT_USER_INVITED] = { ASPECT_INVITATION, "were invited" },
        [EVENT_USER_INVITATION_ACCEPTED] = { ASPECT_INVITATION, "have accepted the invitation" },
        [EVENT_USER_INVITATION_FAILED] = { ASPECT_INVITATION, "could not be invited" },
        [EVENT_USER_INVITATION_CHANGED] = { ASPECT_INVITATION, "have another invitation status" },
        [EVENT_USER_UPDATED] = { ASPECT_REST, "have changed" },
        [EVENT_SYNC_BASELINE] = { ASPECT_BASELINE, NULL },
        [EVENT_SYNC_FAILED] = { ASPECT_RUNS, NULL },
        [EVENT_SYNC_RECOVERED] = { ASPECT_RUNS, NULL },
        [EVENT_SYNC_REMOVALS_HELD] = { ASPECT_REMOVALS, NULL },
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
        idset_clear(&d->subjects);
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

/* Whom an event is about, or what of an account, as a number other than 0.  Should two ever have the
 * same, they merely are not told together. */
static uint64_t subject_of(const Event *e) {
        const char *account = account_of(e);
        uint64_t hash = XXH3_64bits(account, strlen(account));

        if (e->user_id)
                hash = XXH3_64bits_withSeed(e->user_id, strlen(e->user_id), hash);
        else
                hash += kinds[e->kind].aspect;
        return hash ? hash : 1;
}

/* Whether the event is of the change that the latest one was of: a suspended user who is new. */
static bool is_same_change(const Digest *d, const Event *e, uint64_t subject) {
        return subject == d->subject && e->run == d->run &&
               kinds[e->kind].aspect > kinds[d->lines[d->latest].kind].aspect;
}

int digest_add(Digest *d, const Event *e, bool minimal) {
        CLEANUP_FREE char *sentence = NULL, *name = NULL;
        uint64_t subject = subject_of(e);
        DigestLine *line;
        bool there, known = idset_contains(&d->subjects, subject);
        size_t i;

        if (known ? !is_same_change(d, e, subject) : d->subjects.count >= DIGEST_SUBJECTS)
                return DIGEST_FULL;
        sentence = sentence_of(e, minimal);
        name = e->user_id ? name_of(e, minimal) : NULL;
        i = find(d, e, &there);
        if (!sentence || (e->user_id && !name) || (!there && insert(d, i, e) < 0) ||
            idset_add(&d->subjects, subject) < 0)
                return -ENOMEM;
        line = &d->lines[i];
        free(line->sentence);
        line->sentence = take_ptr(sentence);
        if (name && line->n_names < DIGEST_NAMES)
                line->names[line->n_names++] = take_ptr(name);
        line->count++;
        d->events++;
        d->latest = i;
        d->subject = subject;
        d->run = e->run;
        return DIGEST_ADDED;
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
        int n = snprintf(out, size, "%zu %s", line->count, kinds[line->kind].they);
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
        const char *sentence = bare_sentence(line);

        assert(size >= DIGEST_TEXT_MIN);
        return line->count > 1 ? names_text(line, out, size)
                               : text_clean(out, size, sentence, strlen(sentence));
}
