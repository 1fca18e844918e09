/* SPDX-License-Identifier: Apache-2.0 */
#include "roster.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE ((size_t) 1 << 20)
#define KEY_START (UINT64_C(1) << 62)
#define KEY_STEP (UINT64_C(1) << 20)

struct ArenaChunk {
        ArenaChunk *next;
        size_t used, size;
        char data[];
};

Account *account_new(const char *id, uint64_t seed) {
        Account *a = xcalloc(1, sizeof *a);

        a->id = xstrdup(id);
        a->seed = seed;
        return a;
}

void account_free(Account *a) {
        if (!a)
                return;
        while (a->arena) {
                ArenaChunk *next = a->arena->next;

                free(a->arena);
                a->arena = next;
        }
        free(a->users);
        free(a->id);
        free(a);
}

char *account_keep(Account *a, const char *data, size_t n) {
        ArenaChunk *c = a->arena;
        char *at;

        if (!c || c->size - c->used < n + 1) {
                size_t size = n + 1 > CHUNK_SIZE ? n + 1 : CHUNK_SIZE;

                c = xmalloc(sizeof *c + size);
                c->used = 0;
                c->size = size;
                c->next = a->arena;
                a->arena = c;
        }
        at = c->data + c->used;
        memcpy(at, data, n);
        at[n] = '\0';
        c->used += n + 1;
        return at;
}

static const char *keep_member(Account *a, json_object *o, const char *name) {
        json_object *v;

        if (json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string))
                return account_keep(a, json_object_get_string(v),
                                    (size_t) json_object_get_string_len(v));
        return "";
}

static UserKind kind_from_name(const char *name) {
        if (strcmp(name, "PrivateUser") == 0)
                return USER_KIND_PRIVATE;
        return strcmp(name, "SharedDevice") == 0 ? USER_KIND_SHARED : USER_KIND_OTHER;
}

User account_user_raw(Account *a, const char *bytes, size_t len) {
        return (User){
                .id = "",
                .email = "",
                .json = account_keep(a, bytes, len),
                .json_len = (uint32_t) len,
        };
}

User account_user_from_text(Account *a, const char *json, size_t len) {
        User u = account_user_raw(a, json, len);
        json_object *o = json_tokener_parse(u.json);

        if (json_object_is_type(o, json_type_object)) {
                u.id = keep_member(a, o, "UserId");
                u.email = keep_member(a, o, "PrimaryEmail");
                u.kind = kind_from_name(keep_member(a, o, "UserType"));
                u.id_hash = *u.id ? hash_bytes(u.id, strlen(u.id)) : 0;
        }
        json_object_put(o);
        return u;
}

void account_renumber(Account *a) {
        for (size_t i = 0; i < a->n; i++)
                a->users[i].key = KEY_START + (uint64_t) i * KEY_STEP;
}

static void number_new_users(Account *a, size_t at, size_t n) {
        uint64_t key, step = KEY_STEP;

        if (at + n == a->n)
                key = at > 0 ? a->users[at - 1].key + step : KEY_START;
        else if (at == 0)
                key = a->users[n].key - (uint64_t) n * step;
        else {
                step = (a->users[at + n].key - a->users[at - 1].key) / (n + 1);
                if (step == 0) {
                        account_renumber(a);
                        return;
                }
                key = a->users[at - 1].key + step;
        }
        for (size_t i = 0; i < n; i++)
                a->users[at + i].key = key + (uint64_t) i * step;
}

void account_insert(Account *a, size_t at, const User *users, size_t n) {
        if (n == 0)
                return;
        if (at > a->n)
                at = a->n;
        if (a->n + n > a->cap) {
                a->cap = a->n + n > a->cap * 2 ? a->n + n : a->cap * 2;
                a->users = xrealloc(a->users, a->cap * sizeof *a->users);
        }
        memmove(a->users + at + n, a->users + at, (a->n - at) * sizeof *a->users);
        memcpy(a->users + at, users, n * sizeof *users);
        a->n += n;
        number_new_users(a, at, n);
}

void account_remove_range(Account *a, size_t at, size_t n) {
        if (at >= a->n)
                return;
        if (n > a->n - at)
                n = a->n - at;
        memmove(a->users + at, a->users + at + n, (a->n - at - n) * sizeof *a->users);
        a->n -= n;
}

size_t account_generate(Account *a, size_t at, size_t n) {
        User *fresh = xcalloc(n, sizeof *fresh);
        Buf json = { 0 };

        for (size_t i = 0; i < n; i++) {
                GeneratedUser g;

                json.len = 0;
                generate_user(a->id, a->seed, a->generated++, &g, &json);
                fresh[i] = account_user_raw(a, json.data, json.len);
                fresh[i].id = account_keep(a, g.id, strlen(g.id));
                fresh[i].email = account_keep(a, g.email, strlen(g.email));
                fresh[i].id_hash = hash_bytes(g.id, strlen(g.id));
                fresh[i].kind = g.kind;
        }
        account_insert(a, at, fresh, n);
        buf_free(&json);
        free(fresh);
        return n;
}

size_t account_find(const Account *a, const char *id) {
        uint64_t hash = hash_bytes(id, strlen(id));

        if (!*id)
                return a->n;
        for (size_t i = 0; i < a->n; i++)
                if (a->users[i].id_hash == hash && strcmp(a->users[i].id, id) == 0)
                        return i;
        return a->n;
}

size_t account_after_key(const Account *a, uint64_t key) {
        size_t low = 0, high = a->n;

        while (low < high) {
                size_t mid = low + (high - low) / 2;

                if (a->users[mid].key > key)
                        high = mid;
                else
                        low = mid + 1;
        }
        return low;
}
