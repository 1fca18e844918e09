# SPDX-License-Identifier: Apache-2.0
"""A listing that fails at any page, in any way, removes nobody and reports nothing untrue."""

import pytest

from emulator import Emulator
from rosterd import Rosterd, kinds, load

PAGES = 3

# What makes a page fail for good: fault and details, and what the sentence says.
FATAL = {
    "bad request": ("status", {"exception": "BadRequestException"}, "400 BadRequestException"),
    "unauthorized": ("status", {"exception": "UnauthorizedClientException"},
                     "401 UnauthorizedClientException"),
    "forbidden": ("status", {"exception": "ForbiddenException"}, "403 ForbiddenException"),
    "not found": ("status", {"exception": "NotFoundException"}, "404 NotFoundException"),
    "throttled": ("status", {"exception": "ThrottledClientException"},
                  "429 ThrottledClientException"),
    "failure": ("status", {"exception": "ServiceFailureException"}, "500 ServiceFailureException"),
    "unavailable": ("status", {"exception": "ServiceUnavailableException"},
                    "503 ServiceUnavailableException"),
    "gateway": ("html502", {}, "502"),
    "reset": ("reset", {}, None),
    "reset in the body": ("reset_mid_body", {}, None),
    "cut body": ("cut_body", {}, None),
    "cut chunked body": ("cut_body", {"chunked": True}, None),
    "cut JSON": ("cut_json", {}, None),
    "cut JSON early": ("cut_json", {"at": 1}, None),
    "garbage": ("garbage", {}, None),
    "empty body": ("empty_body", {}, None),
    "null users": ("null_users", {}, "Users"),
    "null users and a token": ("null_users", {"keep_token": True}, "Users"),
    "no users": ("no_users", {}, "Users"),
    "users is no array": ("users_not_array", {}, "Users"),
    "expired session": ("expired_session", {}, "ExpiredToken"),
    "enormous body": ("enormous_body", {"bytes": 40 << 20}, None),
    "gzip bomb": ("gzip_bomb", {"bytes": 1 << 30}, None),
    "deep nesting of all": ("deep_nesting", {"where": "body"}, None),
    "deep nesting beside": ("deep_nesting", {"where": "top"}, None),
    "redirect": ("redirect", {"url": "http://127.0.0.1:1/"}, None),
    "users of another account": ("wrong_account", {}, "another account"),
    "one user of another account": ("wrong_account", {"count": 1}, "another account"),
}
LOOPS = {
    "token loop": "token_loop",
    "token cycle": "token_cycle",
}


def assert_untouched(roster, before, seq):
    """Nobody removed, nobody added, nothing said but that the sync failed."""
    after = roster.users()
    assert set(after) == set(before)
    assert after == before
    assert [e["type"] for e in roster.events(seq)] in (["sync.failed"], [])


@pytest.fixture
def based(roster, chime):
    roster.accounts["acme"]["max_removals"] = "100%"  # nothing but the rule itself protects
    roster.write_config()
    roster.once()
    return roster


CASES = [(name, page) for name in FATAL for page in range(1, PAGES + 1)]


class Failed:
    """What became of each case: they all run at once, each as an account of its own."""

    def __init__(self, folder):
        with Emulator(users=0) as chime:
            self.sections = {case: f"case{n}" for n, case in enumerate(CASES)}
            ids = {case: f"{n:08d}-2222-4333-8444-555555555555" for n, case in enumerate(CASES)}
            self.roster = Rosterd(folder, chime, {
                # nothing but the rule itself protects
                self.sections[case]: {"account_id": ids[case], "max_removals": "100%",
                                      "request_timeout": "20s"} for case in CASES},
                concurrency=64)
            for case in CASES:
                chime.add_account(ids[case], users=450)
            self.roster.once(timeout=120)
            self.before, self.seq = self.snapshot(), self.roster.last_seq()
            self.gone = {}
            for case in CASES:
                self.gone[case] = chime.users(limit=1, account=ids[case])[0]["UserId"]
                chime.delete_user(self.gone[case], account=ids[case])
                action, details, _ = FATAL[case[0]]
                chime.fault(action, account=ids[case], page=case[1], times="always", **details)
            self.lines = self.roster.once(status=1, timeout=400)
            self.after, self.failed_seq = self.snapshot(), self.roster.last_seq()
            self.events = self.roster.events(self.seq)
            self.runs = {run["account"]: run for run in self.roster.run_rows()}
            self.accounts = {row["account"]: row for row in
                             self.roster.sql("SELECT * FROM accounts")}
            chime.clear_faults()
            self.roster.once(timeout=120)
            self.healed = self.roster.events(self.failed_seq)
            self.healed_accounts = {row["account"]: row for row in
                                    self.roster.sql("SELECT * FROM accounts")}

    def snapshot(self):
        users = {}
        for row in self.roster.sql("SELECT * FROM users ORDER BY account, user_id"):
            users.setdefault(row["account"], []).append(row)
        return users


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    return Failed(tmp_path_factory.mktemp("failed"))


@pytest.mark.parametrize("name, page", CASES)
def test_fails_at_a_page(failed, name, page):
    section = failed.sections[name, page]
    says = FATAL[name][2]
    # nobody removed, nobody added, nothing said but that the sync failed
    assert failed.after[section] == failed.before[section]
    events = [event for event in failed.events if event["account"] == section]
    assert [event["type"] for event in events] == ["sync.failed"]
    run = failed.runs[section]
    assert (run["outcome"], run["removed"], run["added"]) == ("failed", 0, 0)
    assert f"page {page}: " in run["error"]
    if says:
        assert says in run["error"]
    assert load(events[0]["detail"])["error"] == run["error"]
    assert f"{section}: sync failed: {run['error']}" in failed.lines
    account = failed.accounts[section]
    assert account["last_error"] == run["error"]
    assert account["last_complete_at"] < run["started_at"]
    # and when the service is well again, so is the roster
    healed = [event for event in failed.healed if event["account"] == section]
    assert sorted(kinds(healed), key=str) == sorted(
        [("sync.recovered", None), ("user.removed", failed.gone[name, page])], key=str)
    assert failed.healed_accounts[section]["last_error"] is None


@pytest.mark.parametrize("name", LOOPS)
def test_listing_in_circles(based, chime, name):
    before, seq = based.users(), based.last_seq()
    chime.delete_users(count=1, start="back")
    chime.fault(LOOPS[name], page=2, times="always")
    based.once(status=1)
    assert_untouched(based, before, seq)
    assert "circles" in based.run_rows()[-1]["error"]
    assert chime.stats()["listing_requests"] < 20


def test_endless_listing(based, chime):
    chime.delete_users(count=440)
    based.once()
    seq = based.last_seq()
    based.accounts["acme"]["max_results"] = 5
    based.write_config()
    chime.fault("endless", times="always")
    before = based.users()
    based.once(status=1)
    assert_untouched(based, before, seq)
    assert "does not end" in based.run_rows()[-1]["error"]


def test_stall(based, chime):
    page = 2
    based.accounts["acme"]["request_timeout"] = "1s"
    based.write_config()
    before, seq = based.users(), based.last_seq()
    chime.delete_users(count=1, start="back")
    chime.fault("stall", page=page, times="always")
    based.once(status=1)
    assert_untouched(based, before, seq)
    assert f"page {page}: " in based.run_rows()[-1]["error"]


@pytest.mark.parametrize("action, details", [
    ("status", {"exception": "ThrottledClientException"}),
    ("status", {"exception": "ThrottledClientException", "retry_after": 1}),
    ("status", {"exception": "ThrottledClientException", "retry_after_date": 1}),
    ("status", {"exception": "ServiceUnavailableException", "retry_after": 1}),
    ("status", {"exception": "ServiceFailureException"}),
    ("html502", {}), ("reset", {}), ("reset_mid_body", {}), ("cut_body", {}), ("cut_json", {}),
    ("garbage", {}), ("empty_body", {}), ("null_users", {}),
], ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())))
def test_passing_trouble_is_overcome(based, chime, action, details):
    for page in range(1, PAGES + 1):
        chime.fault(action, page=page, times=1, **details)
    gone = chime.users(limit=1)[0]["UserId"]
    chime.delete_user(gone)
    seq = based.last_seq()
    based.once()
    run = based.run_rows()[-1]
    assert run["outcome"] == "complete"
    # libcurl itself asks again when a kept connection turns out to be gone
    assert run["retries"] == PAGES or (action == "reset" and run["retries"] >= 1)
    assert run["throttled"] == (PAGES if "Throttled" in str(details) else 0)
    assert kinds(based.events(seq)) == [("user.removed", gone)]


def test_what_was_asked_for_by_a_page_that_is_none_is_taken_back(based, chime):
    """It ends like a page, so that the next one is asked for before it is read."""
    chime.fault("null_users", keep_token=True, page=1, times=1)
    gone = chime.users(limit=1)[0]["UserId"]
    chime.delete_user(gone)
    seq = based.last_seq()
    chime.clear_log()
    based.once()
    run = based.run_rows()[-1]
    assert (run["outcome"], run["pages"], run["retries"]) == ("complete", PAGES, 1)
    assert [entry["page"] for entry in chime.log()] == [1, 2, 1, 2, 3]
    assert kinds(based.events(seq)) == [("user.removed", gone)]


def test_many_pages_that_fail_once_end_the_run(based, chime):
    based.accounts["acme"]["max_results"] = 5
    based.write_config()
    for page in range(1, 91):
        chime.fault("status", exception="ServiceUnavailableException", page=page, times=1)
    based.once(status=1)
    run = based.run_rows()[-1]
    assert run["pages"] < 90
    assert run["error"].endswith(f"(given up after {run['retries']} retries in this run)")


def test_absurd_retry_after_ends_the_run(based, chime):
    chime.fault("status", exception="ThrottledClientException", retry_after=100000, times="always")
    based.once(status=1, timeout=20)


def test_an_expired_continuation_begins_the_listing_anew(based, chime):
    chime.fault("expired_token_page", page=2, times=1)
    gone = chime.users(limit=1)[0]["UserId"]
    chime.delete_user(gone)
    seq = based.last_seq()
    based.once()
    assert [entry["page"] for entry in chime.log()][-5:] == [1, 2, 1, 2, 3]
    assert kinds(based.events(seq)) == [("user.removed", gone)]


def test_but_only_once(based, chime):
    before, seq = based.users(), based.last_seq()
    chime.fault("expired_token_page", page=2, times="always")
    based.once(status=1)
    assert_untouched(based, before, seq)


def test_an_empty_page_with_a_token_is_no_end(based, chime):
    seq = based.last_seq()
    chime.fault("empty_page_with_token", page=2, times=1)
    based.once()
    run = based.run_rows()[-1]
    assert (run["outcome"], run["pages"], run["users"]) == ("complete", 4, 450)
    assert based.events(seq) == []


@pytest.mark.parametrize("style", ["absent", "null", "empty"])
def test_every_way_to_say_the_end(based, chime, style):
    chime.config(end_token=style)
    seq = based.last_seq()
    based.once()
    assert based.run_rows()[-1]["users"] == 450 and based.events(seq) == []


@pytest.mark.parametrize("style", ["header", "suffix", "prefix", "type", "code"])
def test_every_way_to_name_an_error(based, chime, style):
    chime.config(error_style=style)
    chime.fault("status", exception="ForbiddenException", times="always")
    based.once(status=1)
    assert "403 ForbiddenException" in based.run_rows()[-1]["error"]


def test_a_user_without_id_makes_the_listing_incomplete(based, chime):
    changed = chime.users(offset=440, limit=1)[0]["UserId"]
    chime.patch_user(changed, DisplayName="Somebody Else")
    chime.fault("user_without_id", page=2, times="always")
    before, seq = based.users(), based.last_seq()
    based.once(status=1)
    # what was learnt behind it is kept, and nobody is removed
    assert [e["type"] for e in based.events(seq)] == ["user.updated", "sync.failed"]
    assert set(based.users()) == set(before)
    assert "nobody was removed" in based.run_rows()[-1]["error"]


@pytest.mark.parametrize("raw", [b"null", b"42", b'"text"', b"[]", b"{}", b'{"UserId":null}',
                                 b'{"UserId":""}', b'{"UserId":7}', b'{"UserId":"a\\u0000b"}',
                                 b'{"UserId":"a\xff"}', b'{"UserId":"x",}'])
def test_records_that_name_nobody(based, chime, raw):
    before, seq = based.users(), based.last_seq()
    chime.add_raw(raw, position=100)
    based.once(status=1)
    assert_untouched(based, before, seq)


@pytest.mark.parametrize("patch", [
    {"DisplayName": 42}, {"UserRegistrationStatus": ["Suspended"]}, {"RegisteredOn": "yesterday"},
    {"RegisteredOn": {}}, {"AlexaForBusinessMetadata": "yes"}, {"DisplayName": "a\u0000b"},
    {"AlexaForBusinessMetadata": {"IsAlexaForBusinessEnabled": "yes"}}], ids=str)
def test_a_record_that_cannot_be_read_leaves_its_user_alone(based, chime, patch):
    user = chime.users(offset=100, limit=1)[0]["UserId"]
    before, seq = based.users(), based.last_seq()
    chime.patch_user(user, patch)
    lines = based.once()
    assert based.users() == before and based.events(seq) == []
    assert any("1 record of the listing could not be read and was left as it was: " in line and user in line
               for line in lines)
    assert "yesterday" not in "\n".join(lines)


def test_many_pages_of_records_that_cannot_be_read_are_a_listing(based, chime):
    chime.generate(560)
    based.accounts["acme"]["max_results"] = 1
    based.write_config()
    based.once()
    chime.patch_users({"DisplayName": 42}, count=1005)
    based.once()
    assert (based.run_rows()[-1]["users"], based.account()["last_error"]) == (1010, None)


def test_invalid_utf8_in_a_name(based, chime):
    before, seq = based.users(), based.last_seq()
    chime.fault("invalid_utf8", page=2, times="always")
    based.once(status=1)
    assert_untouched(based, before, seq)


def test_deep_nesting_in_a_user(based, chime):
    before, seq = based.users(), based.last_seq()
    chime.fault("deep_nesting", where="user", page=2, times="always")
    based.once(status=1)
    assert_untouched(based, before, seq)


def test_a_record_that_is_nested_too_deeply_names_nobody(based, chime):
    before, seq = based.users(), based.last_seq()
    chime.add_raw('{"UserId":"deep","x":' + 32 * "[" + 32 * "]" + "}")
    based.once(status=1)
    assert_untouched(based, before, seq)
    assert "nested too deeply" in based.run_rows()[-1]["error"]


def test_what_is_learnt_before_a_failure_is_kept_and_told(based, chime):
    user = chime.users(limit=1)[0]["UserId"]
    chime.patch_user(user, UserRegistrationStatus="Registered")
    based.once()
    chime.patch_user(user, UserRegistrationStatus="Suspended")
    seq = based.last_seq()
    chime.fault("status", exception="ForbiddenException", page=3, times="always")
    based.once(status=1)
    assert kinds(based.events(seq)) == [("user.suspended", user), ("sync.failed", None)]
    seq = based.last_seq()
    chime.clear_faults()
    based.once()
    assert kinds(based.events(seq)) == [("sync.recovered", None)]


def test_failure_is_told_once(based, chime):
    seq = based.last_seq()
    chime.fault("status", exception="ForbiddenException", times="always")
    for _ in range(4):
        based.once(status=1)
    assert [e["type"] for e in based.events(seq)] == ["sync.failed"]
    chime.clear_faults()
    based.once()
    event = based.events(seq)[-1]
    assert event["type"] == "sync.recovered" and load(event["detail"])["failures"] == 4
    # a day later it is told again
    chime.fault("status", exception="ForbiddenException", times="always")
    based.once(status=1)
    based.once(status=1)
    seq = based.last_seq()
    based.change_database("UPDATE account_data SET failure_told_at = '2020-01-01T00:00:00.000Z'")
    based.once(status=1)
    assert [e["type"] for e in based.events(seq)] == ["sync.failed"]


def test_a_failed_first_listing_is_no_baseline(roster, chime):
    chime.fault("status", exception="ForbiddenException", page=3, times="always")
    roster.once(status=1)
    assert roster.account()["baseline_at"] is None
    assert [e["type"] for e in roster.events()] == ["sync.failed"]
    chime.clear_faults()
    chime.delete_users(count=1)  # was on the part that came through
    roster.once()
    assert [e["type"] for e in roster.events()] == ["sync.failed", "sync.baseline",
                                                    "sync.recovered"]
    assert len(roster.users()) == 449


def test_the_pace_follows_the_service(roster, chime):
    roster.accounts["acme"].update(requests_per_second=20, max_results=10)
    roster.write_config()
    chime.config(rate=10)
    roster.once(timeout=60)
    run = roster.run_rows()[-1]
    assert run["outcome"] == "complete" and run["pages"] == 45
    assert run["throttled"] > 0
