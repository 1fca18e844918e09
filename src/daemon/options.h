/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct Options {
        const char *config; /* path of the configuration file */
        bool once, check_config, credentials;
        char *const *accounts; /* for once; none: all */
        size_t n_accounts;
} Options;

typedef enum OptionsVerdict {
        OPTIONS_RUN,
        OPTIONS_DONE = 1, /* --help or --version was printed: exit 0 */
        OPTIONS_WRONG,    /* a sentence was printed to stderr: exit EXIT_USAGE */
} OptionsVerdict;

/* Reads the command line; texts are borrowed from argv.  Returns an OptionsVerdict. */
OptionsVerdict options_parse(int argc, char *argv[], Options *ret);
