/* SPDX-License-Identifier: Apache-2.0 */
/* main() of a fuzz target where there is no libFuzzer: runs the files that it is given, as libFuzzer
 * itself would, and says so in the same words. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "fuzz.h"

#define INPUT_MAX ((size_t) 1 << 24)

int main(int argc, char *argv[]) {
        for (int i = 1; i < argc; i++) {
                CLEANUP_FREE char *text = NULL;
                Error err = { 0 };
                size_t len = 0;

                if (file_read(argv[i], INPUT_MAX, &text, &len, &err) < 0) {
                        (void) fprintf(stderr, "%s: %s\n", argv[i], err.msg);
                        return 1;
                }
                (void) fprintf(stderr, "Running: %s\n", argv[i]);
                (void) LLVMFuzzerTestOneInput((const uint8_t *) text, len);
                (void) fprintf(stderr, "Executed %s\n", argv[i]);
        }
        return 0;
}
