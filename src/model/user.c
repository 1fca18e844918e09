/* SPDX-License-Identifier: Apache-2.0 */
#include "model/user.h"

#include <errno.h>
#include <string.h>

#define USER_FIELD_ROW(id, json, parent, column, type, flags) \
        [USER_FIELD_##id] = { json, parent, #column, type, flags },
const UserField user_fields[USER_FIELD_COUNT] = { USER_FIELDS(USER_FIELD_ROW) };
#undef USER_FIELD_ROW

_Static_assert(USER_FIELD_COUNT <= 32, "FieldMask has a bit for each field");

static void drop(User *u, unsigned i) {
        if (!(u->in_block & FIELD_BIT(i)))
                free(u->value[i]);
        u->in_block &= ~FIELD_BIT(i);
        u->value[i] = NULL;
}

void user_clear(User *u) {
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if (u->value[i])
                        drop(u, i);
        free(u->block);
        u->block = NULL;
}

int user_set(User *u, UserFieldId field, const char *text) {
        char *copy = NULL;

        if (text) {
                copy = strdup(text);
                if (!copy)
                        return -ENOMEM;
        }
        drop(u, field);
        u->value[field] = copy;
        return 0;
}

FieldMask user_diff(const User *a, const User *b) {
        FieldMask mask = 0;

        for (unsigned i = 0; i < USER_FIELD_COUNT; i++) {
                const char *x = a->value[i], *y = b->value[i];

                if (user_fields[i].flags & FIELD_KEY)
                        continue;
                if (!x != !y || (x && strcmp(x, y) != 0))
                        mask |= FIELD_BIT(i);
        }
        return mask;
}

const char *user_label(const char *user_id, const char *primary_email, bool minimal) {
        return !minimal && primary_email && *primary_email ? primary_email : user_id;
}
