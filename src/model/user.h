/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/user-fields.h"

/* A set of fields: bit i is UserFieldId i. */
typedef uint32_t FieldMask;
#define FIELD_BIT(field) (UINT32_C(1) << (field))

/* One person on a listing: every field as text, NULL where the listing has none.  Which fields
 * there are, and what their text means, says USER_FIELDS.  Texts are freed by user_clear() and
 * user_set() only, for they need not be blocks of their own. */
typedef struct User {
        char *value[USER_FIELD_COUNT];
        char *block; /* owned; NULL, or what the texts of in_block are part of */
        FieldMask in_block;
} User;

/* Frees what u holds and leaves it empty, ready for use again.  u itself belongs to the caller. */
void user_clear(User *u);

/* Replaces one field by a copy of text (NULL: absent).  Returns 0 or -ENOMEM. */
int user_set(User *u, UserFieldId field, const char *text);

/* Makes a field, which is absent, a text that is part of u->block. */
static inline void user_set_in_block(User *u, UserFieldId field, char *text) {
        u->value[field] = text;
        u->in_block |= FIELD_BIT(field);
}

static inline const char *user_get(const User *u, UserFieldId field) {
        return u->value[field];
}

/* The fields in which a and b differ.  Keys never do. */
FieldMask user_diff(const User *a, const User *b);

/* How to name u to people: its e-mail address, else its id; with minimal, always the id. */
const char *user_label(const char *user_id, const char *primary_email, bool minimal);
