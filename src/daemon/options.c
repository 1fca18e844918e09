/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/options.h"

#include <getopt.h>
#include <stdio.h>

#include "config.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif
#define CONFIG_DEFAULT SYSCONFDIR "/rosterd/rosterd.conf"

static void print_help(void) {
        printf("Usage: rosterd [OPTION]...\n"
               "       rosterd --once [ACCOUNT]...\n"
               "\n"
               "Keep a local roster of the users of Amazon Chime accounts, and say what changed.\n"
               "\n"
               "  -c, --config FILE   the configuration (default %s)\n"
               "      --once          sync all accounts, or those named, now; tell what changed; "
               "exit\n"
               "      --check-config  say every mistake in the configuration, and exit\n"
               "      --credentials   with --check-config: also say where each account's AWS keys "
               "come\n"
               "                      from, and whether they can be had\n"
               "      --version       print the version and exit\n"
               "  -h, --help          print this text and exit\n"
               "\n"
               "Without --once rosterd runs until SIGTERM, and reads its configuration again on "
               "SIGHUP.\n"
               "\n"
               "Exit status: 0 all is well; 1 an account could not be synced, or has no "
               "credentials,\n"
               "or (--once) a webhook has yet to take events; 2 wrong usage; 65 the database is "
               "damaged,\n"
               "newer, or not rosterd's; 73 it cannot be opened or written, or the output cannot; "
               "74 some\n"
               "other failure; 75 another rosterd has it; 78 the configuration is bad.\n"
               "\n"
               "See rosterd(8) and rosterd.conf(5).\n",
               CONFIG_DEFAULT);
}

/* Says what does not. */
static bool go_together(const Options *o) {
        if (o->n_accounts > 0 && !o->once) {
                fprintf(stderr,
                        "rosterd: '%s' is not an option; to sync that account now, say "
                        "'rosterd --once %s'.\n",
                        o->accounts[0], o->accounts[0]);
                return false;
        }
        if (!*o->config) {
                fprintf(stderr, "rosterd: --config is empty; name a file, or leave it out.\n");
                return false;
        }
        if (o->once && o->check_config) {
                fprintf(stderr, "rosterd: --once and --check-config do not go together.\n");
                return false;
        }
        if (o->credentials && !o->check_config) {
                fprintf(stderr, "rosterd: --credentials goes with --check-config only.\n");
                return false;
        }
        return true;
}

OptionsVerdict options_parse(int argc, char *argv[], Options *ret) {
        enum { OPT_ONCE = 256, OPT_CHECK_CONFIG, OPT_CREDENTIALS, OPT_VERSION };
        static const struct option table[] = {
                { "config", required_argument, NULL, 'c' },
                { "once", no_argument, NULL, OPT_ONCE },
                { "check-config", no_argument, NULL, OPT_CHECK_CONFIG },
                { "credentials", no_argument, NULL, OPT_CREDENTIALS },
                { "version", no_argument, NULL, OPT_VERSION },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        Options o = { .config = CONFIG_DEFAULT };
        int c;

        while ((c = getopt_long(argc, argv, "c:h", table, NULL)) != -1) {
                switch (c) {
                case 'c':
                        o.config = optarg;
                        break;
                case OPT_ONCE:
                        o.once = true;
                        break;
                case OPT_CHECK_CONFIG:
                        o.check_config = true;
                        break;
                case OPT_CREDENTIALS:
                        o.credentials = true;
                        break;
                case OPT_VERSION:
                        printf("rosterd %s\n", PACKAGE_VERSION);
                        return OPTIONS_DONE;
                case 'h':
                        print_help();
                        return OPTIONS_DONE;
                default: /* getopt has said what is wrong */
                        fprintf(stderr, "Try 'rosterd --help'.\n");
                        return OPTIONS_WRONG;
                }
        }
        o.accounts = argv + optind;
        o.n_accounts = (size_t) (argc - optind);
        if (!go_together(&o))
                return OPTIONS_WRONG;
        *ret = o;
        return OPTIONS_RUN;
}
