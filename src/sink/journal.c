/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "sink/sink-internal.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define FIELDS_MAX 24

/* JOURNAL_STREAM is "DEVICE:INODE" of the stream that systemd has connected to stdout or stderr. */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        char own[64];
        struct stat st;

        if (!stream || fstat(STDERR_FILENO, &st) < 0)
                return false;
        (void) snprintf(own, sizeof own, "%ju:%ju", (uintmax_t) st.st_dev, (uintmax_t) st.st_ino);
        return strcmp(stream, own) == 0;
}

JournalTarget journal_target(void) {
        if (!stderr_is_journal())
                return JOURNAL_STDERR;
        return access(JOURNAL_SOCKET, W_OK) == 0 ? JOURNAL_STRUCTURED : JOURNAL_STDERR_PREFIXED;
}

static int write_stderr(const JournalLine *line, bool prefix) {
        int n = prefix ? fprintf(stderr, "<%d>%s\n", line->priority, line->message)
                       : fprintf(stderr, "%s\n", line->message);

        return n < 0 || fflush(stderr) != 0 ? -EIO : 0;
}

/* A growing list of NAME=VALUE for sd_journal_sendv(3). */
typedef struct Fields {
        struct iovec iov[FIELDS_MAX];
        int n;
        bool failed;
} Fields;

static void fields_clear(Fields *f) {
        while (f->n > 0)
                free(f->iov[--f->n].iov_base);
}

__attribute__((format(printf, 2, 3))) static void fields_add(Fields *f, const char *fmt, ...) {
        char *text = NULL;
        va_list ap;
        int len;

        if (f->n == FIELDS_MAX) {
                f->failed = true;
                return;
        }
        va_start(ap, fmt);
        len = vasprintf(&text, fmt, ap);
        va_end(ap);
        if (len < 0)
                f->failed = true;
        else
                f->iov[f->n++] = (struct iovec){ text, (size_t) len };
}

static int write_structured(const JournalLine *line) {
        CLEANUP(fields_clear) Fields f = { 0 };

        fields_add(&f, "MESSAGE=%s", line->message);
        fields_add(&f, "PRIORITY=%d", line->priority);
        if (line->message_id)
                fields_add(&f, "MESSAGE_ID=%s", line->message_id);
        if (line->file) {
                fields_add(&f, "CODE_FILE=%s", line->file);
                fields_add(&f, "CODE_LINE=%d", line->line);
                fields_add(&f, "CODE_FUNC=%s", line->func);
        }
        for (size_t i = 0; i < line->n_fields; i++)
                if (line->fields[i].value)
                        fields_add(&f, "%s=%s", line->fields[i].name, line->fields[i].value);
        return f.failed ? -ENOMEM : sd_journal_sendv(f.iov, f.n);
}

int journal_write(const JournalLine *line) {
        switch (journal_target()) {
        case JOURNAL_STRUCTURED:
                return write_structured(line);
        case JOURNAL_STDERR:
                return write_stderr(line, false);
        case JOURNAL_STDERR_PREFIXED:
                return write_stderr(line, true);
        }
        abort();
}

/* A personal value is not shown where personal data is minimal: of an event, that is what changed in
 * a field that the model calls sensitive. */
static const char *shown_value(const Event *e, const char *value, bool minimal) {
        for (unsigned i = 0; minimal && e->field && i < USER_FIELD_COUNT; i++)
                if ((user_fields[i].flags & FIELD_SENSITIVE) &&
                    strcmp(user_fields[i].column, e->field) == 0)
                        return NULL;
        return value;
}

static int tell_one(const Event *e, bool minimal) {
        const EventType *type = &event_types[e->kind];
        char message[1024], seq[24], run[24], time[TIME_TEXT_SIZE];

        (void) snprintf(seq, sizeof seq, "%" PRId64, e->seq);
        (void) snprintf(run, sizeof run, "%" PRId64, e->run);
        time_format(e->time, time);
        if (!event_sentence(e, minimal, message, sizeof message))
                return -ENOMEM;

        const JournalField fields[] = {
                { "ROSTERD_EVENT", type->name },
                { "ROSTERD_EVENT_ID", e->id },
                { "ROSTERD_SEQ", seq },
                { "ROSTERD_TIME", time },
                { "ROSTERD_ACCOUNT", e->account },
                { "ROSTERD_ACCOUNT_ID", e->account_id },
                { "ROSTERD_USER_ID", e->user_id },
                { "ROSTERD_EMAIL", minimal ? NULL : e->primary_email },
                { "ROSTERD_FIELD", e->field },
                { "ROSTERD_OLD", shown_value(e, e->old_value, minimal) },
                { "ROSTERD_NEW", shown_value(e, e->new_value, minimal) },
                { "ROSTERD_DETAIL", e->detail },
                { "ROSTERD_RUN", run },
        };
        return journal_write(&(JournalLine){ .priority = type->priority,
                                             .message_id = type->message_id,
                                             .message = message,
                                             .fields = fields,
                                             .n_fields = sizeof fields / sizeof fields[0],
                                             .file = __FILE__,
                                             .line = __LINE__,
                                             .func = __func__ });
}

size_t journal_tell(Event *const *events, size_t n, const SinkSettings *settings, Error *err) {
        for (size_t i = 0; i < n; i++) {
                int r = tell_one(events[i], settings->minimal);

                if (r < 0) {
                        (void) error_set(err, r, "the journal does not take entries: %s",
                                         strerror(-r));
                        return i;
                }
        }
        return n;
}
