/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "model/event.h"
#include "model/user.h"

/* The SQLite database behind calls that speak of the domain.  Every call is synchronous and returns
 * 0 (or a named positive enum) or -errno with *err filled:
 *   -EUCLEAN the file is damaged, -EMEDIUMTYPE it is not a rosterd database, -EPROTONOSUPPORT its
 *   schema is newer, -EBUSY another process has it, -ENOSPC the disk is full, -EROFS/-EACCES it
 *   cannot be written, -EIO anything else of the disk, -ENOMEM.
 * Outputs are untouched on failure.  Wall-clock times are ms, TIME_NONE for never.
 * Calls that write join the open transaction, or are one of their own. */
typedef struct Store Store;

/* Opens the database for the one process that writes it: takes the lock (path + ".lock", with our
 * pid in it; -EBUSY names the pid of the holder), creates the file 0640 if it is absent, migrates it.
 * Never deletes or recreates anything. */
int store_open(const char *path, Store **ret, Error *err);
/* Rolls back what is open, checkpoints, closes, unlocks. */
void store_close(Store *s);
DEFINE_CLEANUP(Store *, store_close)

/* One write transaction for all of the process.  begin joins an open one.  A failed commit has
 * rolled back.  rollback without a transaction does nothing; one that fails is tried again at the next
 * write or commit, which then fails. */
int store_begin(Store *s, Error *err);
int store_commit(Store *s, Error *err);
void store_rollback(Store *s);
bool store_in_transaction(const Store *s);

/* Forgets stored PINs; for store_personal_pin = no.  One row at a time costs nothing if there are none. */
int store_wipe_pins(Store *s, Error *err);

/* ---- accounts ---- */

/* What makes an account the same one although its section was renamed. */
typedef struct AccountIdentity {
        const char *name, *source, *endpoint, *account_id;
} AccountIdentity;

/* Makes the accounts table agree with the configuration, in one transaction: what has the name, source,
 * endpoint and account_id of a known account is that account; else what has all but the name of one that
 * is no longer configured takes it over (renamed); else a known name keeps its key and takes on the
 * identity given; others are new.  Those not in the list become inactive, and give their name to whoever
 * has it now.  keys[i] gets the key of list[i]. */
int store_accounts_apply(Store *s, const AccountIdentity *list, size_t n, int64_t *keys,
                         Error *err);

/* What is remembered of an account between runs. */
typedef struct AccountState {
        char *scope;              /* what the baseline was taken of (daemon/sync); NULL: none */
        int64_t baseline_at;      /* TIME_NONE: no baseline yet */
        int64_t last_attempt_at;  /* when the last run started */
        int64_t last_complete_at; /* when the last complete listing ended */
        int64_t next_run_at;
        char *last_error;          /* of the last run; NULL if it was complete */
        int64_t failing_since;     /* first failure after success; TIME_NONE: all is well */
        int64_t failure_told_at;   /* the last sync.failed event */
        int64_t failures;          /* runs in a row that failed */
        int64_t held_removals;     /* users whose removal is held; 0: none */
        int64_t removals_accepted; /* as many as an administrator has accepted; 0: none */
} AccountState;

void account_state_clear(AccountState *a);
int store_account_get(Store *s, int64_t account, AccountState *ret, Error *err);
/* Writes every member of a. */
int store_account_put(Store *s, int64_t account, const AccountState *a, Error *err);
/* The key of the account of this name, and whether it is configured; -ENOENT: there is none. */
int store_account_find(Store *s, const char *name, int64_t *ret_key, bool *ret_active, Error *err);
/* When the last complete listing of any account ended; TIME_NONE: there was none. */
int store_last_complete(Store *s, int64_t *ret, Error *err);
/* Lets the next complete listing remove those whose removal is held, *ret_held of them; -ENODATA: none
 * are.  A run of the account that goes on must be told, too, for it writes the state that it began
 * with. */
int store_removals_accept(Store *s, int64_t account, int64_t *ret_held, Error *err);

/* ---- users ---- */

typedef enum StoreLookup {
        STORE_ABSENT = 1, /* never seen, not even formerly */
        STORE_LISTED,     /* in `users` */
        STORE_FORMER,     /* in `former_users` */
} StoreLookup;

/* The length of the record that a user was last read from, and a hash of its bytes; all zero: there is
 * none.  Whatever changes a row says what becomes of its mark, so that it never vouches for what is no
 * longer there; only somebody who is listed and not missing has one. */
typedef struct RecordMark {
        uint32_t len, hash[4];
} RecordMark;

/* As a number of listings that lacked a user: the removal was due, and is held. */
#define STORE_MISSING_HELD 1000000

typedef struct StoredUser {
        int64_t row; /* stable for the life of the user */
        User user;
        UserDates dates;
        unsigned missing; /* complete listings in a row that lacked this user */
} StoredUser;

void stored_user_clear(StoredUser *u);

/* Returns a StoreLookup, and fills *ret (owned by the caller, cleared first) unless STORE_ABSENT.
 * likely_row is looked at first, which is quick if it is the user's; 0: none is likely. */
int store_user_find(Store *s, int64_t account, const char *user_id, int64_t likely_row,
                    StoredUser *ret, Error *err);
int store_user_by_row(Store *s, int64_t row, StoredUser *ret, Error *err);

/* A new user, listed from now on; *ret_row gets its row. */
int store_user_insert(Store *s, int64_t account, const User *u, const UserDates *dates,
                      RecordMark mark, int64_t *ret_row, Error *err);
/* Replaces fields, dates (removed_at says whether it is listed), the count of missing, and the mark, of
 * a user of this account. */
int store_user_update(Store *s, int64_t account, const StoredUser *u, RecordMark mark, Error *err);
/* The same where old is what the database has: what does not differ is not written. */
int store_user_amend(Store *s, int64_t account, const StoredUser *old, const StoredUser *u,
                     RecordMark mark, Error *err);
/* Replaces the count of missing, and the mark. */
int store_user_set_missing(Store *s, int64_t account, int64_t row, unsigned missing,
                           RecordMark mark, Error *err);
/* Replaces the mark. */
int store_user_mark(Store *s, int64_t account, int64_t row, RecordMark mark, Error *err);

/* A listed user, as the search for missing ones needs it. */
typedef struct ListedRow {
        int64_t row;
        unsigned missing;
} ListedRow;

/* Up to max listed users of the account with a row above after, in order of row; their number in
 * *ret_n.  Reads an index only. */
int store_users_listed(Store *s, int64_t account, int64_t after, ListedRow *rows, size_t max,
                       size_t *ret_n, Error *err);

/* How many are listed, counted in portions: *after is the row up to which they are, 0 at first, and
 * *count grows.  Returns a StoreCount. */
typedef enum StoreCount {
        STORE_COUNT_DONE,
        STORE_COUNT_MORE,
} StoreCount;
int store_users_count_some(Store *s, int64_t account, int64_t *after, int64_t *count, Error *err);
/* All at once. */
int store_users_count(Store *s, int64_t account, int64_t *ret, Error *err);

/* ---- marks ---- */

/* Words of 32 bits, which leave no gap. */
typedef struct MarkedRow {
        uint32_t row;
        RecordMark mark;
} MarkedRow;

/* What marks are made with and kept by, which is not in the database: whoever may read that must not be able
 * to try what a record may have said.  convert() enciphers or deciphers the hashes of so many rows, at most
 * a segment; returns 0 or -ENOMEM. */
#define MARK_KEY_SIZE 192
typedef struct MarkSecret {
        unsigned char key[MARK_KEY_SIZE];
        int (*convert)(void *userdata, bool encipher, MarkedRow *rows, size_t n, Error *err);
        void *userdata;
} MarkSecret;

/* Before anything is done with marks; without it there are none.  Borrowed. */
void store_marks_protect(Store *s, const MarkSecret *secret);
/* The secret's key; -ENOENT: there is none. */
int store_mark_key(const Store *s, unsigned char ret[static MARK_KEY_SIZE]);

/* The database keeps an account's marks as a base, in order of row, and a log of what has changed since,
 * in order of time: there the last entry of a row counts, and one without a mark says that it has none.
 * Both are in segments of up to so many entries. */
#define STORE_SEGMENT 168
typedef enum StorePart {
        STORE_BASE,
        STORE_LOG,
} StorePart;

/* Up to max entries (at least STORE_SEGMENT) of the segments behind *after, 0 at first, which moves on;
 * their number in *ret_n.  Returns a StoreMarks. */
typedef enum StoreMarks {
        STORE_MARKS_END,
        STORE_MARKS_MORE, /* perhaps */
} StoreMarks;
int store_marks_read(Store *s, int64_t account, StorePart part, int64_t *after, MarkedRow *rows,
                     size_t max, size_t *ret_n, Error *err);
/* At most so many entries are in the base. */
int store_marks_base_size(Store *s, int64_t account, size_t *ret, Error *err);
/* Makes the n marks of rows, in order of row, the base, and drops the log up to its segment upto, where
 * store_marks_read() has left it: they are what both come to.  Does nothing if that segment is no longer
 * there.  Nobody has written marks of the account since the log was read. */
int store_marks_rebase(Store *s, int64_t account, int64_t upto, const MarkedRow *rows, size_t n,
                       Error *err);
/* Drops all of an account; 0: all that there are. */
int store_marks_forget(Store *s, int64_t account, Error *err);

/* What was read is not looked at again for long: its pages give their memory back. */
void store_release_pages(Store *s);

/* One line of the view status_counts; texts may be NULL. */
typedef struct StatusCount {
        char *account, *registration, *invitation;
        int64_t users;
} StatusCount;

/* All lines, in a stable order; free with status_counts_free.  account 0: of all active accounts. */
int store_status_counts(Store *s, int64_t account, StatusCount **ret, size_t *ret_n, Error *err);
void status_counts_free(StatusCount *c, size_t n);

/* A listed user of an active account who is suspended now. */
typedef struct SuspendedUser {
        int64_t row, account_key;
        char *account, *account_id, *user_id, *primary_email;
        int64_t since;
} SuspendedUser;

/* Up to max of them with a row above after, in order of row; the caller's (suspended_users_free). */
int store_users_suspended(Store *s, int64_t after, size_t max, SuspendedUser **ret, size_t *ret_n,
                          Error *err);
void suspended_users_free(SuspendedUser *u, size_t n);

/* ---- runs ---- */

typedef enum RunOutcome {
        RUN_RUNNING,
        RUN_COMPLETE,
        RUN_FAILED,
        RUN_INTERRUPTED,
} RunOutcome;

typedef struct RunCounters {
        int64_t pages, users, added, changed, removed, retries, throttled;
} RunCounters;

int store_run_open(Store *s, int64_t account, int64_t now, int64_t *ret_run, Error *err);
int store_run_count(Store *s, int64_t run, const RunCounters *c, Error *err);
/* error is NULL for RUN_COMPLETE. */
int store_run_close(Store *s, int64_t run, const RunCounters *c, RunOutcome outcome,
                    const char *error, int64_t now, Error *err);
/* Closes every run that still says running as interrupted, with this as its error; account 0: of all.
 * finished_at is the time of the last sign of life if now is earlier (a clock set back). */
int store_runs_interrupt(Store *s, int64_t account, const char *error, int64_t now, Error *err);

/* Whether a run from first to last, inclusive, is under way. */
int store_run_is_running(Store *s, int64_t first, int64_t last, bool *ret, Error *err);

/* The last run of an account that has ended; every member 0 if there is none. */
typedef struct RunSummary {
        int64_t run, started_at, finished_at;
        RunOutcome outcome;
        RunCounters counters;
} RunSummary;
int store_run_last(Store *s, int64_t account, RunSummary *ret, Error *err);
/* How many users the last complete run of the account saw; 0 if there was none. */
int store_run_size(Store *s, int64_t account, int64_t *ret, Error *err);

/* ---- the event log and its readers ---- */

/* Appends and numbers e (seq is set). */
int store_event_append(Store *s, int64_t account, Event *e, Error *err);

/* Which events are wanted. */
typedef struct EventQuery {
        int64_t after, upto;     /* seq above after, and at most upto; upto 0: to the end */
        EventMask kinds;         /* of these kinds only */
        const int64_t *accounts; /* and of these accounts; none: of all */
        size_t n_accounts;
        size_t max;                 /* at most so many */
        size_t max_bytes, max_scan; /* stop after so much text, or so many rows; 0: no bound */
} EventQuery;

typedef struct EventPage {
        Event **events; /* oldest first; the caller's (events_free) */
        size_t n;
        size_t bytes; /* of their texts */
        int64_t upto; /* all that match up to this seq are in it; at least EventQuery.after */
        bool end;     /* there was nothing beyond */
} EventPage;

/* Only what is committed, also within a transaction. */
int store_events_read(Store *s, const EventQuery *q, EventPage *ret, Error *err);
void events_free(Event **events, size_t n);
int store_event_last_seq(Store *s, int64_t *ret, Error *err);
/* How many events there are after that one.  More than 1,000 are not counted: then it is as many as
 * there are at most, for seqs of deleted ones are left out. */
int store_events_pending(Store *s, int64_t after, int64_t *ret, Error *err);

/* The cursor of a sink is the seq of the last event that it has finished with.  A sink that is not
 * known yet gets a cursor at start_at. */
int store_cursor_open(Store *s, const char *sink, int64_t start_at, int64_t *ret, Error *err);
int store_cursor_move(Store *s, const char *sink, int64_t seq, Error *err);

/* What is remembered of a sink that may fail. */
/* The sink of the webhook NAME is called webhook:NAME. */
#define SINK_WEBHOOK "webhook:"

typedef struct SinkState {
        int64_t cursor;
        int64_t last_success_at;
        char *last_error;        /* of the last attempt; NULL if it did not fail */
        int64_t attempts;        /* that failed in a row */
        int64_t failing_since;   /* the first of them; TIME_NONE: none */
        int64_t next_attempt_at; /* TIME_NONE: at once */
} SinkState;

void sink_state_clear(SinkState *state);
/* Reads the state of a sink, which is in use from now on; one that is not known yet begins at
 * start_at.  *ret is the caller's (sink_state_clear). */
int store_sink_open(Store *s, const char *sink, int64_t start_at, SinkState *ret, Error *err);
int store_sink_put(Store *s, const char *sink, const SinkState *state, Error *err);
/* The sink is no longer in use; its state is kept until store_sinks_forget(). */
int store_sink_retire(Store *s, const char *sink, int64_t now, Error *err);
/* Forgets sinks that were retired before that time, and their dead letters. */
int store_sinks_forget(Store *s, int64_t before, Error *err);
/* The names of all sinks in use that begin with prefix; the caller's (names_free). */
int store_sinks_active(Store *s, const char *prefix, char ***ret, size_t *ret_n, Error *err);
void names_free(char **names, size_t n);

/* The sink gives this event up. */
int store_dead_letter_add(Store *s, const char *sink, int64_t seq, const char *error, int64_t now,
                          Error *err);

/* The sink is to be told the events from there on again: moves its cursor back and forgets the dead
 * letters from there on, and that it was failing.  *ret_next gets the seq that would have been next.
 * -ENOENT: there is no such sink; -ERANGE: from lies behind *ret_next. */
int store_sink_replay(Store *s, const char *sink, int64_t from, int64_t *ret_next, Error *err);

int store_dead_letters_count(Store *s, const char *sink, int64_t *ret, Error *err);

/* ---- retention ---- */

/* Deletes at most max events and runs older than before, never an event that a sink has yet to
 * finish with, never a run that an event still names or the last of an account.  Since when a user has
 * had a status is kept.  *ret_more: there is more to delete. */
int store_prune(Store *s, int64_t before, size_t max, bool *ret_more, Error *err);

/* ---- forgetting an account ---- */

/* What was deleted of an account so far.  Begin with only .account set. */
typedef struct StoreForget {
        int64_t account;
        int64_t events, runs, users;
        int part;      /* which of them is swept now */
        int64_t after; /* ids up to here were looked at */
} StoreForget;

typedef enum StoreForgetStep {
        STORE_FORGET_MORE = 1,
        STORE_FORGET_DONE,
} StoreForgetStep;

/* Deletes one portion of everything that is known of an account that is no longer configured, its
 * events (told or not), runs and users, and at last the account, as steps that are each a commit.  Call
 * outside a transaction.  One that is not gone on with leaves an account without a baseline, to be
 * forgotten later or taken up anew.  Returns a StoreForgetStep; -EBUSY: it is configured; -ENOENT. */
int store_forget_step(Store *s, StoreForget *f, Error *err);
