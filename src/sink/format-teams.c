/* SPDX-License-Identifier: Apache-2.0 */
/* format = teams: an Adaptive Card, as the webhook trigger of a Teams workflow takes it.  Texts are
 * TextRuns, which know no Markdown. */
#include <string.h>

#include "base/cleanup.h"
#include "sink/format-internal.h"

/* Teams takes 28 KB, which it counts in UTF-16: two bytes for each that stands here, at most. */
#define MESSAGE_MAX ((size_t) 14000)
#define LINE_SIZE ((size_t) 2048)
/* What JSON surrounds a line with; and what the end of the message takes. */
#define LINE_OVERHEAD ((size_t) 100)
#define END_OVERHEAD ((size_t) 250)

static void put_run(JsonText *j, const char *text, bool heading) {
        jsontext_open(j, NULL, '{');
        jsontext_string(j, "type", "RichTextBlock");
        if (heading)
                jsontext_string(j, "spacing", "Large");
        jsontext_open(j, "inlines", '[');
        jsontext_open(j, NULL, '{');
        jsontext_string(j, "type", "TextRun");
        if (heading) {
                jsontext_string(j, "size", "Medium");
                jsontext_string(j, "weight", "Bolder");
        }
        jsontext_string(j, "text", text);
        jsontext_close(j, '}');
        jsontext_close(j, ']');
        jsontext_close(j, '}');
}

/* A quote or backslash takes two bytes in JSON. */
static bool has_room(const JsonText *j, const DigestLine *line, const char *text) {
        return j->len + 2 * strlen(text) + strlen(line->account) + 3 * LINE_OVERHEAD +
                       END_OVERHEAD <=
               MESSAGE_MAX;
}

static void put_lines(JsonText *j, const Digest *d) {
        char text[LINE_SIZE], more[FORMAT_MORE_SIZE];
        size_t told = 0;

        if (d->events == 1) { /* its sentence is all there is to say */
                put_run(j, d->lines[0].sentence, false);
                return;
        }
        for (size_t i = 0; i < d->n_lines; i++) {
                const DigestLine *line = &d->lines[i];

                (void) digest_line_text(line, text, sizeof text);
                if (!has_room(j, line, text))
                        break;
                if (i == 0 || strcmp(line->account, d->lines[i - 1].account) != 0)
                        put_run(j, line->account, true);
                put_run(j, text, false);
                told += line->count;
        }
        if (told < d->events)
                put_run(j, format_more(d->events - told, more), false);
}

int format_teams(const FormatSettings *settings, const Digest *digest, char **ret) {
        CLEANUP(jsontext_clear) JsonText j = { 0 };

        (void) settings; /* the digest was made under them */
        jsontext_open(&j, NULL, '{');
        jsontext_string(&j, "type", "message");
        jsontext_open(&j, "attachments", '[');
        jsontext_open(&j, NULL, '{');
        jsontext_string(&j, "contentType", "application/vnd.microsoft.card.adaptive");
        jsontext_string(&j, "contentUrl", NULL);
        jsontext_open(&j, "content", '{');
        jsontext_string(&j, "$schema", "http://adaptivecards.io/schemas/adaptive-card.json");
        jsontext_string(&j, "type", "AdaptiveCard");
        jsontext_string(&j, "version", "1.4");
        jsontext_open(&j, "msteams", '{');
        jsontext_string(&j, "width", "Full");
        jsontext_close(&j, '}');
        jsontext_open(&j, "body", '[');
        put_lines(&j, digest);
        jsontext_close(&j, ']');
        jsontext_close(&j, '}');
        jsontext_close(&j, '}');
        jsontext_close(&j, ']');
        jsontext_close(&j, '}');
        return jsontext_finish(&j, ret);
}
