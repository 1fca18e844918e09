/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sink/journal.h"

static int level = LOG_INFO;

void log_set_level(int priority) {
        level = priority;
}

void log_full(int priority, const char *message_id, const char *field, const char *value,
              const char *file, int line, const char *func, const char *fmt, ...) {
        const JournalField fields[] = { { field, value } };
        char raw[1024], clean[1024];
        va_list ap;
        int n;

        if (priority > level)
                return;
        va_start(ap, fmt);
        n = vsnprintf(raw, sizeof raw, fmt, ap);
        va_end(ap);
        if (n < 0)
                return;
        /* A log line that the journal does not take is gone; events are not, they have a cursor. */
        (void) journal_write(
                &(JournalLine){ .priority = priority,
                                .message_id = message_id,
                                .message = text_clean(clean, sizeof clean, raw, strlen(raw)),
                                .fields = fields,
                                .n_fields = 1,
                                .file = file,
                                .line = line,
                                .func = func });
}
