/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "conf/config.h"
#include "model/user.h"
#include "net/http.h"

/* A source is a service that lists users.  It says how to ask for one page of a listing and how to
 * read the answer; asking, retrying and comparing are the daemon's.  A new source is one file and
 * one line in source.c. */

/* How to ask for a page. */
typedef struct SourceRequest {
        char *url;           /* canonical for signing */
        const char *service; /* the name that AWS signatures carry; NULL: not signed */
} SourceRequest;
void source_request_clear(SourceRequest *r);

/* What an answer means for the run. */
typedef enum SourceVerdict {
        SOURCE_PAGE,           /* a page, or a body that is to be one: see Source.page */
        SOURCE_RETRY,          /* may go well another time: 5xx, cut or broken answer, time-out */
        SOURCE_THROTTLED,      /* as SOURCE_RETRY, and asked too fast */
        SOURCE_CREDENTIALS,    /* the keys have expired or are no longer known: others, once */
        SOURCE_CURSOR_EXPIRED, /* the continuation is no longer valid: list anew, once */
        SOURCE_REFUSED, /* will not go well without somebody's help: 400, 401, 403, 404, TLS */
} SourceVerdict;

/* One record of a page as it came: the bytes of one JSON value, borrowed from the page. */
typedef struct SourceRecord {
        const char *data;
        size_t len;
        int64_t row; /* of the user whom SourceExpect has recognised; 0: it is to be read */
} SourceRecord;

/* Recognises a record that is expected where it stands, so that its bytes need not be looked at: returns
 * its length, and its row in *ret_row, if text (of len bytes) begins with it, else 0.  It must be the
 * same, byte by byte, as one that was found to be whole before. */
typedef struct SourceExpect {
        size_t (*expect)(void *userdata, const char *text, size_t len, int64_t *ret_row);
        void *userdata;
} SourceExpect;

/* A page, cut into records that are not yet read. */
typedef struct SourcePage {
        SourceRecord *records;
        size_t n_records;
        char *next; /* the continuation; NULL on the last page */
} SourcePage;
void source_page_clear(SourcePage *p);

typedef struct SourceAnswer {
        SourceVerdict verdict;
        SourcePage page;      /* filled by Source.page; its records point into the body */
        uint64_t retry_after; /* microseconds that the service asked to wait; 0: it did not say */
        char error[256];      /* a clause for people otherwise: what the service said, cleaned */
} SourceAnswer;
void source_answer_clear(SourceAnswer *a);

/* What reading a record came to. */
typedef enum SourceRecordState {
        RECORD_USER,         /* *u holds the user */
        RECORD_UNREADABLE,   /* *u holds the user's id and nothing else that could be trusted */
        RECORD_UNIDENTIFIED, /* not even whose it is: the listing cannot count as complete */
        RECORD_FOREIGN,      /* of another account: the listing is not ours */
} SourceRecordState;

typedef struct Source {
        const char *name; /* as in `source = chime` */
        unsigned reading; /* raised whenever the same record comes to be read otherwise, but for
                             the table of fields: then all are read anew, once */

        /* The request for the page after continuation (NULL: the first).  0 or -errno. */
        int (*request)(const AccountConfig *account, const char *continuation, SourceRequest *ret,
                       Error *err);

        /* Classifies an answer.  SOURCE_PAGE: its body is for page().  had_continuation: the request
         * named one.  *ret is cleared first. */
        void (*answer)(const HttpResult *res, bool had_continuation, int64_t now_ms,
                       SourceAnswer *ret);

        /* The continuation that a body seems to name, by a look at its end alone, so that the next page
         * can be asked for before this one is read: page() has the last word.  NULL: none is seen. */
        char *(*glance)(const char *body, size_t len);

        /* Cuts the body of such an answer into *a; the body must stay as long.  What is not a whole
         * page of users turns *a into SOURCE_RETRY.  expect may be NULL.  0 or -ENOMEM. */
        int (*page)(const char *body, size_t len, const SourceExpect *expect, SourceAnswer *a,
                    Error *err);

        /* Reads one record into *u (cleared first).  Returns a SourceRecordState, with a clause in err
         * that names the member but never shows its value unless RECORD_USER; or -ENOMEM. */
        int (*record)(const AccountConfig *account, const SourceRecord *record, User *u,
                      Error *err);

        /* What a listing is of, as text: accounts whose text differs cannot be compared. */
        int (*scope)(const AccountConfig *account, char **ret, Error *err);
} Source;

/* The source of this name, or NULL. */
const Source *source_find(const char *name);
