/* SPDX-License-Identifier: Apache-2.0 */
/* One run from its first request to its end.  Every way through it ends in finish(), which records
 * the outcome and calls on_done, or in sync_interrupt(). */
#include "daemon/sync.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/timefmt.h"
#include "base/timespan.h"
#include "daemon/sync-internal.h"

#define PAGE_BODY_MAX ((size_t) 32 * 1024 * 1024)
#define PAGE_ATTEMPTS 6         /* of one page, in a row */
#define RUN_RETRIES 50          /* of one run, and one more for every twenty pages */
#define PAGES_WITHOUT_NEWS 1000 /* in a row that name nobody new: this listing has no end */
#define BACKOFF_FIRST (500 * USEC_PER_MSEC)
#define BACKOFF_MOST (30 * USEC_PER_SEC)
#define KEYS_PATIENCE (500 * USEC_PER_MSEC) /* with a run that waits for keys and counts */
#define PATIENCE (5 * USEC_PER_MINUTE) /* told to wait longer, a run gives up; the next one comes */

static void ask(Sync *s);
static void finish(Sync *s, const Error *why);

static uint64_t now_usec(clockid_t clock) {
        struct timespec ts;

        (void) clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

SyncProgress sync_progress(const Sync *s) {
        return (SyncProgress){ s->run, s->expected, now_usec(CLOCK_BOOTTIME) - s->started_mono,
                               s->counters };
}

void sync_accept_removals(Sync *s, int64_t held) {
        s->state.removals_accepted = held;
}

void sync_free(Sync *s) {
        if (!s)
                return;
        if (s->call)
                http_cancel(s->call);
        if (s->asked)
                credentials_cancel(s->asked);
        aws_keys_clear(&s->keys);
        (void) sd_event_source_disable_unref(s->timer);
        (void) sd_event_source_disable_unref(s->step);
        sync_drop_deferred(s);
        account_state_clear(&s->state);
        idset_clear(&s->tokens);
        idset_clear(&s->seen);
        idset_clear(&s->contested);
        free(s->gone.rows);
        free(s->continuation);
        free(s->scope);
        config_unref(s->config);
        free(s);
}

/* The run fails.  The outcome is told in a later turn, so that no caller is surprised by its own
 * run's end. */
static void fail(Sync *s, const Error *why) {
        if (s->finished)
                return;
        s->finished = true;
        s->waits = false;
        s->result.outcome = RUN_FAILED;
        s->result.error = *why;
        if (s->call)
                http_cancel(take_ptr(s->call));
        if (s->asked)
                credentials_cancel(take_ptr(s->asked));
        (void) sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        (void) sd_event_source_set_enabled(s->step, SD_EVENT_ONESHOT);
}

/* A write failed: with it goes the transaction that all runs share, and batch_lose() comes back to
 * this run, too, by sync_lost(). */
static void fail_store(Sync *s, const Error *why) {
        batch_lose(s->world->batch, why);
        assert(s->finished);
}

void sync_lost(Sync *s, const Error *why) {
        s->result.store_failed = true;
        fail(s, why);
}

/* ---- pages ---- */

static uint64_t token_hash(const Sync *s, const char *token) {
        uint64_t h = s->token_seed;

        for (; *token; token++)
                h = (h ^ (unsigned char) *token) * UINT64_C(0x100000001b3);
        return h ? h : 1;
}

/* The listing begins anew: what it had named so far does not count as named. */
static void begin_listing(Sync *s) {
        free(take_ptr(s->continuation));
        idset_clear(&s->tokens);
        idset_clear(&s->seen);
        idset_clear(&s->contested);
        sync_drop_deferred(s);
        s->unidentified = s->skipped = 0;
        s->page = 1;
        s->pages_without_news = 0;
        s->attempts = 0;
}

/* Fails the run for a reason that has to do with the page at hand. */
static void fail_page(Sync *s, const char *what) {
        Error why;

        (void) error_set(&why, -EBADMSG, "page %" PRId64 ": %s", s->page, what);
        fail(s, &why);
}

static void set_timer(Sync *s, uint64_t delay) {
        if (sd_event_source_set_time_relative(s->timer, delay) < 0 ||
            sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT) < 0)
                fail_page(s, "cannot set a timer");
}

static void retry(Sync *s, const SourceAnswer *a) {
        uint64_t delay = backoff_full_jitter(BACKOFF_FIRST, BACKOFF_MOST, s->attempts);
        char text[320];

        s->counters.retries++;
        s->attempts++;
        if (s->attempts >= PAGE_ATTEMPTS ||
            s->counters.retries > RUN_RETRIES + s->counters.pages / 20) {
                (void) snprintf(text, sizeof text, "%s (given up after %u attempts)", a->error,
                                s->attempts);
                fail_page(s, text);
                return;
        }
        if (a->retry_after > PATIENCE) {
                (void) snprintf(text, sizeof text, "%s; it asks to come back much later", a->error);
                fail_page(s, text);
                return;
        }
        set_timer(s, a->retry_after > delay ? a->retry_after : delay);
}

/* Takes the continuation of a page into use.  Returns false when the listing goes in circles. */
static bool go_on_from(Sync *s, SourcePage *page) {
        int r = idset_add(&s->tokens, token_hash(s, page->next));

        if (r != IDSET_ADDED) {
                fail_page(s, r < 0 ? "out of memory"
                                   : "the listing goes in circles: its NextToken was seen before");
                return false;
        }
        if (++s->pages_without_news > PAGES_WITHOUT_NEWS) {
                fail_page(s, "the listing does not end: it goes on without naming anybody new");
                return false;
        }
        free(s->continuation);
        s->continuation = take_ptr(page->next);
        s->page++;
        return true;
}

static void on_page(Sync *s, SourcePage *page) {
        Error err = { 0 };
        int r;

        s->pages_without_news++;
        for (size_t i = 0; i < page->n_records; i++) {
                r = sync_apply_record(s, &page->records[i], &err);
                if (s->finished)
                        return;
                if (r == -EBADMSG) {
                        fail_page(s, err.msg);
                        return;
                }
                if (r < 0) {
                        fail_store(s, &err);
                        return;
                }
        }
        s->counters.pages++;
        s->counters.users = (int64_t) s->seen.count;
        s->attempts = 0;
        s->renewed = false;
        if (store_in_transaction(s->world->store) &&
            store_run_count(s->world->store, s->run, &s->counters, &err) < 0) {
                fail_store(s, &err);
                return;
        }
        pace_succeeded(&s->memory->pace);
        if (page->next) {
                if (go_on_from(s, page))
                        ask(s);
        } else if (s->unidentified) {
                (void) error_set(&err, -EBADMSG,
                                 "%" PRId64 " records of the listing name nobody (%s): it cannot "
                                 "count as complete, and nobody was removed",
                                 s->unidentified, s->unidentified_why);
                fail(s, &err);
        } else if (sd_event_source_set_enabled(s->step, SD_EVENT_ONESHOT) < 0)
                fail_page(s, "cannot go on");
}

/* ---- credentials ---- */

static void on_credentials(const CredentialsAnswer *answer, void *userdata) {
        Sync *s = userdata;
        Error err = answer->error;
        char text[sizeof err.msg];

        s->asked = NULL;
        if (answer->keys && aws_keys_copy(&s->keys, answer->keys, &err) == 0) {
                (void) sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
                if (s->waits)
                        s->on_waits(s->userdata);
                else
                        ask(s);
                return;
        }
        if (!s->renewed) {
                fail(s, &err);
                return;
        }
        (void) snprintf(text, sizeof text, "%.165s (%.70s)", s->refusal, err.msg);
        fail_page(s, text);
}

/* Goes on by on_credentials().  refused: keys that others are to replace, or NULL. */
static void get_credentials(Sync *s, const AwsKeys *refused) {
        Error err = { 0 };

        if (credentials_get(s->world->credentials, s->account, refused, on_credentials, s,
                            &s->asked, &err) < 0)
                fail(s, &err);
        else
                set_timer(s, KEYS_PATIENCE);
}

bool sync_waits_for_keys(const Sync *s) {
        return s->waits;
}

bool sync_may_go_on(const Sync *s) {
        return s->waits && !s->asked;
}

void sync_go_on(Sync *s) {
        assert(sync_may_go_on(s));
        s->waits = false;
        ask(s);
}

/* The service does not take the keys, or no longer: others, once for each page. */
static void renew_credentials(Sync *s, const char *refusal) {
        if (s->renewed) {
                fail_page(s, refusal);
                return;
        }
        s->renewed = true;
        (void) snprintf(s->refusal, sizeof s->refusal, "%s", refusal);
        get_credentials(s, &s->keys);
}

static void on_answer(const HttpResult *res, void *userdata) {
        Sync *s = userdata;
        SourceAnswer a = { 0 };
        Error err = { 0 };

        s->call = NULL;
        if (s->source->answer(res, s->continuation != NULL, time_now_ms(), &a, &err) < 0) {
                fail_page(s, err.msg);
                return;
        }
        switch (a.verdict) {
        case SOURCE_PAGE:
                on_page(s, &a.page);
                break;
        case SOURCE_THROTTLED:
                s->counters.throttled++;
                pace_throttled(&s->memory->pace);
                retry(s, &a);
                break;
        case SOURCE_RETRY:
                retry(s, &a);
                break;
        case SOURCE_CURSOR_EXPIRED:
                if (s->restarted) {
                        fail_page(s, a.error);
                        break;
                }
                s->restarted = true;
                s->counters.retries++;
                begin_listing(s);
                ask(s);
                break;
        case SOURCE_CREDENTIALS:
                renew_credentials(s, a.error);
                break;
        case SOURCE_REFUSED:
                fail_page(s, a.error);
                break;
        }
        source_answer_clear(&a);
}

/* Asks for the next page, as soon as the pace allows. */
static void ask(Sync *s) {
        uint64_t now = now_usec(CLOCK_MONOTONIC), wait = pace_wait(&s->memory->pace, now);
        SourceRequest request = { 0 };
        Error err = { 0 };
        int r;

        if (wait > 0) {
                set_timer(s, wait);
                return;
        }
        r = s->source->request(s->account, s->continuation, &request, &err);
        if (r >= 0) {
                const HttpSigning signing = { .region = s->account->region,
                                              .service = request.service,
                                              .access_key_id = s->keys.access_key_id,
                                              .secret_access_key = s->keys.secret_access_key,
                                              .session_token = s->keys.session_token };

                r = http_start(s->world->http,
                               &(HttpRequest){ .url = request.url,
                                               .signing = request.service ? &signing : NULL,
                                               .ca_file = s->account->ca_file,
                                               .proxy = s->account->proxy,
                                               .connect_timeout = s->account->connect_timeout,
                                               .timeout = s->account->request_timeout,
                                               .max_body = PAGE_BODY_MAX },
                               on_answer, s, &s->call, &err);
        }
        source_request_clear(&request);
        if (r < 0)
                fail_page(s, err.msg);
        else
                pace_take(&s->memory->pace, now);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Sync *s = userdata;

        (void) source;
        (void) usec;
        if (s->asked) {
                s->waits = true;
                s->on_waits(s->userdata);
        } else
                ask(s);
        return 0;
}

/* ---- the end ---- */

static void complete(Sync *s) {
        Error err = { 0 };

        if (s->finished)
                return;
        if (sync_record_complete(s, &err) < 0) {
                if (!s->finished)
                        fail_store(s, &err);
                return;
        }
        s->finished = true;
        s->result.outcome = RUN_COMPLETE;
        idset_clear(&s->memory->contested);
        s->memory->contested = s->contested;
        s->contested = (IdSet){ 0 };
        finish(s, NULL);
}

/* Records a failure, as far as the database takes it, and tells the schedule. */
static void finish(Sync *s, const Error *why) {
        Error err = { 0 };

        if (why && sync_record_failure(s, why, &err) < 0) {
                /* What could not be recorded stays as it was: the next run, or the next start,
                 * closes this one. */
                s->result.store_failed = true;
                s->result.next_run = sync_next_delay(s->account->interval, 0, 1);
                store_rollback(s->world->store);
        }
        s->result.counters = s->counters;
        s->result.skipped = s->skipped;
        if (s->skipped && s->skipped != s->memory->skipped)
                s->result.skipped_why = s->skipped_why;
        s->memory->skipped = s->skipped;
        s->on_done(s, &s->result, s->userdata);
}

/* The listing is complete, or the run has failed: one portion of what then remains to be done. */
static int on_step(sd_event_source *source, void *userdata) {
        Sync *s = userdata;
        Error err = { 0 };
        int r;

        (void) source;
        if (s->finished) {
                finish(s, &s->result.error);
                return 0;
        }
        r = sync_apply_deferred(s, &err);
        if (r >= 0)
                r = sync_gone_step(s, &err);
        if (r < 0)
                fail_store(s, &err);
        else if (r == SYNC_MORE) {
                if (sd_event_source_set_enabled(s->step, SD_EVENT_ONESHOT) < 0)
                        fail_page(s, "cannot go on");
        } else
                complete(s);
        return 0;
}

void sync_interrupt(Sync *s, const char *reason) {
        Error err = { 0 };

        /* Best effort: what cannot be written now, the next start closes as interrupted. */
        if (s->finished)
                (void) sync_record_failure(s, &s->result.error, &err);
        else if (batch_write(s->world->batch, &err) >= 0) {
                if (store_run_close(s->world->store, s->run, &s->counters, RUN_INTERRUPTED, reason,
                                    time_now_ms(), &err) < 0)
                        batch_lose(s->world->batch, &err);
                else
                        (void) batch_flush(s->world->batch, NULL);
        }
        sync_free(s);
}

/* ---- the start ---- */

static int make_sources(Sync *s, Error *err) {
        int r = sd_event_add_time_relative(s->world->event, &s->timer, CLOCK_BOOTTIME, 0,
                                           USEC_PER_MSEC, on_timer, s);

        if (r >= 0)
                r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(s->world->event, &s->step, on_step, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->step, SD_EVENT_OFF);
        if (r < 0)
                return error_set(err, r, "cannot set up the run: %s", strerror(-r));
        (void) sd_event_source_set_exit_on_failure(s->timer, true);
        (void) sd_event_source_set_exit_on_failure(s->step, true);
        (void) sd_event_source_set_description(s->timer, "sync-timer");
        (void) sd_event_source_set_description(s->step, "sync-step");
        return 0;
}

/* Opens the row of the run, and closes what an earlier one left open. */
static int open_run(Sync *s, Error *err) {
        Store *store = s->world->store;
        int r = store_account_get(store, s->key, &s->state, err);

        if (r < 0)
                return r;
        s->rescoped = s->state.baseline_at != TIME_NONE && s->state.scope &&
                      strcmp(s->state.scope, s->scope) != 0;
        s->baseline = s->state.baseline_at == TIME_NONE || s->rescoped;
        s->state.last_attempt_at = s->started;

        r = batch_write(s->world->batch, err);
        if (r >= 0)
                r = store_runs_interrupt(store, s->key, "its end could not be recorded", s->started,
                                         err);
        if (r >= 0)
                r = store_run_size(store, s->key, &s->expected, err);
        if (r >= 0)
                r = store_run_open(store, s->key, s->started, &s->run, err);
        if (r >= 0)
                r = store_account_put(store, s->key, &s->state, err);
        return r < 0 ? r : batch_flush(s->world->batch, err);
}

int sync_start(const SyncWorld *world, Config *config, const AccountConfig *account, int64_t key,
               SyncMemory *memory, SyncDone on_done, SyncWaits on_waits, void *userdata, Sync **ret,
               Error *err) {
        CLEANUP(sync_freep) Sync *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return error_set(err, -ENOMEM, "out of memory");
        *s = (Sync){ .world = world,
                     .config = config_ref(config),
                     .account = account,
                     .key = key,
                     .memory = memory,
                     .on_done = on_done,
                     .on_waits = on_waits,
                     .userdata = userdata,
                     .source = source_find(account->source),
                     .started = time_now_ms(),
                     .started_mono = now_usec(CLOCK_BOOTTIME),
                     .token_seed = random_u64(),
                     .page = 1 };
        assert(s->source); /* the configuration was checked */
        r = make_sources(s, err);
        if (r >= 0)
                r = s->source->scope(account, &s->scope, err);
        if (r < 0)
                return r;
        r = open_run(s, err);
        if (r < 0)
                return r;

        get_credentials(s, NULL);
        *ret = take_ptr(s);
        return 0;
}
