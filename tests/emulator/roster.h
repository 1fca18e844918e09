/* SPDX-License-Identifier: Apache-2.0 */
/* The accounts and their users.  Each user's JSON text is kept ready to be sent.
 *
 * Users stand in the order in which they are listed and carry a key that grows along it: a
 * NextToken names the key of the last user sent, so a listing goes on at the right place when
 * users are added or deleted meanwhile. */
#pragma once

#include "buf.h"

#include <json-c/json.h>

typedef enum UserKind {
        USER_KIND_OTHER,
        USER_KIND_PRIVATE,
        USER_KIND_SHARED,
} UserKind;

typedef struct User {
        uint64_t key;
        uint64_t id_hash;
        const char *id;    /* "" for raw records */
        const char *email; /* "" where there is none */
        const char *json;  /* NUL-terminated as well, save that raw records may hold NULs */
        uint32_t json_len;
        UserKind kind;
} User;

typedef struct ArenaChunk ArenaChunk;

typedef struct Account {
        char *id;
        uint64_t seed;
        uint64_t generated; /* how many users were ever made up; the next one's number */
        User *users;
        size_t n, cap;
        ArenaChunk *arena;
        uint64_t requests; /* listing requests since the last reset, for faults */
        double bucket;     /* tokens left of the rate limit */
        uint64_t bucket_at_ns;
} Account;

Account *account_new(const char *id, uint64_t seed);
void account_free(Account *a);

/* Keeps `n` bytes, and a NUL behind them, for as long as the account lives. */
char *account_keep(Account *a, const char *data, size_t n);

/* The bytes of a user's JSON become a user; `raw` ones are not looked into. */
User account_user_from_text(Account *a, const char *json, size_t len);
User account_user_raw(Account *a, const char *bytes, size_t len);

/* `at` counts from 0; anything beyond the end means the end. */
void account_insert(Account *a, size_t at, const User *users, size_t n);
void account_remove_range(Account *a, size_t at, size_t n);
size_t account_generate(Account *a, size_t at, size_t n);

/* The index of the first user with that id, or `n` when there is none. */
size_t account_find(const Account *a, const char *id);
/* The index of the first user behind that key. */
size_t account_after_key(const Account *a, uint64_t key);
/* Gives new keys to all users; tokens handed out before point somewhere else then. */
void account_renumber(Account *a);

/* Appends the JSON of the account's user number `number` to `json`; generate.c. */
typedef struct GeneratedUser {
        char id[40];
        char email[96];
        UserKind kind;
} GeneratedUser;
void generate_user(const char *account_id, uint64_t seed, uint64_t number, GeneratedUser *ret,
                   Buf *json);
