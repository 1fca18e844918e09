/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctl/out.h"

/* Shared by everything that people look at. */

#define COLOUR_BOLD "\033[1m"
#define COLOUR_RED "\033[31m"
#define COLOUR_YELLOW "\033[33m"
#define COLOUR_OFF "\033[0m"

/* The colour of a status or outcome that wants attention, or NULL. */
const char *show_status_colour(const char *word);

/* "2026-11-27 14:34:05" of the database's UTC text, with "Z" after it unless local.  What is no time
 * is shown as it is.  Returns buf or text. */
#define SHOW_TIME_SIZE 32
const char *show_time(const char *text, bool local, char buf[static SHOW_TIME_SIZE]);

/* Writes sentences and a newline, broken between words where a terminal ends. */
void show_text(Out *o, const char *text);

/* "3 days ago", "in 5min", "just now". */
#define SHOW_AGO_SIZE 64
char *show_ago(int64_t when, int64_t now, char buf[static SHOW_AGO_SIZE]);
