#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""boto3_sync.py ENDPOINT CA-FILE|- ACCOUNT DATABASE: keeps the users of an Amazon Chime account in a
SQLite table and prints what has changed: the script that one would write without rosterd.  It is what
rosterd's CPU is compared with, so it is written well: one transaction, a primary key, only what differs
is written."""

import sqlite3
import sys

import boto3

COLUMNS = ["UserId", "AccountId", "PrimaryEmail", "PrimaryProvisionedNumber", "DisplayName", "LicenseType",
           "UserType", "UserRegistrationStatus", "UserInvitationStatus", "RegisteredOn", "InvitedOn", "PersonalPIN"]
NESTED = ["IsAlexaForBusinessEnabled", "AlexaForBusinessRoomArn"]
ALL = COLUMNS + NESTED
STATUSES = [COLUMNS.index("UserRegistrationStatus"), COLUMNS.index("UserInvitationStatus")]

CREATE = f"CREATE TABLE IF NOT EXISTS users ({ALL[0]} TEXT PRIMARY KEY, {', '.join(ALL[1:])}) WITHOUT ROWID"
SELECT = f"SELECT {', '.join(ALL)} FROM users WHERE UserId = ?"
UPSERT = f"INSERT OR REPLACE INTO users VALUES ({', '.join('?' * len(ALL))})"


def row_of(user):
    values = [user.get(name) for name in COLUMNS]
    for i in (COLUMNS.index("RegisteredOn"), COLUMNS.index("InvitedOn")):
        if values[i] is not None:
            values[i] = values[i].isoformat()
    alexa = user.get("AlexaForBusinessMetadata", {})
    return tuple(values + [alexa.get(name) for name in NESTED])


def compare(old, new):
    """Prints what is worth telling."""
    if old is None:
        print("new:", new[0])
        return
    for i in STATUSES:
        if old[i] != new[i]:
            print(f"{new[0]}: {ALL[i]} {old[i]} -> {new[i]}")


def main(endpoint, ca, account, database):
    chime = boto3.client("chime", region_name="us-east-1", endpoint_url=endpoint, verify=None if ca == "-" else ca)
    db = sqlite3.connect(database)
    known = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'users'").fetchone()
    db.execute(CREATE)
    seen = set()
    with db:
        pages = chime.get_paginator("list_users").paginate(AccountId=account, PaginationConfig={"PageSize": 200})
        for page in pages:
            for user in page["Users"]:
                new = row_of(user)
                seen.add(new[0])
                old = db.execute(SELECT, new[:1]).fetchone()
                if old == new:
                    continue
                db.execute(UPSERT, new)
                if known:
                    compare(old, new)
        gone = [(user_id,) for (user_id,) in db.execute("SELECT UserId FROM users") if user_id not in seen]
        db.executemany("DELETE FROM users WHERE UserId = ?", gone)
        for (user_id,) in gone:
            print("gone:", user_id)
    db.close()
    print(len(seen), "users", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
