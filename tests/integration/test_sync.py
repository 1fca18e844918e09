# SPDX-License-Identifier: Apache-2.0
"""What a listing means for the roster: baseline, changes, removals, returns, new scopes."""

import os

import pytest

from crash import SANITIZED, tapped
from emulator import Emulator
from rosterd import Rosterd, kinds, load, wait_until


def ids(chime, count, offset=0):
    return [user["UserId"] for user in chime.users(offset=offset, limit=count)]


def test_baseline_is_quiet(roster, chime):
    chime.patch_users({"UserRegistrationStatus": "Registered",
                       "UserInvitationStatus": "Accepted"}, count=450)
    chime.patch_users({"UserRegistrationStatus": "Suspended"}, count=7)
    chime.patch_users({"UserInvitationStatus": "Pending"}, count=5, start=100)
    chime.patch_users({"UserInvitationStatus": "Failed"}, count=3, start=200)
    roster.once()
    events = roster.events()
    assert kinds(events) == [("sync.baseline", None)]
    assert load(events[0]["detail"]) == {"users": 450, "suspended": 7, "pending_invitations": 5,
                                         "failed_invitations": 3, "rescoped": False}
    account = roster.account()
    assert account["baseline_at"] and account["last_complete_at"] and not account["last_error"]
    assert len(roster.sql("SELECT * FROM suspended_users")) == 7
    assert len(roster.sql("SELECT * FROM pending_invitations")) == 5
    assert len(roster.sql("SELECT * FROM failed_invitations")) == 3
    assert sum(row["users"] for row in roster.sql("SELECT * FROM status_counts")) == 450


def test_baseline_with_events(roster, chime):
    chime.patch_users({"UserRegistrationStatus": "Registered"}, count=450)
    chime.patch_users({"UserRegistrationStatus": "Suspended"}, count=2)
    roster.accounts["acme"]["baseline"] = "events"
    roster.write_config()
    roster.once()
    types = [event["type"] for event in roster.events()]
    assert types.count("user.added") == 450
    assert types.count("user.suspended") == 2
    assert types[-1] == "sync.baseline"
    assert types[:2] == ["user.added", "user.suspended"]


def test_each_change_has_its_event(roster, chime):
    chime.patch_users({"UserRegistrationStatus": "Registered",
                       "UserInvitationStatus": "Pending", "LicenseType": "Basic"}, count=450)
    roster.once()
    a, b, c, d = ids(chime, 4)
    seq = roster.last_seq()
    chime.patch_user(a, UserRegistrationStatus="Suspended", UserInvitationStatus="Accepted",
                     DisplayName="New", LicenseType="Pro")
    chime.patch_user(b, UserInvitationStatus="Failed")
    chime.patch_user(c, UserRegistrationStatus="Released")
    chime.patch_user(d, UserRegistrationStatus=None)
    new = chime.add_user({"PrimaryEmail": "new@example.com",
                          "UserRegistrationStatus": "Suspended"}, position="front")
    roster.once()
    events = roster.events(seq)
    assert kinds(events) == [
        ("user.added", new), ("user.suspended", new),
        ("user.suspended", a), ("user.invitation_accepted", a), ("user.updated", a),
        ("user.invitation_failed", b),
        ("user.registration_changed", c), ("user.registration_changed", d)]
    assert events[4]["field"] == "display_name,license_type"
    assert events[4]["old_value"] is None and events[4]["new_value"] is None
    assert (events[6]["old_value"], events[6]["new_value"]) == ("Registered", "Released")
    assert (events[7]["old_value"], events[7]["new_value"]) == ("Registered", None)
    assert len({event["id"] for event in events}) == len(events)

    seq = roster.last_seq()
    chime.patch_user(a, UserRegistrationStatus="Registered")
    chime.patch_user(c, UserRegistrationStatus="Unregistered")
    chime.patch_user(d, UserRegistrationStatus="Registered")
    roster.once()
    assert kinds(roster.events(seq)) == [("user.reinstated", a), ("user.unregistered", c),
                                         ("user.registered", d)]


def test_nothing_changed_writes_no_user(roster, chime):
    roster.once()
    before = roster.sql("SELECT * FROM users ORDER BY user_id")
    seq = roster.last_seq()
    chime.shuffle()
    roster.once()
    assert roster.sql("SELECT * FROM users ORDER BY user_id") == before
    assert roster.last_seq() == seq
    run = roster.run_rows()[-1]
    assert (run["users"], run["added"], run["changed"], run["removed"]) == (450, 0, 0, 0)


def test_removed_and_returned(roster, chime):
    roster.once()
    gone = ids(chime, 3, offset=200)
    first_seen = roster.users()[gone[0]]["first_seen_at"]
    kept = [chime.get_user(user) for user in gone]
    chime.delete_users(gone)
    seq = roster.last_seq()
    roster.once()
    assert sorted(kinds(roster.events(seq))) == sorted(("user.removed", user) for user in gone)
    former = {row["user_id"]: row for row in roster.sql("SELECT * FROM former_users")}
    assert set(former) == set(gone)
    assert former[gone[0]]["removed_at"] and former[gone[0]]["first_seen_at"] == first_seen
    assert not set(gone) & set(roster.users())
    assert roster.run_rows()[-1]["removed"] == 3

    seq = roster.last_seq()
    kept[0]["DisplayName"] = "Back Again"
    kept[0]["UserRegistrationStatus"] = "Suspended"
    chime.add_user(kept[0])
    roster.once()
    events = roster.events(seq)
    assert [e["type"] for e in events][:2] == ["user.returned", "user.suspended"]
    row = roster.users()[gone[0]]
    assert row["first_seen_at"] == first_seen and row["display_name"] == "Back Again"
    assert len(roster.sql("SELECT * FROM former_users")) == 2


@pytest.mark.parametrize("limit, users, gone, held", [
    ("10%", 450, 45, False), ("10%", 450, 46, True),
    ("10%", 20, 5, False), ("10%", 20, 6, True),
    ("100%", 450, 450, False), ("0", 450, 1, True),
    ("3", 450, 3, False), ("3", 450, 4, True),
])
def test_removal_guard(roster, chime, limit, users, gone, held):
    chime.delete_users(count=450 - users, start="back")
    roster.accounts["acme"]["max_removals"] = limit
    roster.write_config()
    roster.once()
    seq = roster.last_seq()
    chime.delete_users(count=gone)
    lines = roster.once()
    events = roster.events(seq)
    assert roster.run_rows()[-1]["outcome"] == "complete"
    if not held:
        assert [e["type"] for e in events] == ["user.removed"] * gone
        assert roster.account()["held_removals"] == 0
        return
    assert [e["type"] for e in events] == ["sync.removals_held"]
    detail = load(events[0]["detail"])
    assert (detail["held"], detail["users"]) == (gone, users)
    assert roster.account()["held_removals"] == gone
    assert len(roster.users()) == users
    assert any("nobody was removed" in line for line in lines)
    # it is told once, however long it lasts
    seq = roster.last_seq()
    roster.once()
    assert roster.events(seq) == []


def test_many_removals_are_told_as_they_happen(tmp_path):
    """The loop goes round between portions: what is done is committed and told, and signals are heard."""
    os.chmod(tmp_path, 0o750)
    with Emulator(users=30_000) as chime:
        roster = Rosterd(tmp_path, chime, {"acme": {"max_removals": "100%"}})
        roster.once()
        chime.delete_users(count=29_000)
        roster.env = tapped(tmp_path, TERM=" was removed")
        if not SANITIZED:  # the time of a transaction is over before a fast machine has done all
            roster.env["LD_PRELOAD"] += ":" + os.environ["CLOCK_FAST_LIBRARY"]
            roster.env["CLOCK_FAST"] = "50"
        assert roster.start().process.wait(60) == 0
        removed = sum(event["type"] == "user.removed" for event in roster.events())
        assert 0 < removed < 29_000
        assert roster.run_rows()[-1]["outcome"] == "interrupted"
        assert len(roster.users()) == 30_000 - removed
        roster.env = {}
        roster.once()
        assert len(roster.users()) == 1000
        assert sum(event["type"] == "user.removed" for event in roster.events()) == 29_000


def test_held_removals_settle_when_the_listing_is_whole_again(roster, chime):
    chime.patch_users({"x-FutureMember": None}, count=450)
    roster.once()
    gone = [chime.get_user(user) for user in ids(chime, 100)]
    chime.delete_users([user["UserId"] for user in gone])
    roster.once()
    assert roster.account()["held_removals"] == 100
    seq = roster.last_seq()
    chime.add_users(gone[:98])
    roster.once()
    assert sorted(kinds(roster.events(seq))) == sorted(
        ("user.removed", user["UserId"]) for user in gone[98:])
    assert roster.account()["held_removals"] == 0


def test_missing_listings(roster, chime):
    roster.accounts["acme"]["missing_listings"] = 3
    roster.write_config()
    roster.once()
    stays, goes = ids(chime, 2)
    back = chime.get_user(stays)
    chime.delete_users([stays, goes])
    seq = roster.last_seq()
    roster.once()
    roster.once()
    chime.add_user(back)
    assert roster.events(seq) == []
    roster.once()
    assert kinds(roster.events(seq)) == [("user.removed", goes)]
    # to be seen resets the count
    chime.delete_users([stays])
    seq = roster.last_seq()
    roster.once()
    roster.once()
    assert roster.events(seq) == []
    roster.once()
    assert kinds(roster.events(seq)) == [("user.removed", stays)]


def test_a_record_that_cannot_be_read_ends_what_was_missing(roster, chime):
    roster.accounts["acme"]["missing_listings"] = 2
    roster.write_config()
    roster.once()
    user = chime.get_user(ids(chime, 1)[0])
    chime.delete_users([user["UserId"]])
    seq = roster.last_seq()
    roster.once()
    chime.add_user(dict(user, PrimaryEmail=5))
    roster.once()
    chime.delete_users([user["UserId"]])
    roster.once()
    assert roster.events(seq) == []
    roster.once()
    assert kinds(roster.events(seq)) == [("user.removed", user["UserId"])]


def test_a_new_filter_is_a_new_baseline(roster, chime):
    chime.patch_users({"UserType": "PrivateUser", "UserRegistrationStatus": "Registered"}, count=450)
    chime.patch_users({"UserType": "SharedDevice"}, count=50)
    roster.once()
    seq = roster.last_seq()
    changed = ids(chime, 1)[0]
    chime.patch_user(changed, UserRegistrationStatus="Suspended")
    roster.accounts["acme"]["user_type"] = "SharedDevice"
    roster.write_config()
    roster.once()
    events = roster.events(seq)
    # no storm of removals; but what did happen to those who stayed is told
    assert kinds(events) == [("user.suspended", changed), ("sync.baseline", None)]
    assert load(events[-1]["detail"])["rescoped"] is True
    assert len(roster.users()) == 50
    seq = roster.last_seq()
    roster.accounts["acme"]["user_type"] = ""
    roster.write_config()
    roster.once()
    assert kinds(roster.events(seq)) == [("sync.baseline", None)]
    assert len(roster.users()) == 450


def test_a_filter_that_was_taken_back_tells_nothing_untrue(roster, chime):
    """The listing of the new filter fails, but has brought people; they were not told as added, and
    must not be told as removed."""
    chime.patch_users({"UserType": "PrivateUser"}, count=450)
    chime.patch_users({"UserType": "SharedDevice"}, count=250)
    roster.accounts["acme"]["user_type"] = "PrivateUser"
    roster.write_config()
    roster.once()
    seq = roster.last_seq()
    chime.fault("status", page=2, status=403, exception="ForbiddenException")
    roster.accounts["acme"]["user_type"] = "SharedDevice"
    roster.write_config()
    roster.once(status=1)
    assert len(roster.users()) == 200 + 200
    chime.clear_faults()
    roster.accounts["acme"]["user_type"] = "PrivateUser"
    roster.write_config()
    roster.once()
    assert len(roster.users()) == 200
    assert kinds(roster.events(seq)) == [("sync.failed", None), ("sync.baseline", None),
                                         ("sync.recovered", None)]


def test_a_filter_that_was_taken_back_amid_its_removals(tmp_path):
    """Whom the new filter has taken away without a word does not come back with one."""
    os.chmod(tmp_path, 0o750)
    with Emulator(users=40_000) as chime:
        chime.patch_users({"UserType": "PrivateUser"}, count=40_000)
        chime.patch_users({"UserType": "SharedDevice"}, count=1000)
        roster = Rosterd(tmp_path, chime)
        roster.once()
        seq = roster.last_seq()
        roster.accounts["acme"]["user_type"] = "SharedDevice"
        roster.write_config()
        with roster:
            wait_until(lambda: roster.sql("SELECT 1 FROM former_users LIMIT 1"), timeout=60)
        outcome = roster.run_rows()[-1]["outcome"]
        print(outcome)  # "complete" on a machine that stalls just then; there must be no word about users either way
        roster.accounts["acme"]["user_type"] = ""
        roster.write_config()
        roster.once()
        assert len(roster.users()) == 40_000
        told = [("sync.baseline", None)] * (2 if outcome == "complete" else 1)
        assert kinds(roster.events(seq)) == told


def test_returned_twice_in_a_baseline(roster, chime):
    """Who comes back in a new baseline is no news, also when it names them a second time, otherwise."""
    chime.patch_users({"UserType": "PrivateUser", "UserRegistrationStatus": "Registered"}, count=450)
    roster.once()
    twin = ids(chime, 1)[0]
    kept = chime.get_user(twin)
    chime.delete_user(twin)
    roster.once()
    seq = roster.last_seq()
    chime.add_user(kept, position="front")
    chime.duplicate(twin, position="back", patch={"UserRegistrationStatus": "Suspended"})
    roster.accounts["acme"]["user_type"] = "PrivateUser"
    roster.write_config()
    roster.once()
    assert kinds(roster.events(seq)) == [("sync.baseline", None)]
    assert roster.users()[twin]["user_registration_status"] == "Suspended"


def test_another_account_id_is_a_new_baseline(roster, chime):
    other = "11111111-2222-4333-8444-555555555555"
    chime.add_account(other, users=30, seed=9)
    roster.once()
    seq = roster.last_seq()
    roster.accounts["acme"]["account_id"] = other
    roster.write_config()
    roster.once()
    assert kinds(roster.events(seq)) == [("sync.baseline", None)]
    assert len(roster.users()) == 30
    assert roster.account()["account_id"] == other


def test_a_renamed_section_keeps_its_history(roster, chime):
    roster.once()
    user = ids(chime, 1)[0]
    chime.patch_user(user, DisplayName="Renamed")
    roster.once()
    seq = roster.last_seq()
    before = {i: row["first_seen_at"] for i, row in roster.users().items()}
    roster.accounts = {"umbrella": roster.accounts["acme"]}
    roster.write_config()
    roster.once()
    assert roster.events(seq) == []
    users = roster.users()
    assert {row["account"] for row in users.values()} == {"umbrella"}
    assert {i: row["first_seen_at"] for i, row in users.items()} == before
    assert {e["account"] for e in roster.events()} == {"umbrella"}
    assert [row["account"] for row in roster.sql("SELECT * FROM accounts")] == ["umbrella"]


def test_a_section_taken_out_becomes_inactive(roster, chime):
    other = "11111111-2222-4333-8444-555555555555"
    chime.add_account(other, users=30, seed=9)
    roster.accounts["globex"] = {"account_id": other}
    roster.write_config()
    roster.once()
    del roster.accounts["globex"]
    roster.write_config()
    roster.once()
    assert roster.account("globex")["active"] == 0
    assert len(roster.sql("SELECT * FROM users WHERE account = 'globex'")) == 30
    roster.accounts["globex"] = {"account_id": other}
    roster.write_config()
    seq = roster.last_seq()
    roster.once()
    assert roster.account("globex")["active"] == 1
    assert roster.events(seq) == []


def test_twice_on_one_listing(roster, chime):
    chime.duplicate(ids(chime, 1)[0], position="back")
    roster.once()
    assert len(roster.users()) == 450
    assert roster.run_rows()[-1]["users"] == 450
    assert kinds(roster.events()) == [("sync.baseline", None)]


def test_twice_in_the_baseline_the_last_wins(roster, chime):
    chime.patch_users({"UserRegistrationStatus": "Registered"}, count=450)
    twin = ids(chime, 1)[0]
    chime.duplicate(twin, position="back", patch={"UserRegistrationStatus": "Suspended"})
    roster.once()
    assert kinds(roster.events()) == [("sync.baseline", None)]
    assert roster.users()[twin]["user_registration_status"] == "Suspended"


def test_contradicting_twins_make_no_storm(roster, chime):
    chime.patch_users({"UserRegistrationStatus": "Registered"}, count=450)
    roster.once()
    twin = ids(chime, 1)[0]
    chime.duplicate(twin, position="back", patch={"UserRegistrationStatus": "Suspended"})
    seq = roster.last_seq()
    with roster:
        for _ in range(5):
            roster.sync_now()
        assert kinds(roster.events(seq)) == [("user.suspended", twin)]
        assert roster.users()[twin]["user_registration_status"] == "Suspended"
        # a real change of the last record is told
        chime.delete_user(twin)
        chime.patch_user(twin, UserRegistrationStatus="Unregistered")
        roster.sync_now()
        assert kinds(roster.events(seq))[1:] == [("user.unregistered", twin)]


def test_personal_pin_only_if_asked_for(roster, chime):
    chime.patch_users({"PersonalPIN": "4711471147"}, count=450)
    roster.once()
    assert not roster.sql("SELECT * FROM users WHERE personal_pin IS NOT NULL")
    roster.settings["store_personal_pin"] = "yes"
    roster.write_config()
    seq = roster.last_seq()
    roster.once()
    assert len(roster.sql("SELECT * FROM users WHERE personal_pin = '4711471147'")) == 450
    assert roster.events(seq) == []
    roster.settings["store_personal_pin"] = "no"
    roster.write_config()
    roster.once()
    assert not roster.sql("SELECT * FROM users WHERE personal_pin IS NOT NULL")
    assert "4711471147" not in str(roster.events())


def test_minimal_personal_data(roster, chime):
    roster.settings["personal_data"] = "minimal"
    roster.write_config()
    chime.patch_users({"UserRegistrationStatus": "Registered"}, count=450)
    roster.once()
    user = ids(chime, 1)[0]
    chime.patch_user(user, UserRegistrationStatus="Suspended", PrimaryEmail="ana@example.com",
                     DisplayName="Ana Secret")
    lines = roster.once()
    assert f"acme: {user} was suspended (was Registered)" in lines
    assert "ana@" not in "\n".join(lines) and "Secret" not in "\n".join(lines)


def test_unknown_members_are_kept(roster, chime):
    user = ids(chime, 1)[0]
    chime.patch_user(user, {"x-FutureMember": None, "Zeta": {"b": [1, 2.50, "é"], "a": None},
                            "Alpha": True})
    roster.once()
    row = roster.users()[user]
    assert load(row["extra"])["Alpha"] is True
    assert load(row["extra"])["Zeta"] == {"b": [1, 2.5, "é"]}
    seq = roster.last_seq()
    chime.patch_user(user, Zeta={"b": [3]})
    roster.once()
    events = roster.events(seq)
    assert [e["type"] for e in events] == ["user.updated"] and events[0]["field"] == "extra"
