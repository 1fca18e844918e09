/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the program: read the configuration, open the database, watch until told to stop.
 * Data flows one way: schedule -> sync -> store (users and events in one transaction) -> deliver ->
 * sinks. */
#include "daemon/daemon.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "base/text.h"
#include "base/timefmt.h"
#include "base/timespan.h"
#include "config.h"
#include "daemon/check-credentials.h"
#include "daemon/daemon-internal.h"
#include "daemon/log.h"
#include "daemon/room.h"
#include "daemon/service.h"

#define DRAIN_MOST USEC_PER_SEC /* who waits for the end is not to wait for a long log */

static void daemon_clear(Daemon *d) {
        control_free(d->control);
        schedule_free(d->schedule);
        retention_free(d->retention);
        webhooks_free(d->webhooks);
        report_free(d->report);
        deliver_free(d->deliver);
        batch_free(d->batch);
        credentials_free(d->credentials);
        http_free(d->http);
        store_close(d->store);
        mark_key_free(d->mark_key);
        sd_event_unref(d->event);
        free(d->keys);
        config_unref(d->config);
}

/* ---- what happens ---- */

void daemon_store_failed(Daemon *d, const Error *why) {
        if (why->code == -EUCLEAN) {
                log_line(LOG_CRIT, LOG_ID_DATABASE_REFUSED, NULL, "%s", why->msg);
                (void) sd_event_exit(d->event, EXIT_DATABASE_REFUSED);
                return;
        }
        if (!d->store_failing)
                log_line(LOG_ERR, LOG_ID_STORE_FAILED, NULL,
                         "the database cannot be written; rosterd keeps trying: %s", why->msg);
        d->store_failing = true;
}

/* A whole run was written.  A small commit says nothing: there may be room for that much and no more. */
static void store_recovered(Daemon *d) {
        if (d->store_failing)
                log_line(LOG_NOTICE, LOG_ID_STORE_RECOVERED, NULL,
                         "the database can be written again");
        d->store_failing = false;
}

static void on_committed(void *userdata) {
        Daemon *d = userdata;

        deliver_poke(d->deliver);
        webhooks_poke(d->webhooks);
}

static void on_lost(const Error *why, void *userdata) {
        Daemon *d = userdata;

        daemon_store_failed(d, why);
        schedule_lost(d->schedule, why);
        deliver_poke(d->deliver);
        webhooks_poke(d->webhooks);
}

/* The first failure is an event and told by the journal sink; this is what goes beyond. */
static void log_run(Daemon *d, const AccountConfig *account, const SyncResult *result) {
        const RunCounters *c = &result->counters;
        const char *name = account->name;
        char delay[32];

        if (result->outcome == RUN_COMPLETE)
                store_recovered(d);
        timespan_format(result->next_run / USEC_PER_SEC * USEC_PER_SEC, delay, sizeof delay);
        if (result->outcome == RUN_COMPLETE)
                log_line(d->options->once ? LOG_INFO : LOG_DEBUG, NULL, name,
                         "%s: complete: %" PRId64 " user%s on %" PRId64 " page%s; %" PRId64
                         " added, %" PRId64 " changed, %" PRId64 " removed",
                         name, c->users, text_plural(c->users), c->pages, text_plural(c->pages),
                         c->added, c->changed, c->removed);
        else if (result->store_failed)
                daemon_store_failed(d, &result->error);
        else if (d->options->once)
                log_line(LOG_INFO, NULL, name, "%s: not complete: %s", name, result->error.msg);
        else
                log_line(LOG_INFO, NULL, name, "%s: run failed, next try in %s: %s", name, delay,
                         result->error.msg);
        if (result->skipped_why)
                log_line(LOG_WARNING, LOG_ID_RECORDS_SKIPPED, name,
                         "%s: %" PRId64 " record%s of the listing could not be read and %s: %s",
                         name, result->skipped, text_plural(result->skipped),
                         result->skipped == 1 ? "was left as it was"
                                              : "were left as they were; the first",
                         result->skipped_why);
}

static void on_webhooks_changed(void *userdata) {
        Daemon *d = userdata;

        if (d->report && d->schedule)
                report_webhooks(d->report);
}

/* --once: what could be delivered is. */
static void on_all_sent(void *userdata) {
        Daemon *d = userdata;

        (void) sd_event_exit(d->event, 0);
}

static void on_run_ended(const AccountConfig *account, const SyncResult *result, void *userdata) {
        Daemon *d = userdata;

        log_run(d, account, result);
        report_run(d->report, account->name, result);
        control_run_ended(d->control, account, result);
        if (!d->options->once)
                return;
        d->once_failed = d->once_failed || result->outcome != RUN_COMPLETE;
        if (schedule_is_idle(d->schedule) && batch_flush(d->batch, NULL) >= 0)
                webhooks_finish(d->webhooks, on_all_sent);
        else if (schedule_is_idle(d->schedule))
                (void) sd_event_exit(d->event, 0);
}

static int on_stop_signal(sd_event_source *source, const struct signalfd_siginfo *si,
                          void *userdata) {
        Daemon *d = userdata;

        (void) source;
        log_line(LOG_NOTICE, LOG_ID_STOPPING, NULL, "stopping: %s",
                 si->ssi_signo == SIGTERM ? "told to by SIGTERM" : "interrupted");
        service_stopping();
        d->stopped = true;
        d->once_failed = true; /* what was asked for was not done */
        return sd_event_exit(d->event, 0);
}

static int on_reload_signal(sd_event_source *source, const struct signalfd_siginfo *si,
                            void *userdata) {
        Daemon *d = userdata;

        (void) source;
        (void) si;
        service_reloading();
        daemon_reload(d);
        service_ready();
        report_now(d->report);
        return 0;
}

/* ---- start and end ---- */

static int start_refused(const Error *err) {
        log_line(LOG_ERR, LOG_ID_DATABASE_REFUSED, NULL, "%s", err->msg);
        switch (-err->code) {
        case EUCLEAN:
        case EMEDIUMTYPE:
        case EPROTONOSUPPORT:
                return EXIT_DATABASE_REFUSED;
        case EBUSY:
                return EXIT_DATABASE_BUSY;
        case EACCES:
        case EROFS:
        case ENOENT:
        case EISDIR:
        case ENOTDIR:
        case EPERM:
                return EXIT_DATABASE_ACCESS;
        default:
                return EXIT_FAILED;
        }
}

static int set_up_event(Daemon *d, Error *err) {
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
        sigset_t mask;
        int r = sd_event_default(&d->event);

        (void) sigemptyset(&mask);
        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
                (void) sigaddset(&mask, signals[i]);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        (void) signal(SIGPIPE, SIG_IGN);

        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGTERM, on_stop_signal, d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGINT, on_stop_signal, d);
        if (r >= 0 && !d->options->once)
                r = sd_event_add_signal(d->event, NULL, SIGHUP, on_reload_signal, d);
        if (r >= 0)
                r = sd_event_set_watchdog(d->event, true);
        return r < 0 ? error_set(err, r, "cannot set up the event loop: %s", strerror(-r)) : 0;
}

/* What a process that was killed has left, and what this configuration does not want stored. */
static int tidy_store(Daemon *d, Error *err) {
        int r = store_runs_interrupt(d->store, 0, "rosterd ended before the run did", time_now_ms(),
                                     err);

        if (r >= 0 && !d->config->store_personal_pin)
                r = store_wipe_pins(d->store, err);
        return r;
}

static void open_mark_key(Daemon *d) {
        Error err = { 0 };

        if (mark_key_open(d->config->database, d->store, &d->mark_key, &err) < 0)
                log_line(LOG_WARNING, NULL, NULL, "every user will be read anew at each run: %s",
                         err.msg);
}

static int set_up(Daemon *d, Error *err) {
        int r = tidy_store(d, err);

        open_mark_key(d);
        if (r >= 0)
                r = daemon_bind_accounts(d->store, d->config, &d->keys, err);
        if (r >= 0)
                r = http_new(d->event, &d->http, err);
        if (r >= 0)
                r = credentials_new(d->event, d->http, !d->options->once, &d->credentials, err);
        if (r >= 0)
                r = batch_new(d->event, d->store, on_committed, on_lost, d, &d->batch, err);
        if (r >= 0)
                r = deliver_new(d->event, d->store, &d->deliver, err);
        if (r >= 0)
                r = webhooks_new(d->event, d->http, d->store, d->options->once, on_webhooks_changed,
                                 d, &d->webhooks, err);
        if (r >= 0)
                r = report_new(d->event, d->store, &d->report, err);
        if (r >= 0)
                r = retention_new(d->event, d->store, &d->retention, err);
        if (r < 0)
                return r;
        retention_set_age(d->retention, d->config->retention);
        d->world = (SyncWorld){ d->event, d->http, d->store, d->batch, d->credentials };
        daemon_use_settings(d);
        return schedule_new(&d->world, on_run_ended, d, &d->schedule, err);
}

/* Without it the roster is kept all the same. */
static void listen_for_requests(Daemon *d) {
        Error err = { 0 };

        if (control_new(&d->world, d->config->control_socket, &d->control, &err) < 0)
                log_line(LOG_WARNING, LOG_ID_CONTROL_FAILED, NULL,
                         "rosterctl cannot reach this rosterd: %s", err.msg);
        control_use(d->control, d->config, d->schedule, d->webhooks);
}

static void queue_once(Daemon *d) {
        if (d->options->n_accounts == 0)
                (void) schedule_run_now(d->schedule, NULL);
        for (size_t i = 0; i < d->options->n_accounts; i++)
                (void) schedule_run_now(d->schedule, d->options->accounts[i]);
}

/* A name that is not there is wrong usage. */
static int check_once_names(const Options *o, const Config *config) {
        for (size_t i = 0; i < o->n_accounts; i++) {
                CLEANUP_FREE const char **names = NULL;
                const char *meant;

                if (config_account(config, o->accounts[i]))
                        continue;
                names = calloc(config->n_accounts + 1, sizeof *names);
                for (size_t k = 0; names && k < config->n_accounts; k++)
                        names[k] = config->accounts[k].name;
                meant = names ? text_did_you_mean(o->accounts[i], names, config->n_accounts) : NULL;
                fprintf(stderr, "rosterd: there is no [account %s] in the configuration%s%s%s\n",
                        o->accounts[i], meant ? "; did you mean " : "", meant ? meant : "",
                        meant ? "?" : "");
                return EXIT_USAGE;
        }
        return 0;
}

static int run_loop(Daemon *d) {
        Error err = { 0 };
        uint64_t drain;
        int status, r = webhooks_apply(d->webhooks, d->config, d->keys, &err);

        if (r >= 0)
                r = schedule_apply(d->schedule, d->config, d->keys, !d->options->once, &err);
        if (r < 0)
                return start_refused(&err);
        report_use(d->report, d->config, d->keys, d->schedule, d->webhooks);
        report_now(d->report);
        if (!d->options->once) {
                listen_for_requests(d);
                log_line(LOG_NOTICE, LOG_ID_STARTED, NULL,
                         "rosterd %s watches %zu %s; the roster is in %s", PACKAGE_VERSION,
                         d->config->n_accounts, d->config->n_accounts == 1 ? "account" : "accounts",
                         d->config->database);
        }
        service_ready();
        if (d->options->once)
                queue_once(d);

        status = sd_event_loop(d->event);
        if (status < 0) {
                log_line(LOG_CRIT, NULL, NULL, "the event loop failed: %s", strerror(-status));
                status = EXIT_FAILED;
        }
        service_stopping();
        schedule_stop(d->schedule, "rosterd was stopped");
        (void) batch_flush(d->batch, NULL);
        if (!webhooks_save(d->webhooks)) /* they will tell again what is told */
                d->once_failed = true;
        drain = d->options->once && !d->stopped ? UINT64_MAX : DRAIN_MOST;
        if (status != EXIT_DATABASE_REFUSED && !deliver_drain(d->deliver, drain))
                d->once_failed = true;
        if (d->options->once && status != EXIT_DATABASE_REFUSED && !webhooks_all_told(d->webhooks))
                d->once_failed = true;
        if (d->options->once)
                retention_round(d->retention);
        report_now(d->report);
        return status == 0 && d->options->once && d->once_failed ? EXIT_SYNC_FAILED : status;
}

static int check_only(const Options *options, const Config *config) {
        Error err = { 0 };
        int r = 0;

        printf("%s: the configuration is good: %zu %s, %zu %s\n", options->config,
               config->n_accounts, config->n_accounts == 1 ? "account" : "accounts",
               config->n_webhooks, config->n_webhooks == 1 ? "webhook" : "webhooks");
        if (options->credentials)
                r = check_credentials(config, &err);
        if (r < 0) {
                log_line(LOG_ERR, NULL, NULL, "credentials could not be checked: %s", err.msg);
                return EXIT_FAILED;
        }
        return r > 0 ? EXIT_SYNC_FAILED : 0;
}

/* *waits: it ended because there is no room for the database; and whether that was so the last time,
 * which has been said. */
static int run(const Options *options, bool *waits) {
        CLEANUP(daemon_clear) Daemon d = { .options = options, .store_failing = *waits };
        Error err = { 0 };
        int r;

        *waits = false;
        r = daemon_load_config(options->config, LOG_ID_CONFIG_REFUSED, &d.config, &err);
        if (r < 0) {
                log_line(LOG_ERR, LOG_ID_CONFIG_REFUSED, NULL, "%s", err.msg);
                return r == -ENOMEM ? EXIT_FAILED : EXIT_CONFIG; /* which no restart mends */
        }
        if (options->check_config)
                return check_only(options, d.config);
        r = check_once_names(options, d.config);
        if (r > 0)
                return r;
        daemon_use_settings(&d);

        if (set_up_event(&d, &err) < 0) {
                log_line(LOG_ERR, NULL, NULL, "%s", err.msg);
                return EXIT_FAILED;
        }
        service_extend(300); /* a migration may take its time */
        if (store_open(d.config->database, &d.store, &err) >= 0 && set_up(&d, &err) >= 0)
                return run_loop(&d);
        if (err.code != -ENOSPC || options->once)
                return start_refused(&err);
        daemon_store_failed(&d, &err);
        *waits = true;
        return 0;
}

int daemon_run(const Options *options) {
        bool waits = false;
        int status;

        (void) setlocale(LC_CTYPE, "C.UTF-8");
        (void) prctl(PR_SET_DUMPABLE, 0); /* credentials are in memory: no core dumps */
        (void) umask(0027);
        /* Pages and bodies come and go by the hundred kilobytes: their memory is kept for the next. */
        (void) mallopt(M_MMAP_THRESHOLD, 2 << 20);
        (void) mallopt(M_TRIM_THRESHOLD, 2 << 20);
        do
                status = run(options, &waits);
        while (waits && room_wait());
        return status;
}
