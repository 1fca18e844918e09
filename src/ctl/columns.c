/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of the public schema, as people see them.  Rank: see Column. */
#include <string.h>

#include "ctl/writer.h"

static const Column known[] = {
        { "account", "ACCOUNT", COLUMN_TEXT, 4 },
        { "account_id", "ACCOUNT ID", COLUMN_TEXT, 9 },
        { "user_id", "USER ID", COLUMN_TEXT, 5 },
        { "primary_email", "E-MAIL", COLUMN_TEXT, 1 },
        { "display_name", "NAME", COLUMN_TEXT, 6 },
        { "license_type", "LICENSE", COLUMN_TEXT, 7 },
        { "user_type", "TYPE", COLUMN_TEXT, 8 },
        { "user_registration_status", "REGISTRATION", COLUMN_STATUS, 1 },
        { "user_invitation_status", "INVITATION", COLUMN_STATUS, 3 },
        { "registered_on", "REGISTERED", COLUMN_TIME, 9 },
        { "invited_on", "INVITED", COLUMN_TIME, 9 },
        { "alexa_for_business_enabled", "ALEXA", COLUMN_BOOL, 9 },
        { "extra", "EXTRA", COLUMN_JSON, 9 },
        { "first_seen_at", "FIRST SEEN", COLUMN_TIME, 8 },
        { "last_changed_at", "CHANGED", COLUMN_TIME, 5 },
        { "removed_at", "REMOVED", COLUMN_TIME, 2 },
        { "since", "SINCE", COLUMN_TIME, 2 },
        { "listed", "LISTED", COLUMN_BOOL, 9 },
        { "primary_provisioned_number", "PHONE", COLUMN_TEXT, 9 },
        { "alexa_for_business_room_arn", "ROOM", COLUMN_TEXT, 9 },
        { "personal_pin", "PIN", COLUMN_TEXT, 9 },
        { "state", "STATE", COLUMN_STATUS, 1 },
        { "suspended", "SUSPENDED", COLUMN_NUMBER, 2 },
        { "pending_invitations", "PENDING", COLUMN_NUMBER, 5 },
        { "failed_invitations", "FAILED", COLUMN_NUMBER, 6 },
        { "source", "SOURCE", COLUMN_TEXT, 8 },
        { "last_attempt_at", "LAST ATTEMPT", COLUMN_TIME, 6 },
        { "seq", "SEQ", COLUMN_NUMBER, 7 },
        { "id", "ID", COLUMN_TEXT, 9 },
        { "time", "TIME", COLUMN_TIME, 2 },
        { "type", "EVENT", COLUMN_STATUS, 3 },
        { "field", "FIELD", COLUMN_TEXT, 6 },
        { "old_value", "OLD", COLUMN_TEXT, 3 },
        { "new_value", "NEW", COLUMN_TEXT, 3 },
        { "value", "STATUS", COLUMN_STATUS, 1 },
        { "from_time", "FROM", COLUMN_TIME, 1 },
        { "to_time", "UNTIL", COLUMN_TIME, 1 },
        { "run_id", "RUN", COLUMN_NUMBER, 6 },
        { "changes", "CHANGES", COLUMN_JSON, 9 },
        { "detail", "DETAIL", COLUMN_JSON, 9 },
        { "started_at", "STARTED", COLUMN_TIME, 1 },
        { "finished_at", "FINISHED", COLUMN_TIME, 6 },
        { "outcome", "OUTCOME", COLUMN_STATUS, 1 },
        { "pages", "PAGES", COLUMN_NUMBER, 7 },
        { "users", "USERS", COLUMN_NUMBER, 2 },
        { "added", "ADDED", COLUMN_NUMBER, 4 },
        { "changed", "CHANGED", COLUMN_NUMBER, 4 },
        { "removed", "REMOVED", COLUMN_NUMBER, 4 },
        { "retries", "RETRIES", COLUMN_NUMBER, 7 },
        { "throttled", "THROTTLED", COLUMN_NUMBER, 8 },
        { "error", "ERROR", COLUMN_TEXT, 3 },
        { "active", "ACTIVE", COLUMN_BOOL, 6 },
        { "baseline_at", "BASELINE", COLUMN_TIME, 7 },
        { "last_complete_at", "LAST COMPLETE", COLUMN_TIME, 2 },
        { "last_error", "LAST ERROR", COLUMN_TEXT, 3 },
        { "next_run_at", "NEXT RUN", COLUMN_TIME, 5 },
        { "held_removals", "HELD", COLUMN_NUMBER, 4 },
        { "webhook", "WEBHOOK", COLUMN_TEXT, 1 },
        { "cursor", "CURSOR", COLUMN_NUMBER, 6 },
        { "pending", "PENDING", COLUMN_NUMBER, 1 },
        { "last_success_at", "LAST SUCCESS", COLUMN_TIME, 2 },
        { "attempts", "ATTEMPTS", COLUMN_NUMBER, 5 },
        { "next_attempt_at", "NEXT ATTEMPT", COLUMN_TIME, 4 },
};

Column column_named(const char *name) {
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
                if (strcmp(known[i].name, name) == 0)
                        return known[i];
        return (Column){ name, name, COLUMN_ANY, 1 };
}
