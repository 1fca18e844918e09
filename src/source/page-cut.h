/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "source/source.h"

/* Cuts one JSON document, an object with the records in one array, into byte ranges without
 * building a tree:
 *
 *     {"Users":[{"UserId":"a"},{"UserId":"b"}],"NextToken":"x"}
 *               ^------------^ ^------------^              ^-^
 *
 * All of the document is checked against RFC 8259: structure, nesting, literals, numbers, escapes
 * and that no control character stands in a string.  Beyond the RFC it refuses nesting deeper than
 * PAGE_DEPTH_MAX and names of members that hold \u0000, which C's strings cannot tell from shorter
 * ones.  That the bytes of an element are UTF-8 is left to whoever reads it, so that one bad record
 * does not spoil the page; everything else at the top level must be. */
#define PAGE_DEPTH_MAX 64
#define PAGE_MEMBERS_MAX 64
#define PAGE_ELEMENTS_MAX 65536

/* A member of the top level.  All ranges are borrowed from the document. */
typedef struct PageMember {
        SourceRecord name; /* between the quotes; escapes as they came */
        SourceRecord value;
} PageMember;

typedef struct PageCut {
        SourceRecord *elements; /* owned; the ranges in it are borrowed */
        size_t n_elements;
        PageMember members[PAGE_MEMBERS_MAX]; /* all but the array, in their order */
        size_t n_members;
} PageCut;

/* Frees the list of elements. */
void page_cut_clear(PageCut *p);

/* Cuts text (of len bytes, NUL or no NUL behind it) at its member `array`, which must be there
 * exactly once.  expect (may be NULL) is asked first for each element.  *ret is overwritten, and empty
 * on failure.  Returns 0, -EBADMSG with a clause in err that fits behind "the answer …", or -ENOMEM. */
int page_cut(const char *text, size_t len, const char *array, const SourceExpect *expect,
             PageCut *ret, Error *err);

/* Whether a member is called name, which is ASCII. */
bool page_member_is(const PageMember *m, const char *name);
