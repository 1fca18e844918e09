/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What each format offers to the table in format.c, and what formats share. */

#include "base/jsontext.h"
#include "sink/format.h"

/* The event as doc/event.schema.json describes it, under key (NULL in arrays and at the top). */
void format_event(JsonText *j, const char *key, const FormatSettings *settings, const Event *e);

/* The member "summary" of an alert: what it says. */
#define FORMAT_SUMMARY_SIZE 1024 /* PagerDuty: "maximum permitted length: 1024 characters" */
void format_summary(JsonText *j, const FormatSettings *settings, const Alert *a);

/* The rest of a digest that did not fit in its message: "… and 12 more events". */
#define FORMAT_MORE_SIZE 64
char *format_more(size_t events, char out[static FORMAT_MORE_SIZE]);

int format_json(const FormatSettings *settings, Event *const *events, size_t n, char **ret);
int format_cloudevents(const FormatSettings *settings, Event *const *events, size_t n, char **ret);
int format_slack(const FormatSettings *settings, const Digest *digest, char **ret);
int format_teams(const FormatSettings *settings, const Digest *digest, char **ret);
int format_pagerduty(const FormatSettings *settings, const Alert *alerts, size_t n, char **ret);
int format_alertmanager(const FormatSettings *settings, const Alert *alerts, size_t n, char **ret);
