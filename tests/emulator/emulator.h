/* SPDX-License-Identifier: Apache-2.0 */
/* The whole state, behind one lock: every request takes it once, plans its answer, lets it go. */
#pragma once

#include "roster.h"
#include "sigv4.h"

#include <json-c/json.h>
#include <pthread.h>

#define MAX_CREDENTIALS 16
#define MAX_LOG ((size_t) 200000)
#define MAX_LOGGED_BODY ((size_t) 1 << 20)
#define NSEC_PER_SEC UINT64_C(1000000000)

typedef enum EndToken {
        END_TOKEN_ABSENT,
        END_TOKEN_NULL,
        END_TOKEN_EMPTY,
} EndToken;

/* Where an exception's name is written. */
typedef enum ErrorStyle {
        ERROR_STYLE_HEADER, /* x-amzn-ErrorType: Name */
        ERROR_STYLE_SUFFIX, /* x-amzn-ErrorType: Name:http://… */
        ERROR_STYLE_PREFIX, /* x-amzn-ErrorType: com.amazon.…#Name */
        ERROR_STYLE_TYPE,   /* only in the body's __type */
        ERROR_STYLE_CODE,   /* only in the body's code */
} ErrorStyle;

typedef struct Config {
        Credential credentials[MAX_CREDENTIALS];
        size_t n_credentials;
        double rate; /* listing requests a second and account; 0: no limit */
        bool gzip, log, log_bodies, lower_message;
        EndToken end_token;
        ErrorStyle error_style;
        long clock_offset_s;
        unsigned latency_ms;
} Config;

typedef struct LogEntry {
        uint64_t number, connection, connection_request;
        double time;
        char *method, *path, *account, *params /* JSON object */, *headers /* JSON object */;
        char *error; /* the exception answered, or NULL */
        char *body;  /* in base64, or NULL: not asked for, none or too long */
        bool signature_ok;
        unsigned status; /* 0: none was sent */
        uint64_t fault;  /* the fault that was applied, 0 for none */
        size_t bytes;
        uint32_t page; /* 0: never came so far */
} LogEntry;

typedef struct Stats {
        uint64_t listing_requests, signature_failures, pages, users, bytes, throttled, faults;
        uint64_t control_requests;
        uint64_t by_status[600];
} Stats;

typedef struct Fault Fault;

typedef struct Emulator {
        pthread_mutex_t lock;
        Config config;
        Account **accounts;
        size_t n_accounts;
        Fault *faults;
        uint64_t next_fault;
        uint64_t requests; /* listing requests since the last reset */
        uint64_t runs;     /* listings begun, so that each has its own tokens */
        uint64_t token_secret;
        LogEntry *log; /* a ring */
        size_t log_start, log_n, log_cap;
        uint64_t log_numbers;
        Stats stats;
        uint64_t connections, open_connections; /* atomic */
} Emulator;

uint64_t now_ns(void);

Account *emulator_account(const Emulator *e, const char *id);
/* Replaces one of the same id. */
Account *emulator_add_account(Emulator *e, const char *id, uint64_t seed);
bool emulator_drop_account(Emulator *e, const char *id);

/* Adds or changes a key; a session token that is replaced is from then on an expired one. */
bool emulator_set_credential(Emulator *e, const char *access_key, const char *secret_key,
                             const char *session_token);
void emulator_drop_credentials(Emulator *e);
void emulator_free(Emulator *e);

/* log.c.  Takes the entry's strings. */
void log_add(Emulator *e, LogEntry *entry);
void log_clear(Emulator *e);
json_object *log_to_json(const Emulator *e, uint64_t since, size_t limit);
json_object *stats_to_json(const Emulator *e);
