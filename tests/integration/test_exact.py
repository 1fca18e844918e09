# SPDX-License-Identifier: Apache-2.0
"""A hundred thousand users (with sanitizers, which are slow, a fifth): every member of every user exactly as the vendor's client sees it."""

import json
import os
import time

import boto3
import botocore.config
import pytest

from emulator import Emulator
from rosterd import MEMBERS, Rosterd

USERS = 20_000 if os.environ.get("ROSTERD_SANITIZED") else 100_000


def text_of(column, value):
    """What rosterd's documentation says that it stores for a member."""
    if value is None:
        return None
    if column in ("registered_on", "invited_on"):  # botocore gives datetime
        value = value.astimezone(__import__("datetime").timezone.utc)
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    if column == "alexa_for_business_enabled":
        return int(value)
    return value


def expected(user):
    row = {}
    for column, member in MEMBERS.items():
        if isinstance(member, tuple):
            value = (user.get(member[0]) or {}).get(member[1])
        else:
            value = user.get(member)
        row[column] = text_of(column, value)
    return row


def changes(database):
    """The pages that writing has touched: the file's change counter and its WAL's length."""
    return os.path.getsize(database), os.path.getsize(database + "-wal")


@pytest.fixture(scope="module")
def big():
    with Emulator(users=USERS) as chime:
        yield chime


def test_every_member_of_every_user(tmp_path, big):
    roster = Rosterd(tmp_path, big, store_personal_pin="yes")
    roster.once(timeout=300)
    client = boto3.client("chime", endpoint_url=big.url, region_name="us-east-1",
                          aws_access_key_id=big.access_key, aws_secret_access_key=big.secret_key,
                          config=botocore.config.Config(parameter_validation=False))
    rows = roster.users()
    seen = 0
    for page in client.get_paginator("list_users").paginate(
            AccountId=big.account_id, PaginationConfig={"PageSize": 200}):
        for user in page["Users"]:
            want = expected(user)
            row = rows[user["UserId"]]
            got = {column: row[column] for column in want}
            assert got == want
            seen += 1
    assert seen == len(rows) == USERS

    # Members that the vendor's client drops are kept, too.
    for user in big.users(limit=2000):
        unknown = {name: value for name, value in user.items()
                   if name not in MEMBERS.values() and name != "AlexaForBusinessMetadata"}
        alexa = {name: value for name, value in (user.get("AlexaForBusinessMetadata") or {}).items()
                 if ("AlexaForBusinessMetadata", name) not in MEMBERS.values()}
        if alexa:
            unknown["AlexaForBusinessMetadata"] = alexa
        extra = rows[user["UserId"]]["extra"]
        assert (json.loads(extra) if extra else {}) == unknown

    # A second run writes no user row: the only writes are its own row and the account's.
    before = roster.sql("SELECT * FROM users ORDER BY user_id")
    data_version = roster.sql("SELECT total_changes() AS n")
    seq = roster.last_seq()
    wal = os.path.getsize(roster.database + "-wal") if os.path.exists(roster.database + "-wal") else 0
    started = time.monotonic()
    roster.once(timeout=300)
    print(f"second run: {time.monotonic() - started:.1f} s")
    assert roster.sql("SELECT * FROM users ORDER BY user_id") == before
    assert roster.last_seq() == seq and data_version
    grown = os.path.getsize(roster.database + "-wal") if os.path.exists(roster.database + "-wal") else 0
    # four small commits at most; a single rewritten user row in each page would be 400 and more
    assert grown <= max(wal, 64 * 4096)
    run = roster.run_rows()[-1]
    assert (run["pages"], run["users"], run["changed"], run["added"]) == (USERS // 200, USERS, 0, 0)
