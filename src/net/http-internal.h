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

/* ---- calls (http.c) ---- */

struct HttpCall {
        HttpCall *prev, *next;
        Http *http;
        CURL *easy;
        struct curl_slist *headers;
        HttpDone on_done;
        void *userdata;
        char *body;
        size_t body_len, body_size, max_body, headers_len;
        bool status_suffices, head_whole, lost_socket;
        sd_event_source *late; /* with status_suffices: the body has had its time */
        HttpStop stop;
        char error[CURL_ERROR_SIZE];
};

/* Takes the call from curl and from the list of those in flight. */
void http_call_detach(HttpCall *c);
/* Detaches it, wipes what may be secret. */
void http_call_free(HttpCall *c);
DEFINE_CLEANUP(HttpCall *, http_call_free)
/* What became of a call, and in reason a clause for people unless it was answered. */
HttpResult http_call_result(HttpCall *c, CURLcode code, char reason[static HTTP_REASON_SIZE]);

/* ---- the client (http-loop.c) ---- */

/* The status has come, and suffices: the call ends soon, whether its body does or not.  Callbacks of
 * curl may say so. */
void http_call_hasten(HttpCall *c);

struct Http {
        sd_event *event;
        CURLM *multi;
        sd_event_source *timer, *now; /* curl's timer; and for its "at once" */
        uint64_t due; /* when curl is to be called, CLOCK_MONOTONIC; see http-loop.c */
        HttpCall *calls;
        bool driven; /* a turn goes on; what curl wants meanwhile is seen to at its end */
        bool reaping;
};
