/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"

/* All HTTP of the daemon: one curl multi handle driven by one sd-event loop.  Connections are kept
 * and used again.  TLS is always verified, redirects are never followed, gzip is accepted. */
typedef struct Http Http;

/* One request in flight.  Owned by Http from http_start() until on_done has returned. */
typedef struct HttpCall HttpCall;

typedef enum HttpFailure {
        HTTP_ANSWERED,  /* there is a status and a whole body */
        HTTP_DNS,       /* the host's name cannot be resolved */
        HTTP_CONNECT,   /* no connection to it (or to the proxy) */
        HTTP_TLS,       /* its certificate was not accepted, or no TLS could be spoken */
        HTTP_TIMEOUT,   /* connect_timeout or timeout passed */
        HTTP_BROKEN,    /* the connection broke, or the answer was cut or no HTTP */
        HTTP_TOO_LARGE, /* the body, unpacked, was longer than max_body */
        HTTP_LOCAL,     /* our own side: memory, a bad request */
} HttpFailure;

typedef struct HttpResult {
        HttpFailure failure;
        long status;        /* 0 unless HTTP_ANSWERED */
        const char *body;   /* NUL-terminated; borrowed, valid during on_done */
        size_t body_len;    /* without the NUL */
        const char *reason; /* a clause for people unless HTTP_ANSWERED; never holds a secret */
        HttpCall *call;
} HttpResult;

/* The body as the caller's own, to be freed; NULL where there is none.  res->body is valid as long. */
char *http_take_body(const HttpResult *res);

/* A header of the answer by name (any case), or NULL; valid during on_done. */
const char *http_header(const HttpResult *res, const char *name);

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7; its two obsolete forms are not read) as wall
 * clock, ms.  0 or -EINVAL. */
int http_date(const char *text, int64_t *ret);

/* Retry-After (RFC 9110, 10.2.3), seconds or a date, in microseconds from now_ms; more than an hour
 * is cut to one, and what makes no sense or lies behind us is none: 0.  Valid during on_done. */
uint64_t http_retry_after(const HttpResult *res, int64_t now_ms);

/* A clause about this machine's clock (now_ms) and the service's, which the answer's Date tells: by
 * how much they differ and what to do.  Valid during on_done. */
void http_say_skew(const HttpResult *res, int64_t now_ms, char *out, size_t size);

/* Runs from the event loop, never from within http_start().  It may start and cancel other calls; it
 * must not free the Http. */
typedef void (*HttpDone)(const HttpResult *res, void *userdata);

/* AWS Signature Version 4.  session_token may be NULL. */
typedef struct HttpSigning {
        const char *region, *service;
        const char *access_key_id, *secret_access_key, *session_token;
} HttpSigning;

typedef enum HttpMethod {
        HTTP_GET,
        HTTP_POST,
        HTTP_PUT,
} HttpMethod;

/* Everything is copied before http_start() returns, but a body that stays; headers, which may be
 * secret, are wiped with the call.  Times are microseconds. */
typedef struct HttpRequest {
        HttpMethod method;
        const char *url;            /* for signing its query must be canonical already */
        const char *const *headers; /* "Name: value"; "Name:" leaves out one that curl would add */
        size_t n_headers;
        const char *body; /* of a POST or PUT; NULL: empty */
        size_t body_len;
        bool body_stays;            /* it is valid until the call has ended: no copy is made */
        const HttpSigning *signing; /* NULL: not signed */
        const char *ca_file;        /* NULL: the system's */
        const char *proxy;          /* NULL: the environment's, if any; "": none */
        uint64_t connect_timeout, timeout; /* to be connected; for all of it */
        size_t max_body;                   /* bytes, after unpacking */
        /* The status alone is the answer once the head is whole, whatever becomes of the body: too
         * long, cut or not there a second later, it is then what came of it, at most max_body. */
        bool status_suffices;
} HttpRequest;

int http_new(sd_event *event, Http **ret, Error *err);

/* Cancels every call (on_done does not run) and releases everything; never waits for the network. */
void http_free(Http *h);
DEFINE_CLEANUP(Http *, http_free)

/* Starts a request.  *ret is borrowed, for http_cancel(); it is gone once on_done runs. */
int http_start(Http *h, const HttpRequest *req, HttpDone on_done, void *userdata, HttpCall **ret,
               Error *err);

/* Ends a call without on_done.  Also from within another call's on_done. */
void http_cancel(HttpCall *call);
