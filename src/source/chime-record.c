/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of ListUsers: a page, cut into records, and one record, read by the field table.  No
 * field is named here; USER_FIELDS knows them.  Nearly all records are ordinary, and record_read()
 * reads those; what is right says the way of the tree. */
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/jsonread.h"
#include "base/jsontext.h"
#include "base/memstream.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "source/page-cut.h"
#include "source/record-read.h"
#include "source/source-internal.h"

#define TOKEN_MAX (64u << 10)
#define RECORD_DEPTH_MAX 32
#define USER_ID_MAX 1024
#define PLAIN (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

static void json_putp(json_object **o) {
        (void) json_object_put(*o);
}
#define CLEANUP_JSON CLEANUP(json_putp)

static int out_of_memory(Error *err) {
        return error_set(err, -ENOMEM, "out of memory");
}

/* One JSON value that takes up all of the bytes, in UTF-8.  *ret is NULL for null; owned by the
 * caller.  -EBADMSG without a message, or -ENOMEM. */
static int parse(const SourceRecord *bytes, json_object **ret) {
        static json_tokener *tok; /* kept from record to record: it owns a buffer that has grown */
        size_t end = 0;
        int r;

        if (!text_is_utf8(bytes->data, bytes->len))
                return -EBADMSG; /* json-c lets overlong forms and surrogates through */
        if (!tok) {
                tok = json_tokener_new_ex(RECORD_DEPTH_MAX);
                if (!tok)
                        return -ENOMEM;
                json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        }
        r = jsonread(tok, bytes->data, bytes->len, ret, &end);
        if (r >= 0 && end != bytes->len) {
                (void) json_object_put(take_ptr(*ret));
                return -EBADMSG;
        }
        return r;
}

/* The text of a JSON string without NUL in it, borrowed; else NULL. */
static const char *plain_text(json_object *v) {
        const char *text;

        if (!json_object_is_type(v, json_type_string))
                return NULL;
        text = json_object_get_string(v);
        return strlen(text) == (size_t) json_object_get_string_len(v) ? text : NULL;
}

/* ---- a page ---- */

/* The value of NextToken.  *ret stays as it is where that says "the last page". */
static int read_token(const SourceRecord *value, char **ret, Error *err) {
        CLEANUP_JSON json_object *o = NULL;
        const char *text;
        int r;

        if (value->len > 6 * TOKEN_MAX + 2) /* no character takes more than \uXXXX */
                return error_set(err, -EBADMSG, "has a NextToken that is too long");
        if (*value->data != '"' && *value->data != 'n') /* a number that ends the bytes is no end */
                return error_set(err, -EBADMSG, "has a NextToken that is no string");
        if (*value->data == 'n')
                return 0;
        r = parse(value, &o);
        if (r == -ENOMEM)
                return out_of_memory(err);
        text = r < 0 ? NULL : plain_text(o);
        if (!text)
                return error_set(err, -EBADMSG, "has a NextToken that is no plain string");
        if (strlen(text) > TOKEN_MAX)
                return error_set(err, -EBADMSG, "has a NextToken that is too long");
        if (!*text)
                return 0;
        *ret = strdup(text);
        return *ret ? 0 : out_of_memory(err);
}

int chime_cut(const char *body, size_t len, const SourceExpect *expect, SourcePage *ret,
              Error *err) {
        CLEANUP(page_cut_clear) PageCut cut = { 0 };
        CLEANUP_FREE char *next = NULL;
        const PageMember *token = NULL;
        int r = page_cut(body, len, "Users", expect, &cut, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < cut.n_members; i++) {
                if (!page_member_is(&cut.members[i], "NextToken"))
                        continue;
                if (token)
                        return error_set(err, -EBADMSG, "has more than one NextToken");
                token = &cut.members[i];
        }
        if (token) {
                r = read_token(&token->value, &next, err);
                if (r < 0)
                        return r;
        }
        ret->records = take_ptr(cut.elements);
        ret->n_records = cut.n_elements;
        ret->next = take_ptr(next);
        return 0;
}

/* Steps back over white space (RFC 8259) that ends at end. */
static const char *before_space(const char *start, const char *end) {
        while (end > start && memchr(" \t\r\n", end[-1], 4))
                end--;
        return end;
}

/* Where the string of plain ASCII begins that ends with a quote before end; NULL: it is another. */
static const char *plain_string(const char *start, const char *end) {
        const char *p = end;

        if (p == start || *--p != '"')
                return NULL;
        while (p > start && p[-1] >= ' ' && p[-1] < 0x7f && p[-1] != '"' && p[-1] != '\\')
                p--;
        return p > start && p[-1] == '"' ? p - 1 : NULL;
}

/* A page ends as the service writes it: ,"NextToken":"…"} */
char *chime_glance(const char *body, size_t len) {
        static const char name[] = "\"NextToken\"";
        const ptrdiff_t name_len = sizeof name - 1;
        const char *end = before_space(body, body + len), *value, *p;

        if (end == body || *--end != '}')
                return NULL;
        end = before_space(body, end);
        value = plain_string(body, end);
        if (!value || end - value <= 2 || end - value > (ptrdiff_t) TOKEN_MAX)
                return NULL;
        p = before_space(body, value);
        if (p == body || *--p != ':')
                return NULL;
        p = before_space(body, p);
        if (p - body <= name_len || memcmp(p - name_len, name, (size_t) name_len) != 0)
                return NULL;
        p = before_space(body, p - name_len);
        return p > body && (p[-1] == ',' || p[-1] == '{')
                       ? strndup(value + 1, (size_t) (end - value - 2))
                       : NULL;
}

/* ---- what the table knows ---- */

static bool time_of(json_object *v, char out[static TIME_TEXT_SIZE]) {
        static const int64_t year_10000 = INT64_C(253402300800000);
        const char *text = plain_text(v);
        int64_t ms = 0;
        int r = -EINVAL;

        if (text)
                r = time_parse(text, &ms);
        else if (json_object_is_type(v, json_type_int) || json_object_is_type(v, json_type_double))
                r = time_from_epoch(json_object_get_double(v), &ms);
        if (r < 0 || ms >= year_10000) /* which rounding may reach */
                return false;
        time_format(ms, out);
        return true;
}

/* A member that is there.  -EBADMSG: it is not what the API's model says. */
static int set_field(User *u, UserFieldId id, json_object *v, Error *err) {
        const UserField *f = &user_fields[id];
        const char *text = NULL, *wanted = NULL;
        char time[TIME_TEXT_SIZE];

        switch (f->type) {
        case FIELD_TEXT:
                wanted = "a plain string";
                text = plain_text(v);
                break;
        case FIELD_TIME:
                wanted = "a time";
                text = time_of(v, time) ? time : NULL;
                break;
        case FIELD_BOOL:
                wanted = "true or false";
                if (json_object_is_type(v, json_type_boolean))
                        text = json_object_get_boolean(v) ? "1" : "0";
                break;
        case FIELD_JSON:
                abort(); /* `extra`, which is no member */
        }
        if (!text)
                return error_set(err, -EBADMSG, "%s is not %s", f->json, wanted);
        return user_set(u, id, text) < 0 ? out_of_memory(err) : 0;
}

/* The object that f is a member of: o itself, or one of its members.  NULL where that is absent. */
static int object_of(const UserField *f, json_object *o, json_object **ret, Error *err) {
        json_object *parent = o;

        if (*f->parent && !json_object_object_get_ex(o, f->parent, &parent))
                parent = NULL;
        if (parent && !json_object_is_type(parent, json_type_object))
                return error_set(err, -EBADMSG, "%s is not an object", f->parent);
        *ret = parent;
        return 0;
}

static int set_fields(User *u, json_object *o, Error *err) {
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++) {
                const UserField *f = &user_fields[i];
                json_object *parent = NULL, *v = NULL;
                int r;

                if (!*f->json)
                        continue;
                r = object_of(f, o, &parent, err);
                if (r >= 0 && parent && json_object_object_get_ex(parent, f->json, &v) && v)
                        r = set_field(u, i, v, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- what it does not know ---- */

static bool is_field(const char *name, const char *parent) {
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if (*user_fields[i].json && strcmp(user_fields[i].json, name) == 0 &&
                    strcmp(user_fields[i].parent, parent) == 0)
                        return true;
        return false;
}

static bool is_parent(const char *name) {
        for (unsigned i = 0; i < USER_FIELD_COUNT; i++)
                if (*user_fields[i].parent && strcmp(user_fields[i].parent, name) == 0)
                        return true;
        return false;
}

/* The members of o, which is `parent`, that the table does not know, as a new object; NULL where
 * there is none. */
static int unknown_members(json_object *o, const char *parent, json_object **ret) {
        CLEANUP_JSON json_object *unknown = NULL;

        json_object_object_foreach(o, name, value) {
                CLEANUP_JSON json_object *keep = NULL;

                if (is_field(name, parent))
                        continue;
                if (!*parent && is_parent(name)) {
                        if (value && unknown_members(value, name, &keep) < 0)
                                return -ENOMEM;
                        if (!keep)
                                continue;
                } else
                        keep = json_object_get(value);

                if (!unknown)
                        unknown = json_object_new_object();
                if (!unknown || json_object_object_add(unknown, name, keep) < 0)
                        return -ENOMEM;
                (void) take_ptr(keep);
        }
        *ret = take_ptr(unknown);
        return 0;
}

static int by_name(const void *a, const void *b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static int write_canonical(FILE *f, json_object *v);

static int write_object(FILE *f, json_object *o) {
        size_t n = 0, count = (size_t) json_object_object_length(o);
        CLEANUP_FREE const char **names = calloc(count + 1, sizeof *names);

        if (!names)
                return -ENOMEM;
        json_object_object_foreach(o, name, value) {
                (void) value;
                names[n++] = name;
        }
        qsort(names, n, sizeof *names, by_name);
        for (size_t i = 0; i < n; i++) {
                CLEANUP_JSON json_object *text = json_object_new_string(names[i]);

                if (!text || fputc(i ? ',' : '{', f) == EOF || write_canonical(f, text) < 0 ||
                    fputc(':', f) == EOF ||
                    write_canonical(f, json_object_object_get(o, names[i])) < 0)
                        return -ENOMEM;
        }
        return fputs(n ? "}" : "{}", f) < 0 ? -ENOMEM : 0;
}

static int write_array(FILE *f, json_object *o) {
        size_t n = json_object_array_length(o);

        for (size_t i = 0; i < n; i++)
                if (fputc(i ? ',' : '[', f) == EOF ||
                    write_canonical(f, json_object_array_get_idx(o, i)) < 0)
                        return -ENOMEM;
        return fputs(n ? "]" : "[]", f) < 0 ? -ENOMEM : 0;
}

/* Members sorted by name at every level, so that another order is no change.  RECORD_DEPTH_MAX
 * bounds the recursion. */
static int write_canonical(FILE *f, json_object *v) {
        const char *text;

        if (json_object_is_type(v, json_type_object))
                return write_object(f, v);
        if (json_object_is_type(v, json_type_array))
                return write_array(f, v);
        text = jsontext_of(v, PLAIN); /* also of NULL, which is null */
        return !text || fputs(text, f) < 0 ? -ENOMEM : 0;
}

static int set_extra(User *u, json_object *o, Error *err) {
        CLEANUP_JSON json_object *unknown = NULL;
        CLEANUP_FREE char *text = NULL;
        size_t len = 0;
        FILE *f;
        int r;

        if (unknown_members(o, "", &unknown) < 0)
                return out_of_memory(err);
        if (!unknown)
                return 0;
        f = memstream_open(&text, &len);
        if (!f)
                return out_of_memory(err);
        r = write_canonical(f, unknown);
        if (fclose(f) != 0 || r < 0 || user_set(u, USER_FIELD_EXTRA, text) < 0)
                return out_of_memory(err);
        return 0;
}

/* ---- a record ---- */

static int unidentified(Error *err, const char *why, const char *what) {
        (void) error_set(err, -EBADMSG, "%s %s", why, what);
        return RECORD_UNIDENTIFIED;
}

/* The identity, and whose it is.  -EBADMSG where the record is of another account. */
static int identify(const AccountConfig *account, json_object *o, User *u, Error *err) {
        const UserField *key = &user_fields[USER_FIELD_USER_ID];
        const UserField *owner = &user_fields[USER_FIELD_ACCOUNT_ID];
        json_object *v = NULL;
        const char *text;

        if (!json_object_object_get_ex(o, key->json, &v) || !v)
                return unidentified(err, "a record without", key->json);
        text = plain_text(v);
        if (!text || !*text || strlen(text) > USER_ID_MAX)
                return unidentified(err, "a record with an unusable", key->json);
        if (user_set(u, USER_FIELD_USER_ID, text) < 0)
                return out_of_memory(err);

        text = json_object_object_get_ex(o, owner->json, &v) ? plain_text(v) : NULL;
        if (text && strcasecmp(text, account->account_id) != 0) {
                (void) error_set(err, -EBADMSG, "%s is not account_id", owner->json);
                return RECORD_FOREIGN;
        }
        return RECORD_USER;
}

int chime_record_by_tree(const AccountConfig *account, const SourceRecord *record, User *u,
                         Error *err) {
        CLEANUP_JSON json_object *o = NULL;
        CLEANUP_FREE char *id = NULL;
        int r;

        user_clear(u);
        r = parse(record, &o);
        if (r == -ENOMEM)
                return out_of_memory(err);
        if (r < 0)
                return unidentified(err, "a record that is no JSON in UTF-8, or",
                                    "nested too deeply");
        if (!json_object_is_type(o, json_type_object))
                return unidentified(err, "a record that is no", "object");
        r = identify(account, o, u, err);
        if (r != RECORD_USER)
                return r;

        r = set_fields(u, o, err);
        if (r >= 0)
                r = set_extra(u, o, err);
        if (r >= 0)
                return RECORD_USER;
        /* nothing is left but the id */
        id = take_ptr(u->value[USER_FIELD_USER_ID]);
        user_clear(u);
        u->value[USER_FIELD_USER_ID] = take_ptr(id);
        return r == -EBADMSG ? RECORD_UNREADABLE : r;
}

/* Whether what record_read() made of a record needs no more judging. */
static bool is_ordinary(const AccountConfig *account, const User *u) {
        const char *id = user_get(u, USER_FIELD_USER_ID);
        const char *owner = user_get(u, USER_FIELD_ACCOUNT_ID);

        return id && *id && strlen(id) <= USER_ID_MAX &&
               (!owner || strcasecmp(owner, account->account_id) == 0);
}

int chime_record(const AccountConfig *account, const SourceRecord *record, User *u, Error *err) {
        user_clear(u);
        if (record_read(record, u) && is_ordinary(account, u))
                return RECORD_USER;
        return chime_record_by_tree(account, record, u, err);
}
