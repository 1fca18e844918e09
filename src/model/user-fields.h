/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

typedef enum FieldType {
        FIELD_TEXT, /* the API's own words */
        FIELD_TIME, /* UTC text, see base/timefmt.h */
        FIELD_BOOL, /* "0" or "1"; INTEGER in SQLite, true or false in JSON */
        FIELD_JSON, /* a JSON object in canonical text */
} FieldType;

typedef enum FieldFlags {
        FIELD_KEY = 1 << 0,       /* identity; never differs */
        FIELD_SENSITIVE = 1 << 1, /* personal: left out where personal_data = minimal */
        FIELD_SECRET = 1 << 2,    /* opens doors: stored if asked for, never in events or logs */
} FieldFlags;

/* THE table of the user's fields: enumerator, member in JSON, member of what ("" for the user
 * itself), column of `users`, type, flags.  Adding a field is one row here and one migration in
 * store/store-schema.c; parse, diff, store, export and the test of doc/schema.md walk it.
 * Source: Chime API 2018-05-01, shapes User and AlexaForBusinessMetadata; the model marks e-mail,
 * phone number, display name and room ARN as sensitive.  `extra` is what this table does not know. */
#define USER_FIELDS(X)                                                                            \
        X(ACCOUNT_ID, "AccountId", "", account_id, FIELD_TEXT, 0)                                 \
        X(USER_ID, "UserId", "", user_id, FIELD_TEXT, FIELD_KEY)                                  \
        X(PRIMARY_EMAIL, "PrimaryEmail", "", primary_email, FIELD_TEXT, FIELD_SENSITIVE)          \
        X(PRIMARY_PROVISIONED_NUMBER, "PrimaryProvisionedNumber", "", primary_provisioned_number, \
          FIELD_TEXT, FIELD_SENSITIVE)                                                            \
        X(DISPLAY_NAME, "DisplayName", "", display_name, FIELD_TEXT, FIELD_SENSITIVE)             \
        X(LICENSE_TYPE, "LicenseType", "", license_type, FIELD_TEXT, 0)                           \
        X(USER_TYPE, "UserType", "", user_type, FIELD_TEXT, 0)                                    \
        X(USER_REGISTRATION_STATUS, "UserRegistrationStatus", "", user_registration_status,       \
          FIELD_TEXT, 0)                                                                          \
        X(USER_INVITATION_STATUS, "UserInvitationStatus", "", user_invitation_status, FIELD_TEXT, \
          0)                                                                                      \
        X(REGISTERED_ON, "RegisteredOn", "", registered_on, FIELD_TIME, 0)                        \
        X(INVITED_ON, "InvitedOn", "", invited_on, FIELD_TIME, 0)                                 \
        X(ALEXA_FOR_BUSINESS_ENABLED, "IsAlexaForBusinessEnabled", "AlexaForBusinessMetadata",    \
          alexa_for_business_enabled, FIELD_BOOL, 0)                                              \
        X(ALEXA_FOR_BUSINESS_ROOM_ARN, "AlexaForBusinessRoomArn", "AlexaForBusinessMetadata",     \
          alexa_for_business_room_arn, FIELD_TEXT, FIELD_SENSITIVE)                               \
        X(PERSONAL_PIN, "PersonalPIN", "", personal_pin, FIELD_TEXT,                              \
          FIELD_SENSITIVE | FIELD_SECRET)                                                         \
        X(EXTRA, "", "", extra, FIELD_JSON, FIELD_SENSITIVE)

#define USER_FIELD_ENUM(id, json, parent, column, type, flags) USER_FIELD_##id,
typedef enum UserFieldId { USER_FIELDS(USER_FIELD_ENUM) USER_FIELD_COUNT } UserFieldId;
#undef USER_FIELD_ENUM

typedef struct UserField {
        const char *json;   /* member name in the API's answer; "" for extra */
        const char *parent; /* the member it is in; "" for the user itself */
        const char *column;
        FieldType type;
        unsigned flags; /* FieldFlags */
} UserField;

/* Indexed by UserFieldId. */
extern const UserField user_fields[USER_FIELD_COUNT];
