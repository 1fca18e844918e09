/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"

/* A helper program that prints keys (credential_process): run without a shell, in a process group of
 * its own, with an empty stdin, and killed with all that it started when it takes too long.  It is over when it ends, whoever still has
 * its pipes. */
typedef struct AwsProcess AwsProcess;

typedef struct AwsProcessResult {
        int code;        /* 0: it ended with status 0, and out is all that it printed */
        const char *out; /* NUL-terminated; borrowed, valid during on_done, wiped afterwards */
        size_t out_len;
        const char
                *said; /* the beginning of its stderr, cleaned, what may be secret masked; or "" */
        Error error;
} AwsProcessResult;

/* Runs once, from the event loop and never from within aws_process_start(). */
typedef void (*AwsProcessDone)(const AwsProcessResult *result, void *userdata);

/* Starts command, which is split as a shell would.  Blocks SIGCHLD for good.  timeout
 * is microseconds.  -EINVAL: it cannot be split or is empty; others: it cannot be started. */
int aws_process_start(sd_event *event, const char *command, uint64_t timeout,
                      AwsProcessDone on_done, void *userdata, AwsProcess **ret, Error *err);

/* Kills what still runs. Also from within on_done. */
void aws_process_free(AwsProcess *p);
DEFINE_CLEANUP(AwsProcess *, aws_process_free)

/* text_clean(), but words that could be a key, a token or a password become "…": those of more than
 * longest characters that are no ARN, and what follows a word such as "secret" and "=" or ":". */
#define AWS_WORD_SHOWN 31 /* secret access keys have 40, session tokens hundreds */
char *aws_mask(char *out, size_t size, const char *in, size_t len, size_t longest);
