# SPDX-License-Identifier: Apache-2.0
"""What the database says, and where that is not what the model says."""

import sqlite3
from datetime import datetime

from model import FIELDS, NOW, PAGE, SECRET, TROUBLE
from records import load

DATES = ("first_seen_at", "last_changed_at", "removed_at")


class Mismatch(Exception):
    """rosterd did something else than the model; `lines` say what."""

    def __init__(self, lines):
        super().__init__("\n".join(lines))
        self.lines = lines


def check(where, what, expected, found):
    if expected != found:
        raise Mismatch([f"{where}: {what}", f"  expected: {expected}", f"  found:    {found}"])


# ---- reading -------------------------------------------------------------------------------------

class Found:
    def __init__(self, users, former, events, runs, accounts):
        self.users, self.former, self.events = users, former, events
        self.runs, self.accounts = runs, accounts

    def rows(self, name):
        """(listed, former) of an account, by user_id."""
        return tuple({row["user_id"]: columns(row) for row in rows if row["account"] == name}
                     for rows in (self.users, self.former))


def columns(row):
    """Without what is the same in all of them."""
    row = {name: value for name, value in row.items() if name not in ("account", "user_id")}
    row["extra"] = row["extra"] and load(row["extra"])
    return row


def read(path, after_seq, after_run):
    """Of one moment."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    db.row_factory = sqlite3.Row
    try:
        db.execute("BEGIN")
        return Found(*([dict(row) for row in db.execute(text, values)] for text, values in (
            ("SELECT * FROM users", ()), ("SELECT * FROM former_users", ()),
            ("SELECT * FROM events WHERE seq > ? ORDER BY seq", (after_seq,)),
            ("SELECT * FROM runs WHERE run_id > ? ORDER BY run_id", (after_run,)),
            ("SELECT * FROM accounts", ()))))
    finally:
        db.close()


def seconds(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def of_run(pending, run, after_failure):
    """Takes a run's answers, as (time, page, answer), out of those that came: its requests were made
    while it ran.  Where a run has failed or was interrupted, its last one may reach the service when it
    is over, even when the next has begun: a page that cannot follow there.  Times are of a thousandth
    of a second, so that the first of the next run may be among them."""
    begin, end = seconds(run["started_at"]), seconds(run["finished_at"]) + 0.002
    mine, late = [], [at for at, _, _ in pending if at < begin]
    for at, page, answer in without_withdrawn([each for each in pending if begin <= each[0] < end]):
        last = mine[-1][1] if mine else 0
        if after_failure and page not in (1, last, last + 1):
            late.append(at)
        else:
            mine.append((at, page, answer))
    if len(late) > after_failure:
        raise Mismatch([f"requests at {late} are neither run {run['run_id']}'s nor of the run before"])
    pending[:] = [each for each in pending if each[0] >= end]
    return mine


def without_withdrawn(answers):
    """Without the page that was asked for ahead of one which turned out to be none and is asked for
    again; it may reach the service only then."""
    def is_withdrawn(i):
        def at(j, page, *verdicts):
            return 0 <= j < len(answers) and answers[j][1] == page and \
                (not verdicts or answers[j][2].verdict in verdicts)
        page = answers[i][1]
        return at(i - 1, page - 1, TROUBLE) and at(i + 1, page - 1) or \
            at(i - 2, page - 1, TROUBLE) and at(i - 1, page - 1, PAGE) and at(i, page, PAGE) and at(i + 1, page)
    return [answer for i, answer in enumerate(answers) if not is_withdrawn(i)]


def forget_late(answers, pages):
    """Of a run that was interrupted: a page that was still on its way, and one asked for ahead."""
    for _ in range(2):
        if sum(answer.verdict == PAGE for answer in answers) > pages:
            answers.pop()


# ---- a run and its events ------------------------------------------------------------------------

def value(field, given):
    if field == "extra" and isinstance(given, str):
        return load(given)
    if field == "alexa_for_business_enabled" and given is not None:
        return int(given)
    return given


def event_found(event):
    """As the model has it."""
    found = {"type": event["type"]}
    if event["user_id"] is None:
        detail = load(event["detail"])
        return dict(found, detail={name: detail[name] for name in detail if name not in ("error", "since")})
    changes = {c["field"]: (value(c["field"], c["old"]), value(c["field"], c["new"]))
               for c in load(event["changes"]) if c["field"] not in DATES}
    fields = event["field"].split(",") if event["field"] else []
    only = fields[0] if len(fields) == 1 else None
    return dict(found, user_id=event["user_id"], primary_email=event["primary_email"],
                changes=changes, fields=fields,
                values=(value(only, event["old_value"]), value(only, event["new_value"])))


def event_expected(event):
    event = {name: given for name, given in event.items() if name != "group"}
    if "changes" in event:
        fields = [field for field in FIELDS if field in event["changes"]]
        event["fields"] = fields
        event["values"] = event["changes"][fields[0]] if len(fields) == 1 else (None, None)
    return event


def mixed(events, groups):
    """The same list, each stretch of one group in the order of its users."""
    events, at = list(events), 0
    while at < len(groups):
        end = at
        while end < len(groups) and groups[end] == groups[at]:
            end += 1
        events[at:end] = sorted(events[at:end], key=lambda e: e.get("user_id") or "")
        at = end
    return events


def brief(event):
    return " ".join(str(event.get(name)) for name in ("type", "user_id", "changes", "detail", "values",
                                                      "primary_email") if event.get(name) is not None)


def run(name, expected, found, events):
    where = f"{name}: run {found['run_id']}"
    check(where, f"its outcome ({found['error']})", expected.outcome, found["outcome"])
    groups = [event["group"] for event in expected.events]
    told = mixed([event_found(event) for event in events], groups)
    wanted = mixed([event_expected(event) for event in expected.events], groups)
    if told != wanted:
        lines = [f"{where}: its events are not those that must be"]
        for kind, these, others in (("missing", wanted, told), ("too much", told, wanted)):
            lines += [f"  {kind}: {brief(event)}" for event in these if event not in others]
        if len(lines) == 1:  # in another order, or more than once
            for kind, these in (("expected", wanted), ("found", told)):
                lines += [f"  {kind}: {brief(event)}" for event in these]
        raise Mismatch(lines)
    for event in events:
        if not seconds(found["started_at"]) <= seconds(event["time"]) <= seconds(found["finished_at"]) + 1:
            raise Mismatch([f"{where}: an event is not of its time: {event}"])
    for counter in ("pages", "users", "added", "changed", "removed", "throttled"):
        check(where, f"its {counter}", getattr(expected, counter), found[counter])


# ---- rows ----------------------------------------------------------------------------------------

def rows(name, model, judged, found):
    """The snapshot, every column; the model takes over the times that only rosterd knew."""
    window = judged[0][1]["started_at"], judged[-1][1]["finished_at"]
    last = {event["user_id"]: event["time"] for _, _, events in judged for event in events}
    for kind, wanted, got in zip(("users", "former_users"), (model.listed, model.former),
                                 found.rows(name)):
        check(f"{name}: {kind}", "who is in it", sorted(wanted), sorted(got))
        for user_id, row in wanted.items():
            bind(f"{name}: {kind}: {user_id}", row, got[user_id], window, last.get(user_id))
            check(f"{name}: {kind}: {user_id}", "the row",
                  {c: row[c] for c in sorted(row) if row[c] != got[user_id].get(c, NOW)},
                  {c: got[user_id][c] for c in sorted(got[user_id]) if got[user_id][c] != row.get(c, NOW)})


def bind(where, row, got, window, told):
    for date in DATES:
        if row.get(date) != NOW:
            continue
        if not window[0] <= (got.get(date) or "") <= window[1]:
            raise Mismatch([f"{where}: {date} is not of this run {window}: {got.get(date)}"])
        row[date] = got[date]
    newest = max(row["last_changed_at"], row.get("removed_at") or "")
    if told and told > newest:
        raise Mismatch([f"{where}: its event is of {told}, its row of {newest}"])


def account(name, model, found):
    row, = [row for row in found.accounts if row["account"] == name]
    check(name, "held_removals", model.held, row["held_removals"])
    check(name, "whether it has a baseline", model.scope is not None, row["baseline_at"] is not None)
    check(name, "whether its last run failed", model.failures > 0, row["last_error"] is not None)
    check(name, "whether it is active", 1, row["active"])


# ---- the log, played backwards -------------------------------------------------------------------

def undone(name, before, after, events, pins):
    """Undoing the events takes the rows of now back to those of before.  What no event tells is
    left out: PINs, and when they changed."""
    listed, former = ({user: dict(row) for user, row in rows.items()} for rows in after)
    ignored = (SECRET, "removed_at") + (("last_changed_at",) if pins else ())
    for event in reversed(events):
        user = event["user_id"]
        if user is None:
            continue
        if event["type"] == "user.removed":
            listed[user] = former.pop(user)
            listed[user].pop("removed_at", None)  # who has returned since has none
            continue
        for change in load(event["changes"]):
            field = change["field"]
            if field not in ignored:
                check(f"{name}: {user}", f"{field} after event {event['seq']}",
                      value(field, change["new"]), listed[user][field])
            listed[user][field] = value(field, change["old"])
        if event["type"] == "user.added":
            del listed[user]
        elif event["type"] == "user.returned":
            former[user] = listed.pop(user)
    for kind, was, now in zip(("users", "former_users"), before, (listed, former)):
        check(f"{name}: {kind} before these events", "who was in it", sorted(was), sorted(now))
        for user, row in was.items():
            check(f"{name}: {kind} before these events", user,
                  *({c: v for c, v in each.items() if c not in ignored} for each in (row, now[user])))
