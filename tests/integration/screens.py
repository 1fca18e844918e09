# SPDX-License-Identifier: Apache-2.0
"""The roster that the documentation shows, and its screens: `$ rosterctl ...` and what follows."""

import datetime
import json
import os
import re
import sqlite3

from rosterctl import on_terminal
from rosterd import Rosterd

COLUMNS = 78
DAY, HOUR = 86400, 3600
ROOMS = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"
TIMES = {"user_data": ("first_seen_at", "last_changed_at", "removed_at"),
         "run_data": ("started_at", "finished_at"), "event_data": ("time",),
         "account_data": ("baseline_at", "last_attempt_at", "last_complete_at")}

PEOPLE = [("Ana Pérez", "ana", "Registered", "Accepted"),
          ("Bo Lindqvist", "bo", "Unregistered", "Pending"),
          ("Cléo Martin", "cleo", "Suspended", "Accepted"),
          ("Dan Okafor", "dan", "Registered", "Accepted"),
          ("Eve Novák", "eve", "Unregistered", "Pending"),
          ("田中さくら", "sakura", "Registered", "Accepted")]


def person(number, name, local, registration, invitation):
    user = {"UserId": f"5b5c6dd2-b257-46e3-a888-59ea48d89f{number:02d}", "DisplayName": name,
            "PrimaryEmail": f"{local}@example.com", "LicenseType": "Pro",
            "UserType": "PrivateUser", "UserRegistrationStatus": registration,
            "UserInvitationStatus": invitation, "InvitedOn": "2025-09-01T09:12:44.000Z"}
    if registration != "Unregistered":
        user["RegisteredOn"] = "2025-09-02T14:03:10.000Z"
    return user


def age(database, seconds):
    """Everything happened so much earlier."""
    def shift(text):
        then = datetime.datetime.fromisoformat(text[:-1]) - datetime.timedelta(seconds=seconds)
        return then.isoformat(timespec="milliseconds") + "Z"

    def older(text):
        value = json.loads(text) if text else None
        for change in value if isinstance(value, list) else []:
            if change["field"] == "last_changed_at":
                change.update(old=shift(change["old"]), new=shift(change["new"]))
        if isinstance(value, dict):
            value.update({name: shift(value[name]) for name in TIMES["user_data"] if name in value})
        return text and json.dumps(value)

    with sqlite3.connect(database) as db:
        db.create_function("older", 1, older)
        for table, columns in TIMES.items():
            for column in columns:
                db.execute(f"UPDATE {table} SET {column} = strftime('%Y-%m-%dT%H:%M:%fZ', {column},"
                           f" '-{seconds} seconds') WHERE {column} IS NOT NULL")
        for column in ("changes", "user_image"):  # the same times are in JSON
            db.execute(f"UPDATE event_data SET {column} = older({column})")


def build(folder, chime):
    """Forty days of six people and two rooms."""
    os.chmod(folder, 0o750)
    roster = Rosterd(folder, chime, accounts={"acme": {"max_removals": "10"},
                                              "rooms": {"account_id": ROOMS}}, interval="15min")
    chime.add_account(ROOMS)
    chime.add_users([person(number, *who) for number, who in enumerate(PEOPLE, 10)])
    chime.add_users([{"UserId": f"e37959aa-08e5-4090-a3e8-08f342d39a9{n}", "UserType": "SharedDevice",
                      "DisplayName": f"Room {n}", "UserRegistrationStatus": "Registered"}
                     for n in (1, 2)], account=ROOMS)
    ids = {local: f"5b5c6dd2-b257-46e3-a888-59ea48d89f{number:02d}"
           for number, (_, local, *_) in enumerate(PEOPLE, 10)}

    def then(pause, who, **change):
        roster.once()
        age(roster.database, pause)
        if change:
            chime.patch_user(ids[who], **change)
        else:
            chime.delete_user(ids[who])

    then(6 * DAY + 20 * HOUR, "bo", UserRegistrationStatus="Registered",
         UserInvitationStatus="Accepted", RegisteredOn="2025-10-20T08:30:00.000Z")
    then(20 * DAY + 3 * HOUR, "ana", UserRegistrationStatus="Suspended")
    then(1 * DAY + 7 * HOUR, "ana", UserRegistrationStatus="Registered")
    then(5 * DAY, "dan")
    then(2 * DAY + 2 * HOUR, "eve", UserInvitationStatus="Failed")
    then(2 * DAY + 9 * HOUR, "ana", UserRegistrationStatus="Suspended", DisplayName="Ana Pérez-Ruiz")
    roster.once()
    age(roster.database, 2 * DAY + 3 * HOUR)
    roster.once()
    return roster


def screen(roster, arguments, columns=COLUMNS):
    """What stands on a terminal in the end, line by line."""
    text, _ = on_terminal("--config", roster.config, *arguments, columns=columns,
                          env={"NO_COLOR": "1", "TZ": "UTC"})
    lines = [line.rsplit("\r\x1b[K", 1)[-1].rstrip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def plain(lines):
    """What does not differ from day to day: no numbers, no paths, one gap like another."""
    text = re.sub(r"/\S*/", "/", "\n".join(lines)).replace("just now", "9s ago")
    text = re.sub(r"\d+(\.\d+)?( ?(ms|s|min|h|d)\b)?( \d+(ms|s|min|h)\b)?", "9", text)
    return [re.sub(r" {2,}", "  ", line.strip()) for line in text.split("\n")]
