# SPDX-License-Identifier: Apache-2.0
"""The main job: emulator, real daemon, a change goes in; the row, the event and the line come out."""

from rosterd import load, wait_until


def test_a_suspension_is_reported(roster, chime):
    chime.patch_users({"UserRegistrationStatus": "Registered"}, count=450)
    victim = chime.users(offset=300, limit=1)[0]["UserId"]
    chime.patch_user(victim, PrimaryEmail="ana@example.com")

    with roster:
        roster.wait_line("acme: baseline taken: 450 users (0 suspended")
        assert len(roster.users()) == 450
        before = roster.last_seq()

        chime.patch_user(victim, UserRegistrationStatus="Suspended")
        roster.wait_line("acme: ana@example.com was suspended (was Registered)")

        row = roster.users()[victim]
        assert row["account"] == "acme"
        assert row["user_registration_status"] == "Suspended"
        assert [r["user_id"] for r in roster.sql("SELECT * FROM suspended_users")] == [victim]

        events = roster.events(before)
        assert [event["type"] for event in events] == ["user.suspended"]
        event = events[0]
        assert event["user_id"] == victim
        assert event["primary_email"] == "ana@example.com"
        assert event["field"] == "user_registration_status"
        assert (event["old_value"], event["new_value"]) == ("Registered", "Suspended")
        assert event["time"] == row["last_changed_at"]
        assert load(event["changes"])[0] == {"field": "user_registration_status",
                                             "old": "Registered", "new": "Suspended"}

        run = wait_until(lambda: [r for r in roster.run_rows()
                                  if r["run_id"] == event["run_id"]
                                  and r["outcome"] == "complete"])[0]
        assert (run["pages"], run["users"], run["changed"]) == (3, 450, 1)
        assert (run["added"], run["removed"], run["error"]) == (0, 0, None)
    assert roster.process is None


def test_once_does_the_same_without_a_service(roster, chime):
    lines = roster.once()
    assert any("baseline taken: 450 users" in line for line in lines)
    victim = chime.users(limit=1)[0]["UserId"]
    chime.patch_user(victim, UserRegistrationStatus="Registered")
    roster.once()
    chime.patch_user(victim, UserRegistrationStatus="Suspended", PrimaryEmail="bo@example.com")
    lines = roster.once()
    assert "acme: bo@example.com was suspended (was Registered)" in lines
    assert [run["outcome"] for run in roster.run_rows()] == ["complete"] * 3
    # what was told is told once
    assert not any("suspended (was" in line for line in roster.once())
