/* SPDX-License-Identifier: Apache-2.0 */
/* Asking for the pages of a listing and applying them.
 *
 * A page names the next one, which is asked for before the page itself is read, by a look at its end, so
 * that the service works while we do.  An answer that comes while there is still a page at hand waits,
 * whatever it says: everything happens in the order of the listing.  Should the page turn out to be none,
 * or to name another, then what was asked for is taken back as if it had never been. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "base/timespan.h"
#include "daemon/sync-internal.h"

#define PAGE_BODY_MAX ((size_t) 32 * 1024 * 1024)
#define PAGE_ATTEMPTS 6         /* of one page, in a row */
#define RUN_RETRIES 50          /* of one run, and one more for every twenty pages */
#define PAGES_WITHOUT_NEWS 1000 /* in a row that name nobody new: this listing has no end */
#define BACKOFF_FIRST (500 * USEC_PER_MSEC)
#define BACKOFF_MOST (30 * USEC_PER_SEC)
#define PATIENCE (5 * USEC_PER_MINUTE) /* told to wait longer, a run gives up; the next one comes */
#define PORTION (10 * USEC_PER_MSEC)   /* of work in one turn of the loop */
#define PORTION_RECORDS 64             /* applied between two looks at the clock */

static void page_clear(SyncPage *p) {
        source_answer_clear(&p->said);
        free(p->body);
        free(p->continuation);
        *p = (SyncPage){ 0 };
}

void sync_drop_pages(Sync *s) {
        page_clear(&s->hand);
        page_clear(&s->early);
}

static void fail_at(Sync *s, int64_t page, const char *what) {
        Error why;

        (void) error_set(&why, -EBADMSG, "page %" PRId64 ": %s", page, what);
        sync_fail(s, &why);
}

void sync_fail_page(Sync *s, const char *what) {
        fail_at(s, s->page, what);
}

void sync_set_timer(Sync *s, uint64_t delay) {
        if (sd_event_source_set_time_relative(s->timer, delay) < 0 ||
            sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT) < 0)
                sync_fail_page(s, "cannot set a timer");
}

void sync_begin_listing(Sync *s) {
        free(take_ptr(s->continuation));
        known_clear(&s->known);
        s->known_begun = false;
        idset_clear(&s->tokens);
        idset_clear(&s->seen);
        s->in_order = 0;
        idset_clear(&s->contested);
        sync_drop_deferred(s);
        s->unidentified = s->skipped = 0;
        s->page = 1;
        s->pages_without_news = 0;
        s->attempts = 0;
}

/* ---- a page ---- */

static uint64_t token_hash(const Sync *s, const char *token) {
        uint64_t h = s->token_seed;

        for (; *token; token++)
                h = (h ^ (unsigned char) *token) * UINT64_C(0x100000001b3);
        return h ? h : 1;
}

/* Asks for the page behind the one at hand.  next is taken over. */
static void ask_behind(Sync *s, char *next) {
        s->hand.continuation = s->continuation;
        s->continuation = next;
        s->page++;
        sync_ask(s);
}

static const char *body_of(const SyncPage *p) {
        return p->body ? p->body : "";
}

static void ask_ahead(Sync *s) {
        CLEANUP_FREE char *next = NULL;

        if (s->attempts > 0) /* the last answer may have looked like a page, too */
                return;
        next = s->source->glance(body_of(&s->hand), s->hand.body_len);
        /* a circle is told once the page is read */
        if (!next || idset_contains(&s->tokens, token_hash(s, next)))
                return;
        s->hand.ahead = true;
        ask_behind(s, take_ptr(next));
}

/* The request that ask_ahead() made, or its answer; but to be throttled counts. */
static void take_back(Sync *s) {
        if (s->call)
                http_cancel(take_ptr(s->call));
        (void) sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        if (s->early.there && s->early.said.verdict == SOURCE_THROTTLED) {
                s->counters.throttled++;
                pace_throttled(&s->memory->pace);
        }
        page_clear(&s->early);
        free(s->continuation);
        s->continuation = take_ptr(s->hand.continuation);
        s->page = s->hand.page;
        s->hand.ahead = false;
}

/* *p, which is used up, may be a page: it is read in a later turn, when the request is on its way. */
static void begin_page(Sync *s, SyncPage *p) {
        s->hand = *p;
        s->hand.page = s->page;
        *p = (SyncPage){ 0 };
        ask_ahead(s);
        portion_arm(&s->step);
}

/* The page at hand is one.  A listing that goes in circles fails the run once the page is applied. */
static void go_behind(Sync *s) {
        SyncPage *p = &s->hand;
        char *next = p->said.page.next;
        int r;

        if (p->ahead && (!next || strcmp(next, s->continuation) != 0))
                take_back(s);
        p->has_next = next != NULL;
        if (!next)
                return;
        r = idset_add(&s->tokens, token_hash(s, next));
        if (r < 0)
                fail_at(s, p->page, "out of memory");
        p->circles = r == IDSET_PRESENT;
        if (r == IDSET_ADDED && !p->ahead)
                ask_behind(s, take_ptr(p->said.page.next));
}

static size_t expect(void *userdata, const char *text, size_t len, int64_t *ret_row) {
        Sync *s = userdata;

        return known_expect(&s->known, text, len, ret_row);
}

static void take_answer(Sync *s, SyncPage *answer);

/* Returns whether the page at hand is one, and the run goes on with it. */
static bool cut_page(Sync *s) {
        SyncPage *p = &s->hand;
        Error err = { 0 };

        if (s->source->page(body_of(p), p->body_len, &(SourceExpect){ expect, s }, &p->said, &err) <
            0) {
                fail_at(s, p->page, err.msg);
                return false;
        }
        if (p->said.verdict != SOURCE_PAGE) {
                SyncPage none;

                if (p->ahead)
                        take_back(s);
                none = *p;
                *p = (SyncPage){ 0 };
                take_answer(s, &none);
                return false;
        }
        p->cut = true;
        s->pages_without_news++;
        s->attempts = 0;
        s->renewed = false;
        pace_succeeded(&s->memory->pace);
        go_behind(s);
        return !s->finished;
}

/* Applies records of the page at hand for a while.  -EAGAIN: more of what is known is needed first. */
static int apply_records(Sync *s, Error *err) {
        const SourcePage *page = &s->hand.said.page;
        uint64_t until = clock_usec(CLOCK_MONOTONIC) + PORTION;

        while (s->hand.at < page->n_records) {
                int r = sync_apply_record(s, &page->records[s->hand.at], err);

                if (s->finished)
                        return SYNC_DONE;
                if (r == -EBADMSG) {
                        fail_at(s, s->hand.page, err->msg);
                        return SYNC_DONE;
                }
                if (r < 0)
                        return r;
                s->hand.at++;
                if (s->hand.at % PORTION_RECORDS == 0 && clock_usec(CLOCK_MONOTONIC) > until)
                        return SYNC_MORE;
        }
        return SYNC_DONE;
}

static void end_listing(Sync *s) {
        Error err;

        if (s->unidentified) {
                (void) error_set(&err, -EBADMSG,
                                 "%" PRId64 " record%s nobody (%s): the listing cannot count as "
                                 "complete, and nobody was removed",
                                 s->unidentified, s->unidentified == 1 ? " names" : "s name",
                                 s->unidentified_why);
                sync_fail(s, &err);
                return;
        }
        s->whole = true;
        portion_arm(&s->step);
}

/* All records of the page at hand are applied. */
static int end_page(Sync *s, Error *err) {
        const int64_t page = s->hand.page;
        const bool circles = s->hand.circles, has_next = s->hand.has_next;
        SyncPage next = s->early;

        s->counters.pages++;
        s->counters.users = (int64_t) s->seen.count;
        if (store_in_transaction(s->world->store)) {
                int r = store_run_count(s->world->store, s->run, &s->counters, err);

                if (r < 0)
                        return r;
        }
        page_clear(&s->hand);
        if (circles)
                fail_at(s, page, "the listing goes in circles: its NextToken was seen before");
        else if (has_next && s->pages_without_news > PAGES_WITHOUT_NEWS)
                fail_at(s, page, "the listing does not end: it goes on without naming anybody new");
        else if (!has_next)
                end_listing(s);
        else if (next.there) {
                s->early = (SyncPage){ 0 };
                take_answer(s, &next);
        }
        return SYNC_DONE;
}

static int page_step(Sync *s, Error *err) {
        int r;

        if (!s->hand.cut && !cut_page(s))
                return SYNC_DONE;
        r = apply_records(s, err);
        return r != SYNC_DONE || s->finished ? r : end_page(s, err);
}

static int load_known(Sync *s, Error *err) {
        int r = known_load(&s->known, s->world->store, err);

        if (r < 0 || s->known.state != KNOWN_LOADED || !s->known.is_long)
                return r;
        r = batch_write_quietly(s->world->batch, err);
        return r < 0 ? r : known_rebase(&s->known, s->world->store, err);
}

/* What is known is read while there is no page to apply, and when a record is not found in it. */
int sync_pages_step(Sync *s, Error *err) {
        int r = s->hand.there ? page_step(s, err) : -EAGAIN;

        if (r == -EAGAIN && s->known.state == KNOWN_LOADING)
                r = load_known(s, err);
        if (r < 0 && r != -EAGAIN)
                return r;
        return r == SYNC_MORE || s->known.state == KNOWN_LOADING || s->hand.there ? SYNC_MORE
                                                                                  : SYNC_DONE;
}

/* ---- an answer ---- */

static void retry(Sync *s, const SourceAnswer *a) {
        uint64_t delay = backoff_full_jitter(BACKOFF_FIRST, BACKOFF_MOST, s->attempts);
        char text[320];
        bool page;

        s->counters.retries++;
        s->attempts++;
        page = s->attempts >= PAGE_ATTEMPTS;
        if (page || s->counters.retries > RUN_RETRIES + s->counters.pages / 20) {
                (void) snprintf(text, sizeof text, "%s (given up after %" PRId64 " %s)", a->error,
                                page ? (int64_t) s->attempts : s->counters.retries,
                                page ? "attempts" : "retries in this run");
                sync_fail_page(s, text);
                return;
        }
        if (a->retry_after > PATIENCE) {
                (void) snprintf(text, sizeof text, "%s; it asks to come back much later", a->error);
                sync_fail_page(s, text);
                return;
        }
        sync_set_timer(s, a->retry_after > delay ? a->retry_after : delay);
}

static void restart(Sync *s, const char *why) {
        if (s->restarted) {
                sync_fail_page(s, why);
                return;
        }
        s->restarted = true;
        s->counters.retries++;
        sync_begin_listing(s);
        sync_ask(s);
}

/* There is no page at hand.  *answer is used up. */
static void take_answer(Sync *s, SyncPage *answer) {
        const SourceAnswer *a = &answer->said;

        switch (a->verdict) {
        case SOURCE_PAGE:
                begin_page(s, answer);
                break;
        case SOURCE_THROTTLED:
                s->counters.throttled++;
                pace_throttled(&s->memory->pace);
                retry(s, a);
                break;
        case SOURCE_RETRY:
                retry(s, a);
                break;
        case SOURCE_CURSOR_EXPIRED:
                restart(s, a->error);
                break;
        case SOURCE_CREDENTIALS:
                sync_renew_keys(s, a->error);
                break;
        case SOURCE_REFUSED:
                sync_fail_page(s, a->error);
                break;
        }
        page_clear(answer);
}

static void on_answer(const HttpResult *res, void *userdata) {
        Sync *s = userdata;
        SyncPage answer = { .there = true };

        s->call = NULL;
        s->source->answer(res, s->continuation != NULL, time_now_ms(), &answer.said);
        if (answer.said.verdict == SOURCE_PAGE) {
                answer.body_len = res->body_len;
                answer.body = http_take_body(res);
        }
        if (s->hand.there)
                s->early = answer;
        else
                take_answer(s, &answer);
}

/* ---- a request ---- */

static int start_request(Sync *s, Error *err) {
        CLEANUP(source_request_clear) SourceRequest request = { 0 };
        int r = s->source->request(s->account, s->continuation, &request, err);

        if (r < 0)
                return r;

        const HttpSigning signing = { .region = s->account->region,
                                      .service = request.service,
                                      .access_key_id = s->keys.access_key_id,
                                      .secret_access_key = s->keys.secret_access_key,
                                      .session_token = s->keys.session_token };

        return http_start(s->world->http,
                          &(HttpRequest){ .url = request.url,
                                          .signing = request.service ? &signing : NULL,
                                          .ca_file = s->account->ca_file,
                                          .proxy = s->account->proxy,
                                          .connect_timeout = s->account->connect_timeout,
                                          .timeout = s->account->request_timeout,
                                          .max_body = PAGE_BODY_MAX },
                          on_answer, s, &s->call, err);
}

/* What is known is read while the first answer is on its way. */
static void begin_known(Sync *s) {
        Error err = { 0 };

        if (s->known_begun)
                return;
        s->known_begun = true;
        if (sync_known_begin(s, &err) < 0)
                sync_fail_store(s, &err);
        else
                portion_arm(&s->step);
}

void sync_ask(Sync *s) {
        uint64_t now = clock_usec(CLOCK_MONOTONIC), wait = pace_wait(&s->memory->pace, now);
        Error err = { 0 };

        if (wait > 0) {
                sync_set_timer(s, wait);
                return;
        }
        if (start_request(s, &err) < 0) {
                sync_fail_page(s, err.msg);
                return;
        }
        pace_take(&s->memory->pace, now);
        begin_known(s);
}

int sync_on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Sync *s = userdata;

        (void) source;
        (void) usec;
        if (s->asked) {
                s->waits = true;
                s->on_waits(s->userdata);
        } else
                sync_ask(s);
        return 0;
}
