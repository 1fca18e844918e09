/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/ctl.h"

/* Rows of users as a table with the columns that are named in shown; rows is freed. */
int write_users_table(Ctl *c, Rows *rows, const char *const *shown, size_t n, Error *err);
