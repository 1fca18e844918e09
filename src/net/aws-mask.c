/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "net/aws-process.h"

#define ENDS " \t\r\n\"'`,;()[]{}<>"

static bool announces_secret(const char *word, size_t len) {
        static const char *const words[] = { "secret", "token", "passw", "key", "credential" };

        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
                for (size_t at = 0, n = strlen(words[i]); at + n <= len; at++)
                        if (strncasecmp(word + at, words[i], n) == 0)
                                return true;
        return false;
}

/* What is left of the word that begins at in: its length in *ret_shown; the rest is masked. */
static size_t shown_length(const char *word, size_t len, size_t longest, bool after_announcement) {
        const char *sep = memchr(word, '=', len);

        if (!sep)
                sep = memchr(word, ':', len);
        if (len > 4 && memcmp(word, "arn:", 4) == 0)
                return len;
        if (sep && announces_secret(word, (size_t) (sep - word)))
                return (size_t) (sep - word) + 1;
        return after_announcement || len > longest ? 0 : len;
}

char *aws_mask(char *out, size_t size, const char *in, size_t len, size_t longest) {
        char words[1024];
        size_t at = 0;
        bool announced = false;

        for (size_t i = 0; i < len && at + 8 < sizeof words;) {
                size_t n = 0, shown;

                while (i + n < len && in[i + n] && !strchr(ENDS, in[i + n]))
                        n++;
                shown = shown_length(in + i, n, longest, announced);
                if (n > 0)
                        announced = shown > 0 && strchr("=:", in[i + shown - 1]) &&
                                    announces_secret(in + i, shown);
                if (at + shown + 8 > sizeof words)
                        break;
                memcpy(words + at, in + i, shown);
                at += shown;
                if (shown < n)
                        at += (size_t) snprintf(words + at, sizeof words - at, "…");
                if (shown < n)
                        announced = false;
                i += n;
                if (i < len)
                        words[at++] = in[i++];
        }
        return text_clean(out, size, words, at);
}
