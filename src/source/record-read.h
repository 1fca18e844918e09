/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/user.h"
#include "source/source.h"

/* Reads a record whose members are those of USER_FIELDS into *u, which is empty, by walking its bytes
 * once.  It takes ordinary records only and leaves the others to a reader that builds a tree: false, with
 * *u empty again, where anything is odd (a member that the table does not know or that comes twice, a
 * value of another type, an escape in a name, NUL, half a surrogate pair, a record that is very long,
 * what is no JSON or no UTF-8), and where memory runs out.  Who the user is, it does not judge.  Nothing
 * is expected of the bytes. */
bool record_read(const SourceRecord *record, User *u);
