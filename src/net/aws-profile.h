/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* The files that AWS's tools share: ~/.aws/config and ~/.aws/credentials, or those that
 * AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name.  Read as botocore reads them, which is how
 * Python's RawConfigParser does. */

typedef struct AwsSetting {
        char *key, *value; /* the key in lower case; lines of a value parted by "\n" */
} AwsSetting;

typedef struct AwsSection {
        char *name;
        AwsSetting *settings;
        size_t n;
} AwsSection;

/* One file; all zero is one that is not there. */
typedef struct AwsFile {
        AwsSection *sections;
        size_t n;
        AwsSection defaults; /* [DEFAULT]: what the other sections may leave out */
} AwsFile;

/* Parses text (len bytes and a NUL), which is spoilt.  -EINVAL names the line; -ENOMEM.  *ret is the
 * caller's to clear, also on failure. */
int aws_file_parse(char *text, size_t len, AwsFile *ret, Error *err);
/* Makes sections what they are as profiles: "profile NAME" becomes NAME, [default] stays, others go. */
int aws_file_keep_profiles(AwsFile *f, Error *err);
/* Wipes and frees. */
void aws_file_clear(AwsFile *f);

/* Whether the file has this section, and its setting; borrowed, NULL where there is none. */
bool aws_file_has(const AwsFile *f, const char *section);
const char *aws_file_get(const AwsFile *f, const char *section, const char *key);

/* Both files. */
typedef struct AwsProfiles {
        AwsFile config, credentials;
        char unreadable[160]; /* "": none; else which file is there but may not be read */
} AwsProfiles;

/* Reads both.  One that is not there, or not readable, counts as empty.  -EINVAL: a file makes no
 * sense; err names it. */
int aws_profiles_read(AwsProfiles *ret, Error *err);
void aws_profiles_clear(AwsProfiles *p);

/* A profile as both files together have it: the credentials file goes before the configuration. */
bool aws_profiles_has(const AwsProfiles *p, const char *profile);
const char *aws_profiles_get(const AwsProfiles *p, const char *profile, const char *key);
