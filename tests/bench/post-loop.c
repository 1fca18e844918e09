/* SPDX-License-Identifier: Apache-2.0 */
/* post-loop URL FILE: posts the bodies that tests/bench/receiver.c has kept, one after the other over
 * one connection, as a bare libcurl program would.  The reference for the delivery of webhooks. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

static size_t ignore(char *data, size_t size, size_t n, void *userdata) {
        (void) data;
        (void) userdata;
        return size * n;
}

static int post(CURL *easy, const char *body, size_t len) {
        long status = 0;

        if (curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) len) != CURLE_OK ||
            curl_easy_perform(easy) != CURLE_OK)
                return -1;
        (void) curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        return status == 204 ? 0 : -1;
}

int main(int argc, char *argv[]) {
        FILE *file = argc == 3 ? fopen(argv[2], "re") : NULL;
        struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
        CURL *easy = curl_easy_init();
        char head[16], *body = NULL;
        int failed = 0;

        if (!file || !easy || !(headers = curl_slist_append(headers, "Expect:")))
                return 1;
        (void) curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
        (void) curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void) curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
        (void) curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
        while (!failed && fgets(head, sizeof head, file)) {
                size_t len = strtoul(head, NULL, 16);
                char *bigger = realloc(body, len + 1);

                failed = !bigger;
                if (bigger)
                        body = bigger;
                failed = failed || fread(body, 1, len, file) != len || post(easy, body, len) < 0;
        }
        free(body);
        curl_slist_free_all(headers);
        curl_easy_cleanup(easy);
        (void) fclose(file);
        return failed;
}
