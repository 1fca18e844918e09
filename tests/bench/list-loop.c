/* SPDX-License-Identifier: Apache-2.0 */
/* list-loop [-c CA-FILE] [-j N] [-o FILE] ENDPOINT ACCOUNT…
 *
 * Downloads every page of the accounts' users, N accounts at once (1), as a bare libcurl program would:
 * signed by libcurl, connections kept, bodies only looked at for the next token.  The reference for
 * rosterd's runs.  Bodies go to FILE, each after its length as 8 hexadecimal digits and a newline.
 * Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.  Prints pages and bytes. */
#include <curl/curl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALKS_MAX 64
#define TAIL 512 /* the token is no longer, and stands at the end */

/* One account at a time, page by page. */
typedef struct Walk {
        CURL *easy;
        const char *account;
        char *body;
        size_t len, size;
} Walk;

static CURLM *multi;
static const char *endpoint;
static char **accounts; /* those that are still to come, up to a NULL */
static FILE *bodies;
static size_t under_way; /* transfers */
static unsigned long long pages, bytes;

static size_t on_body(char *data, size_t size, size_t n, void *userdata) {
        Walk *w = userdata;

        n *= size;
        if (w->size - w->len < n) {
                size_t bigger = w->size * 2 > w->len + n ? w->size * 2 : w->len + n;
                char *body = realloc(w->body, bigger);

                if (!body)
                        return 0;
                w->body = body;
                w->size = bigger;
        }
        memcpy(w->body + w->len, data, n);
        w->len += n;
        return n;
}

/* Asks for the page behind the token; NULL: the first one. */
static int ask(Walk *w, const char *token) {
        char *encoded = token ? curl_easy_escape(w->easy, token, 0) : NULL;
        char url[2048];
        int len = snprintf(url, sizeof url, "%s/accounts/%s/users?max-results=200%s%s", endpoint,
                           w->account, token ? "&next-token=" : "", encoded ? encoded : "");

        curl_free(encoded);
        w->len = 0;
        if (len >= (int) sizeof url || (token && !encoded))
                return -1;
        if (curl_easy_setopt(w->easy, CURLOPT_URL, url) != CURLE_OK ||
            curl_multi_add_handle(multi, w->easy) != CURLM_OK)
                return -1;
        under_way++;
        return 0;
}

static int next_account(Walk *w) {
        w->account = *accounts;
        if (!w->account)
                return 0;
        accounts++;
        return ask(w, NULL);
}

/* The page is whole: on with the next one.  Tokens of the emulator hold no escapes. */
static int next_page(Walk *w) {
        static const char name[] = "\"NextToken\":\"";
        size_t n = w->len < TAIL ? w->len : TAIL;
        char *tail = w->body + w->len - n, *token, *end;

        pages++;
        bytes += w->len;
        if (bodies && (fprintf(bodies, "%08zx\n", w->len) < 0 ||
                       fwrite(w->body, 1, w->len, bodies) != w->len))
                return -1;
        token = memmem(tail, n, name, sizeof name - 1);
        if (!token)
                return next_account(w);
        token += sizeof name - 1;
        end = memchr(token, '"', (size_t) (w->body + w->len - token));
        if (!end)
                return -1;
        *end = '\0';
        return ask(w, token);
}

static int prepare(Walk *w, const char *ca) {
        CURL *c = w->easy = curl_easy_init();

        return c && curl_easy_setopt(c, CURLOPT_PRIVATE, w) == CURLE_OK &&
                               curl_easy_setopt(c, CURLOPT_WRITEDATA, w) == CURLE_OK &&
                               curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
                               curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "gzip") == CURLE_OK &&
                               curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 128L << 10) == CURLE_OK &&
                               curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
                               curl_easy_setopt(c, CURLOPT_AWS_SIGV4, "aws:amz:us-east-1:chime") ==
                                       CURLE_OK &&
                               curl_easy_setopt(c, CURLOPT_USERNAME, getenv("AWS_ACCESS_KEY_ID")) ==
                                       CURLE_OK &&
                               curl_easy_setopt(c, CURLOPT_PASSWORD,
                                                getenv("AWS_SECRET_ACCESS_KEY")) == CURLE_OK &&
                               (!ca || curl_easy_setopt(c, CURLOPT_CAINFO, ca) == CURLE_OK)
                       ? 0
                       : -1;
}

static int reap(void) {
        CURLMsg *m;
        int left;

        while ((m = curl_multi_info_read(multi, &left))) {
                CURLcode result = m->data.result;
                CURL *easy = m->easy_handle;
                Walk *w = NULL;

                (void) curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &w);
                (void) curl_multi_remove_handle(multi, easy);
                under_way--;
                if (result != CURLE_OK) {
                        fprintf(stderr, "list-loop: %s\n", curl_easy_strerror(result));
                        return -1;
                }
                if (next_page(w) < 0)
                        return -1;
        }
        return 0;
}

static int run(void) {
        int running;

        while (under_way > 0)
                if (curl_multi_perform(multi, &running) != CURLM_OK || reap() < 0 ||
                    (running > 0 && curl_multi_poll(multi, NULL, 0, 60000, NULL) != CURLM_OK))
                        return -1;
        return 0;
}

int main(int argc, char *argv[]) {
        static Walk walks[WALKS_MAX];
        const char *ca = NULL;
        size_t n = 1;
        int opt, failed = 0;

        while ((opt = getopt(argc, argv, "c:j:o:")) >= 0)
                if (opt == 'c')
                        ca = optarg;
                else if (opt == 'j')
                        n = strtoul(optarg, NULL, 10);
                else if (opt != 'o' || !(bodies = fopen(optarg, "we")))
                        return 2;
        if (argc - optind < 2 || n < 1 || n > WALKS_MAX || !(multi = curl_multi_init()))
                return 2;
        endpoint = argv[optind];
        accounts = argv + optind + 1;
        for (size_t i = 0; i < n && !failed; i++)
                failed = prepare(&walks[i], ca) < 0 || next_account(&walks[i]) < 0;
        failed = failed || run() < 0 || (bodies && fclose(bodies) != 0);
        for (size_t i = 0; i < n; i++) {
                curl_easy_cleanup(walks[i].easy);
                free(walks[i].body);
        }
        curl_multi_cleanup(multi);
        printf("%llu %llu\n", pages, bytes);
        return failed;
}
