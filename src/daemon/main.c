/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"
#include "daemon/options.h"

int main(int argc, char *argv[]) {
        Options options;

        switch (options_parse(argc, argv, &options)) {
        case OPTIONS_DONE:
                return 0;
        case OPTIONS_WRONG:
                return EXIT_USAGE;
        case OPTIONS_RUN:
                break;
        }
        return daemon_run(&options);
}
