/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by the files of source/ and nobody else. */

#include "source/source.h"

/* chime.c: Amazon Chime, API 2018-05-01, ListUsers. */
extern const Source source_chime;

/* chime-record.c: the records and the continuation of an answer of status 200.  *ret is untouched on
 * failure: -EBADMSG with a clause that fits behind "the answer …", or -ENOMEM. */
int chime_cut(const char *body, size_t len, const SourceExpect *expect, SourcePage *ret,
              Error *err);

/* chime-record.c: Source.glance of Chime. */
char *chime_glance(const char *body, size_t len);

/* chime-record.c: Source.record of Chime. */
int chime_record(const AccountConfig *account, const SourceRecord *record, User *u, Error *err);

/* chime-record.c: the same by way of a tree, whatever the record is like: what chime_record() returns is
 * what this returns. */
int chime_record_by_tree(const AccountConfig *account, const SourceRecord *record, User *u,
                         Error *err);
