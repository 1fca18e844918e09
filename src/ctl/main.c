/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>

#include "base/file.h"
#include "ctl/command.h"

int main(int argc, char *argv[]) {
        file_hold_standard();
        (void) setlocale(LC_CTYPE, "");
        /* A reader that goes away ends us as it ends other tools, also where that was ignored. */
        (void) signal(SIGPIPE, SIG_DFL);
        return commands_run(argc, argv);
}
