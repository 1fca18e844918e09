/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <errno.h>
#include <string.h>

void wipe_free(char *text) {
        if (text)
                explicit_bzero(text, strlen(text));
        free(text);
}

int secret_set(char **slot, const char *text) {
        char *copy = text ? strdup(text) : NULL;

        if (text && !copy)
                return -ENOMEM;
        wipe_free(*slot);
        *slot = copy;
        return 0;
}
