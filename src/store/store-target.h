/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files that are made from the database: they hold people's data, and take their name once they are
 * whole. */

#include "store/store-read.h"

/* -EEXIST: path is, or is called like, a file of the database s. */
int target_check(const Store *s, const char *path, Error *err);

/* Creates a file, 0600, beside path, and opens it.  Its name, owned by the caller, goes to
 * *ret_temporary.  SIGINT, SIGTERM and SIGHUP remove it from now on; one file at a time.  -errno. */
int target_create(const char *path, char **ret_temporary);

/* Gives it the name path, for good: the folder is synced, too.  -errno. */
int target_rename(const char *temporary, const char *path);

/* Removes it, with what SQLite has put beside it; nothing once it has its name. */
void target_remove(void);
