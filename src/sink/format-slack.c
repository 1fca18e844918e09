/* SPDX-License-Identifier: Apache-2.0 */
/* format = slack: an incoming webhook's message.  Everything is plain_text, so that no name can be
 * taken for formatting, a link or a mention. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "sink/format-internal.h"

/* Slack takes 50 blocks, and 3000 characters in the text of a section.  For all of a message's blocks
 * together it documents no limit, but refuses them (msg_blocks_too_long) from about 11,300 on.  A
 * byte is at most a character. */
#define BLOCKS_MAX 50
#define SECTION_MAX ((size_t) 3000)
#define TEXT_MAX ((size_t) 3000) /* of the text that notifications show */
#define ALL_BLOCKS_MAX ((size_t) 10000)
#define BLOCK_OVERHEAD ((size_t) 100) /* what JSON surrounds a text with */

typedef struct Message {
        JsonText json;
        size_t blocks;
        char section[SECTION_MAX + 1]; /* not yet in json */
        size_t len;
} Message;

/* In every text & < > are control characters and have to be escaped.  Returns the length, or size if
 * it does not fit. */
static size_t escape(const char *in, char *out, size_t size) {
        size_t at = 0;

        for (; *in; in++) {
                const char *as = *in == '&'   ? "&amp;"
                                 : *in == '<' ? "&lt;"
                                 : *in == '>' ? "&gt;"
                                              : NULL;
                size_t n = as ? strlen(as) : 1;

                if (at + n >= size)
                        return size;
                memcpy(out + at, as ? as : in, n);
                at += n;
        }
        out[at] = '\0';
        return at;
}

/* The line, with as many names as fit once it is escaped.  No character grows more than fivefold. */
static size_t line_text(const DigestLine *line, bool account, char *out, size_t size) {
        char text[2048], whole[sizeof text + 80];

        for (size_t room = sizeof text;; room /= 2) {
                size_t n;

                assert(room >= DIGEST_TEXT_MIN);
                (void) digest_line_text(line, text, room);
                (void) snprintf(whole, sizeof whole, "%s%s%s", account ? line->account : "",
                                account ? ": " : "", text);
                n = escape(whole, out, size);
                if (n < size)
                        return n;
        }
}

static void put_block(Message *m, const char *type, const char *text) {
        jsontext_open(&m->json, NULL, '{');
        jsontext_string(&m->json, "type", type);
        jsontext_open(&m->json, "text", '{');
        jsontext_string(&m->json, "type", "plain_text");
        jsontext_string(&m->json, "text", text);
        jsontext_raw(&m->json, "emoji", "false");
        jsontext_close(&m->json, '}');
        jsontext_close(&m->json, '}');
        m->blocks++;
}

static void flush_section(Message *m) {
        if (m->len > 0)
                put_block(m, "section", m->section);
        m->len = 0;
}

/* One more line of the section, or the first of a new one. */
static void add_text(Message *m, const char *text, size_t len) {
        assert(len < sizeof m->section);
        if (m->len > 0 && m->len + 1 + len >= sizeof m->section)
                flush_section(m);
        if (m->len > 0)
                m->section[m->len++] = '\n';
        memcpy(m->section + m->len, text, len + 1);
        m->len += len;
}

/* Whether there is room for a header and a section more, and for the line that tells of the rest.
 * A quote or backslash takes two bytes in JSON. */
static bool has_room(const Message *m, size_t len) {
        return m->blocks + 4 <= BLOCKS_MAX &&
               m->json.len + 2 * (m->len + len) + 4 * BLOCK_OVERHEAD <= ALL_BLOCKS_MAX;
}

static void put_blocks(Message *m, const Digest *d) {
        char text[SECTION_MAX + 1], more[FORMAT_MORE_SIZE];
        bool alone = d->events == 1; /* its sentence is all there is to say */
        size_t told = 0;

        for (size_t i = 0; i < d->n_lines; i++) {
                const DigestLine *line = &d->lines[i];
                size_t len = line_text(line, alone, text, sizeof text);

                if (!has_room(m, len))
                        break;
                if (!alone && (i == 0 || strcmp(line->account, d->lines[i - 1].account) != 0)) {
                        flush_section(m);
                        put_block(m, "header", line->account);
                }
                add_text(m, text, len);
                told += line->count;
        }
        if (told < d->events) {
                (void) format_more(d->events - told, more);
                add_text(m, more, strlen(more));
        }
        flush_section(m);
}

/* What notifications show, and clients that know no blocks. */
static void put_text(Message *m, const Digest *d) {
        char all[TEXT_MAX + FORMAT_MORE_SIZE + 2] = "", text[TEXT_MAX + 1];
        size_t at = 0, told = 0;

        for (size_t i = 0; i < d->n_lines; i++) {
                size_t len = line_text(&d->lines[i], true, text, sizeof text);

                if (at + len + 1 > TEXT_MAX)
                        break;
                if (at > 0)
                        all[at++] = '\n';
                memcpy(all + at, text, len + 1);
                at += len;
                told += d->lines[i].count;
        }
        if (told < d->events) {
                all[at++] = '\n';
                (void) format_more(d->events - told, all + at);
        }
        jsontext_string(&m->json, "text", all);
}

int format_slack(const FormatSettings *settings, const Digest *digest, char **ret) {
        Message m = { 0 };

        (void) settings; /* the digest was made under them */
        jsontext_open(&m.json, NULL, '{');
        jsontext_open(&m.json, "blocks", '[');
        put_blocks(&m, digest);
        jsontext_close(&m.json, ']');
        put_text(&m, digest);
        jsontext_raw(&m.json, "mrkdwn", "false");
        jsontext_close(&m.json, '}');
        return jsontext_finish(&m.json, ret);
}
