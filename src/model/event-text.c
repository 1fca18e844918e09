/* SPDX-License-Identifier: Apache-2.0 */
/* What an event says, as a sentence for people. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/jsonread.h"
#include "base/memstream.h"
#include "base/text.h"
#include "model/event.h"

#define DETAIL_DEPTH_MAX 32 /* what we write there has one level */

static const char *or_none(const char *text) {
        return text ? text : "none";
}

static int64_t number(json_object *o, const char *key) {
        json_object *v = NULL;

        return json_object_object_get_ex(o, key, &v) ? json_object_get_int64(v) : 0;
}

static const char *word(json_object *o, const char *key) {
        json_object *v = NULL;

        return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : "";
}

/* False without memory. */
static bool account_sentence(const Event *e, FILE *f) {
        json_object *d = NULL;

        if (e->detail && jsonread_text(e->detail, DETAIL_DEPTH_MAX, &d) == -ENOMEM)
                return false;
        switch ((int) e->kind) {
        case EVENT_SYNC_BASELINE:
                fprintf(f,
                        "baseline taken: %" PRId64 " users (%" PRId64 " suspended, %" PRId64
                        " invitations pending, %" PRId64 " failed)",
                        number(d, "users"), number(d, "suspended"),
                        number(d, "pending_invitations"), number(d, "failed_invitations"));
                break;
        case EVENT_SYNC_FAILED:
                fprintf(f, "sync failed: %s", word(d, "error"));
                if (number(d, "failures") > 1)
                        fprintf(f, " (%" PRId64 " times in a row)", number(d, "failures"));
                break;
        case EVENT_SYNC_RECOVERED:
                fprintf(f, "sync works again after %" PRId64 " failed %s", number(d, "failures"),
                        number(d, "failures") == 1 ? "run" : "runs");
                break;
        case EVENT_SYNC_REMOVALS_HELD:
                fprintf(f,
                        "%" PRId64 " of %" PRId64 " users are missing from the listing, more than "
                        "max_removals allows (%" PRId64 "): nobody was removed",
                        number(d, "held"), number(d, "users"), number(d, "limit"));
                break;
        default:
                fputs(event_types[e->kind].name, f);
        }
        (void) json_object_put(d);
        return true;
}

static void user_sentence(const Event *e, FILE *f) {
        const char *was = or_none(e->old_value), *is = or_none(e->new_value);

        switch ((int) e->kind) {
        case EVENT_USER_ADDED:
                fputs("was added", f);
                break;
        case EVENT_USER_REMOVED:
                fputs("was removed: no longer on the listing", f);
                break;
        case EVENT_USER_RETURNED:
                fputs("is back on the listing", f);
                break;
        case EVENT_USER_REGISTERED:
                fprintf(f, "has registered (was %s)", was);
                break;
        case EVENT_USER_SUSPENDED:
                fprintf(f, "was suspended (was %s)", was);
                break;
        case EVENT_USER_REINSTATED:
                fprintf(f, "was reinstated (was %s)", was);
                break;
        case EVENT_USER_UNREGISTERED:
                fprintf(f, "is unregistered (was %s)", was);
                break;
        case EVENT_USER_REGISTRATION_CHANGED:
                fprintf(f, "has registration status %s (was %s)", is, was);
                break;
        case EVENT_USER_INVITED:
                fprintf(f, "was invited (invitation was %s)", was);
                break;
        case EVENT_USER_INVITATION_ACCEPTED:
                fprintf(f, "has accepted the invitation (was %s)", was);
                break;
        case EVENT_USER_INVITATION_FAILED:
                fprintf(f, "could not be invited (invitation was %s)", was);
                break;
        case EVENT_USER_INVITATION_CHANGED:
                fprintf(f, "has invitation status %s (was %s)", is, was);
                break;
        case EVENT_USER_UPDATED:
                fprintf(f, "has changed: %s", or_none(e->field));
                break;
        default:
                fputs(event_types[e->kind].name, f);
        }
}

char *event_sentence(const Event *e, bool minimal, char *out, size_t size) {
        CLEANUP_FREE char *text = NULL;
        size_t len = 0;
        bool whole = true;
        FILE *f = memstream_open(&text, &len);

        if (!f)
                return NULL;
        fprintf(f, "%s: ", e->account ? e->account : "?");
        if (e->user_id) {
                fprintf(f, "%s ", user_label(e->user_id, e->primary_email, minimal));
                user_sentence(e, f);
        } else
                whole = account_sentence(e, f);
        if (fclose(f) != 0 || !whole)
                return NULL;
        return text_clean(out, size, text, len);
}
