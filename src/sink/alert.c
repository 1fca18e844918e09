/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/alert.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/memstream.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "sink/stored.h"

/* THE table of alerts: what begins each, and what may end it. */
static const struct {
        EventKind raised_by;
        EventMask ended_by;
} rules[ALERT_KIND_COUNT] = {
        [ALERT_USER_SUSPENDED] = { EVENT_USER_SUSPENDED,
                                   EVENT_BIT(EVENT_USER_REINSTATED) |
                                           EVENT_BIT(EVENT_USER_REGISTERED) |
                                           EVENT_BIT(EVENT_USER_UNREGISTERED) |
                                           EVENT_BIT(EVENT_USER_REGISTRATION_CHANGED) |
                                           EVENT_BIT(EVENT_USER_REMOVED) },
        [ALERT_SYNC_FAILED] = { EVENT_SYNC_FAILED, EVENT_BIT(EVENT_SYNC_RECOVERED) },
        [ALERT_REMOVALS_HELD] = { EVENT_SYNC_REMOVALS_HELD, 0 },
};

EventKind alert_raised_by(AlertKind kind) {
        return rules[kind].raised_by;
}

EventMask alert_ended_by(AlertKind kind) {
        return rules[kind].ended_by;
}

static bool is_suspended(const char *status) {
        return status && strcmp(status, "Suspended") == 0;
}

/* Whether somebody who was suspended is so no longer, or -ENOMEM.  The same kinds tell of others too. */
static int ends_suspension(const Event *e) {
        CLEANUP_STORED json_object *user = NULL;
        int r;

        if (e->kind == EVENT_USER_REINSTATED)
                return true;
        if (e->kind != EVENT_USER_REMOVED)
                return is_suspended(e->old_value);
        r = stored_parse(e->user, json_type_object, &user);
        return r < 0 ? r : is_suspended(stored_member(user, "user_registration_status"));
}

static int read_detail(const Event *e, Alert *a) {
        CLEANUP_STORED json_object *detail = NULL;
        int r = stored_parse(e->detail, json_type_object, &detail);
        const char *error = stored_member(detail, "error");
        json_object *held = NULL;

        if (r < 0)
                return r;
        if (a->kind == ALERT_SYNC_FAILED && error)
                (void) text_clean(a->error, sizeof a->error, error, strlen(error));
        if (a->kind == ALERT_REMOVALS_HELD && json_object_object_get_ex(detail, "held", &held))
                a->held = json_object_get_int64(held);
        return 0;
}

int alert_from_event(const Event *e, Alert *ret) {
        unsigned kind = 0;
        bool raises = false, ends = false;
        int r = 0;

        for (; kind < ALERT_KIND_COUNT; kind++) {
                raises = e->kind == rules[kind].raised_by;
                ends = rules[kind].ended_by & EVENT_BIT(e->kind);
                if (raises || ends)
                        break;
        }
        if (kind == ALERT_KIND_COUNT)
                return 0;
        if (ends && kind == ALERT_USER_SUSPENDED && (r = ends_suspension(e)) <= 0)
                return r;
        *ret = (Alert){ .kind = (AlertKind) kind,
                        .account = e->account,
                        .account_id = e->account_id,
                        .user_id = e->user_id,
                        .primary_email = e->primary_email,
                        .starts_at = raises ? e->time : TIME_NONE,
                        .ends_at = raises ? TIME_NONE : e->time };
        if (raises)
                r = read_detail(e, ret);
        return r < 0 ? r : 1;
}

static const char *or_unknown(const char *text) {
        return text ? text : "?";
}

#define HEX_SIZE (2 * SHA256_DIGEST_LENGTH + 1)

static const char *hex_sha256(const char *text, char out[static HEX_SIZE]) {
        unsigned char hash[SHA256_DIGEST_LENGTH] = { 0 };

        (void) SHA256((const unsigned char *) text, strlen(text), hash);
        for (size_t i = 0; i < sizeof hash; i++)
                (void) snprintf(out + 2 * i, 3, "%02x", hash[i]);
        return out;
}

char *alert_key(const Alert *a, char *out, size_t size) {
        const char *account = a->account_id ? a->account_id : or_unknown(a->account);
        const char *type = event_types[rules[a->kind].raised_by].name;
        const char *slash = a->user_id ? "/" : "", *user = a->user_id ? a->user_id : "";
        char account_hash[HEX_SIZE], user_hash[HEX_SIZE];
        int n = snprintf(out, size, "rosterd/%s/%s%s%s", account, type, slash, user);

        assert(size >= ALERT_KEY_SIZE);
        if (n < 0 || (size_t) n >= size) /* cut, it would be another's too */
                (void) snprintf(out, size, "rosterd/%s/%s/%s", type,
                                hex_sha256(account, account_hash), hex_sha256(user, user_hash));
        return out;
}

static void put_sentence(FILE *f, const Alert *a, const char *who) {
        bool lasts = a->ends_at == TIME_NONE;

        switch (a->kind) {
        case ALERT_USER_SUSPENDED:
                fprintf(f, "%s is %s", who, lasts ? "suspended" : "no longer suspended");
                return;
        case ALERT_SYNC_FAILED:
                if (lasts)
                        fprintf(f, "sync fails%s%s", *a->error ? ": " : "", a->error);
                else
                        fputs("sync works again", f);
                return;
        case ALERT_REMOVALS_HELD:
                if (lasts)
                        fprintf(f, "%" PRId64 " %s missing from the listing and not removed",
                                a->held, a->held == 1 ? "user is" : "users are");
                else
                        fputs("no removals are held any more", f);
                return;
        case ALERT_KIND_COUNT:
                break;
        }
        abort(); /* an AlertKind without a case is a bug in this file */
}

char *alert_sentence(const Alert *a, bool minimal, char *out, size_t size) {
        CLEANUP_FREE char *text = NULL;
        size_t len = 0;
        FILE *f = memstream_open(&text, &len);

        if (!f)
                return NULL;
        fprintf(f, "%s: ", or_unknown(a->account));
        put_sentence(f, a, user_label(or_unknown(a->user_id), a->primary_email, minimal));
        if (fclose(f) != 0)
                return NULL;
        return text_clean(out, size, text, len);
}
