/* SPDX-License-Identifier: Apache-2.0 */
/* query-loop DATABASE ACCOUNT: asks for one user after another by e-mail address, as somebody else's
 * program would, each a millisecond after the answer before, until stdin ends.  Prints how many answers
 * there were and, in microseconds, their median, their 99th percentile and the slowest. */
#include <poll.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ADDRESSES ((size_t) 20000)
#define ANSWERS ((size_t) 1000000) /* a quarter of an hour */
#define PAUSE_MS 1

static char *addresses[ADDRESSES];
static size_t n_addresses, n_answers;
static uint32_t usecs[ANSWERS];

static uint64_t now_usec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

/* Some of the account's addresses, from all over the table. */
static int load(sqlite3 *db, const char *account) {
        static const char sql[] = "SELECT primary_email FROM users WHERE account = ?1"
                                  " AND primary_email IS NOT NULL ORDER BY random() LIMIT ?2";
        sqlite3_stmt *st = NULL;
        int r = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

        if (r == SQLITE_OK)
                r = sqlite3_bind_text(st, 1, account, -1, SQLITE_STATIC);
        if (r == SQLITE_OK)
                r = sqlite3_bind_int(st, 2, (int) ADDRESSES);
        while (r == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW && n_addresses < ADDRESSES) {
                addresses[n_addresses] = strdup((const char *) sqlite3_column_text(st, 0));
                r = addresses[n_addresses++] ? SQLITE_OK : SQLITE_NOMEM;
        }
        (void) sqlite3_finalize(st);
        return r == SQLITE_OK && n_addresses > 0 ? 0 : -1;
}

static int ask(sqlite3_stmt *st, const char *address) {
        uint64_t begin = now_usec();
        int rows = 0, r;

        if (sqlite3_bind_text(st, 1, address, -1, SQLITE_STATIC) != SQLITE_OK)
                return -1;
        while ((r = sqlite3_step(st)) == SQLITE_ROW)
                rows++;
        (void) sqlite3_reset(st);
        usecs[n_answers++] = (uint32_t) (now_usec() - begin);
        return r == SQLITE_DONE && rows > 0 ? 0 : -1;
}

static int loop(sqlite3 *db) {
        struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
        sqlite3_stmt *st = NULL;
        int failed = sqlite3_prepare_v2(db, "SELECT * FROM users WHERE primary_email = ?1", -1, &st,
                                        NULL) != SQLITE_OK;

        printf("ready\n");
        (void) fflush(stdout);
        while (!failed && n_answers < ANSWERS && poll(&fd, 1, PAUSE_MS) == 0)
                failed = ask(st, addresses[n_answers % n_addresses]) < 0;
        (void) sqlite3_finalize(st);
        return failed ? -1 : 0;
}

static int compare(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

        return (x > y) - (x < y);
}

int main(int argc, char *argv[]) {
        sqlite3 *db = NULL;
        int failed = argc != 3 ||
                     sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
                     sqlite3_busy_timeout(db, 10000) != SQLITE_OK || load(db, argv[2]) < 0 ||
                     loop(db) < 0;

        if (failed)
                fprintf(stderr, "query-loop: %s\n", db ? sqlite3_errmsg(db) : "usage");
        qsort(usecs, n_answers, sizeof *usecs, compare);
        if (n_answers > 0)
                printf("%zu %u %u %u\n", n_answers, usecs[n_answers / 2],
                       usecs[n_answers * 99 / 100], usecs[n_answers - 1]);
        for (size_t i = 0; i < n_addresses; i++)
                free(addresses[i]);
        (void) sqlite3_close(db);
        return failed;
}
