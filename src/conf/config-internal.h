/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/lines.h"
#include "base/secret.h"
#include "conf/config.h"

#ifndef LOCALSTATEDIR
#define LOCALSTATEDIR "/var"
#endif

/* Bounds of what is read from outside. */
#define CONFIG_VALUE_MAX ((size_t) 8192)
#define CONFIG_FILE_MAX ((size_t) 1 << 20)
#define CONFIG_DROPIN_MAX ((size_t) 1024)
#define CONFIG_NAME_MAX 64 /* of accounts and webhooks */
#define CONFIG_KEYS_MAX 64 /* rows of the key table */
#define CONFIG_SECTION_MAX 1024

typedef enum SectionKind {
        SECTION_ROSTERD,
        SECTION_ACCOUNT,
        SECTION_WEBHOOK,
        SECTION_KIND_COUNT,
} SectionKind;

extern const char *const section_words[SECTION_KIND_COUNT]; /* "rosterd", "account", "webhook" */

/* What a key's slot holds. */
typedef enum ValueType {
        VALUE_TEXT,     /* char *; NULL for nothing */
        VALUE_LIST,     /* TextList */
        VALUE_BOOL,     /* bool */
        VALUE_NUMBER,   /* unsigned */
        VALUE_DECIMAL,  /* double */
        VALUE_DURATION, /* uint64_t, microseconds */
        VALUE_WORD,     /* an enum, or int */
        VALUE_SHARE,    /* MaxRemovals */
        VALUE_SEQ,      /* uint64_t: a seq of the event log, or "now" */
} ValueType;

enum {
        KEY_REQUIRED = 1 << 0,
        KEY_SECRET = 1 << 1, /* never shown; the file that holds it must not be readable by all */
        KEY_HIDDEN = 1 << 2, /* never shown */
        KEY_URL = 1 << 3,    /* a secret when it holds a user or password ("@") */
        KEY_REPEATABLE = 1 << 4, /* one item a line, up to .max of them */
};

typedef struct ConfigWord {
        const char *word;
        int value;
} ConfigWord;

/* Checks a text (NUL-terminated, not empty), which it may shorten or fold in place.  Returns 0, or
 * <0 with the rest of a sentence that begins with the value: "is no URL; …". */
typedef int (*TextCheck)(char *text, Error *err);

/* One row of THE key table. */
typedef struct ConfigKey {
        SectionKind kind;
        ValueType type;
        const char *name;
        size_t offset;
        const char *dflt; /* read by the same parser; NULL: none, or settled once all is read */
        unsigned flags;
        uint64_t min, max;       /* numbers; durations in microseconds; most items of a list */
        const ConfigWord *words; /* up to a NULL word */
        TextCheck check;         /* of a text, or of each item of a list */
} ConfigKey;

extern const ConfigKey config_keys[];
extern const size_t config_n_keys;

/* The row of this kind and name, or NULL. */
const ConfigKey *config_key_find(SectionKind kind, const char *name);

/* What was probably meant by a name that is no key, or NULL. */
const char *config_key_suggest(SectionKind kind, const char *name);

/* Reads value (not empty) into the key's slot in base.  A repeatable list grows by it.  Returns 0,
 * or <0 with the rest of a sentence that begins with the value; the slot is then unchanged. */
int config_value_parse(const ConfigKey *k, const char *value, void *base, Error *err);
/* Wipes and frees what the slot holds. */
void config_value_clear(const ConfigKey *k, void *base);
bool config_value_equal(const ConfigKey *k, const void *a, const void *b);
/* Whether this value is a secret, or merely not for showing. */
bool config_value_secret(const ConfigKey *k, const char *value);
bool config_value_hidden(const ConfigKey *k, const char *value);
/* clear, then the default of the table. */
int config_value_default(const ConfigKey *k, void *base, Error *err);

/* Checks of texts. */
int check_absolute_path(char *text, Error *err);
int check_access_key(char *text, Error *err);
int check_account_id(char *text, Error *err);
int check_ca_file(char *text, Error *err);
int check_email(char *text, Error *err);
int check_external_id(char *text, Error *err);
int check_endpoint(char *text, Error *err);
int check_event_glob(char *text, Error *err);
int check_header(char *text, Error *err);
int check_name(char *text, Error *err);
int check_printable(char *text, Error *err);
int check_proxy(char *text, Error *err);
int check_region(char *text, Error *err);
int check_role_arn(char *text, Error *err);
int check_session_name(char *text, Error *err);
int check_socket_path(char *text, Error *err);
int check_routing_key(char *text, Error *err);
int check_webhook_secret(char *text, Error *err);
int check_webhook_url(char *text, Error *err);
/* Whether a checked URL is plain http to another machine. */
bool url_is_plain_remote(const char *url);

/* The event types that a glob may match; a test compares them with the model's. */
extern const char *const config_event_names[];
extern const size_t config_n_event_names;

/* Those of them that raise alerts; likewise. */
extern const char *const config_alert_events[];
extern const size_t config_n_alert_events;

/* A line of a file; line 0 is nowhere. */
typedef struct Place {
        size_t file; /* index into Loader.files */
        unsigned line;
} Place;

/* What is known of one key of one section. */
typedef struct Given {
        Place place;    /* where it was given last */
        bool from_file; /* as KEY_file */
        bool set;       /* and not empty */
} Given;

typedef struct Section {
        SectionKind kind;
        char *name;   /* NULL for [rosterd] */
        size_t index; /* into Config.accounts or .webhooks */
        Place first, latest;
        Given given[CONFIG_KEYS_MAX]; /* by row of the key table */
} Section;

/* One config_load(). */
typedef struct Loader {
        Config *config;
        ConfigComplaint complain;
        void *userdata;
        char **files;
        size_t n_files;
        Section *sections;
        size_t n_sections;
        size_t n_mistakes;
        int code;           /* the gravest so far */
        bool outline;       /* config_load_outline(): only [rosterd] is judged */
        bool lost_sections; /* some could not be read, so that what is missing may be there */
        bool too_many_said;

        /* The file that is being read. */
        struct stat st;
        bool secret_said; /* that others can read it */
        Lines lines;      /* what is left of its text */
        size_t current;   /* section, plus 1; 0: none yet */
        bool in_unknown;  /* below a header that cannot be used: its keys are not judged */
        bool elsewhere;   /* at or below a header that is not meant for [rosterd] */
        char *value;      /* of this line, or NULL */
        bool pending;     /* inih has yet to call back for this line */
} Loader;

/* Counts and reports one mistake.  section and key may be NULL. */
void loader_complain(Loader *l, int code, Place where, const Section *section, const char *key,
                     const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* The same for a whole file. */
void loader_complain_file(Loader *l, int code, const char *path, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));
Place loader_here(const Loader *l);
/* Where the section's keys go. */
void *loader_target(Loader *l, const Section *s);
Given *loader_given(Section *s, const ConfigKey *k);

/* The parts of loading, in order.  <0 only for want of memory: mistakes are counted. */
int loader_read_file(Loader *l, const char *path, bool dropin);
int loader_open_section(Loader *l, SectionKind kind, const char *name);
int loader_assign(Loader *l, const char *key, char *value);
int loader_settle(Loader *l);
void loader_check(Loader *l);

void loader_clear(Loader *l);
