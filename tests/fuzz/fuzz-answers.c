/* SPDX-License-Identifier: Apache-2.0 */
/* What services answer: a webhook's receiver, and Chime where it does not send a page.  The verdict
 * is as documented, a wait is bounded, and what is said is clean and holds no secret. */
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "base/timefmt.h"
#include "base/timespan.h"
#include "fuzz.h"
#include "sink/webhook.h"
#include "source/source.h"

#define CANARY "c4n4ryT0kenOfTheUrlOrHeader"
/* A word that Chime's front end may quote, and that must not be repeated. */
#define LONG_CANARY "IQoJb3JpZ2luX2VjEC4aCXVzLWVhc3QtMSJHMEUCIQDc4n4rySessionToken0123456789zz"
#define NOW INT64_C(1770091506789)

static char url[] = "https://hooks.example.com/services/" CANARY "?key=" CANARY "2";
static char header[] = "Authorization: Bearer " CANARY;
static char *headers[] = { header };
static const WebhookConfig config = { .url = url, .headers = { headers, 1 } };

/* ---- a webhook's receiver ---- */

/* doc/webhooks.md, "Delivery". */
static WebhookVerdict verdict_of(long status) {
        switch (status) {
        case 200 ... 299:
                return WEBHOOK_TAKEN;
        case 408:
        case 425:
        case 429:
                return WEBHOOK_RETRY;
        case 410:
                return WEBHOOK_GONE;
        case 400 ... 407:
        case 409:
        case 411 ... 424:
        case 426 ... 428:
        case 430 ... 499:
                return WEBHOOK_REFUSED;
        default:
                return WEBHOOK_RETRY;
        }
}

static void check_webhook(const HttpResult *res) {
        WebhookAnswer a;

        webhook_judge(&config, res, NOW, &a);
        if (res->failure != HTTP_ANSWERED) {
                demand(a.verdict == WEBHOOK_RETRY && strcmp(a.reason, res->reason) == 0);
                return;
        }
        demand(a.verdict == verdict_of(res->status));
        demand(a.retry_after <= USEC_PER_HOUR);
        demand(a.verdict == WEBHOOK_RETRY || a.retry_after == 0);
        demand((a.verdict == WEBHOOK_TAKEN) == !*a.reason);
        demand(fuzz_is_clean(a.reason) && !strstr(a.reason, CANARY));
        demand(webhook_backoff(3, a.retry_after) >= a.retry_after);
}

/* ---- Chime ---- */

static void check_source(const HttpResult *res, bool had_continuation) {
        CLEANUP(source_answer_clear) SourceAnswer a = { 0 };
        const Source *source = source_find("chime");
        Error err = { 0 };

        source->answer(res, had_continuation, NOW, &a);
        demand((a.verdict == SOURCE_PAGE) == (res->failure == HTTP_ANSWERED && res->status == 200));
        if (a.verdict == SOURCE_PAGE)
                demand(source->page(res->body, res->body_len, NULL, &a, &err) == 0);
        demand(a.retry_after <= USEC_PER_HOUR);
        if (a.verdict == SOURCE_PAGE) {
                demand(res->failure == HTTP_ANSWERED && res->status == 200);
                return;
        }
        demand(*a.error && fuzz_is_clean(a.error) && !strstr(a.error, LONG_CANARY));
        demand(a.page.n_records == 0 && !a.page.next);
        if (res->failure != HTTP_ANSWERED)
                return;
        demand((a.verdict == SOURCE_THROTTLED) == (res->status == 429));
        demand(a.verdict != SOURCE_CURSOR_EXPIRED || (had_continuation && res->status == 400));
        if (res->status >= 500 || res->status == 408 || res->status < 300)
                demand(a.verdict == SOURCE_RETRY);
        else if (res->status != 429)
                demand(a.verdict != SOURCE_RETRY);
}

/* ---- times ---- */

/* A date comes back as it was written. */
static void check_date(const char *text) {
        static const char days[] = "ThuFriSatSunMonTueWed",
                          months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        char iso[TIME_TEXT_SIZE], again[64];
        int64_t ms = 0, day, month;

        if (!text || http_date(text, &ms) < 0)
                return;
        time_format(ms, iso);
        day = ms / INT64_C(86400000) - (ms % INT64_C(86400000) < 0);
        month = (iso[5] - '0') * 10 + iso[6] - '0' - 1;
        (void) snprintf(again, sizeof again, "%.3s, %.2s %.3s %.4s %.8s GMT",
                        days + 3 * ((day % 7 + 7) % 7), iso + 8, months + month * 3, iso, iso + 11);
        if (strstr(text, ":60 ")) /* a leap second is the next one */
                return;
        demand(strcmp(text + 5, again + 5) == 0); /* the name of the day is not looked at */
}

/* The first byte: whether Chime was asked for a later page. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = input_of(data, size);
        bool later = input_byte(&in) & 1;
        CLEANUP(answer_clear) Answer a = { 0 };
        char skew[128];

        answer_read(&in, &a);
        check_webhook(&a.res);
        check_source(&a.res, later);
        check_date(http_header(&a.res, "Retry-After"));
        check_date(http_header(&a.res, "Date"));
        http_say_skew(&a.res, NOW, skew, sizeof skew);
        demand(fuzz_is_clean(skew));
        return 0;
}
