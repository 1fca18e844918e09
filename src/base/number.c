/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include <errno.h>
#include <stdbool.h>

int number_parse(const char *text, int64_t min, int64_t max, int64_t *ret) {
        bool negative = *text == '-';
        int64_t n = 0;

        text += negative;
        if (!*text)
                return -EINVAL;
        for (; *text; text++) {
                if (*text < '0' || *text > '9')
                        return -EINVAL;
                /* downwards, for there is one number more below 0 */
                if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, *text - '0', &n))
                        return -ERANGE;
        }
        if (!negative && __builtin_sub_overflow(0, n, &n))
                return -ERANGE;
        if (n < min || n > max)
                return -ERANGE;
        *ret = n;
        return 0;
}
