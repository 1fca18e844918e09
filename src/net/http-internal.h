/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <curl/curl.h>

#include "net/http.h"

/* Why on_body or on_header gave a transfer up: curl itself then only says "write error". */
typedef enum HttpStop {
        HTTP_STOP_NONE,
        HTTP_STOP_BODY,    /* the body grew past max_body */
        HTTP_STOP_HEADERS, /* so did the headers past HTTP_HEADERS_MAX */
        HTTP_STOP_MEMORY,
} HttpStop;

/* Sets libcurl up, with memory that is wiped when it is freed. */
CURLcode http_memory_init(void);

#define HTTP_REASON_SIZE 256

/* What a transfer that ended with code came to, and in reason a clause for people unless
 * HTTP_ANSWERED.  text is curl's error buffer: it is shown only where curl is known to put no URL,
 * query or credentials into it. */
HttpFailure http_failure(CURL *easy, CURLcode code, HttpStop stop, size_t max_body,
                         const char *text, char reason[static HTTP_REASON_SIZE]);
