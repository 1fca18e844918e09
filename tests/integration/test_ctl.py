# SPDX-License-Identifier: Apache-2.0
"""rosterctl's listings, against a database that the real rosterd wrote."""

import csv
import io
import json
import re
import sqlite3

import pytest

from emulator import Emulator
from rosterctl import Rosterctl
from rosterd import Rosterd, wait_until


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A roster of 450 with a few events; the daemon is not running."""
    folder = tmp_path_factory.mktemp("ctl")
    with Emulator(users=450) as chime:
        roster = Rosterd(folder, chime)
        roster.once()
        ana, bob = chime.users(limit=2)
        chime.patch_user(ana["UserId"], PrimaryEmail="ana@example.com", DisplayName="Ana Pérez 日本語",
                         UserRegistrationStatus="Registered", UserInvitationStatus="Pending")
        chime.patch_user(bob["UserId"], PrimaryEmail="bob@example.com", DisplayName="=1+1",
                         UserRegistrationStatus="Registered")
        roster.once()
        chime.patch_user(ana["UserId"], UserRegistrationStatus="Suspended")
        roster.once()
        chime.patch_user(ana["UserId"], UserInvitationStatus="Accepted")
        roster.once()
        roster.ana, roster.bob = ana["UserId"], bob["UserId"]
        yield roster


@pytest.fixture
def ctl(told):
    return Rosterctl("--config", told.config)


def rows_of(text):
    """CSV, strictly: every line ends with CRLF and is as long as the heading."""
    assert text.endswith("\r\n") and "\n" not in text.replace("\r\n", "")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert all(None not in row and None not in row.values() for row in rows)
    return rows


def plain(value):
    return "" if value is None else str(value)


def test_export_is_the_view_users_in_every_format(told, ctl):
    wanted = told.sql("SELECT * FROM users ORDER BY user_id")
    told_csv = sorted(rows_of(ctl.ok("export", binary_output=True).decode("utf-8")),
                      key=lambda row: row["user_id"])
    assert list(told_csv[0]) == list(wanted[0])
    for row, want in zip(told_csv, wanted, strict=True):
        for column, value in want.items():
            if column == "display_name" and plain(value)[:1] in ("=", "+", "-", "@"):
                value = "'" + value
            assert row[column] == plain(value), column
    lines = ctl.ok("export", "--format", "ndjson").splitlines()
    whole = json.loads(ctl.ok("export", "--format", "json"))
    assert [json.loads(line) for line in lines] == whole
    for row, want in zip(sorted(whole, key=lambda row: row["user_id"]), wanted, strict=True):
        if want["alexa_for_business_enabled"] is not None:
            want["alexa_for_business_enabled"] = want["alexa_for_business_enabled"] == 1
        if want["extra"] is not None:
            want["extra"] = json.loads(want["extra"])
        assert row == want


def test_csv_is_safe_in_a_spreadsheet(ctl):
    row = rows_of(ctl.ok("users", "--email", "bob@example.com", "--format", "csv",
                         binary_output=True).decode())[0]
    assert row["display_name"] == "'=1+1"
    assert not any(value[:1] in ("=", "@", "\t") for value in row.values())


def test_users_filters(told, ctl):
    def ids(*args):
        return {json.loads(line)["user_id"]
                for line in ctl.ok("users", "--format", "ndjson", *args).splitlines()}

    def wanted(where):
        return {row["user_id"] for row in told.sql(f"SELECT user_id FROM users WHERE {where}")}

    assert ids("--registration", "Suspended") == wanted("user_registration_status = 'Suspended'")
    assert ids("--registration", "suspended") == ids("--registration", "Suspended")
    assert ids("--invitation", "Failed") == wanted("user_invitation_status = 'Failed'")
    assert ids("-r", "Registered", "-i", "Pending") == wanted(
        "user_registration_status = 'Registered' AND user_invitation_status = 'Pending'")
    assert ids("--email", "ANA@example.com") == {told.ana}
    assert ids("--email", "ANA*@EXAMPLE.com") >= {told.ana}
    assert ids("--email", "*@mail.example.org") == wanted("primary_email LIKE '%@mail.example.org'")
    assert ids("--account", "acme") == wanted("1") and len(wanted("1")) == 450
    assert ids("--former") == set()
    assert all(ids("-r", word) for word in ("Registered", "Unregistered"))


def test_table_in_a_pipe_is_whole_and_utc(told, ctl):
    lines = ctl.ok("users", "--registration", "Suspended").splitlines()
    assert lines[0].split() == ["ACCOUNT", "USER", "NAME", "REGISTRATION", "SINCE", "INVITATION"]
    rows = told.sql("SELECT primary_email FROM suspended_users")
    assert len(lines) == 1 + len(rows)
    for row in rows:
        if row["primary_email"] is None:
            continue
        assert sum(f" {row['primary_email']} " in line for line in lines) == 1
    ana = next(line for line in lines if " ana@example.com " in line)
    since = told.sql("SELECT time FROM events WHERE type = 'user.suspended'")[0]["time"]
    assert f"{since[:10]} {since[11:19]}Z" in ana


def test_show_tells_the_person_and_every_status(told, ctl):
    text = ctl.ok("show", "ANA@example.com")
    assert text.splitlines()[0] == "Ana Pérez 日本語"
    assert told.ana in text and "registration: Registered → Suspended" in text
    whole = json.loads(ctl.ok("show", told.ana, "--format", "json"))
    assert whole["user"]["listed"] is True
    assert whole["user"]["primary_email"] == "ana@example.com"
    history = told.sql("SELECT * FROM user_history WHERE user_id = ?", told.ana)
    assert sorted(map(str, whole["history"])) == sorted(map(str, history))
    assert [event["type"] for event in whole["events"]] == \
        [event["type"] for event in told.events() if event["user_id"] == told.ana]
    periods = rows_of(ctl.ok("show", told.ana, "-f", "csv", binary_output=True).decode())
    assert [(p["field"], p["value"]) for p in periods] == \
        [(p["field"], p["value"]) for p in whole["history"]]


def test_events_and_runs(told, ctl):
    events = [json.loads(line) for line in ctl.ok("events", "-f", "ndjson").splitlines()]
    for event, want in zip(events, told.events(), strict=True):
        want["changes"] = want["changes"] and json.loads(want["changes"])
        want["detail"] = want["detail"] and json.loads(want["detail"])
        assert event == want
    assert {e["type"] for e in json.loads(ctl.ok("events", "-t", "sync.*", "-f", "json"))} == \
        {"sync.baseline"}
    assert len(ctl.ok("events", "--last", "2").splitlines()) == 3
    assert ctl.ok("events", "--since", "now").splitlines()[1:] == []
    assert ctl.ok("events", "--since", "1h") == ctl.ok("events")
    line = ctl.ok("events", "-t", "user.suspended").splitlines()[1]
    assert "  acme     user.suspended  ana@example.com was suspended (was Registered)" in line
    assert "did you mean user.suspended?" in ctl.fails(1, "events", "-t", "user.suspend")
    said = ctl.fails(1, "events", "-t", "bogus.*")
    named = re.search(r"no event type 'bogus\.\*'; there is (.*) and (\d+) more\.$", said.strip())
    assert len(named[1].split(", ")) + int(named[2]) == 17, said
    runs = json.loads(ctl.ok("runs", "--format", "json"))
    assert runs == list(reversed(told.run_rows()))
    assert len(ctl.ok("runs", "--last", "1").splitlines()) == 2


def test_status_of_the_database(told, ctl):
    status = json.loads(ctl.ok("status", "--format", "json"))
    assert [(s["account"], s["state"], s["users"]) for s in status] == [("acme", "ok", 450)]
    assert status[0]["suspended"] == told.sql("SELECT count(*) AS n FROM suspended_users")[0]["n"]


def test_names_that_are_not_there(ctl):
    assert "did you mean Suspended?" in ctl.fails(1, "users", "-r", "Suspendd")
    assert "did you mean acme?" in ctl.fails(1, "users", "-a", "acne")
    assert "did you mean ana@example.com?" in ctl.fails(1, "show", "anna@example.com")
    assert "nobody" in ctl.fails(1, "show", "zebra@zoo.invalid")


def test_wrong_command_lines(ctl):
    assert "say what to do" in ctl.fails(2)
    assert "did you mean users?" in ctl.fails(2, "usres")
    assert "did you mean --format?" in ctl.fails(2, "users", "--formt", "csv")
    assert "needs an argument" in ctl.fails(2, "users", "--format")
    assert "--former takes no argument" in ctl.fails(2, "users", "--former=yes")
    for args in (("-zq", "users"), ("users", "-z"), ("events", "-Fz"), ("events", "-F", "-zq")):
        assert "'-z' is no option" in ctl.fails(2, *args)
    assert "'-?' is no option" in ctl.fails(2, "users", "-é")
    assert "-n needs an argument" in ctl.fails(2, "events", "-Fn")
    assert "no format 'xml'" in ctl.fails(2, "users", "--format", "xml")
    assert "needs EMAIL|USER_ID" in ctl.fails(2, "show")
    assert "one argument too many" in ctl.fails(2, "show", "a", "b")
    assert "is no time" in ctl.fails(2, "events", "--since", "noon")
    assert "in the future" in ctl.fails(2, "export", "--as-of", "2999-01-01")


def test_databases_that_cannot_be_read(told, tmp_path):
    def fails(status, path):
        return Rosterctl("--database", str(path)).fails(status, "users")

    assert "there is no database" in fails(66, tmp_path / "none.db")
    (tmp_path / "text").write_text("no database at all, but long enough to be looked at " * 40)
    assert "is not a database" in fails(65, tmp_path / "text")
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE t (x)")
    assert "another program's" in fails(65, tmp_path / "other.db")
    with sqlite3.connect(told.database) as db, sqlite3.connect(tmp_path / "new.db") as new:
        db.backup(new)
        new.execute("PRAGMA user_version = 99")
    assert "version 99" in fails(65, tmp_path / "new.db")
    assert "is a directory" in fails(65, tmp_path)
    assert "does not exist" in Rosterctl("-c", str(tmp_path / "no.conf")).fails(78, "users")


def test_a_mistake_about_accounts_does_not_hinder_reading(told, ctl, tmp_path):
    """Where [rosterd] itself has one, it is said where, and what shows all of them."""
    config = str(tmp_path / "rosterd.conf")

    def write(*lines):
        with open(config, "w", encoding="utf-8") as f:
            f.write("".join(line + "\n" for line in lines))

    write("[rosterd]", f"database = {told.database}", "[accont y]", "[account a]", "garbage", "[webhook x")
    assert Rosterctl("--config", config).ok("users") == ctl.ok("users")
    write("[account a]", "garbage", "[rosterd]", f"databas = {told.database}")
    assert Rosterctl("--config", config).fails(78, "users").startswith(
        f"rosterctl: {config}:4: [rosterd] databas: unknown key; did you mean database?; see "
        "'rosterd --config FILE")


def test_status_of_an_account_that_is_configured_no_more(roster, chime):
    """It will not be read again: no time is shown for that, whatever was planned."""
    other = "11111111-2222-4333-8444-555555555555"
    chime.add_account(other, users=3)
    roster.accounts["globex"] = {"account_id": other}
    roster.write_config()
    with roster:
        wait_until(lambda: roster.complete_runs() == 2)
        wait_until(lambda: roster.account("globex")["next_run_at"])
    del roster.accounts["globex"]
    roster.write_config()
    roster.once()
    assert roster.account("globex")["next_run_at"]
    rows = {row["account"]: row
            for row in json.loads(Rosterctl("--config", roster.config).ok("status", "-f", "json"))}
    assert (rows["globex"]["state"], rows["globex"]["next_run_at"]) == ("inactive", None)
    assert rows["acme"]["next_run_at"]


def test_nothing_in_place_of_a_path(ctl):
    for option in ("--database", "--config"):
        assert ctl.fails(2, option, "", "users") == \
            f"rosterctl: {option} is empty; write something, or leave it out."


def test_the_last_none_are_all(ctl):
    for command in ("events", "runs"):
        assert ctl.ok(command, "-n", "0", "-f", "ndjson") == ctl.ok(command, "-f", "ndjson") != ""
