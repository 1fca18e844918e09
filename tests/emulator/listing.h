/* SPDX-License-Identifier: Apache-2.0 */
/* ListUsers: its parameters, its NextToken, its pages. */
#pragma once

#include "answer.h"

#define MAX_PAGE ((size_t) 200)

/* Where a listing goes on. */
typedef struct Position {
        uint64_t run;  /* which listing */
        uint64_t key;  /* users behind this key come next */
        uint32_t page; /* 1 for the first */
        uint8_t tag;   /* nothing but a difference: for tokens that alternate */
        bool given;    /* the request carried a token */
} Position;

typedef struct Query {
        size_t max_results;
        UserKind kind; /* USER_KIND_OTHER: all */
        char *email;   /* NULL: all */
        char *token;   /* NULL: none given */
} Query;

/* The users of one page and what follows. */
typedef struct Selection {
        size_t indices[MAX_PAGE];
        size_t n;
        bool more; /* there are users behind these */
} Selection;

void query_free(Query *q);
/* false: `err` holds a 400's message. */
bool query_parse(const char *query, Query *ret, Buf *err);
/* The decoded parameters as a JSON object, whatever they are. */
void query_describe(const char *query, Buf *out);

/* Reads q->token; false: it is not one of ours for this account and filter. */
bool position_from_token(const Emulator *e, const Account *a, const Query *q, Position *ret);
void position_to_token(const Emulator *e, const Account *a, const Query *q, const Position *p,
                       Buf *out);

void listing_select(const Account *a, const Query *q, const Position *p, Selection *ret);
/* `first`, when not NULL, is sent in place of the first user's text; `next` NULL ends. */
void listing_render(const Emulator *e, const Account *a, const Query *q, const Selection *s,
                    const Buf *first, const Position *next, Buf *out);
/* The position behind a page. */
Position listing_next(const Account *a, const Selection *s, const Position *p);

/* Everything about one request of the listing, signature included. */
typedef struct ListCall {
        SignedRequest request;
        bool accepts_gzip;
        LogEntry log;
} ListCall;
void listing_answer(Emulator *e, ListCall *call, Answer *ret);
