/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "daemon/daemon.h"
#include "daemon/options.h"

/* What was asked for and nobody gets to read was not done. */
static int finish(int status) {
        if (fflush(stdout) == 0 && !ferror(stdout))
                return status;
        fprintf(stderr, "rosterd: cannot write the output: %s\n", strerror(errno));
        return status == 0 ? EXIT_OUTPUT : status;
}

int main(int argc, char *argv[]) {
        Options options;

        file_hold_standard();
        switch (options_parse(argc, argv, &options)) {
        case OPTIONS_DONE:
                return finish(0);
        case OPTIONS_WRONG:
                return EXIT_USAGE;
        case OPTIONS_RUN:
                break;
        }
        return finish(daemon_run(&options));
}
