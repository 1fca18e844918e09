/* SPDX-License-Identifier: Apache-2.0 */
/* Going the way that the plan found: at most one helper program, then one request after the other.
 * Whatever happens, happens in a turn of the loop, and ends in finish(). */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "base/timespan.h"
#include "net/aws-internal.h"

#define PROCESS_TIMEOUT USEC_PER_MINUTE

static void next(AwsFetch *f);

void aws_fetch_free(AwsFetch *f) {
        if (!f)
                return;
        if (f->call)
                http_cancel(f->call);
        aws_process_free(f->process);
        (void) sd_event_source_disable_unref(f->timer);
        aws_plan_clear(&f->plan);
        aws_keys_clear(&f->keys);
        wipe_free(f->imds_token);
        wipe_free(f->imds_role);
        wipe_free(f->ca_file);
        wipe_free(f->proxy);
        (void) sd_event_unref(f->event);
        free(f);
}

/* ---- the end ---- */

static void finish(AwsFetch *f, int code, const Error *why) {
        AwsResult res = { .code = code,
                          .provider = f->plan.name,
                          .note = *f->note ? f->note : NULL };

        if (code < 0) {
                res.error.code = code;
                (void) text_clean(res.error.msg, sizeof res.error.msg, why->msg, strlen(why->msg));
        } else {
                res.keys = &f->keys;
                res.local = f->n_steps == 0 && f->plan.provider != AWS_PROCESS;
        }
        f->on_done(&res, f->userdata);
}

/* name is whoever failed. */
static void fail(AwsFetch *f, const char *name, int code, const Error *why) {
        Error err = *why;

        (void) error_prefix(&err, code, "%s%s",
                            f->plan.last_resort && f->n_steps - f->step > f->plan.n_roles
                                    ? "there are no credentials; last, "
                                    : "",
                            name);
        finish(f, code, &err);
}

static void succeed(AwsFetch *f) {
        char when[TIME_TEXT_SIZE];
        Error err = { 0 };

        if (aws_keys_freshness(&f->keys, time_now_ms()) != AWS_EXPIRED) {
                finish(f, 0, NULL);
                return;
        }
        time_format(f->keys.expires, when);
        (void) error_set(&err, -EKEYEXPIRED,
                         "%s gives keys that have expired (at %s); is this machine's clock right?",
                         f->plan.name, when);
        finish(f, -EKEYEXPIRED, &err);
}

/* ---- steps ---- */

static void pause_for(AwsFetch *f, uint64_t usec) {
        Error err = { 0 };
        int r = sd_event_source_set_time_relative(f->timer, usec);

        if (r >= 0)
                r = sd_event_source_set_enabled(f->timer, SD_EVENT_ONESHOT);
        if (r < 0) {
                (void) error_set(&err, r, "cannot set a timer: %s", strerror(-r));
                finish(f, r, &err);
        }
}

static void on_answer(const HttpResult *res, void *userdata) {
        AwsFetch *f = userdata;
        const AwsStep *step = f->steps[f->step];
        unsigned most = step->attempts ? step->attempts : f->plan.imds.attempts;
        Error err = { 0 };
        int r;

        f->call = NULL;
        r = step->answer(f, res, &err);
        if (r == AWS_DONE) {
                f->step++;
                f->attempts = 0;
                next(f);
        } else if (r == AWS_AGAIN && ++f->attempts < most)
                pause_for(f, step->pause);
        else
                fail(f, step->name, r < 0 ? r : err.code, &err);
}

/* Not asprintf(), which leaves pieces behind in memory. */
int aws_header(char **ret, const char *name, const char *value, Error *err) {
        size_t size = strlen(name) + strlen(value) + 3;

        *ret = malloc(size);
        if (!*ret)
                return error_set(err, -ENOMEM, "out of memory");
        (void) snprintf(*ret, size, "%s: %s", name, value);
        return 0;
}

int aws_fetch_request(AwsFetch *f, const HttpRequest *req, Error *err) {
        assert(!f->call);
        return http_start(f->http, req, on_answer, f, &f->call, err);
}

/* What it said is for the log alone: an error goes further, to webhooks, and a mask is a guess. */
static void on_printed(const AwsProcessResult *res, void *userdata) {
        AwsFetch *f = userdata;
        Error err = { 0 };
        int r = res->code;

        if (*res->said)
                (void) snprintf(f->note, sizeof f->note, "credential_process said: %s", res->said);
        if (r < 0)
                (void) error_set(&err, r, "%.200s%s", res->error.msg,
                                 *res->said ? "; the journal has what it said" : "");
        else {
                r = aws_keys_parse_json(res->out, res->out_len, AWS_JSON_PROCESS, &f->keys, &err);
                if (r < 0)
                        (void) error_prefix(&err, r, "what it printed cannot be used");
        }
        if (r < 0)
                fail(f, "credential_process", r, &err);
        else
                next(f);
}

/* One thing after the other; the keys at hand are those to go on with. */
static void next(AwsFetch *f) {
        Error err = { 0 };
        int r;

        if (f->plan.provider == AWS_PROCESS && !f->process) {
                r = aws_process_start(f->event, f->plan.command, PROCESS_TIMEOUT, on_printed, f,
                                      &f->process, &err);
                if (r < 0)
                        fail(f, "credential_process", r, &err);
        } else if (f->step == f->n_steps ||
                   /* says so: nobody would take them */
                   aws_keys_freshness(&f->keys, time_now_ms()) == AWS_EXPIRED)
                succeed(f);
        else {
                r = f->steps[f->step]->send(f, &err);
                if (r < 0)
                        fail(f, f->steps[f->step]->name, r, &err);
        }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        AwsFetch *f = userdata;

        (void) source;
        (void) usec;
        if (f->plan_code < 0)
                finish(f, f->plan_code, &f->plan_error);
        else
                next(f);
        return 0;
}

/* ---- the start ---- */

static void list_steps(AwsFetch *f) {
        switch (f->plan.provider) {
        case AWS_WEB_IDENTITY:
                f->steps[f->n_steps++] = &aws_step_web_identity;
                break;
        case AWS_CONTAINER:
                f->steps[f->n_steps++] = &aws_step_container;
                break;
        case AWS_IMDS:
                f->steps[f->n_steps++] = &aws_step_imds_token;
                f->steps[f->n_steps++] = &aws_step_imds_role;
                f->steps[f->n_steps++] = &aws_step_imds_keys;
                break;
        case AWS_NONE:
        case AWS_EXPLICIT:
        case AWS_ENV:
        case AWS_SHARED_FILE:
        case AWS_CONFIG_FILE:
        case AWS_PROCESS:
                break;
        }
        for (size_t i = 0; i < f->plan.n_roles; i++)
                f->steps[f->n_steps++] = &aws_step_role;
}

int aws_fetch_start(sd_event *event, Http *http, const AwsIdentity *id, AwsFetchDone on_done,
                    void *userdata, AwsFetch **ret, Error *err) {
        CLEANUP(aws_fetch_freep) AwsFetch *f = calloc(1, sizeof *f);
        int r;

        if (!f || secret_set(&f->ca_file, id->ca_file) < 0 || secret_set(&f->proxy, id->proxy) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        f->event = sd_event_ref(event);
        f->http = http;
        f->on_done = on_done;
        f->userdata = userdata;
        r = sd_event_add_time_relative(event, &f->timer, CLOCK_BOOTTIME, 0, USEC_PER_MSEC, on_timer,
                                       f);
        if (r < 0)
                return error_set(err, r, "cannot set up a timer: %s", strerror(-r));
        (void) sd_event_source_set_exit_on_failure(f->timer, true);
        (void) sd_event_source_set_description(f->timer, "aws-fetch");

        f->plan_code = aws_plan_make(id, &f->plan, &f->plan_error);
        list_steps(f);
        f->keys = f->plan.keys;
        f->plan.keys = (AwsKeys){ 0 };
        *ret = take_ptr(f);
        return 0;
}
