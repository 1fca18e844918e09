/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdlib.h>

/* Scope-bound release.  Rules: always initialise at the declaration; hand an
 * object on with take_ptr(); never mix with `goto out` in the same function. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define CLEANUP_FREE CLEANUP(free_charp)

/* Defines `void fn##p(T *p)`, the adaptor that CLEANUP() needs. */
#define DEFINE_CLEANUP(T, fn)            \
        static inline void fn##p(T *p) { \
                if (*p)                  \
                        fn(*p);          \
        }

#define take_ptr(p)                         \
        __extension__({                     \
                __typeof__(p) taken_ = (p); \
                (p) = NULL;                 \
                taken_;                     \
        })

static inline void free_charp(void *p) {
        free(*(void **) p);
}
