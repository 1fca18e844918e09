/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of the public schema, as people see them.  Rank: see Column. */
#include <string.h>

#include "ctl/writer.h"

static const Column known[] = {
        { "account", "ACCOUNT", COLUMN_TEXT, 4, 0 },
        { "account_id", "ACCOUNT ID", COLUMN_TEXT, 9, 0 },
        { "user_id", "USER ID", COLUMN_TEXT, 5, 0 },
        { "primary_email", "USER", COLUMN_TEXT, 1, 0 },
        { "display_name", "NAME", COLUMN_TEXT, 6, 0 },
        { "license_type", "LICENSE", COLUMN_TEXT, 7, 0 },
        { "user_type", "TYPE", COLUMN_TEXT, 8, 0 },
        { "user_registration_status", "REGISTRATION", COLUMN_STATUS, 1, 0 },
        { "user_invitation_status", "INVITATION", COLUMN_STATUS, 3, 0 },
        { "registered_on", "REGISTERED", COLUMN_TIME, 9, 0 },
        { "invited_on", "INVITED", COLUMN_TIME, 9, 0 },
        { "alexa_for_business_enabled", "ALEXA", COLUMN_BOOL, 9, 0 },
        { "extra", "EXTRA", COLUMN_JSON, 9, 0 },
        { "first_seen_at", "FIRST SEEN", COLUMN_TIME, 8, 0 },
        { "last_changed_at", "CHANGED", COLUMN_TIME, 5, 0 },
        { "removed_at", "REMOVED", COLUMN_TIME, 2, 0 },
        { "since", "SINCE", COLUMN_TIME, 2, 0 },
        { "listed", "LISTED", COLUMN_BOOL, 9, 0 },
        { "primary_provisioned_number", "PHONE", COLUMN_TEXT, 9, 0 },
        { "alexa_for_business_room_arn", "ROOM", COLUMN_TEXT, 9, 0 },
        { "personal_pin", "PIN", COLUMN_TEXT, 9, 0 },
        { "state", "STATE", COLUMN_STATUS, 1, 0 },
        { "suspended", "SUSPENDED", COLUMN_NUMBER, 2, 0 },
        { "pending_invitations", "PENDING", COLUMN_NUMBER, 5, 0 },
        { "failed_invitations", "FAILED", COLUMN_NUMBER, 6, 0 },
        { "source", "SOURCE", COLUMN_TEXT, 8, 0 },
        { "last_attempt_at", "LAST ATTEMPT", COLUMN_TIME, 6, 0 },
        { "seq", "SEQ", COLUMN_NUMBER, 1, 0 },
        { "id", "ID", COLUMN_TEXT, 9, 0 },
        { "time", "TIME", COLUMN_TIME, 2, 0 },
        { "type", "EVENT", COLUMN_STATUS, 3, 0 },
        { "field", "FIELD", COLUMN_TEXT, 6, 0 },
        { "old_value", "OLD", COLUMN_TEXT, 3, 0 },
        { "new_value", "NEW", COLUMN_TEXT, 3, 0 },
        { "value", "STATUS", COLUMN_STATUS, 1, 0 },
        { "from_time", "FROM", COLUMN_TIME, 1, 0 },
        { "to_time", "UNTIL", COLUMN_TIME, 1, 0 },
        { "run_id", "RUN", COLUMN_NUMBER, 6, 0 },
        { "changes", "CHANGES", COLUMN_JSON, 9, 0 },
        { "detail", "DETAIL", COLUMN_JSON, 9, 0 },
        { "started_at", "STARTED", COLUMN_TIME, 1, 0 },
        { "finished_at", "FINISHED", COLUMN_TIME, 6, 0 },
        { "outcome", "OUTCOME", COLUMN_STATUS, 1, 0 },
        { "pages", "PAGES", COLUMN_NUMBER, 7, 0 },
        { "users", "USERS", COLUMN_NUMBER, 2, 0 },
        { "added", "ADDED", COLUMN_NUMBER, 4, 0 },
        { "changed", "CHANGED", COLUMN_NUMBER, 4, 0 },
        { "removed", "REMOVED", COLUMN_NUMBER, 4, 0 },
        { "retries", "RETRIES", COLUMN_NUMBER, 7, 0 },
        { "throttled", "THROTTLED", COLUMN_NUMBER, 8, 0 },
        { "error", "ERROR", COLUMN_TEXT, 3, 0 },
        { "active", "ACTIVE", COLUMN_BOOL, 6, 0 },
        { "baseline_at", "BASELINE", COLUMN_TIME, 7, 0 },
        { "last_complete_at", "LAST COMPLETE", COLUMN_TIME, 2, 0 },
        { "last_error", "LAST ERROR", COLUMN_TEXT, 3, 0 },
        { "next_run_at", "NEXT RUN", COLUMN_TIME, 5, 0 },
        { "held_removals", "HELD", COLUMN_NUMBER, 4, 0 },
        { "webhook", "WEBHOOK", COLUMN_TEXT, 1, 0 },
        { "cursor", "CURSOR", COLUMN_NUMBER, 6, 0 },
        { "pending", "PENDING", COLUMN_NUMBER, 1, 0 },
        { "last_success_at", "LAST SUCCESS", COLUMN_TIME, 2, 0 },
        { "attempts", "ATTEMPTS", COLUMN_NUMBER, 5, 0 },
        { "next_attempt_at", "NEXT ATTEMPT", COLUMN_TIME, 4, 0 },
};

Column column_named(const char *name) {
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
                if (strcmp(known[i].name, name) == 0)
                        return known[i];
        return (Column){ .name = name, .title = name, .type = COLUMN_ANY, .rank = 1 };
}
