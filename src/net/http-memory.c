/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's memory, wiped when it is freed: libcurl keeps copies of keys, posted bodies and headers,
 * and frees them as they are. */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/http-internal.h"

static void free_wiped(void *p) {
        if (p)
                explicit_bzero(p, malloc_usable_size(p));
        free(p);
}

/* Not realloc(), which leaves the old place as it was. */
static void *realloc_wiped(void *p, size_t size) {
        size_t old = p ? malloc_usable_size(p) : 0;
        void *grown;

        if (p && size > 0 && size <= old && size >= old / 2)
                return p;
        grown = malloc(size ? size : 1);
        if (!grown)
                return NULL;
        if (p)
                memcpy(grown, p, old < size ? old : size);
        free_wiped(p);
        return grown;
}

CURLcode http_memory_init(void) {
        return curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, free_wiped, realloc_wiped, strdup,
                                    calloc);
}
