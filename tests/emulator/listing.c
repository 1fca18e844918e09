/* SPDX-License-Identifier: Apache-2.0 */
#include "listing.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void query_free(Query *q) {
        free(q->email);
        free(q->token);
        *q = (Query){ 0 };
}

/* Calls `fn` for each parameter, decoded; stops at the first that fn refuses. */
typedef bool (*ParamFn)(const char *name, const char *value, void *userdata);

static bool query_walk(const char *query, ParamFn fn, void *userdata) {
        bool ok = true;

        for (const char *p = query; ok && *p;) {
                size_t len = strcspn(p, "&"), name_len = strcspn(p, "=&");
                size_t skip = name_len < len ? name_len + 1 : len;
                Buf name = { 0 }, value = { 0 };

                ok = percent_decode(p, name_len, true, &name) &&
                     percent_decode(p + skip, len - skip, true, &value);
                if (len > 0)
                        ok = fn(name.data, value.data ? value.data : "", userdata) && ok;
                buf_free(&name);
                buf_free(&value);
                p += len + (p[len] == '&');
        }
        return ok;
}

static bool describe_param(const char *name, const char *value, void *userdata) {
        json_object *o = userdata;

        json_object_object_add(o, name, json_object_new_string(value));
        return true;
}

void query_describe(const char *query, Buf *out) {
        json_object *o = json_object_new_object();

        (void) query_walk(query, describe_param, o);
        buf_puts(out, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
        json_object_put(o);
}

typedef struct ParseState {
        Query *q;
        Buf *err;
        unsigned seen;
} ParseState;

/* The model's pattern .+@.+\..+ */
static bool is_email(const char *s) {
        const char *at = *s ? strchr(s + 1, '@') : NULL, *dot;

        for (; at; at = strchr(at + 1, '@')) {
                dot = at[1] ? strchr(at + 2, '.') : NULL;
                if (dot && dot[1])
                        return true;
        }
        return false;
}

static bool parse_max_results(const char *value, Query *q) {
        char *end;
        unsigned long n = strtoul(value, &end, 10);

        if (!*value || strspn(value, "0123456789") != strlen(value) || n < 1 || n > MAX_PAGE)
                return false;
        q->max_results = (size_t) n;
        return true;
}

static bool parse_value(const char *name, const char *value, Query *q) {
        if (strcmp(name, "max-results") == 0)
                return parse_max_results(value, q);
        if (strcmp(name, "next-token") == 0) {
                q->token = xstrdup(value);
                return *value != '\0';
        }
        if (strcmp(name, "user-email") == 0) {
                q->email = xstrdup(value);
                return is_email(value);
        }
        if (strcmp(value, "PrivateUser") == 0)
                q->kind = USER_KIND_PRIVATE;
        else if (strcmp(value, "SharedDevice") == 0)
                q->kind = USER_KIND_SHARED;
        else
                return false;
        return true;
}

static bool parse_param(const char *name, const char *value, void *userdata) {
        static const char *const known[] = { "max-results", "next-token", "user-email",
                                             "user-type" };
        ParseState *s = userdata;

        for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
                if (strcmp(name, known[i]) != 0)
                        continue;
                if (s->seen & 1u << i) {
                        buf_printf(s->err, "Parameter '%s' is given twice.", name);
                        return false;
                }
                s->seen |= 1u << i;
                if (parse_value(name, value, s->q))
                        return true;
                buf_printf(s->err, "Value '%s' of '%s' failed to satisfy its constraint.", value,
                           name);
                return false;
        }
        buf_printf(s->err, "Unknown parameter '%s'.", name);
        return false;
}

bool query_parse(const char *query, Query *ret, Buf *err) {
        ParseState s = { .q = ret, .err = err };

        *ret = (Query){ .max_results = 100 };
        if (query_walk(query, parse_param, &s))
                return true;
        if (err->len == 0)
                buf_puts(err, "The query string is malformed.");
        return false;
}

static bool matches(const User *u, const Query *q) {
        if (q->kind != USER_KIND_OTHER && u->kind != q->kind)
                return false;
        return !q->email || strcasecmp(u->email, q->email) == 0;
}

void listing_select(const Account *a, const Query *q, const Position *p, Selection *ret) {
        size_t i = p->key ? account_after_key(a, p->key) : 0;

        ret->n = 0;
        ret->more = false;
        for (; i < a->n; i++) {
                if (!matches(&a->users[i], q))
                        continue;
                if (ret->n == q->max_results) {
                        ret->more = true;
                        return;
                }
                ret->indices[ret->n++] = i;
        }
}

Position listing_next(const Account *a, const Selection *s, const Position *p) {
        Position next = *p;

        next.page++;
        if (s->n > 0)
                next.key = a->users[s->indices[s->n - 1]].key;
        return next;
}

void listing_render(const Emulator *e, const Account *a, const Query *q, const Selection *s,
                    const Buf *first, const Position *next, Buf *out) {
        size_t size = 256;

        for (size_t i = 0; i < s->n; i++)
                size += a->users[s->indices[i]].json_len + 1;
        buf_reserve(out, size);
        buf_puts(out, "{\"Users\":[");
        for (size_t i = 0; i < s->n; i++) {
                const User *u = &a->users[s->indices[i]];

                if (i > 0)
                        buf_putc(out, ',');
                if (i == 0 && first)
                        buf_add(out, first->data, first->len);
                else
                        buf_add(out, u->json, u->json_len);
        }
        buf_putc(out, ']');
        if (next) {
                buf_puts(out, ",\"NextToken\":\"");
                position_to_token(e, a, q, next, out);
                buf_putc(out, '"');
        } else if (e->config.end_token == END_TOKEN_NULL)
                buf_puts(out, ",\"NextToken\":null");
        else if (e->config.end_token == END_TOKEN_EMPTY)
                buf_puts(out, ",\"NextToken\":\"\"");
        buf_putc(out, '}');
}
