/* SPDX-License-Identifier: Apache-2.0 */
/* parse-loop FILE: reads the pages that tests/bench/list-loop.c has kept into memory, then has json-c
 * parse each of them, and nothing more.  The reference for a first import.  Prints how many seconds the
 * parsing took, by the wall clock and of CPU. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds(clockid_t clock) {
        struct timespec ts;

        (void) clock_gettime(clock, &ts);
        return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

static char *read_all(const char *path, size_t *ret_len) {
        FILE *f = fopen(path, "re");
        char *data = NULL;
        long len;

        if (f && fseek(f, 0, SEEK_END) == 0 && (len = ftell(f)) >= 0 &&
            fseek(f, 0, SEEK_SET) == 0) {
                *ret_len = (size_t) len;
                data = malloc(*ret_len + 1);
                if (data && fread(data, 1, *ret_len, f) != *ret_len) {
                        free(data);
                        data = NULL;
                }
        }
        if (f)
                (void) fclose(f);
        if (data)
                data[*ret_len] = '\0';
        return data;
}

static int parse(json_tokener *tok, const char *page, size_t len) {
        json_object *o;

        json_tokener_reset(tok);
        o = json_tokener_parse_ex(tok, page, (int) len);
        (void) json_object_put(o);
        return o ? 0 : -1;
}

int main(int argc, char *argv[]) {
        json_tokener *tok = json_tokener_new();
        size_t total = 0;
        char *data = argc == 2 ? read_all(argv[1], &total) : NULL;
        double wall, cpu;
        int failed = !tok || !data;

        wall = seconds(CLOCK_MONOTONIC);
        cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (size_t at = 0; !failed && at < total;) {
                char *page;
                size_t len = strtoul(data + at, &page, 16);

                page++; /* the newline */
                at = (size_t) (page - data) + len;
                failed = at > total || parse(tok, page, len) < 0;
        }
        wall = seconds(CLOCK_MONOTONIC) - wall;
        cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        printf("%.6f %.6f\n", wall, cpu);
        free(data);
        if (tok)
                json_tokener_free(tok);
        return failed;
}
