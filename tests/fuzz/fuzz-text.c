/* SPDX-License-Identifier: Apache-2.0 */
/* The small parsers and printers that all others stand on, each against something that was written by
 * others, or against its own inverse: JSON texts, UTF-8, cleaning, times, durations, numbers, words
 * of a shell, and rosterctl's times and command lines. */
#include <errno.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/jsontext.h"
#include "base/number.h"
#include "base/shellsplit.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "base/timespan.h"
#include "ctl/when.h"
#include "ctl/width.h"
#include "fuzz.h"

#define NOW INT64_C(1770091506789)
#define MS_YEAR_0 INT64_C(-62167219200000)
#define MS_YEAR_10000 INT64_C(253402300800000)

/* ---- bytes ---- */

/* glibc's opinion of whether the bytes are UTF-8.  It takes NUL for a character, and what lies beyond
 * Unicode, too. */
static bool iconv_takes(const char *text, size_t len) {
        static iconv_t cd;
        CLEANUP_FREE char *out = malloc(4 * len + 4);
        char *in = (char *) (uintptr_t) text, *to = out;
        size_t room = 4 * len + 4;
        bool good;

        if (!cd)
                cd = iconv_open("UCS-4LE", "UTF-8");
        demand(cd != (iconv_t) -1 && out);
        (void) iconv(cd, NULL, NULL, NULL, NULL);
        good = iconv(cd, &in, &len, &to, &room) != (size_t) -1;
        for (char *c = out; good && c < to; c += 4) /* little-endian: U+10FFFF is ff ff 10 00 */
                good = c[3] == 0 && (unsigned char) c[2] <= 0x10;
        return good;
}

static void check_utf8(const char *text, size_t len) {
        demand(text_is_utf8(text, len) == (iconv_takes(text, len) && !memchr(text, '\0', len)));
}

static void check_clean(const char *text, size_t len) {
        static const size_t sizes[] = { 4, 5, 16, 4096 };

        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                char out[4096], again[4096];

                (void) text_clean(out, sizes[i], text, len);
                demand(strlen(out) < sizes[i] && text_is_utf8(out, strlen(out)));
                demand(fuzz_is_clean(out) && !strstr(out, "  ") && *out != ' ');
                demand(strcmp(text_clean(again, sizes[i] + 8 <= 4096 ? sizes[i] + 8 : 4096, out,
                                         strlen(out)),
                              out) == 0);
        }
}

/* Whatever the bytes, JSON comes out; and they come back, where they are UTF-8. */
static void check_jsontext(const char *text, size_t len) {
        CLEANUP(jsontext_clear) JsonText j = { 0 };
        CLEANUP_JSON json_object *o = NULL;
        CLEANUP_FREE char *out = NULL;
        json_object *v = NULL;

        jsontext_open(&j, NULL, '{');
        jsontext_bytes(&j, "a", text, len);
        jsontext_open(&j, text, '[');
        jsontext_string(&j, NULL, text);
        jsontext_number(&j, NULL, INT64_MIN);
        jsontext_close(&j, ']');
        jsontext_close(&j, '}');
        demand(jsontext_finish(&j, &out) == 0);
        demand(fuzz_json(out, strlen(out), &o) && text_is_utf8(out, strlen(out)));
        if (!iconv_takes(text, len) || strcmp(text, "a") == 0)
                return;
        demand(json_object_object_get_ex(o, "a", &v));
        demand((size_t) json_object_get_string_len(v) == len);
        demand(memcmp(json_object_get_string(v), text, len) == 0);
        demand(json_object_object_get_ex(o, text, &v) && json_object_array_length(v) == 2);
}

static void check_width(const char *text, size_t len, size_t limit) {
        CLEANUP_FREE char *copy = malloc(len + 1), *clean = malloc(len + 16);
        size_t width, used = 0, fits;

        demand(copy && clean);
        (void) text_clean(clean, len + 16, text, len);
        len = strlen(clean);
        width = text_width(clean, len);
        fits = text_fit(clean, len, limit, &used);
        demand(width <= 2 * len && used <= limit && fits <= len);
        demand(text_width(clean, fits) == used && text_is_utf8(clean, fits));
        demand((fits == len) == (width <= limit) || used == limit);
        copy = memcpy(copy, clean, len < strlen(clean) ? len : strlen(clean));
        len = text_to_ascii(copy, len);
        for (size_t i = 0; i < len; i++)
                demand(copy[i] > 0);
        demand(len == width);
}

/* ---- times ---- */

/* As the C library writes it. */
static void check_format(int64_t ms) {
        char ours[TIME_TEXT_SIZE], theirs[64];
        int64_t second = ms / 1000 - (ms % 1000 < 0), again = 0;
        time_t t = (time_t) second;
        struct tm tm;

        demand(ms >= MS_YEAR_0 && ms < MS_YEAR_10000);
        time_format(ms, ours);
        demand(gmtime_r(&t, &tm) != NULL);
        (void) snprintf(theirs, sizeof theirs, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                        tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                        tm.tm_sec, (int) (ms - second * 1000));
        demand(strcmp(ours, theirs) == 0);
        if (tm.tm_year + 1900 > 0)
                demand(time_parse(ours, &again) == 0 && again == ms);
}

static void check_time(const char *text) {
        char ours[TIME_TEXT_SIZE];
        double seconds = 0;
        int64_t ms = 0;
        bool canonical = false;

        if (time_parse(text, &ms) == 0) {
                check_format(ms);
                time_format(ms, ours);
                canonical = strcmp(ours, text) == 0;
                /* written as we write it, and no leap second */
                if (strlen(text) == 24 && text[10] == 'T' && text[19] == '.' && text[23] == 'Z' &&
                    text[17] != '6')
                        demand(canonical);
        }
        demand(time_is_canonical(text, strlen(text)) == canonical);
        memcpy(&seconds, text, strnlen(text, sizeof seconds));
        if (time_from_epoch(seconds, &ms) == 0)
                check_format(ms);
}

static void check_timespan(const char *text) {
        uint64_t usec = 0, again = 0;
        char ours[64], twice[64];

        if (timespan_parse(text, &usec) < 0)
                return;
        demand(usec <= UINT64_C(300) * 31557600 * USEC_PER_SEC);
        demand(usec >= strtoull(text, NULL, 10)); /* no unit is below a microsecond */
        timespan_format(usec, ours, sizeof ours);
        demand(timespan_parse(ours, &again) == 0 && again <= usec);
        timespan_format(again, twice, sizeof twice);
        demand(strcmp(ours, twice) == 0);
}

/* In a zone where days begin later than in Greenwich, and in UTC. */
static void check_when(const char *text) {
        int64_t here = 0, utc = 0;
        Error err = { 0 };
        int r;

        demand(setenv("TZ", "EST5EDT,M3.2.0,M11.1.0", 1) == 0);
        tzset();
        r = when_parse(text, NOW, false, &here, &err);
        demand(r == 0 || (r == -EINVAL && *err.msg));
        if (r == 0)
                check_format(here);
        if (when_parse(text, NOW, true, &utc, &err) < 0)
                return;
        check_format(utc);
        if (r == 0)
                demand(llabs(here - utc) <= INT64_C(86400000));
}

/* ---- numbers and words ---- */

static void check_number(const char *text) {
        bool digits = text[*text == '-'] &&
                      !text[(*text == '-') + strspn(text + (*text == '-'), "0123456789")];
        int64_t n = 0;
        long long theirs;
        int r = number_parse(text, INT64_MIN, INT64_MAX, &n);

        demand(digits ? r != -EINVAL : r < 0);
        if (!digits)
                return;
        errno = 0;
        theirs = strtoll(text, NULL, 10);
        demand((r == -ERANGE) == (errno == ERANGE));
        demand(r < 0 || n == theirs);
        demand(r < 0 || (number_parse(text, 1, 200, &n) == 0) == (theirs >= 1 && theirs <= 200));
}

/* Each word in single quotes, as a shell would have it. */
static char *quote_words(const Words *words) {
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);

        demand(f != NULL);
        for (size_t i = 0; i < words->count; i++) {
                fputs(" '", f);
                for (const char *p = words->items[i]; *p; p++)
                        if (*p == '\'')
                                fputs("'\\''", f);
                        else
                                (void) fputc(*p, f);
                fputs("'", f);
        }
        demand(fclose(f) == 0);
        return text;
}

static void check_words(const char *text) {
        CLEANUP(words_clear) Words words = { 0 }, again = { 0 };
        CLEANUP_FREE char *quoted = NULL;
        Error err = { 0 };

        if (shell_split(text, &words, &err) < 0) {
                demand(err.code == -EINVAL && words.count == 0);
                return;
        }
        quoted = quote_words(&words);
        demand(shell_split(quoted, &again, &err) == 0 && again.count == words.count);
        for (size_t i = 0; i < words.count; i++)
                demand(strcmp(words.items[i], again.items[i]) == 0);
        demand(words.count == 0 || words.items[words.count] == NULL);
}

/* The first byte: which of them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = input_of(data, size);
        unsigned which = input_byte(&in);
        size_t len = 0;
        CLEANUP_FREE char *text = input_rest(&in, &len);

        switch (which) {
        case '0':
                check_utf8(text, len);
                check_clean(text, len);
                break;
        case '1':
                check_jsontext(text, len);
                break;
        case '2':
                check_time(text);
                break;
        case '3':
                check_timespan(text);
                break;
        case '4':
                check_when(text);
                break;
        case '5':
                check_number(text);
                break;
        case '6':
                check_words(text);
                break;
        default:
                check_width(text, len, which & 63);
                break;
        }
        return 0;
}
