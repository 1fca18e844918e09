/* SPDX-License-Identifier: Apache-2.0 */
/* chime-emulator: the part of Amazon Chime that rosterd uses, for tests and demonstrations. */
#include "http.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MAX_ACCOUNTS 64
#define DEFAULT_ACCOUNT "0f2c1d5e-8a41-4c6e-9b57-1f0e2d3c4b5a"
#define DEFAULT_KEY "AKIDEXAMPLE"
#define DEFAULT_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

typedef struct Options {
        ServerOptions server;
        const char *accounts[MAX_ACCOUNTS];
        size_t n_accounts;
        unsigned long users, seed;
        double rate;
        const char *key, *secret, *token;
        bool gzip, die_with_parent;
} Options;

static const char usage[] =
        "Usage: chime-emulator [OPTION…]\n"
        "Serves Amazon Chime's ListUsers on 127.0.0.1, for tests.\n\n"
        "  --port N             listen there; 0, the default, takes a free port\n"
        "  --users N            how many users each account has at first (default 450)\n"
        "  --seed S             make up other users (default 1)\n"
        "  --account ID         an account; may be repeated\n"
        "                       (default " DEFAULT_ACCOUNT ")\n"
        "  --access-key K       (default " DEFAULT_KEY ")\n"
        "  --secret-key S       (default " DEFAULT_SECRET ")\n"
        "  --session-token T    require this token\n"
        "  --rate N             requests a second and account; more get a 429\n"
        "  --gzip               compress answers for clients that ask for it\n"
        "  --threads N          serving threads (default 4)\n"
        "  --tls-cert FILE      serve HTTPS with this PEM certificate\n"
        "  --tls-key FILE       and this key\n"
        "  --die-with-parent    end when the parent process ends\n"
        "  --help               show this\n";

static char *read_file(const char *path) {
        FILE *f = fopen(path, "re");
        Buf b = { 0 };
        char chunk[4096];
        size_t n;

        if (!f) {
                perror(path);
                exit(1);
        }
        while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
                buf_add(&b, chunk, n);
        (void) fclose(f);
        return buf_steal(&b);
}

static unsigned long number_or_exit(const char *name, const char *text, unsigned long most) {
        char *end;
        unsigned long n = strtoul(text, &end, 10);

        if (!*text || *end || *text == '-' || n > most) {
                fprintf(stderr, "chime-emulator: --%s: not a number from 0 to %lu: %s\n", name,
                        most, text);
                exit(2);
        }
        return n;
}

static void set_option(Options *o, int c, const char *name, const char *value) {
        switch (c) {
        case 'p':
                o->server.port = (uint16_t) number_or_exit(name, value, 65535);
                break;
        case 'u':
                o->users = number_or_exit(name, value, 10000000);
                break;
        case 's':
                o->seed = number_or_exit(name, value, UINT32_MAX);
                break;
        case 'a':
                if (o->n_accounts < MAX_ACCOUNTS)
                        o->accounts[o->n_accounts++] = value;
                break;
        case 'k':
                o->key = value;
                break;
        case 'S':
                o->secret = value;
                break;
        case 't':
                o->token = value;
                break;
        case 'r':
                o->rate = (double) number_or_exit(name, value, 1000000);
                break;
        case 'z':
                o->gzip = true;
                break;
        case 'n':
                o->server.threads = (unsigned) number_or_exit(name, value, 64);
                break;
        case 'C':
                o->server.tls_cert = read_file(value);
                break;
        case 'K':
                o->server.tls_key = read_file(value);
                break;
        case 'd':
                o->die_with_parent = true;
                break;
        default:
                break;
        }
}

static void parse_options(int argc, char **argv, Options *o) {
        static const struct option names[] = {
                { "port", required_argument, NULL, 'p' },
                { "users", required_argument, NULL, 'u' },
                { "seed", required_argument, NULL, 's' },
                { "account", required_argument, NULL, 'a' },
                { "access-key", required_argument, NULL, 'k' },
                { "secret-key", required_argument, NULL, 'S' },
                { "session-token", required_argument, NULL, 't' },
                { "rate", required_argument, NULL, 'r' },
                { "gzip", no_argument, NULL, 'z' },
                { "threads", required_argument, NULL, 'n' },
                { "tls-cert", required_argument, NULL, 'C' },
                { "tls-key", required_argument, NULL, 'K' },
                { "die-with-parent", no_argument, NULL, 'd' },
                { "help", no_argument, NULL, 'h' },
                { NULL, 0, NULL, 0 },
        };
        int c, index = 0;

        while ((c = getopt_long(argc, argv, "", names, &index)) != -1) {
                if (c == 'h') {
                        (void) fputs(usage, stdout);
                        exit(0);
                }
                if (c == '?')
                        exit(2);
                set_option(o, c, names[index].name, optarg);
        }
        if (optind < argc || !o->server.tls_cert != !o->server.tls_key) {
                (void) fputs(optind < argc ? "chime-emulator: no arguments are expected\n"
                                           : "chime-emulator: --tls-cert needs --tls-key\n",
                             stderr);
                exit(2);
        }
        if (o->n_accounts == 0)
                o->accounts[o->n_accounts++] = DEFAULT_ACCOUNT;
}

/* When stopping takes long, for whatever reason, it is over all the same. */
static void on_alarm(int signal_number) {
        (void) signal_number;
        _exit(0);
}

static void wait_for_signal(const sigset_t *set) {
        struct sigaction action = { .sa_handler = on_alarm };
        int number;

        (void) sigwait(set, &number);
        (void) sigaction(SIGALRM, &action, NULL);
        (void) alarm(1);
}

int main(int argc, char **argv) {
        Options o = {
                .server.threads = 4,
                .users = 450,
                .seed = 1,
                .key = DEFAULT_KEY,
                .secret = DEFAULT_SECRET,
                .token = "",
        };
        Emulator e = { .config.log = true };
        sigset_t set;
        Server *server;

        parse_options(argc, argv, &o);
        if (o.die_with_parent)
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* pages are too large for the defaults: memory would come and go with each of them */
        (void) mallopt(M_MMAP_THRESHOLD, 64 << 20);
        (void) mallopt(M_TRIM_THRESHOLD, 256 << 20);
        (void) signal(SIGPIPE, SIG_IGN);
        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGINT);
        (void) pthread_sigmask(SIG_BLOCK, &set, NULL);

        (void) pthread_mutex_init(&e.lock, NULL);
        e.config.gzip = o.gzip;
        e.config.rate = o.rate;
        e.token_secret = mix64(o.seed);
        (void) emulator_set_credential(&e, o.key, o.secret, o.token);
        for (size_t i = 0; i < o.n_accounts; i++)
                (void) account_generate(emulator_add_account(&e, o.accounts[i], o.seed), 0,
                                        o.users);

        server = server_start(&e, &o.server);
        if (!server) {
                perror("chime-emulator: cannot start");
                return 1;
        }
        printf("listening on %s://127.0.0.1:%u\n", o.server.tls_cert ? "https" : "http",
               (unsigned) server_port(server));
        (void) fflush(stdout);
        wait_for_signal(&set);
        server_stop(server);
        emulator_free(&e);
        free(o.server.tls_cert);
        free(o.server.tls_key);
        return 0;
}
