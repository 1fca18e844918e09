/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/number.h"
#include "base/timefmt.h"
#include "base/timespan.h"
#include "ctl/command.h"
#include "ctl/event-row.h"
#include "ctl/when.h"
#include "ctl/writer.h"
#include "model/event.h"

#define FOLLOW_LAST 10      /* events shown to begin with */
#define LOOK_MS 200         /* at the files */
#define ASK_MS 1000         /* the database, at most so often */
#define ASK_ANYWAY_MS 30000 /* though the files seem the same */
#define GONE_MS 300000      /* the database may be away so long */

static const Option options[] = {
        { "since", 's', "TIME", WORDS_ANY, "only since then: 2d, yesterday, 2026-06-01" },
        { "type", 't', "GLOB", WORDS_EVENT_TYPES,
          "only of this type, e.g. user.suspended, 'sync.*'" },
        { "account", 'a', "NAME", WORDS_ACCOUNTS, "only this account's" },
        { "last", 'n', "NUMBER", WORDS_ANY, "only the newest so many; 0: all" },
        { "follow", 'F', NULL, WORDS_FLAG, "go on, and show new ones as they come" },
};

/* A table says in a sentence what the other formats have in columns. */
static const Column columns[] = {
        { "time", "TIME", COLUMN_TIME, 1, 0 },
        { "account", "ACCOUNT", COLUMN_TEXT, 4, 0 },
        { "type", "EVENT", COLUMN_STATUS, 8, 0 },
        { "what", "WHAT", COLUMN_TEXT, 1, .least = 40 },
};

/* Where events go: one of the two, by format. */
typedef struct Log {
        Ctl *ctl;
        Writer *table;
        Sheet *sheet;
        int64_t last; /* seq */
} Log;

static void log_clear(Log *l) {
        writer_free(l->table);
        sheet_free(l->sheet);
}

static int log_open(Log *l, const Rows *rows, Error *err) {
        Ctl *c = l->ctl;

        if (l->table || l->sheet)
                return 0;
        if (c->format != FORMAT_DEFAULT && c->format != FORMAT_TABLE)
                return sheet_new(c, c->format, rows, NULL, 0, &l->sheet, err);
        return writer_new(&c->out, FORMAT_TABLE, ctl_local_times(c), columns, 4, &l->table, err);
}

static int log_row(Log *l, const Rows *rows, const Cell *cells, Error *err) {
        CLEANUP(record_clear) Record row = { 0 };
        char what[EVENT_WHAT_SIZE];
        int r;

        (void) number_parse(cells[0].text, 0, INT64_MAX, &l->last); /* seq */
        if (l->sheet) {
                sheet_row(l->sheet, cells);
                return 0;
        }
        r = record_copy(rows, cells, &row, err);
        if (r >= 0)
                r = event_row_sentence(&row, what, err);
        if (r >= 0)
                writer_row(l->table,
                           (const Cell[]){ cell_text(record_get(&row, "time")),
                                           cell_text(record_get(&row, "account")),
                                           cell_text(record_get(&row, "type")), cell_text(what) });
        return r;
}

/* Writes the events that f asks for. */
static int log_events(Log *l, const EventFilter *f, Error *err) {
        CLEANUP(rows_freep) Rows *rows = NULL;
        const Cell *cells = NULL;
        Store *store = NULL;
        int r = ctl_store(l->ctl, &store, err);

        if (r >= 0)
                r = store_read_events(store, f, &rows, err);
        if (r >= 0)
                r = log_open(l, rows, err);
        while (r >= 0 && !out_failed(&l->ctl->out) &&
               (r = rows_next(rows, &cells, err)) == ROWS_ROW)
                r = log_row(l, rows, cells, err);
        return r;
}

static void log_flush(Log *l) {
        if (l->table)
                writer_flush(l->table);
        if (l->sheet)
                sheet_flush(l->sheet);
}

static void log_end(Log *l) {
        if (l->table)
                writer_end(l->table);
        if (l->sheet)
                sheet_end(l->sheet);
}

static bool matches_a_type(const char *glob) {
        for (size_t i = 0; i < EVENT_KIND_COUNT; i++)
                if (fnmatch(glob, event_types[i].name, 0) == 0)
                        return true;
        return false;
}

static int read_filter(Ctl *c, const Args *a, EventFilter *f, Error *err) {
        const char *since = args_get(a, "since");
        bool follow = args_has(a, "follow");
        int r;

        *f = (EventFilter){ .account = args_get(a, "account"), .type = args_get(a, "type") };
        r = args_number(a, "last", follow && !since ? FOLLOW_LAST : 0, &f->last, err);
        if (r >= 0 && since)
                r = when_parse(since, time_now_ms(), c->utc, &f->since, err);
        if (r >= 0 && f->account)
                r = words_check(c, WORDS_ACCOUNTS, "account", &f->account, err);
        if (r >= 0 && f->type && !matches_a_type(f->type))
                r = words_check(c, WORDS_EVENT_TYPES, "event type", &f->type, err);
        return r;
}

/* ---- following ---- */

/* What the files look like from outside; a commit changes it. */
typedef struct Look {
        dev_t device;
        ino_t inode, wal_inode;
        off_t wal_size;
        struct timespec changed, wal_changed;
} Look;

static Look look_at(const char *path) {
        struct stat st = { 0 }, wal = { 0 };
        char beside[PATH_MAX];
        int n = snprintf(beside, sizeof beside, "%s-wal", path);

        (void) stat(path, &st);
        if (n > 0 && (size_t) n < sizeof beside)
                (void) stat(beside, &wal);
        return (Look){ .device = st.st_dev,
                       .inode = st.st_ino,
                       .wal_inode = wal.st_ino,
                       .wal_size = wal.st_size,
                       .changed = st.st_mtim,
                       .wal_changed = wal.st_mtim };
}

static bool same_file(const Look *a, const Look *b) {
        return a->device == b->device && a->inode == b->inode;
}

static bool same_time(struct timespec a, struct timespec b) {
        return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_look(const Look *a, const Look *b) {
        return same_file(a, b) && a->wal_inode == b->wal_inode && a->wal_size == b->wal_size &&
               same_time(a->changed, b->changed) && same_time(a->wal_changed, b->wal_changed);
}

static int64_t monotonic_ms(void) {
        return (int64_t) (clock_usec(CLOCK_MONOTONIC) / USEC_PER_MSEC);
}

/* A reader that went away is noticed at once, not by the next event: it ends us as a write would. */
static void pause_for_reader(Out *o) {
        struct pollfd out = { .fd = o->fd };

        if (poll(&out, 1, LOOK_MS) > 0) {
                o->failed = EPIPE;
                (void) raise(SIGPIPE);
        }
}

/* Sleeps until the files have changed, and the database has had its rest. */
static void wait_for_change(Out *o, const char *path, const Look *seen, int64_t asked) {
        Look now;
        int64_t age;

        do {
                pause_for_reader(o);
                now = look_at(path);
                age = monotonic_ms() - asked;
        } while (!out_failed(o) &&
                 (age < ASK_MS || (same_look(&now, seen) && age < ASK_ANYWAY_MS)));
}

/* A database that was put in place of the one that we knew may have a shorter log. */
static int reopen(Log *l, Error *err) {
        Store *store = NULL;
        int64_t last = 0;
        int r;

        ctl_close_store(l->ctl);
        r = ctl_store(l->ctl, &store, err);
        if (r >= 0)
                r = store_event_last_seq(store, &last, err);
        if (r >= 0 && last < l->last)
                l->last = last;
        return r;
}

/* What passes when rosterd is restarted, or the file replaced; anything else ends it. */
static bool may_pass(int r) {
        return r == -ENOENT || r == -ENOLINK || r == -EBUSY || r == -EIO;
}

static int follow(Log *l, EventFilter *f, Error *err) {
        const char *path = NULL;
        Look seen = { 0 }, now;
        int64_t asked, well = monotonic_ms();
        int r = ctl_database(l->ctl, &path, err);

        if (r < 0)
                return r;
        for (bool first = true;; first = false) {
                now = look_at(path);
                asked = monotonic_ms();
                r = !first && (r < 0 || !same_file(&now, &seen)) ? reopen(l, err) : 0;
                seen = now;
                f->after = l->last;
                if (r >= 0)
                        r = log_events(l, f, err);
                if (r >= 0) {
                        f->last = 0;
                        well = asked;
                        log_flush(l);
                }
                if (out_failed(&l->ctl->out) ||
                    (r < 0 && (first || !may_pass(r) || asked - well > GONE_MS)))
                        return r;
                wait_for_change(&l->ctl->out, path, &seen, asked);
        }
}

static int run(Ctl *c, const Args *a, Error *err) {
        CLEANUP(log_clear) Log l = { .ctl = c };
        Store *store = NULL;
        EventFilter f;
        int r = ctl_store(c, &store, err);

        if (r >= 0)
                r = read_filter(c, a, &f, err);
        if (r < 0)
                return r;
        if (!args_has(a, "follow")) {
                r = log_events(&l, &f, err);
                if (r >= 0)
                        log_end(&l);
                return r;
        }
        if (c->format == FORMAT_JSON)
                return error_set(err, E_USAGE,
                                 "--format json has an end, --follow has none; write --format"
                                 " ndjson");
        return follow(&l, &f, err);
}

const Command command_events = {
        .name = "events",
        .summary = "what has happened, oldest first",
        .example = "rosterctl events --since 2d --type 'user.*'",
        OPTIONS(options),
        .run = run,
};
