/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of JSON that leave it JSON, for libFuzzer: its own changes of bytes hardly ever do, and what
 * is no JSON never gets behind the door.  Every other time they have their turn, too. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 512

/* libFuzzer's. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

typedef struct Range {
        size_t at, len;
} Range;

/* What may stand for any value. */
static const char *const values[] = {
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1e3",
        "-0.5",
        "1767323045.5",
        "9223372036854775808",
        "\"\"",
        "\"a\"",
        "\"\\u0000\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "\"\xc3\xa9\"",
        "\"\xff\"",
        "[]",
        "{}",
        "\"Suspended\"",
        "\"Registered\"",
        "\"Pending\"",
        "\"Failed\"",
        "\"2026-01-02T03:04:05.678+02:00\"",
        "{\"UserId\":\"u-9\",\"UserRegistrationStatus\":\"Suspended\"}",
        "[[[[[[[[[[[[]]]]]]]]]]]]",
        "{\"AlexaForBusinessMetadata\":{\"IsAlexaForBusinessEnabled\":true,\"x\":{}}}",
};

/* What may become a member's name. */
static const char *const names[] = {
        "\"Users\"",
        "\"NextToken\"",
        "\"UserId\"",
        "\"AccountId\"",
        "\"PrimaryEmail\"",
        "\"DisplayName\"",
        "\"UserRegistrationStatus\"",
        "\"UserInvitationStatus\"",
        "\"RegisteredOn\"",
        "\"InvitedOn\"",
        "\"PersonalPIN\"",
        "\"LicenseType\"",
        "\"AlexaForBusinessMetadata\"",
        "\"IsAlexaForBusinessEnabled\"",
        "\"AlexaForBusinessRoomArn\"",
        "\"x\"",
        "\"\"",
        "\"\\u0055sers\"",
        "\"request\"",
        "\"account\"",
        "\"accounts\"",
        "\"webhook\"",
        "\"from\"",
        "\"wait\"",
        "\"result\"",
        "\"error\"",
        "\"progress\"",
        "\"state\"",
        "\"code\"",
        "\"message\"",
};

static unsigned rng;

static size_t below(size_t limit) {
        rng = rng * 1664525u + 1013904223u;
        return (rng >> 8) % limit;
}

static size_t string_end(const uint8_t *d, size_t size, size_t at) {
        for (at++; at < size && d[at] != '"'; at++)
                at += d[at] == '\\';
        return at < size ? at + 1 : size;
}

/* Where the value that begins at `at` ends, as far as that can be said of what may be no JSON. */
static size_t value_end(const uint8_t *d, size_t size, size_t at) {
        size_t depth = 0;

        do {
                if (d[at] == '"')
                        at = string_end(d, size, at);
                else if (d[at] == '{' || d[at] == '[')
                        depth++, at++;
                else if (d[at] == '}' || d[at] == ']')
                        depth -= depth > 0, at++;
                else
                        at++;
                if (depth == 0)
                        while (at < size && !memchr(",:]}{[\" \n\t\r", d[at], 11))
                                at++;
        } while (at < size && depth > 0);
        return at;
}

/* All values, names among them, wherever they stand. */
static size_t find_values(const uint8_t *d, size_t size, Range *ret) {
        size_t n = 0;

        for (size_t at = 0; at < size && n < VALUES_MAX;) {
                if (memchr(",:]} \n\t\r", d[at], 8)) {
                        at++;
                        continue;
                }
                ret[n].at = at;
                ret[n++].len = value_end(d, size, at) - at;
                at = d[at] == '{' || d[at] == '[' ? at + 1 : value_end(d, size, at);
        }
        return n;
}

/* Puts a text in the place of a range.  Returns the new size, or the old one where it does not fit. */
static size_t replace(uint8_t *d, size_t size, size_t max, Range r, const void *text, size_t len) {
        if (size - r.len + len > max)
                return size;
        memmove(d + r.at + len, d + r.at + r.len, size - r.at - r.len);
        memcpy(d + r.at, text, len);
        return size - r.len + len;
}

static size_t replace_by(uint8_t *d, size_t size, size_t max, Range r, const char *text) {
        return replace(d, size, max, r, text, strlen(text));
}

/* With the comma that parts it from a neighbour. */
static Range with_comma(const uint8_t *d, size_t size, Range r) {
        if (r.at + r.len < size && d[r.at + r.len] == ',')
                r.len++;
        else if (r.at > 0 && d[r.at - 1] == ',')
                r.at--, r.len++;
        return r;
}

/* The value once more, behind itself; a member with its name. */
static size_t duplicate(uint8_t *d, size_t size, size_t max, Range r) {
        uint8_t *copy = malloc(r.len + 1);

        if (!copy)
                return size;
        copy[0] = ',';
        memcpy(copy + 1, d + r.at, r.len);
        size = replace(d, size, max, (Range){ r.at + r.len, 0 }, copy, r.len + 1);
        free(copy);
        return size;
}

/* The value in another one's place. */
static size_t copy_over(uint8_t *d, size_t size, size_t max, Range from, Range to) {
        uint8_t *copy = malloc(from.len + 1);

        if (!copy)
                return size;
        memcpy(copy, d + from.at, from.len);
        size = replace(d, size, max, to, copy, from.len);
        free(copy);
        return size;
}

static size_t wrap(uint8_t *d, size_t size, size_t max, Range r) {
        static const char *const before[] = { "[", "{\"x\":", "[1,", "[[[[[[[[" },
                                 *const after[] = { "]", "}", "]", "]]]]]]]]" };
        size_t which = below(4), old = size;

        size = replace_by(d, size, max, (Range){ r.at + r.len, 0 }, after[which]);
        return size == old ? size : replace_by(d, size, max, (Range){ r.at, 0 }, before[which]);
}

static size_t change(uint8_t *d, size_t size, size_t max, Range *v, size_t n) {
        Range r = v[below(n)];
        bool is_name = r.at + r.len < size && d[r.at + r.len] == ':';

        switch (below(8)) {
        case 0:
                return replace_by(d, size, max, with_comma(d, size, r), "");
        case 1:
                return duplicate(d, size, max, r);
        case 2:
                return copy_over(d, size, max, v[below(n)], r);
        case 3:
                return wrap(d, size, max, r);
        case 4:
                return replace_by(d, size, max, r, names[below(sizeof names / sizeof names[0])]);
        default:
                return is_name ? replace_by(d, size, max, r,
                                            names[below(sizeof names / sizeof names[0])])
                               : replace_by(d, size, max, r,
                                            values[below(sizeof values / sizeof values[0])]);
        }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
        static Range v[VALUES_MAX];
        size_t n;

        rng = seed;
        if (below(2) == 0)
                return LLVMFuzzerMutate(data, size, max);
        for (size_t times = 1 + below(3); times > 0; times--) {
                n = find_values(data, size, v);
                if (n == 0)
                        return LLVMFuzzerMutate(data, size, max);
                size = change(data, size, max, v, n);
        }
        return size;
}
