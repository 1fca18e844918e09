/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* RFC 8259, as plainly as it can be written: the judge of what page_cut() accepts.  Beyond the RFC it
 * refuses what page_cut() says that it refuses: deep nesting, and NUL in the name of a member. */

#include <stdbool.h>
#include <string.h>

#include "source/page-cut.h"

/* Returns what is behind the value, or NULL. */
static inline const char *judge_value(const char *p, const char *end, int depth);

static inline const char *judge_blank(const char *p, const char *end) {
        while (p < end && memchr(" \t\r\n", *p, 4))
                p++;
        return p;
}

static inline const char *judge_string(const char *p, const char *end, bool name) {
        if (p == end || *p++ != '"')
                return NULL;
        for (; p < end && *p != '"'; p++) {
                if ((unsigned char) *p < 0x20)
                        return NULL;
                if (*p != '\\')
                        continue;
                if (++p == end)
                        return NULL;
                if (*p == 'u') {
                        if (end - p < 5 || strspn(p + 1, "0123456789abcdefABCDEF") < 4 ||
                            (name && memcmp(p + 1, "0000", 4) == 0))
                                return NULL;
                        p += 4;
                } else if (!memchr("\"\\/bfnrt", *p, 8))
                        return NULL;
        }
        return p == end ? NULL : p + 1;
}

static inline const char *judge_number(const char *p, const char *end) {
        const char *start;

        if (p < end && *p == '-')
                p++;
        start = p;
        while (p < end && *p >= '0' && *p <= '9')
                p++;
        if (p == start || (*start == '0' && p - start > 1))
                return NULL;
        if (p < end && *p == '.') {
                start = ++p;
                while (p < end && *p >= '0' && *p <= '9')
                        p++;
                if (p == start)
                        return NULL;
        }
        if (p < end && (*p == 'e' || *p == 'E')) {
                p++;
                if (p < end && (*p == '+' || *p == '-'))
                        p++;
                start = p;
                while (p < end && *p >= '0' && *p <= '9')
                        p++;
                if (p == start)
                        return NULL;
        }
        return p;
}

static inline const char *judge_container(const char *p, const char *end, int depth) {
        char close = *p == '{' ? '}' : ']';

        if (depth == PAGE_DEPTH_MAX)
                return NULL;
        p = judge_blank(p + 1, end);
        if (p < end && *p == close)
                return p + 1;
        for (;;) {
                if (close == '}') {
                        p = judge_string(p, end, true);
                        if (!p)
                                return NULL;
                        p = judge_blank(p, end);
                        if (p == end || *p != ':')
                                return NULL;
                        p = judge_blank(p + 1, end);
                }
                p = judge_value(p, end, depth + 1);
                if (!p)
                        return NULL;
                p = judge_blank(p, end);
                if (p < end && *p == close)
                        return p + 1;
                if (p == end || *p != ',')
                        return NULL;
                p = judge_blank(p + 1, end);
        }
}

static inline const char *judge_value(const char *p, const char *end, int depth) {
        static const char *const words[] = { "true", "false", "null" };

        if (p == end)
                return NULL;
        if (*p == '{' || *p == '[')
                return judge_container(p, end, depth);
        if (*p == '"')
                return judge_string(p, end, false);
        for (size_t i = 0; i < 3; i++)
                if ((size_t) (end - p) >= strlen(words[i]) &&
                    memcmp(p, words[i], strlen(words[i])) == 0)
                        return p + strlen(words[i]);
        return judge_number(p, end);
}

static inline bool is_json(const char *text, size_t len) {
        const char *end = text + len, *p = judge_value(judge_blank(text, end), end, 0);

        return p && judge_blank(p, end) == end;
}
