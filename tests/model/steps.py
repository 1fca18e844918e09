# SPDX-License-Identifier: Apache-2.0
"""A history, made up from a seed: a list of steps, each of them plain data, so that any part of it
can be left out and the rest still means something.  Users are named by their place in the listing.

    {"do": "add" | "remove" | "return" | "patch" | "shuffle" | "reverse" | "move" | "twin" | "raw", …}
        changes what the service has; with "page": N it happens in the next listing, before page N
    {"do": "fault", "action": …, …}     spoils the next listing
    {"do": "config", …}                 other keys of an account, or of all ("account": null)
    {"do": "list"}                      all accounts are listed
    {"do": "interrupt", "page": N}      the same, but rosterd is stopped while it waits for page N
    {"do": "mode", "once": bool}        --once, or a daemon and its control socket
    {"do": "restart", "signal": "TERM" | "KILL"}
    {"do": "accept"}                    rosterctl removals --accept
    {"do": "age", "days": N}            what is in the log is older than it was
    {"do": "day"}                       the last sync.failed was told a day ago
"""

import json
import random

REGISTRATIONS = ["Registered", "Registered", "Suspended", "Suspended", "Unregistered", "Released", None]
INVITATIONS = ["Pending", "Accepted", "Failed", "Withdrawn", None]
NAMES = ["Ana", "Bo Å", "Çelik \"x\"", "dé\\nise", "李四", "🙂 tab\there", "", None]
TIMES = ["2021-03-04T05:06:07Z", "2021-03-04T05:06:07.123456Z", "2021-03-04T07:06:07.999+02:00",
         "2020-02-29T23:59:59.5-11:30", 1600000000, 1600000000.25, None]
EXTRAS = [{"x-FutureMember": "y"}, {"x-FutureMember": None}, {"Zeta": {"b": [1, 2.5, "é"]}},
          {"Zeta": {"b": [], "a": None}}, {"Zeta": None},
          {"AlexaForBusinessMetadata": {"Later": 3}}, {"AlexaForBusinessMetadata": None}]
BROKEN = [{"DisplayName": 42}, {"RegisteredOn": "yesterday"}, {"UserRegistrationStatus": ["Suspended"]},
          {"AlexaForBusinessMetadata": "yes"}, {"PrimaryEmail": "a\0b"}]
MENDED = {"DisplayName": "Mended", "RegisteredOn": TIMES[0], "UserRegistrationStatus": "Registered",
          "AlexaForBusinessMetadata": None, "PrimaryEmail": "mended@example.com"}
RAW = ["null", "42", "[]", "{}", '{"UserId":null}', '{"UserId":7}', '{"UserId":"a\\u0000b"}']
FILTER = "filter@example.com"

# (weight, action, details, pages it may strike, times)
FATAL = [
    (3, "status", {"exception": "BadRequestException"}), (2, "status", {"exception": "ForbiddenException"}),
    (1, "status", {"exception": "UnauthorizedClientException"}),
    (1, "status", {"exception": "NotFoundException"}),
    (2, "status", {"exception": "ThrottledClientException", "retry_after": 100000}),
    (1, "status", {"exception": "ServiceUnavailableException", "retry_after_date": 100000}),
    (1, "redirect", {"url": "http://127.0.0.1:1/"}), (1, "expired_session", {}),
    (2, "wrong_account", {}), (2, "wrong_account", {"count": 1}),
    (2, "user_without_id", {}), (2, "user_without_id", {"null": True}), (2, "invalid_utf8", {}),
    (2, "token_loop", {}), (2, "token_cycle", {}),
]
PASSING = [
    (2, "status", {"exception": "ThrottledClientException"}),
    (1, "status", {"exception": "ServiceUnavailableException"}),
    (1, "status", {"exception": "ServiceFailureException"}), (1, "html502", {}), (2, "reset", {}),
    (2, "reset_mid_body", {}), (2, "cut_body", {}), (2, "cut_body", {"chunked": True}),
    (2, "cut_json", {}), (1, "cut_json", {"at": 12}), (1, "garbage", {}), (1, "empty_body", {}),
    (1, "null_users", {}), (1, "null_users", {"keep_token": True}), (1, "no_users", {"keep_token": True}),
    (1, "users_not_array", {}), (0.3, "deep_nesting", {"where": "body"}),
    (0.3, "deep_nesting", {"where": "top"}), (0.3, "deep_nesting", {"where": "user"}), (1, "gzip_bomb", {"bytes": 64 << 20}),
    (1, "enormous_body", {"bytes": 33 << 20}),
]
HARMLESS = [(5, "expired_token_page", {}), (3, "empty_page_with_token", {}), (1, "delay", {"delay_ms": 20}),
            (1, "slow", {"chunk_bytes": 2000, "chunk_delay_ms": 2})]


def pick(rng, table):
    return rng.choices(table, [row[0] for row in table])[0]


class Generator:
    """lists: how many listings; patience: also what takes seconds (page after page refused until
    rosterd gives up, a listing without an end)."""

    def __init__(self, seed, lists=30, accounts=2, patience=0.0):
        self.rng = random.Random(seed)
        self.lists, self.accounts, self.patience = lists, accounts, patience
        self.steps = []

    def history(self):
        self.begin()
        for _ in range(self.lists):
            for _ in range(self.rng.choice([0, 1, 1, 2, 3, 5, 8])):
                self.some_change()
            if self.rng.random() < 0.35:
                self.some_fault()
            if self.rng.random() < 0.18:
                self.some_config()
            self.something_else()
            if self.rng.random() < 0.06:
                self.step("interrupt", account=self.account(), page=self.rng.randint(1, 6))
            else:
                self.step("list")
        return json.loads(json.dumps(self.steps))

    def step(self, do, **members):
        self.steps.append(dict(do=do, **members))

    def account(self):
        return self.rng.randrange(self.accounts)

    def place(self):
        return self.rng.choice([0, 1, self.rng.randrange(8), self.rng.randrange(70), 999])

    # -- kinds of steps --------------------------------------------------------------------------

    def begin(self):
        rng = self.rng
        self.step("mode", once=rng.random() < 0.5)
        for account in range(self.accounts):
            self.step("config", account=account, baseline=rng.choice(["quiet", "quiet", "events"]),
                      max_results=rng.randint(1, 10), max_removals=rng.choice(["100%", "10%", "3"]),
                      missing_listings=rng.choice([1, 1, 2, 3]))
            self.step("add", account=account, count=rng.randint(5, 60), at=999)

    def some_change(self):
        rng = self.rng
        change = rng.choices([self.add, self.remove, self.come_back, self.patch, self.move, self.twin,
                              self.raw, self.reorder], [3, 5, 3, 12, 4, 2, 0.5, 1])[0]
        members = change()
        if rng.random() < 0.3:
            members["page"] = rng.randint(2, 8)
        self.step(members.pop("do"), account=self.account(), **members)

    def add(self):
        return dict(do="add", count=self.rng.choice([1, 1, 2, 6]), at=self.place())

    def remove(self):
        return dict(do="remove", count=self.rng.choice([1, 1, 1, 2, 4, 15]), at=self.place())

    def come_back(self):
        return dict(do="return", count=self.rng.choice([1, 2, 9]), at=self.place(),
                    patch=self.rng.choice([{}, self.status(), {"DisplayName": "Back Again"}]))

    def status(self):
        rng = self.rng
        return rng.choice([{"UserRegistrationStatus": rng.choice(REGISTRATIONS)},
                           {"UserInvitationStatus": rng.choice(INVITATIONS)},
                           {"UserRegistrationStatus": rng.choice(REGISTRATIONS),
                            "UserInvitationStatus": rng.choice(INVITATIONS)}])

    def some_patch(self):
        rng = self.rng
        return rng.choice([
            self.status(), self.status(), {"DisplayName": rng.choice(NAMES)},
            {"DisplayName": rng.choice(NAMES), "LicenseType": rng.choice(["Pro", "Basic", None])},
            {"RegisteredOn": rng.choice(TIMES), "InvitedOn": rng.choice(TIMES)}, rng.choice(EXTRAS),
            {"PersonalPIN": rng.choice(["4711", "0815", None])},
            {"PrimaryEmail": rng.choice([FILTER, "ana@example.com", "ANA@example.com", None])},
            {"UserType": rng.choice(["SharedDevice", "PrivateUser", None])},
            {"PrimaryProvisionedNumber": rng.choice(["+15550100", None]), **self.status()},
            {"AlexaForBusinessMetadata": {"IsAlexaForBusinessEnabled": rng.choice([True, False, None]),
                                          "AlexaForBusinessRoomArn": rng.choice(["arn:x", None])}},
            rng.choice(BROKEN), MENDED])

    def patch(self):
        return dict(do="patch", count=self.rng.choice([1, 1, 1, 2, 5, 70]), at=self.place(),
                    patch=self.some_patch())

    def move(self):
        return dict(do="move", at=self.place(), to=self.place())

    def twin(self):
        return dict(do="twin", at=self.place(), to=self.place(),
                    patch=self.rng.choice([{}, self.status(), self.some_patch()]))

    def raw(self):
        return dict(do="raw", text=self.rng.choice(RAW), at=self.place())

    def reorder(self):
        return self.rng.choice([dict(do="shuffle", seed=self.rng.randrange(1000)), dict(do="reverse")])

    def some_fault(self):
        rng = self.rng
        patient = rng.random() < self.patience
        if patient:
            table = PASSING + [(3, "endless", {})]
            (_, action, details), times = pick(rng, table), "always"
        elif rng.random() < 0.45:
            (_, action, details), times = pick(rng, FATAL), "always"
        else:
            (_, action, details) = pick(rng, PASSING if rng.random() < 0.6 else HARMLESS)
            times = rng.choice([1, 1, 1, 2])
        account, page = self.account(), rng.choice([1, 1, 2, 2, 3, 4, 7])
        if action == "expired_token_page" and rng.random() < 0.5:
            # they were on the part that came before the listing had to begin anew
            page = rng.choice([3, 4])
            self.step("remove", account=account, count=rng.choice([1, 2]), at=rng.choice([0, 1]), page=2)
        self.step("fault", account=account, action=action, page=page, times=times, **details)

    def some_config(self):
        rng = self.rng
        if rng.random() < 0.2:
            self.step("config", account=None, store_personal_pin=rng.choice(["yes", "no"]))
            return
        self.step("config", account=self.account(), **rng.choice([
            {"max_results": rng.randint(1, 10)}, {"max_results": rng.choice([1, 2, 200])},
            {"max_removals": rng.choice(["0", "0%", "1", "3", "10%", "40%", "100%"])},
            {"missing_listings": rng.choice([1, 2, 3])},
            {"user_type": rng.choice(["SharedDevice", "PrivateUser", ""])}, {"user_type": ""},
            {"user_email": rng.choice([FILTER, ""])}, {"user_email": ""},
            {"other_id": rng.choice([True, False])},
            {"renamed": rng.randrange(3)}]))

    def something_else(self):
        rng = self.rng
        if rng.random() < 0.1:
            self.step("restart", signal=rng.choice(["TERM", "KILL"]))
        if rng.random() < 0.08:
            self.step("mode", once=rng.random() < 0.5)
        if rng.random() < 0.3:
            self.step("accept", account=self.account())
        if rng.random() < 0.06:
            self.step("age", days=rng.choice([100, 250, 500]))
        if rng.random() < 0.08:
            self.step("day")
