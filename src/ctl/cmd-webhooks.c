/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/remote.h"
#include "ctl/writer.h"

static const Option options[] = {
        { "from", 0, "SEQ", WORDS_ANY, "of replay: the first event to be told again" },
};

static int run_list(Ctl *c, const Args *a, Error *err) {
        static const char *const shown[] = { "webhook",  "pending",         "last_success_at",
                                             "attempts", "next_attempt_at", "last_error" };
        Store *store = NULL;
        Rows *rows = NULL;
        int r = ctl_store(c, &store, err);

        (void) a;
        if (r >= 0)
                r = store_read(store, READ_WEBHOOKS, &rows, err);
        return r < 0 ? r
                     : write_rows(c, FORMAT_TABLE, rows, shown, sizeof shown / sizeof shown[0],
                                  err);
}

static int run_dead(Ctl *c, const Args *a, Error *err) {
        static const char *const shown[] = { "webhook", "seq", "time", "error" };
        Store *store = NULL;
        Rows *rows = NULL;
        int r = ctl_store(c, &store, err);

        (void) a;
        if (r >= 0)
                r = store_read(store, READ_DEAD_LETTERS, &rows, err);
        return r < 0 ? r : write_rows(c, FORMAT_TABLE, rows, shown, 4, err);
}

/* ---- what the running rosterd does ---- */

/* Asks; the result's body in *ret_body is borrowed from *remote. */
static int ask(Ctl *c, const ControlRequest *request, Remote **remote, json_object **ret_body,
               Error *err) {
        int r = remote_ask(c, request, remote, err);

        while (r >= 0) {
                r = remote_next(*remote, ret_body, err);
                if (r == CONTROL_RESULT)
                        break;
        }
        return r;
}

static int run_test(Ctl *c, const Args *a, Error *err) {
        const ControlRequest request = { .verb = CONTROL_TEST_WEBHOOK, .webhook = a->args[1] };
        CLEANUP(remote_freep) Remote *remote = NULL;
        json_object *body = NULL;
        const char *host;
        int r = ask(c, &request, &remote, &body, err);

        if (r == E_UNAVAILABLE)
                return error_prefix(err, r, "only a running rosterd can try a webhook out");
        if (r < 0)
                return r;
        host = remote_text(body, "host");
        out_printf(&c->out, "%s: %s took it, with status %" PRId64 "\n", a->args[1],
                   host ? host : "the receiver", remote_number(body, "status"));
        return EXIT_OK;
}

/* rosterd, when it starts, goes on from where the database says. */
static int replay_alone(Ctl *c, const char *webhook, int64_t from, Error *err) {
        CLEANUP(store_closep) Store *store = NULL;
        char sink[160];
        int64_t next = 0;
        int r = remote_open_writer(c, &store, err);

        (void) snprintf(sink, sizeof sink, SINK_WEBHOOK "%.100s", webhook);
        if (r >= 0)
                r = store_sink_replay(store, sink, from, &next, err);
        if (r == -ENOENT && store)
                return error_set(err, E_ABSENT, "the database knows no webhook %.60s", webhook);
        if (r == -ERANGE)
                return error_set(err, E_ABSENT,
                                 "webhook %.60s has yet to be told event %" PRId64
                                 ": a replay goes back, and passes over nothing",
                                 webhook, next);
        return r;
}

static int run_replay(Ctl *c, const Args *a, Error *err) {
        ControlRequest request = { .verb = CONTROL_REPLAY_WEBHOOK, .webhook = a->args[1] };
        CLEANUP(remote_freep) Remote *remote = NULL;
        json_object *body = NULL;
        const char *when = "";
        int r;

        if (!args_has(a, "from"))
                return error_set(err, E_USAGE,
                                 "say from which event on, with --from SEQ; 'rosterctl events "
                                 "--format csv' shows seq");
        r = args_number(a, "from", 0, &request.from, err);
        if (r >= 0 && request.from == 0)
                r = error_set(err, E_USAGE,
                              "the first event is 1; 'rosterctl events --format csv' "
                              "shows seq");
        if (r < 0)
                return r;
        r = ask(c, &request, &remote, &body, err);
        if (r == E_UNAVAILABLE) {
                when = ", once rosterd runs";
                r = replay_alone(c, request.webhook, request.from, err);
        }
        if (r < 0)
                return r;
        out_printf(&c->out, "%s: is told the events from %" PRId64 " on again%s\n", request.webhook,
                   request.from, when);
        return EXIT_OK;
}

/* ---- the command ---- */

/* What can be done with webhooks: a line each. */
static const struct {
        const char *name;
        int n_args; /* after the name */
        int (*run)(Ctl *c, const Args *a, Error *err);
} actions[] = {
        { "list", 0, run_list },
        { "dead", 0, run_dead },
        { "test", 1, run_test },
        { "replay", 1, run_replay },
};

static int run(Ctl *c, const Args *a, Error *err) {
        const char *name = a->n > 0 ? a->args[0] : "list";
        size_t i = 0;
        int r = words_check(c, WORDS_WEBHOOK_ACTIONS, "action", &name, err);

        if (r < 0)
                return r == E_ABSENT ? E_USAGE : r;
        while (strcmp(actions[i].name, name) != 0) {
                i++;
                assert(i < sizeof actions / sizeof actions[0]); /* WORDS_WEBHOOK_ACTIONS has it */
        }
        if (a->n > 0 && a->n - 1 != actions[i].n_args)
                return error_set(err, E_USAGE,
                                 "'webhooks %s' takes %s; see 'rosterctl webhooks --help'", name,
                                 actions[i].n_args ? "a webhook's name" : "nothing more");
        return actions[i].run(c, a, err);
}

const Command command_webhooks = {
        .name = "webhooks",
        .args = "[list|dead|test NAME|replay NAME]",
        .summary = "how far each webhook has got, and what it did not take",
        .help = "'test' has the running rosterd send a made-up user.reinstated, which opens no "
                "incident"
                " anywhere, and says what the receiver answers.  'replay' has a webhook told again "
                "from"
                " an event on, dead letters among them.",
        .example = "rosterctl webhooks replay ops --from 4711",
        OPTIONS(options),
        .min_args = 0,
        .max_args = 2,
        .words = WORDS_WEBHOOK_ACTIONS,
        .later_words = WORDS_WEBHOOKS,
        .run = run,
};
