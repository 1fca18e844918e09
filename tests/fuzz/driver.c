/* SPDX-License-Identifier: Apache-2.0 */
/* main() of a fuzz target where there is no libFuzzer: runs the files that it is given, as libFuzzer
 * itself would, and says so in the same words. */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

#define INPUT_MAX ((size_t) 1 << 20)

/* Not by file_read(), which a target may play itself. */
static int run_file(const char *path) {
        CLEANUP_FREE uint8_t *data = malloc(INPUT_MAX);
        FILE *f = fopen(path, "rbe");
        size_t len;
        bool whole;

        if (!data || !f) {
                perror(path);
                return -1;
        }
        len = fread(data, 1, INPUT_MAX, f);
        whole = !ferror(f) && feof(f);
        (void) fclose(f);
        if (!whole) {
                (void) fprintf(stderr, "%s: cannot be read whole\n", path);
                return -1;
        }
        (void) fprintf(stderr, "Running: %s\n", path);
        (void) LLVMFuzzerTestOneInput(data, len);
        (void) fprintf(stderr, "Executed %s\n", path);
        return 0;
}

int main(int argc, char *argv[]) {
        for (int i = 1; i < argc; i++)
                if (run_file(argv[i]) < 0)
                        return 1;
        return 0;
}
