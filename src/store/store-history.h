/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* SQL about since when a user u has had a status.  The schema is made of it: what has shipped is never
 * edited (store-schema.c). */

#define STATUS_FIELDS                                             \
        " CROSS JOIN (SELECT 'user_registration_status' AS field" \
        " UNION ALL SELECT 'user_invitation_status') f"
#define ABOUT_USER(x, u) x ".user_id = " u ".user_id AND " x ".account_key = " u ".account_key"
#define PRESENT_VALUE(field)                                                             \
        "CASE " field " WHEN 'user_registration_status' THEN u.user_registration_status" \
        " ELSE u.user_invitation_status END"
/* What the field held from seq on: what the next change says it was before, or what it is now. */
#define VALUE_FROM(field, seq)                                                             \
        "CASE WHEN EXISTS (SELECT 1 FROM event_data n WHERE " ABOUT_USER(                  \
                "n", "u") " AND n.seq > " seq " AND n.field = " field ")"                  \
                          " THEN (SELECT n.old_value FROM event_data n WHERE " ABOUT_USER( \
                                  "n", "u") " AND n.seq > " seq " AND n.field = " field    \
                                            " ORDER BY n.seq LIMIT 1)"                     \
                                            " ELSE " PRESENT_VALUE(field) " END"
