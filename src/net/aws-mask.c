/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "net/aws-process.h"

#define ENDS " \t\r\n\"'`,;()[]{}<>"

static bool announces_secret(const char *word, size_t len) {
        static const char *const words[] = {
                "secret", "token", "passw", "pwd", "key", "credential"
        };

        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
                for (size_t at = 0, n = strlen(words[i]); at + n <= len; at++)
                        if (strncasecmp(word + at, words[i], n) == 0)
                                return true;
        return false;
}

/* user:password@ of a URL, or what may be. */
static bool has_login(const char *word, size_t len) {
        const char *scheme = memmem(word, len, "://", 3);

        return scheme && memchr(scheme, '@', len - (size_t) (scheme - word));
}

/* What the words so far say of the next one. */
typedef struct Context {
        bool named; /* the last word was a secret's name alone: after "=" or ":" comes the secret */
        bool announced; /* the next word is the secret */
} Context;

/* How much of a word is shown; the rest is masked. */
static size_t shown_length(const char *word, size_t len, size_t longest, const Context *c) {
        if (len > 4 && memcmp(word, "arn:", 4) == 0)
                return len;
        if (has_login(word, len))
                return 0;
        for (size_t at = 0; at < len; at++) {
                if (word[at] != '=' && word[at] != ':')
                        continue;
                if (at > AWS_WORD_SHOWN) /* "key" stands in many a token, too */
                        return 0;
                if (at == 0 ? c->named : announces_secret(word, at))
                        return at + 1;
        }
        return c->announced || len > longest ? 0 : len;
}

static void go_past(Context *c, const char *word, size_t len, size_t shown) {
        bool ends = shown > 0 && strchr("=:", word[shown - 1]);
        bool names = announces_secret(word, shown);

        c->announced = shown == len && ends && (names || (len == 1 && c->named));
        c->named = shown == len && !ends && names;
}

char *aws_mask(char *out, size_t size, const char *in, size_t len, size_t longest) {
        char words[1024];
        size_t at = 0;
        Context context = { 0 };

        for (size_t i = 0; i < len && at + 8 < sizeof words;) {
                size_t n = 0, shown;

                while (i + n < len && in[i + n] && !strchr(ENDS, in[i + n]))
                        n++;
                shown = shown_length(in + i, n, longest, &context);
                if (n > 0)
                        go_past(&context, in + i, n, shown);
                if (at + shown + 8 > sizeof words)
                        break;
                memcpy(words + at, in + i, shown);
                at += shown;
                if (shown < n)
                        at += (size_t) snprintf(words + at, sizeof words - at, "…");
                i += n;
                if (i < len)
                        words[at++] = in[i++];
        }
        return text_clean(out, size, words, at);
}
