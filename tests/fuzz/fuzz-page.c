/* SPDX-License-Identifier: Apache-2.0 */
/* A page of users.  What page_cut() takes, json-c takes too, with the same elements and members; what
 * it refuses is no JSON, or of the kinds that page-cut.h names.  Each record that is read comes back
 * as it was once it is written as JSON again, and is the same whether it is read by its bytes or by way
 * of a tree. */
#include <errno.h>
#include <string.h>

#include "../unit/json-judge.h"
#include "base/text.h"
#include "fuzz.h"
#include "source/page-cut.h"
#include "source/record-read.h"
#include "source/source-internal.h"

#define ARRAY "Users"
#define CANARY "ana.canary@example.com"

static char account_id[] = "acc", endpoint[] = "https://chime.example";
static const AccountConfig account = {
        .account_id = account_id,
        .endpoint = endpoint,
        .max_results = 200,
};

/* ---- cutting ---- */

static void compare_elements(const PageCut *p, json_object *whole) {
        json_object *array = NULL;

        demand(json_object_object_get_ex(whole, ARRAY, &array));
        demand(json_object_array_length(array) == p->n_elements);
        for (size_t i = 0; i < p->n_elements; i++) {
                CLEANUP_JSON json_object *o = NULL;

                demand(fuzz_json(p->elements[i].data, p->elements[i].len, &o));
                demand(json_object_equal(o, json_object_array_get_idx(array, i)));
        }
}

/* The member's name, unescaped: its bytes are what stands between quotes. */
static json_object *name_of(const PageMember *m) {
        json_object *name = NULL;

        demand(fuzz_json(m->name.data - 1, m->name.len + 2, &name));
        demand(json_object_is_type(name, json_type_string));
        return name;
}

/* Of members that are called the same, a tree keeps the last. */
static bool is_last_of_its_name(const PageCut *p, size_t i, const char *name) {
        for (size_t k = i + 1; k < p->n_members; k++) {
                CLEANUP_JSON json_object *other = name_of(&p->members[k]);

                if (strcmp(json_object_get_string(other), name) == 0)
                        return false;
        }
        return true;
}

static void compare_members(const PageCut *p, json_object *whole) {
        for (size_t i = 0; i < p->n_members; i++) {
                CLEANUP_JSON json_object *name = name_of(&p->members[i]), *o = NULL;
                const char *text = json_object_get_string(name);
                json_object *there = NULL;
                bool ascii = true;

                for (const char *c = text; *c; c++)
                        ascii = ascii && *c > 0;
                if (ascii)
                        demand(page_member_is(&p->members[i], text));
                demand(!page_member_is(&p->members[i], ARRAY));
                demand(fuzz_json(p->members[i].value.data, p->members[i].value.len, &o));
                demand(json_object_object_get_ex(whole, text, &there));
                if (is_last_of_its_name(p, i, text))
                        demand(json_object_equal(o, there));
        }
}

/* page-cut.h: what it may refuse of what is JSON.  That it is JSON, is_json() has found, which knows
 * of nesting and NUL. */
static bool is_documented(const char *why) {
        static const char *const reasons[] = { "is not UTF-8", "has too many records",
                                               "has too many members", "is no array",
                                               "more than one" };

        for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
                if (strstr(why, reasons[i]))
                        return true;
        return false;
}

static bool has_array(json_object *whole) {
        json_object *array = NULL;

        return json_object_is_type(whole, json_type_object) &&
               json_object_object_get_ex(whole, ARRAY, &array) &&
               json_object_is_type(array, json_type_array);
}

/* ---- records ---- */

static void put(json_object *o, const char *name, json_object *value) {
        demand(json_object_object_add(o, name, value) == 0);
}

/* The user as the service would send it. */
static json_object *to_json(const User *u) {
        const char *extra = user_get(u, USER_FIELD_EXTRA);
        json_object *o = NULL, *parent = NULL;

        if (!extra)
                o = json_object_new_object();
        else
                demand(fuzz_json(extra, strlen(extra), &o));
        demand(json_object_is_type(o, json_type_object));
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++) {
                const UserField *f = &user_fields[i];

                if (!*f->json || !u->value[i])
                        continue;
                parent = o;
                if (*f->parent && !json_object_object_get_ex(o, f->parent, &parent)) {
                        parent = json_object_new_object();
                        put(o, f->parent, parent);
                }
                put(parent, f->json,
                    f->type == FIELD_BOOL ? json_object_new_boolean(*u->value[i] == '1')
                                          : json_object_new_string(u->value[i]));
        }
        return o;
}

static void check_round_trip(const Source *source, const User *u) {
        CLEANUP_JSON json_object *o = to_json(u);
        const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
        SourceRecord record = { .data = text, .len = strlen(text) };
        User again = { 0 };
        Error err = { 0 };

        demand(source->record(&account, &record, &again, &err) == RECORD_USER);
        demand(user_diff(u, &again) == 0);
        demand(strcmp(user_get(u, USER_FIELD_USER_ID), user_get(&again, USER_FIELD_USER_ID)) == 0);
        user_clear(&again);
}

/* Members in the order of their names, at every level: another order is no change. */
static bool is_sorted(json_object *o) {
        const char *last = NULL;

        for (size_t i = 0;
             json_object_is_type(o, json_type_array) && i < json_object_array_length(o); i++)
                if (!is_sorted(json_object_array_get_idx(o, i)))
                        return false;
        if (!json_object_is_type(o, json_type_object))
                return true;
        json_object_object_foreach(o, name, value) {
                if ((last && strcmp(last, name) >= 0) || !is_sorted(value))
                        return false;
                last = name;
        }
        return true;
}

/* What the table of fields knows stands in its own column and nowhere else. */
static void check_extra(const char *extra) {
        CLEANUP_JSON json_object *o = NULL;

        demand(fuzz_json(extra, strlen(extra), &o) && json_object_is_type(o, json_type_object));
        demand(json_object_object_length(o) > 0 && is_sorted(o));
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++) {
                const UserField *f = &user_fields[i];
                json_object *parent = o;

                if (*f->parent && !json_object_object_get_ex(o, f->parent, &parent))
                        continue;
                demand(!*f->json || !json_object_object_get_ex(parent, f->json, NULL));
        }
}

static void check_user(const Source *source, const User *u) {
        const char *extra = user_get(u, USER_FIELD_EXTRA);

        for (unsigned i = 0; i < USER_FIELD_COUNT; i++) {
                if (!u->value[i])
                        continue;
                demand(text_is_utf8(u->value[i], strlen(u->value[i])));
                if (user_fields[i].type == FIELD_TIME)
                        demand(strlen(u->value[i]) == 24);
                if (user_fields[i].type == FIELD_BOOL)
                        demand(strcmp(u->value[i], "0") == 0 || strcmp(u->value[i], "1") == 0);
        }
        if (extra)
                check_extra(extra);
        check_round_trip(source, u);
}

/* r, err and u are what became of the record; by its bytes, if they are ordinary. */
static void check_two_ways(const SourceRecord *record, int r, const Error *err, const User *u) {
        User other = { 0 };
        Error why = { 0 };

        demand(chime_record_by_tree(&account, record, &other, &why) == r);
        demand(strcmp(err->msg, why.msg) == 0);
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                demand(u->value[i] ? other.value[i] && strcmp(u->value[i], other.value[i]) == 0
                                   : !other.value[i]);
        user_clear(&other);
}

/* Any bytes at all: what the reader takes is JSON to others, and what it leaves it leaves empty. */
static void check_bytes(const char *data, size_t len) {
        const SourceRecord record = { .data = data, .len = len };
        CLEANUP_JSON json_object *o = NULL;
        User u = { 0 };
        bool taken = record_read(&record, &u);

        if (taken)
                demand(fuzz_json(data, len, &o) && json_object_is_type(o, json_type_object));
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                demand(taken || !u.value[i]);
        user_clear(&u);
}

/* Returns the SourceRecordState. */
static int check_record(const Source *source, const SourceRecord *record) {
        User u = { 0 };
        Error err = { 0 };
        int r = source->record(&account, record, &u, &err);
        const char *id = user_get(&u, USER_FIELD_USER_ID);

        demand(r >= 0);
        check_two_ways(record, r, &err, &u);
        if (r == RECORD_USER || r == RECORD_UNREADABLE)
                demand(id && *id && strlen(id) <= 1024);
        if (r == RECORD_USER)
                check_user(source, &u);
        else
                demand(fuzz_is_clean(err.msg) && *err.msg && !strstr(err.msg, CANARY));
        if (r == RECORD_UNREADABLE)
                for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                        demand(i == USER_FIELD_USER_ID || !u.value[i]);
        user_clear(&u);
        return r;
}

static bool every_record_reads(const Source *source, const PageCut *p) {
        bool all = true;

        for (size_t i = 0; i < p->n_elements; i++)
                all &= check_record(source, &p->elements[i]) != RECORD_UNIDENTIFIED;
        return all;
}

/* ---- the answer ---- */

/* What is asked for next: nothing in it but what SigV4 calls canonical. */
static void check_request(const Source *source, const char *next) {
        static const char allowed[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                "-._~%=&?:/";
        CLEANUP(source_request_clear) SourceRequest request = { 0 };
        Error err = { 0 };

        demand(source->request(&account, next, &request, &err) == 0);
        demand(strspn(request.url, allowed) == strlen(request.url));
        demand((strstr(request.url, "&next-token=") != NULL) == (next && *next));
}

static void check_answer(const Source *source, const char *body, size_t len, bool cut) {
        CLEANUP(source_answer_clear) SourceAnswer a = { 0 };
        CLEANUP_FREE char *glance = source->glance(body, len);
        Error err = { 0 };

        demand(source->page(body, len, NULL, &a, &err) == 0);
        if (a.verdict == SOURCE_PAGE) {
                demand(cut);
                demand(!glance || (a.page.next && strcmp(glance, a.page.next) == 0));
                demand(!a.page.next || (*a.page.next && strlen(a.page.next) <= 64u << 10));
                check_request(source, a.page.next);
                return;
        }
        demand(a.verdict == SOURCE_RETRY);
        demand(*a.error && fuzz_is_clean(a.error));
        if (strchr("{[\"", body[strspn(body, " \t\r\n")])) /* meant as JSON: personal data */
                demand(!strstr(a.error, CANARY));
}

/* The objects of a page that was cut, in their order. */
typedef struct Last {
        const PageCut *page;
        size_t next;
} Last;

static size_t expect_same(void *userdata, const char *text, size_t len, int64_t *ret_row) {
        Last *last = userdata;
        const SourceRecord *e = &last->page->elements[last->next];

        if (last->next == last->page->n_elements)
                return 0;
        last->next++;
        if (*e->data != '{' || e->len > len || memcmp(text, e->data, e->len) != 0)
                return 0;
        *ret_row = (int64_t) last->next;
        return e->len;
}

/* Recognised records are cut where the others are. */
static void check_expected(const char *text, size_t len, const PageCut *page) {
        CLEANUP(page_cut_clear) PageCut again = { 0 };
        Last last = { page, 0 };
        Error err = { 0 };

        demand(page_cut(text, len, ARRAY, &(SourceExpect){ expect_same, &last }, &again, &err) ==
               0);
        demand(again.n_elements == page->n_elements && again.n_members == page->n_members);
        for (size_t i = 0; i < page->n_elements; i++) {
                const SourceRecord *a = &page->elements[i], *b = &again.elements[i];

                demand(a->data == b->data && a->len == b->len);
                demand(b->row == (*a->data == '{' ? (int64_t) i + 1 : 0));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        CLEANUP(page_cut_clear) PageCut p = { 0 };
        CLEANUP_FREE char *exact = malloc(size + !size), *body = malloc(size + 1);
        CLEANUP_JSON json_object *whole = NULL;
        const Source *source = source_find("chime");
        bool json, by_json_c;
        Error err = { 0 };
        int r;

        demand(exact && body);
        if (size > 0)
                memcpy(exact, data, size);
        memcpy(body, exact, size);
        body[size] = '\0';
        check_bytes(exact, size);
        r = page_cut(exact, size, ARRAY, NULL, &p, &err);
        json = is_json(body, size);
        by_json_c = fuzz_json(exact, size, &whole);

        if (r == 0) {
                demand(json);
                check_expected(exact, size, &p);
                if (by_json_c) {
                        compare_elements(&p, whole);
                        compare_members(&p, whole);
                        (void) every_record_reads(source, &p);
                } else /* json-c refuses: so must whoever reads the records */
                        demand(!every_record_reads(source, &p));
        } else {
                demand(r == -EBADMSG && *err.msg && fuzz_is_clean(err.msg));
                demand(!json || !by_json_c || !has_array(whole) || is_documented(err.msg));
        }
        check_answer(source, body, size, r == 0);
        return 0;
}
