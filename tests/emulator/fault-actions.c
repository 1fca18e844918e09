/* SPDX-License-Identifier: Apache-2.0 */
/* The misbehaviours, one function each, and the table of their names at the end. */
#include "control.h"
#include "faults.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OTHER_ACCOUNT "ffffffff-0000-4000-8000-00000000beef"

static void set_retry_after(const FaultCall *c) {
        json_object *v;
        char text[64];
        time_t when;
        struct tm tm;

        if (json_object_object_get_ex(c->fault->spec, "retry_after", &v))
                c->answer->retry_after = xstrdup(json_object_get_string(v));
        if (!json_object_object_get_ex(c->fault->spec, "retry_after_date", &v))
                return;
        when = time(NULL) + (time_t) json_object_get_int64(v);
        (void) gmtime_r(&when, &tm);
        (void) strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        free(c->answer->retry_after);
        c->answer->retry_after = xstrdup(text);
}

static void raise_exception(const FaultCall *c, const char *name, const char *message) {
        unsigned status = 500;
        const char *code = NULL;

        (void) exception_find(name, &status, &code);
        answer_exception(c->answer, &c->e->config,
                         (unsigned) fault_number(c->fault, "status", status), name,
                         fault_text(c->fault, "code", code),
                         fault_text(c->fault, "message", message));
        set_retry_after(c);
}

static void act_status(const FaultCall *c) {
        const char *name = fault_text(c->fault, "exception", NULL);
        const char *body = fault_text(c->fault, "body", "");

        if (name) {
                raise_exception(c, name, "A scripted failure.");
                return;
        }
        c->answer->status = (unsigned) fault_number(c->fault, "status", 500);
        c->answer->content_type = strchr(body, '<') ? "text/html" : "application/json";
        buf_puts(&c->answer->body, body);
        set_retry_after(c);
}

static void act_html502(const FaultCall *c) {
        c->answer->status = (unsigned) fault_number(c->fault, "status", 502);
        c->answer->content_type = "text/html";
        buf_puts(&c->answer->body,
                 "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>"
                 "<center><h1>502 Bad Gateway</h1></center></body>\r\n</html>\r\n");
}

static void act_reset(const FaultCall *c) {
        c->answer->delivery = DELIVERY_RESET;
}

static size_t cut_position(const FaultCall *c) {
        size_t half = c->answer->body.len / 2;

        return (size_t) fault_number(c->fault, "at", (int64_t) half);
}

static void act_reset_mid_body(const FaultCall *c) {
        fault_render_normal(c);
        c->answer->delivery = DELIVERY_RESET_MID;
        c->answer->cut_at = cut_position(c);
}

static void act_cut_body(const FaultCall *c) {
        fault_render_normal(c);
        c->answer->delivery = DELIVERY_CUT;
        c->answer->cut_at = cut_position(c);
        c->answer->chunked = fault_flag(c->fault, "chunked");
}

static void act_cut_json(const FaultCall *c) {
        size_t at;

        fault_render_normal(c);
        at = cut_position(c);
        if (at < c->answer->body.len)
                c->answer->body.len = at;
}

static void act_stall(const FaultCall *c) {
        c->answer->delivery = DELIVERY_STALL;
}

static void act_slow(const FaultCall *c) {
        fault_render_normal(c);
        c->answer->delivery = DELIVERY_SLOW;
        c->answer->chunk_bytes = (size_t) fault_number(c->fault, "chunk_bytes", 1);
        c->answer->chunk_delay_ms = (unsigned) fault_number(c->fault, "chunk_delay_ms", 100);
        if (c->answer->chunk_bytes == 0)
                c->answer->chunk_bytes = 1;
}

static void act_delay(const FaultCall *c) {
        fault_render_normal(c);
}

/* No misbehaviour: people come, go and move while the listing is read, just before this page. */
static void act_change(const FaultCall *c) {
        json_object *calls, *call, *v;
        Buf reply = { 0 };
        unsigned status = 200;

        if (!json_object_object_get_ex(c->fault->spec, "calls", &calls))
                calls = NULL;
        for (size_t i = 0; calls && i < json_object_array_length(calls) && status == 200; i++) {
                call = json_object_array_get_idx(calls, i);
                reply.len = 0;
                status = control_change_now(
                        c->e, json_object_get_string(json_object_object_get(call, "method")),
                        json_object_get_string(json_object_object_get(call, "path")),
                        json_object_object_get_ex(call, "body", &v) ? v : NULL, &reply);
        }
        if (status == 200)
                fault_render_normal(c);
        else
                answer_exception(c->answer, &c->e->config, 500, "ScriptedChangeFailed", NULL,
                                 reply.data);
        buf_free(&reply);
}

static void act_garbage(const FaultCall *c) {
        buf_puts(&c->answer->body, fault_text(c->fault, "body", "this is not JSON \x01\x02"));
}

static void act_empty_body(const FaultCall *c) {
        (void) c;
}

/* A body of the given beginning; with keep_token the token that the page would have had. */
static void answer_odd(const FaultCall *c, const char *head) {
        Buf *b = &c->answer->body;
        Selection s;
        Position next;

        buf_puts(b, head);
        listing_select(c->account, c->query, c->position, &s);
        if (fault_flag(c->fault, "keep_token") && s.more) {
                next = listing_next(c->account, &s, c->position);
                buf_puts(b, b->len > 1 ? ",\"NextToken\":\"" : "\"NextToken\":\"");
                position_to_token(c->e, c->account, c->query, &next, b);
                buf_putc(b, '"');
        }
        buf_putc(b, '}');
}

static void act_null_users(const FaultCall *c) {
        answer_odd(c, "{\"Users\":null");
}

static void act_no_users(const FaultCall *c) {
        answer_odd(c, "{");
}

static void act_users_not_array(const FaultCall *c) {
        answer_odd(c, "{\"Users\":{\"UserId\":\"not-a-list\"}");
}

static void render_with_next(const FaultCall *c, const Selection *s, const Position *next) {
        listing_render(c->e, c->account, c->query, s, NULL, next, &c->answer->body);
}

static void act_token_loop(const FaultCall *c) {
        Selection s;
        Position next = *c->position;

        listing_select(c->account, c->query, c->position, &s);
        render_with_next(c, &s, &next);
}

static void act_token_cycle(const FaultCall *c) {
        Selection s;
        Position next = *c->position;

        next.tag = next.tag == 1 ? 2 : 1;
        listing_select(c->account, c->query, c->position, &s);
        render_with_next(c, &s, &next);
}

static void act_endless(const FaultCall *c) {
        Selection s;
        Position next;

        listing_select(c->account, c->query, c->position, &s);
        next = listing_next(c->account, &s, c->position);
        if (!s.more)
                next.key = 0;
        render_with_next(c, &s, &next);
}

static void act_empty_page_with_token(const FaultCall *c) {
        Selection none = { .n = 0 };
        Position next = listing_next(c->account, &none, c->position);

        render_with_next(c, &none, &next);
}

static void act_expired_token_page(const FaultCall *c) {
        raise_exception(c, "BadRequestException", "The next token is invalid or has expired.");
}

static void act_expired_session(const FaultCall *c) {
        raise_exception(c, "ExpiredTokenException",
                        "The security token included in the request is expired");
}

static void act_enormous_body(const FaultCall *c) {
        c->answer->fill_bytes = (uint64_t) fault_number(c->fault, "bytes", INT64_C(64) << 20);
        c->answer->chunked = fault_flag(c->fault, "chunked");
        buf_puts(&c->answer->body, "{\"Users\":[");
        c->answer->tail = "]}";
}

static void act_gzip_bomb(const FaultCall *c) {
        answer_gzip_bomb(c->answer, (uint64_t) fault_number(c->fault, "bytes", INT64_C(1) << 30));
}

static void act_redirect(const FaultCall *c) {
        c->answer->status = (unsigned) fault_number(c->fault, "status", 302);
        c->answer->location = xstrdup(fault_text(c->fault, "url", "http://127.0.0.1:9/"));
}

/* The page with another text for its first user, made from the right one by `change`. */
static void render_first_changed(const FaultCall *c,
                                 void (*change)(const FaultCall *c, json_object *user, Buf *out)) {
        Selection s;
        Position next;
        Buf text = { 0 };
        json_object *user;

        listing_select(c->account, c->query, c->position, &s);
        next = listing_next(c->account, &s, c->position);
        user = s.n > 0 ? json_tokener_parse(c->account->users[s.indices[0]].json) : NULL;
        if (json_object_is_type(user, json_type_object))
                change(c, user, &text);
        listing_render(c->e, c->account, c->query, &s, text.len > 0 ? &text : NULL,
                       s.more ? &next : NULL, &c->answer->body);
        json_object_put(user);
        buf_free(&text);
}

static void add_plain(Buf *out, json_object *o) {
        buf_puts(out, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
                                                                JSON_C_TO_STRING_NOSLASHESCAPE));
}

static void drop_id(const FaultCall *c, json_object *user, Buf *out) {
        if (fault_flag(c->fault, "null"))
                json_object_object_add(user, "UserId", NULL);
        else
                json_object_object_del(user, "UserId");
        add_plain(out, user);
}

static void act_user_without_id(const FaultCall *c) {
        render_first_changed(c, drop_id);
}

static void spoil_name(const FaultCall *c, json_object *user, Buf *out) {
        static const char bad[] = "bad \xff\xfe \xc3( \xed\xa0\x80 \xf0\x9f";

        (void) c;
        json_object_object_add(user, "DisplayName", json_object_new_string("@SPOILT@"));
        add_plain(out, user);
        (void) buf_replace(out, "@SPOILT@", bad, sizeof bad - 1, 1);
}

static void act_invalid_utf8(const FaultCall *c) {
        render_first_changed(c, spoil_name);
}

static void add_nest(Buf *out, int64_t levels) {
        for (int64_t i = 0; i < levels; i++)
                buf_putc(out, '[');
        for (int64_t i = 0; i < levels; i++)
                buf_putc(out, ']');
}

static void nest_user(const FaultCall *c, json_object *user, Buf *out) {
        add_plain(out, user);
        out->len--; /* the closing brace */
        buf_puts(out, ",\"Nest\":");
        add_nest(out, fault_number(c->fault, "levels", 100000));
        buf_putc(out, '}');
}

static void act_deep_nesting(const FaultCall *c) {
        const char *where = fault_text(c->fault, "where", "user");
        int64_t levels = fault_number(c->fault, "levels", 100000);
        Buf nest = { 0 };

        if (strcmp(where, "user") == 0) {
                render_first_changed(c, nest_user);
                return;
        }
        if (strcmp(where, "body") == 0) {
                add_nest(&c->answer->body, levels);
                return;
        }
        fault_render_normal(c);
        buf_puts(&nest, "{\"Nest\":");
        add_nest(&nest, levels);
        buf_puts(&nest, ",\"Users\":[");
        (void) buf_replace(&c->answer->body, "{\"Users\":[", nest.data, nest.len, 1);
        buf_free(&nest);
}

static void act_wrong_account(const FaultCall *c) {
        const char *other = fault_text(c->fault, "account_id", OTHER_ACCOUNT);
        size_t limit = (size_t) fault_number(c->fault, "count", (int64_t) MAX_PAGE);
        Buf from = { 0 }, to = { 0 };

        fault_render_normal(c);
        buf_printf(&from, "\"AccountId\":\"%s\"", c->account->id);
        buf_printf(&to, "\"AccountId\":\"%s\"", other);
        (void) buf_replace(&c->answer->body, from.data, to.data, to.len, limit);
        buf_free(&from);
        buf_free(&to);
}

static const FaultAction actions[] = {
        { "status", act_status, false },
        { "html502", act_html502, false },
        { "reset", act_reset, false },
        { "reset_mid_body", act_reset_mid_body, false },
        { "cut_body", act_cut_body, false },
        { "cut_json", act_cut_json, false },
        { "stall", act_stall, false },
        { "slow", act_slow, false },
        { "delay", act_delay, false },
        { "change", act_change, false },
        { "garbage", act_garbage, false },
        { "empty_body", act_empty_body, false },
        { "null_users", act_null_users, false },
        { "no_users", act_no_users, false },
        { "users_not_array", act_users_not_array, false },
        { "token_loop", act_token_loop, false },
        { "token_cycle", act_token_cycle, false },
        { "endless", act_endless, false },
        { "empty_page_with_token", act_empty_page_with_token, false },
        { "expired_token_page", act_expired_token_page, true },
        { "expired_session", act_expired_session, false },
        { "enormous_body", act_enormous_body, false },
        { "gzip_bomb", act_gzip_bomb, false },
        { "deep_nesting", act_deep_nesting, false },
        { "invalid_utf8", act_invalid_utf8, false },
        { "wrong_account", act_wrong_account, false },
        { "user_without_id", act_user_without_id, false },
        { "redirect", act_redirect, false },
};

const FaultAction *fault_action_find(const char *name) {
        for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
                if (strcmp(actions[i].name, name) == 0)
                        return &actions[i];
        return NULL;
}
