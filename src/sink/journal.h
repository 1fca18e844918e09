/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/error.h"

/* Where lines for the administrator go. */
typedef enum JournalTarget {
        JOURNAL_STRUCTURED,      /* to journald, with fields */
        JOURNAL_STDERR,          /* a terminal, a file, a container's log */
        JOURNAL_STDERR_PREFIXED, /* stderr is the journal, but journald's own socket is out of reach:
                                  * "<N>" tells the priority, see sd-daemon(3) */
} JournalTarget;

/* Structured where stderr is the journal (JOURNAL_STREAM, systemd.exec(5)) and journald's socket is
 * there; looked up anew with each call, since journald may come and go. */
JournalTarget journal_target(void);

typedef struct JournalField {
        const char *name, *value; /* a field whose value is NULL is left out */
} JournalField;

typedef struct JournalLine {
        int priority;           /* LOG_* of syslog(3) */
        const char *message_id; /* NULL: none */
        const char *message;    /* one clean line */
        const JournalField *fields;
        size_t n_fields;
        const char *file, *func; /* where in the program; file NULL: leave out */
        int line;
} JournalLine;

/* Writes one line.  0, or -errno where it has not been taken and may be tried again. */
int journal_write(const JournalLine *line);
