# SPDX-License-Identifier: Apache-2.0
"""What a body of ListUsers says, by the contract and doc/design.md alone: pages, records, columns.

A record is one of: a Person, an Unreadable one (its user is known, the rest is not), a Stranger (of
another account), or Nobody."""

import json
import math
import re
from collections import namedtuple
from datetime import datetime, timedelta, timezone

BODY_MOST = 32 << 20
DEPTH_MOST = 500  # more is a nesting bomb: the page is none, wherever it is

Page = namedtuple("Page", "records token")
Person = namedtuple("Person", "user_id columns")
Unreadable = namedtuple("Unreadable", "user_id")
Stranger = namedtuple("Stranger", "account_id")
Nobody = namedtuple("Nobody", "why")

TEXT, TIME, FLAG = "text", "time", "flag"

# Column of `users`: the member of the API's answer, and its kind.  In the order of doc/schema.md.
COLUMNS = {
    "account_id": (("AccountId",), TEXT),
    "primary_email": (("PrimaryEmail",), TEXT),
    "primary_provisioned_number": (("PrimaryProvisionedNumber",), TEXT),
    "display_name": (("DisplayName",), TEXT),
    "license_type": (("LicenseType",), TEXT),
    "user_type": (("UserType",), TEXT),
    "user_registration_status": (("UserRegistrationStatus",), TEXT),
    "user_invitation_status": (("UserInvitationStatus",), TEXT),
    "registered_on": (("RegisteredOn",), TIME),
    "invited_on": (("InvitedOn",), TIME),
    "alexa_for_business_enabled": (("AlexaForBusinessMetadata", "IsAlexaForBusinessEnabled"), FLAG),
    "alexa_for_business_room_arn": (("AlexaForBusinessMetadata", "AlexaForBusinessRoomArn"), TEXT),
    "personal_pin": (("PersonalPIN",), TEXT),
}
ALEXA = "AlexaForBusinessMetadata"

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:?\d\d)")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]|,', re.DOTALL)
_BLANK = re.compile(r"[ \t\r\n]*")


class Unusable(Exception):
    """This value, record or page is not what the API's model says."""


class Number(float):
    """1.5 and 1.50 are two texts, and so two values of `extra`."""

    def __new__(cls, text):
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __eq__(self, other):
        return isinstance(other, Number) and self.text == other.text

    def __ne__(self, other):
        return not self == other

    __hash__ = float.__hash__


def load(text):
    return json.loads(text, parse_float=Number)


# ---- a page --------------------------------------------------------------------------------------

def _skip(text, at):
    return _BLANK.match(text, at).end()


def _span(text, at):
    """The end of the value that begins at `at`: where a comma or bracket of the level above comes."""
    depth = 0
    for found in _TOKEN.finditer(text, at):
        token = found.group()
        if token in "[{":
            depth += 1
            if depth > DEPTH_MOST:
                raise Unusable("nested too deeply")
        elif token in "]}":
            if depth == 0:
                return found.start()
            depth -= 1
        elif token == "," and depth == 0:
            return found.start()
    raise Unusable("it ends in the middle")


def _array(text, at):
    """The texts of an array's elements, and where it ends."""
    items = []
    at = _skip(text, at + 1)
    if text[at:at + 1] == "]":
        return items, at + 1
    while True:
        end = _span(text, at)
        items.append(text[at:end].strip())
        if text[end] == "]":
            return items, end + 1
        if text[end] != ",":
            raise Unusable("its brackets do not match")
        at = _skip(text, end + 1)


def _members(text):
    """Name, text and elements (of an array of users) of each member of the page."""
    at = _skip(text, 0)
    if text[at:at + 1] != "{":
        raise Unusable("it is no object")
    at = _skip(text, at + 1)
    while text[at:at + 1] != "}":
        name, at = json.decoder.scanstring(text, at + 1)
        at = _skip(text, at)
        if text[at:at + 1] != ":":
            raise Unusable("it is no JSON")
        at = _skip(text, at + 1)
        if name == "Users" and text[at:at + 1] == "[":
            elements, end = _array(text, at)
            yield name, None, elements
        else:
            end = _span(text, at)
            yield name, text[at:end], None
        at = _skip(text, end)
        if text[at:at + 1] == ",":
            at = _skip(text, at + 1)
    if _skip(text, at + 1) != len(text):
        raise Unusable("something follows it")


def read_page(body):
    """The Page in a body, or None where the whole of it is no page: then it must count as failed."""
    if len(body) > BODY_MOST:
        return None
    users, token = None, None
    try:
        for name, value, elements in _members(body.decode("utf-8", "surrogateescape")):
            if name == "Users":
                if elements is None or users is not None:
                    return None
                users = elements
            elif name == "NextToken":
                token = json.loads(value)
                if token is not None and not isinstance(token, str):
                    return None
    except (Unusable, ValueError, IndexError):
        return None
    return None if users is None else Page(users, token or None)


# ---- a record ------------------------------------------------------------------------------------

def _plain(value):
    if not isinstance(value, str) or "\0" in value:
        raise Unusable("no plain string")
    return value


def _time(value):
    """UTC text with milliseconds: a finer fraction is cut off, as the vendor's client reads it."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Unusable("no time")
    if isinstance(value, str):
        found = _ISO.fullmatch(value)
        if not found:
            raise Unusable("no time")
        day, clock, fraction, zone = found.groups()
        when = datetime.fromisoformat(f"{day}T{clock}" + ("+00:00" if zone == "Z" else zone))
        ms = int(((fraction or "") + "000")[:3])
    else:
        ms = math.floor(value * 1000 + 0.5)
        when = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=ms // 1000)
        ms %= 1000
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms:03d}Z"


def _flag(value):
    if not isinstance(value, bool):
        raise Unusable("neither true nor false")
    return int(value)


_READ = {TEXT: _plain, TIME: _time, FLAG: _flag}


def _member(record, path):
    for name in path[:-1]:
        record = record.get(name)
        if record is None:
            return None
        if not isinstance(record, dict):
            raise Unusable("no object")
    return record.get(path[-1])


def _extra(record):
    """The members that no column takes, or None."""
    known = {path for path, _ in COLUMNS.values()} | {("UserId",)}
    extra = {name: value for name, value in record.items()
             if (name,) not in known and name != ALEXA}
    inner = {name: value for name, value in (record.get(ALEXA) or {}).items()
             if (ALEXA, name) not in known}
    if inner:
        extra[ALEXA] = inner
    return extra or None


def _is_utf8(text):
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _object(text):
    try:
        if not _is_utf8(text):
            return None
        _span(text + ",", 0)
        record = load(text)
    except (Unusable, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def read_record(text, account_id):
    """One element of Users, as the account of that id has it."""
    record = _object(text)
    if record is None:
        return Nobody("no JSON object in UTF-8")
    user_id = record.get("UserId")
    if not isinstance(user_id, str) or not user_id or "\0" in user_id:
        return Nobody("no UserId")
    owner = record.get("AccountId")
    if isinstance(owner, str) and owner.lower() != account_id.lower():
        return Stranger(owner)
    columns = {}
    try:
        for column, (path, kind) in COLUMNS.items():
            value = _member(record, path)
            columns[column] = None if value is None else _READ[kind](value)
        columns["extra"] = _extra(record)
    except Unusable:
        return Unreadable(user_id)
    return Person(user_id, columns)
