/* SPDX-License-Identifier: Apache-2.0 */
/* Changing many users at once, and their order. */
#include "control.h"

#include <stdlib.h>
#include <string.h>

static int compare_hashes(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return (x > y) - (x < y);
}

/* Calls on users by a list of their ids ("user_ids") or as a range ("from", "count"), of which only
 * every so many-th may be meant ("every"). */
typedef struct Choice {
        uint64_t *hashes; /* sorted; NULL: by range */
        size_t n_hashes, from, count, every;
} Choice;

static bool choice_parse(const ControlCall *c, const Account *a, Choice *ret) {
        json_object *ids = control_member(c, "user_ids"), *from = control_member(c, "from");
        int64_t count = control_number(c, "count", -1), every = control_number(c, "every", 1),
                start;

        *ret = (Choice){ 0 };
        if (json_object_is_type(ids, json_type_array)) {
                ret->n_hashes = json_object_array_length(ids);
                ret->hashes = xcalloc(ret->n_hashes, sizeof *ret->hashes);
                for (size_t i = 0; i < ret->n_hashes; i++) {
                        const char *id = json_object_get_string(json_object_array_get_idx(ids, i));

                        ret->hashes[i] = id ? hash_bytes(id, strlen(id)) : 0;
                }
                qsort(ret->hashes, ret->n_hashes, sizeof *ret->hashes, compare_hashes);
                return true;
        }
        if (count < 0)
                return false;
        ret->count = (uint64_t) count > a->n ? a->n : (size_t) count;
        if (from && strcmp(json_object_get_string(from), "back") == 0)
                start = (int64_t) (a->n - ret->count);
        else
                start = from ? json_object_get_int64(from) : 0; /* "front" is 0 as well */
        ret->from = start < 0 ? 0 : (size_t) start;
        ret->every = (size_t) every;
        return every > 0;
}

static bool choice_has(const Choice *ch, const Account *a, size_t i) {
        if (!ch->hashes)
                return i >= ch->from && i - ch->from < ch->count && (i - ch->from) % ch->every == 0;
        return bsearch(&a->users[i].id_hash, ch->hashes, ch->n_hashes, sizeof *ch->hashes,
                       compare_hashes) != NULL;
}

static unsigned reply_count(const ControlCall *c, const char *name, size_t n) {
        json_object *o = json_object_new_object();

        json_object_object_add(o, name, json_object_new_uint64(n));
        return control_reply(c, o);
}

static unsigned delete_many(const ControlCall *c, Account *a) {
        Choice choice;
        size_t kept = 0, before = a->n;

        if (!choice_parse(c, a, &choice))
                return control_fail(c, "user_ids or count is expected, and every above 0");
        for (size_t i = 0; i < before; i++)
                if (!choice_has(&choice, a, i))
                        a->users[kept++] = a->users[i];
        a->n = kept;
        free(choice.hashes);
        return reply_count(c, "deleted", before - kept);
}

static unsigned patch_many(const ControlCall *c, Account *a) {
        json_object *patch = control_member(c, "patch");
        Choice choice;
        size_t done = 0;

        if (!json_object_is_type(patch, json_type_object))
                return control_fail(c, "patch must be an object");
        if (!choice_parse(c, a, &choice))
                return control_fail(c, "user_ids or count is expected, and every above 0");
        for (size_t i = 0; i < a->n; i++)
                if (choice_has(&choice, a, i) && control_patch_user(a, i, patch))
                        done++;
        free(choice.hashes);
        return reply_count(c, "patched", done);
}

static void swap_users(User *x, User *y) {
        User old = *x;

        *x = *y;
        *y = old;
}

static unsigned move_user(const ControlCall *c, Account *a) {
        size_t from = account_find(a, control_text(c, "user_id", "")), at;
        User u;

        if (from == a->n)
                return control_fail(c, "no such user");
        u = a->users[from];
        account_remove_range(a, from, 1);
        at = control_position(c, a);
        account_insert(a, at, &u, 1);
        return reply_count(c, "position", at);
}

/* {"shuffle": seed}, {"reverse": true} or {"user_id": …, "position": …} */
static unsigned reorder(const ControlCall *c, Account *a) {
        json_object *shuffle = control_member(c, "shuffle");
        uint64_t state = shuffle ? (uint64_t) json_object_get_int64(shuffle) : 0;

        if (control_member(c, "user_id"))
                return move_user(c, a);
        if (shuffle)
                for (size_t i = a->n; i > 1; i--) {
                        state = mix64(state);
                        swap_users(&a->users[i - 1], &a->users[state % i]);
                }
        else if (control_member(c, "reverse"))
                for (size_t i = 0; i < a->n / 2; i++)
                        swap_users(&a->users[i], &a->users[a->n - 1 - i]);
        else
                return control_fail(c, "shuffle, reverse or user_id is expected");
        account_renumber(a);
        return reply_count(c, "users", a->n);
}

unsigned control_change(const ControlCall *c, Account *a) {
        if (control_is(c, "POST", 3, "delete"))
                return delete_many(c, a);
        if (control_is(c, "POST", 3, "patch"))
                return patch_many(c, a);
        if (control_is(c, "POST", 3, "reorder"))
                return reorder(c, a);
        return 0;
}
