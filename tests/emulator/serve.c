/* SPDX-License-Identifier: Apache-2.0 */
/* One ListUsers request from its raw bytes to its answer. */
#include "faults.h"

#include <string.h>
#include <time.h>

/* "/accounts/{id}/users": the id, decoded.  NULL: another path. */
static char *account_from_path(const char *path) {
        static const char head[] = "/accounts/", tail[] = "/users";
        size_t n = strlen(path);
        Buf id = { 0 };

        if (n <= strlen(head) + strlen(tail) || strncmp(path, head, strlen(head)) != 0 ||
            strcmp(path + n - strlen(tail), tail) != 0)
                return NULL;
        if (!percent_decode(path + strlen(head), n - strlen(head) - strlen(tail), false, &id) ||
            strchr(id.data, '/')) {
                buf_free(&id);
                return NULL;
        }
        return buf_steal(&id);
}

static void fail(Emulator *e, Answer *a, const char *name, const char *message) {
        unsigned status = 500;
        const char *code = NULL;

        (void) exception_find(name, &status, &code);
        answer_exception(a, &e->config, status, name, code, message);
}

static bool check_signature(Emulator *e, ListCall *call, Answer *a) {
        SigError err;
        bool ok = sigv4_check(&call->request, e->config.credentials, e->config.n_credentials,
                              time(NULL) + e->config.clock_offset_s, &err);

        call->log.signature_ok = ok;
        if (!ok) {
                e->stats.signature_failures++;
                fail(e, a, err.exception, err.message);
        }
        return ok;
}

/* A token bucket that holds one second's worth. */
static bool check_rate(Emulator *e, Account *account, Answer *a) {
        double rate = e->config.rate, most = rate > 1 ? rate : 1;
        uint64_t now = now_ns();

        if (rate <= 0)
                return true;
        if (account->bucket_at_ns == 0)
                account->bucket = most;
        else
                account->bucket += rate * (double) (now - account->bucket_at_ns) / 1e9;
        if (account->bucket > most)
                account->bucket = most;
        account->bucket_at_ns = now;
        if (account->bucket >= 1) {
                account->bucket -= 1;
                return true;
        }
        e->stats.throttled++;
        fail(e, a, "ThrottledClientException", "Rate exceeded");
        return false;
}

static void answer_page(Emulator *e, Account *account, const Query *q, Position *p, ListCall *call,
                        Answer *a) {
        FaultCall fc = { .e = e, .account = account, .query = q, .position = p, .answer = a };
        Selection s;
        Position next;

        account->requests++;
        e->requests++;
        if (p->run == 0)
                p->run = ++e->runs;
        call->log.page = p->page;
        fc.fault = fault_take(e, account, p);
        if (fc.fault) {
                call->log.fault = fc.fault->id;
                fault_apply(&fc);
                return;
        }
        listing_select(account, q, p, &s);
        next = listing_next(account, &s, p);
        listing_render(e, account, q, &s, NULL, s.more ? &next : NULL, &a->body);
        a->status = 200;
        a->content_type = "application/json";
        e->stats.pages++;
        e->stats.users += s.n;
}

static void answer_locked(Emulator *e, ListCall *call, Answer *a) {
        Account *account;
        Query q = { 0 };
        Position p = { 0 };
        Buf err = { 0 };

        call->log.account = account_from_path(call->request.path);
        if (!check_signature(e, call, a))
                return;
        if (!call->log.account || strcmp(call->request.method, "GET") != 0) {
                fail(e, a, "NotFoundException", "Unknown operation");
                return;
        }
        account = emulator_account(e, call->log.account);
        if (!account) {
                fail(e, a, "NotFoundException", "The account does not exist.");
                return;
        }
        if (!check_rate(e, account, a))
                return;
        if (!query_parse(call->request.query, &q, &err))
                fail(e, a, "BadRequestException", err.data);
        else if (!position_from_token(e, account, &q, &p))
                fail(e, a, "BadRequestException", "The next token is invalid.");
        else
                answer_page(e, account, &q, &p, call, a);
        query_free(&q);
        buf_free(&err);
}

/* What was sent, or would have been but for a fault of the delivery. */
static char *body_for_log(const Answer *a) {
        Buf text = { 0 };

        if (a->body.len > MAX_LOGGED_BODY)
                return NULL;
        buf_add_base64(&text, (const unsigned char *) (a->body.data ? a->body.data : ""),
                       a->body.len);
        buf_puts(&text, "");
        return buf_steal(&text);
}

static void finish_log(Emulator *e, ListCall *call, const Answer *a) {
        bool silent = a->delivery == DELIVERY_RESET || a->delivery == DELIVERY_STALL;
        struct timespec ts;
        Buf params = { 0 };

        (void) clock_gettime(CLOCK_REALTIME, &ts);
        query_describe(call->request.query, &params);
        call->log.params = buf_steal(&params);
        call->log.time = (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
        call->log.method = xstrdup(call->request.method);
        call->log.path = xstrdup(call->request.path);
        call->log.status = silent ? 0 : a->status;
        call->log.bytes =
                silent ? 0 : a->body.len + a->fill_bytes + (a->tail ? strlen(a->tail) : 0);
        call->log.error = a->exception ? xstrdup(a->exception) : NULL;
        call->log.body = e->config.log_bodies ? body_for_log(a) : NULL;
        e->stats.listing_requests++;
        e->stats.bytes += call->log.bytes;
        if (call->log.status < sizeof e->stats.by_status / sizeof *e->stats.by_status)
                e->stats.by_status[call->log.status]++;
        log_add(e, &call->log);
}

void listing_answer(Emulator *e, ListCall *call, Answer *ret) {
        bool compress;

        (void) pthread_mutex_lock(&e->lock);
        answer_locked(e, call, ret);
        ret->delay_ms += e->config.latency_ms;
        compress = e->config.gzip && call->accepts_gzip;
        finish_log(e, call, ret);
        (void) pthread_mutex_unlock(&e->lock);
        if (compress && ret->body.len > 0 && ret->fill_bytes == 0)
                answer_gzip(ret);
}
