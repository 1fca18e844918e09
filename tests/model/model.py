# SPDX-License-Identifier: Apache-2.0
"""What a run of rosterd must make of the answers that it got: rows, events, counters.

Written from the contract, doc/schema.md, doc/design.md and rosterd.conf(5), not from src/.  Pure: no
files, no network, no clock.  A time that only rosterd can know is the object NOW."""

import copy
from collections import namedtuple

from records import COLUMNS, Nobody, Person, Stranger, Unreadable, read_page, read_record

NOW = "<during this run>"
HELD = "held"
FIELDS = list(COLUMNS) + ["extra"]
SECRET = "personal_pin"
REGISTRATION, INVITATION = "user_registration_status", "user_invitation_status"
ATTEMPTS = 6            # of a page, in a row
PAGES_WITHOUT_NEWS = 1000
PATIENCE = 300          # seconds of Retry-After

# How a request ended: a page, a refusal for good, trouble that passes, or a token that has expired.
PAGE, REFUSED, TROUBLE, EXPIRED = "page", "refused", "trouble", "expired"
# first: to the request that begins a listing.
Answer = namedtuple("Answer", "verdict page retry_after throttled maybe_twice first")

COMPLETE, FAILED, INTERRUPTED = "complete", "failed", "interrupted"

LEFT = "left"  # an account's scope, once a listing of another has brought somebody without a word


class Impossible(Exception):
    """rosterd did something between its requests that no rule allows."""


def judge(status, body, lost, has_token, retry_after=0, maybe_twice=False):
    """An Answer from what the service sent.  lost: cut, reset or never answered."""
    def answer(verdict, page=None):
        return Answer(verdict, page, retry_after, status == 429 and not lost, maybe_twice, not has_token)
    if lost:
        return answer(TROUBLE)
    if status == 200:
        page = read_page(body)
        return answer(PAGE, page) if page else answer(TROUBLE)
    if status in (408, 429) or status >= 500:
        return answer(TROUBLE)
    return answer(EXPIRED if status == 400 and has_token else REFUSED)


class Expected:
    """Of one run."""

    def __init__(self):
        self.outcome = None
        self.events = []       # in this order, save those with the same `group`, which may be mixed
        self.pages = self.users = self.added = self.changed = self.removed = self.throttled = 0
        self.baseline = False
        self.touched = set()   # users whose row was written
        self.unused = 0        # answers at the end that must be the next run's

    def tell(self, kind, group=None, **members):
        self.events.append(dict(type=kind, group=group or len(self.events), **members))


# ---- events of a user ----------------------------------------------------------------------------

def registration_kind(old, new):
    if new == "Registered":
        return "user.reinstated" if old == "Suspended" else "user.registered"
    return {"Suspended": "user.suspended", "Unregistered": "user.unregistered"}.get(
        new, "user.registration_changed")


def invitation_kind(new):
    return {"Pending": "user.invited", "Accepted": "user.invitation_accepted",
            "Failed": "user.invitation_failed"}.get(new, "user.invitation_changed")


def difference(old, new):
    return [field for field in FIELDS if old[field] != new[field]]


def tell_user(expected, kind, user_id, old, new, group=None):
    """The events of a user who was added, removed, returned (kind) or changed (None)."""
    def tell(event, fields):
        expected.tell(event, group, user_id=user_id, primary_email=(new or old)["primary_email"],
                      changes={field: (old and old[field], new and new[field]) for field in fields})
    changed = [f for f in difference(old, new) if f != SECRET] if old and new else []
    rest = [f for f in changed if f not in (REGISTRATION, INVITATION)]
    if kind:
        tell(kind, rest if kind == "user.returned" else [])
    if REGISTRATION in changed or (kind in ("user.added", "user.returned") and
                                   new[REGISTRATION] == "Suspended"):
        tell(registration_kind(old and old[REGISTRATION], new[REGISTRATION]), [REGISTRATION])
    if INVITATION in changed:
        tell(invitation_kind(new[INVITATION]), [INVITATION])
    if rest and not kind:
        tell("user.updated", rest)


# ---- an account ----------------------------------------------------------------------------------

class Account:
    """What rosterd knows of one account; run() takes it from one run to the next."""

    def __init__(self):
        self.listed, self.former = {}, {}
        self.missing = {}        # of listed users: complete listings in a row that lacked them, or HELD
        self.scope = None        # of the baseline; None: there is none; LEFT: of no one scope any more
        self.failures, self.told, self.told_long_ago = 0, False, False
        self.held = self.accepted = 0
        self.contested = set()   # forgotten at a restart

    def restarted(self):
        self.contested = set()

    def wipe_pins(self):
        for row in list(self.listed.values()) + list(self.former.values()):
            row[SECRET] = None

    def accept(self):
        self.accepted = self.held

    def run(self, config, answers, stopped=False):
        """The Expected of a run of that config which got these answers."""
        return Run(self, config, stopped).go(answers)


class Run:
    def __init__(self, account, config, stopped):
        self.a, self.config, self.stopped = account, config, stopped
        self.expected = Expected()
        self.scope = (config["account_id"], config["user_type"], config["user_email"])
        self.expected.baseline = account.scope != self.scope
        self.rescoped = self.expected.baseline and account.scope is not None
        self.news = not self.expected.baseline or \
            (not self.rescoped and config["baseline"] == "events")
        self.came = set()        # quietly, in this run
        self.restarted = False
        self.new_page()
        self.begin()

    def new_page(self):
        """What follows is about another page than before."""
        self.attempts = 0
        self.doubtful = False    # libcurl may have asked once more by itself

    def begin(self):
        """The listing's start, also when it begins anew."""
        self.seen, self.contested, self.deferred = set(), set(), {}
        self.tokens = set()
        self.unidentified = 0
        self.without_news = 0

    # -- answers ---------------------------------------------------------------------------------

    def go(self, answers):
        outcome = None
        for n, answer in enumerate(answers):
            if outcome and answer.first:
                self.expected.unused = len(answers) - n
                break
            if outcome == FAILED and (n + 1 == len(answers) or answers[n + 1].first):
                continue  # it had been asked for ahead, before the answer that failed the run was read
            if outcome:
                raise Impossible(f"another request after the run's end ({outcome})")
            self.expected.throttled += answer.throttled
            outcome = self.take(answer)
        if self.stopped and not outcome:
            outcome = INTERRUPTED
        if not outcome:
            outcome = self.gave_up(answers)
        self.end(outcome)
        return self.expected

    def take(self, answer):
        """The outcome that this answer leads to; None: the run goes on."""
        if answer.verdict == PAGE:
            self.new_page()
            return self.take_page(answer.page)
        if answer.verdict == REFUSED:
            return FAILED
        if answer.verdict == EXPIRED:
            if self.restarted:
                return FAILED
            self.restarted = True
            self.new_page()
            self.begin()
            return None
        if answer.verdict == TROUBLE:
            self.attempts += 1
            self.doubtful |= answer.maybe_twice
            if answer.retry_after > PATIENCE or (self.attempts >= ATTEMPTS and not self.doubtful):
                return FAILED
        return None

    def gave_up(self, answers):
        """It asked for no more, and no single answer says why."""
        if self.attempts >= ATTEMPTS:
            return FAILED
        raise Impossible(f"it ended after {len(answers)} answers, the last of them "
                         f"'{answers[-1].verdict if answers else 'none'}', and had to go on")

    def take_page(self, page):
        named = len(self.seen)
        for text in page.records:
            if not self.take_record(read_record(text, self.config["account_id"])):
                return FAILED
        self.expected.pages += 1
        self.expected.users = len(self.seen)
        self.without_news = self.without_news + 1 if len(self.seen) == named else 0
        if page.token is None:
            return FAILED if self.unidentified else COMPLETE
        if page.token in self.tokens or self.without_news > PAGES_WITHOUT_NEWS:
            return FAILED
        self.tokens.add(page.token)
        return None

    # -- records ---------------------------------------------------------------------------------

    def take_record(self, record):
        """False: the listing is not ours, and the run fails."""
        if isinstance(record, Stranger):
            return False
        if isinstance(record, Nobody):
            self.unidentified += 1
        elif isinstance(record, Unreadable):
            if record.user_id in self.a.listed:
                self.seen.add(record.user_id)
                self.a.missing.pop(record.user_id, None)
        elif isinstance(record, Person):
            columns = dict(record.columns)
            if not self.config["store_personal_pin"]:
                columns[SECRET] = None
            self.take_person(record.user_id, columns)
        return True

    def take_person(self, user_id, columns):
        row = self.a.listed.get(user_id) or self.a.former.get(user_id)
        differs = row is None or difference(row, columns)
        if user_id in self.seen:
            self.deferred.pop(user_id, None)
            if differs or user_id in self.a.contested:
                self.contested.add(user_id)
        else:
            self.seen.add(user_id)
            if user_id in self.a.contested and row is not None and differs:
                self.deferred[user_id] = columns
                return
        self.put(user_id, columns)

    def put(self, user_id, columns, group=None):
        listed, former = self.a.listed, self.a.former
        row = listed.get(user_id)
        if row is None:
            self.arrive(user_id, former.pop(user_id, None), columns, group)
            return
        self.a.missing.pop(user_id, None)
        if not difference(row, columns):
            return
        if self.news or user_id not in self.came:
            tell_user(self.expected, None, user_id, row, columns, group)
        listed[user_id] = dict(row, **columns, last_changed_at=NOW)
        self.expected.changed += 1
        self.expected.touched.add(user_id)

    def arrive(self, user_id, old, columns, group):
        if self.news:
            tell_user(self.expected, "user.returned" if old else "user.added", user_id, old, columns,
                      group)
        else:
            self.came.add(user_id)
            if self.rescoped:
                self.a.scope = LEFT
        self.a.listed[user_id] = dict(columns, first_seen_at=old["first_seen_at"] if old else NOW,
                                      last_changed_at=NOW)
        self.expected.added += 1
        self.expected.touched.add(user_id)

    # -- the end ---------------------------------------------------------------------------------

    def end(self, outcome):
        self.expected.outcome = outcome
        if outcome == COMPLETE:
            for user_id, columns in self.deferred.items():
                self.put(user_id, columns, "deferred")
            self.a.contested = self.contested
            self.look_for_the_gone()
            self.complete()
        elif outcome == FAILED:
            self.fail()

    def complete(self):
        a = self.a
        if self.expected.baseline:
            rows = a.listed.values()
            self.expected.tell("sync.baseline", detail={
                "users": len(rows),
                "suspended": sum(r[REGISTRATION] == "Suspended" for r in rows),
                "pending_invitations": sum(r[INVITATION] == "Pending" for r in rows),
                "failed_invitations": sum(r[INVITATION] == "Failed" for r in rows),
                "rescoped": self.rescoped})
            a.scope = self.scope
        if a.told:
            self.expected.tell("sync.recovered", detail={"failures": a.failures})
        a.failures, a.told, a.told_long_ago = 0, False, False

    def fail(self):
        a = self.a
        a.failures += 1
        if not a.told or a.told_long_ago:
            self.expected.tell("sync.failed", detail={"failures": a.failures})
            a.told, a.told_long_ago = True, False

    def limit(self):
        """How many one listing may remove."""
        text = self.config["max_removals"]
        if not text.endswith("%"):
            return int(text)
        if text == "100%":
            return None
        if text == "0%":
            return 0
        return min(max(len(self.a.listed) * int(text[:-1]) // 100, 5), 500)

    def look_for_the_gone(self):
        a = self.a
        gone = []
        for user_id in set(a.listed) - self.seen:
            times = a.missing.get(user_id, 0)
            if self.expected.baseline or times == HELD or \
                    times + 1 >= self.config["missing_listings"]:
                gone.append(user_id)
            else:
                a.missing[user_id] = times + 1
        usual = self.limit()
        most = None if self.expected.baseline or usual is None else usual + a.accepted
        if most is not None and len(gone) > most:
            if not a.held or a.accepted:
                self.expected.tell("sync.removals_held", detail={
                    "held": len(gone), "users": len(a.listed), "limit": most})
            a.held = len(gone)
            a.missing.update(dict.fromkeys(gone, HELD))
        else:
            a.held = 0
            for user_id in gone:
                self.remove(user_id)
        a.accepted = 0

    def remove(self, user_id):
        row = self.a.listed.pop(user_id)
        self.a.missing.pop(user_id, None)
        self.a.former[user_id] = dict(row, removed_at=NOW)
        self.expected.removed += 1
        self.expected.touched.add(user_id)
        if self.rescoped:
            self.a.scope = LEFT
        if self.news:
            tell_user(self.expected, "user.removed", user_id, row, None, "removed")


def snapshot(account):
    """A copy of its rows."""
    return copy.deepcopy(account.listed), copy.deepcopy(account.former)
