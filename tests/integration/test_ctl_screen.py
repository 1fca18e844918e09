# SPDX-License-Identifier: Apache-2.0
"""What rosterctl shows on a terminal, and how it behaves among other tools."""

import json
import os
import re
import sqlite3
import subprocess
import unicodedata

import pytest

from emulator import Emulator
from rosterctl import Rosterctl, binary, environment, on_terminal
from rosterd import Rosterd

RED = "\x1b[31m"
PLAIN = {"NO_COLOR": "1"}


def width(text):
    """Columns of a terminal, by another reckoning than that of the C library."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in text)


def uncolour(text):
    return re.sub("\x1b\\[[0-9]*m", "", text)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("screen")
    with Emulator(users=120) as chime:
        roster = Rosterd(folder, chime)
        roster.once()
        people = chime.users(limit=7)
        names = ["田中さくら", "Ana Pérez", "Игорь", "cafe\u0301 x", "evil\x1b[2Jname\nline", "Z" * 300]
        for number, (user, name) in enumerate(zip(people, names)):
            chime.patch_user(user["UserId"], DisplayName=name, UserRegistrationStatus="Suspended",
                             PrimaryEmail=f"person{number}@example.com")
        chime.patch_user(people[6]["UserId"], PrimaryEmail="evil\x1b[2J@example.com")
        roster.once()
        roster.people = [user["UserId"] for user in people]
        yield roster


@pytest.fixture
def ctl(told):
    return Rosterctl("--config", told.config)


@pytest.mark.parametrize("columns", [20, 33, 40, 80, 120, 250])
def test_tables_fit_and_align(ctl, columns):
    for command in (("users", "-e", "person*"), ("events",), ("runs",), ("status",)):
        lines = ctl.screen(*command, columns=columns, env=PLAIN).splitlines()
        assert lines and "\x1b" not in "".join(lines)
        for line in lines:
            assert width(line) <= columns, line
    lines = ctl.screen("users", "-e", "person*", columns=columns, env=PLAIN).splitlines()
    assert len(lines) == 7
    for title in re.findall(r"(?:USER|REGISTRA\S+|SINCE|INVITATION)", lines[0]):
        left = width(lines[0][:lines[0].index(title)])
        for line in lines[1:]:  # whatever stands there begins in that column
            at, begin = 0, 0
            while at < left:
                at += width(line[begin])
                begin += 1
            assert at == left and line[begin - 1:begin] in (" ", ""), (title, line)
    assert all("person" in line and "Suspended"[:6] in line for line in lines[1:])


@pytest.mark.parametrize("columns", [12, 20, 33, 40, 60])
def test_a_narrow_status_says_whose_it_is(ctl, columns):
    text = ctl.screen("status", columns=columns, env=PLAIN)
    assert re.search(r"^ACCOUNT +", text, re.M) and "acme" in text and "ok" in text


def test_narrow_tables_keep_what_a_row_is_known_by(ctl, tmp_path):
    """Forty columns are enough for whose it is, and when it was."""
    database = str(tmp_path / "roster.db")
    ctl.ok("backup", database)
    with sqlite3.connect(database) as db:
        db.execute("INSERT INTO sink_data (sink, cursor) VALUES ('webhook:ops', 3)")
        db.execute("INSERT INTO dead_letter_data (sink, seq, time, error) VALUES"
                   " ('webhook:ops', 3, '2026-02-03T04:05:06.789Z', 'answered 400: no')")
    db.close()
    mine = Rosterctl("--database", database)

    def heading(*command, starts):
        lines = mine.screen(*command, columns=40, env=PLAIN).splitlines()
        table = lines[next(at for at, line in enumerate(lines) if line.startswith(starts)):]
        assert len(table) > 1 and all(width(line) <= 40 for line in table), table
        return table[0].split()

    assert heading("runs", starts="ACCOUNT") == ["ACCOUNT", "STARTED", "OUTCOME"]
    assert heading("events", starts="TIME") == ["TIME", "WHAT"]
    assert heading("webhooks", "dead", starts="WEBHOOK") == ["WEBHOOK", "SEQ", "TIME"]
    assert heading("show", "person1@example.com", starts="FROM") == ["FROM", "WHAT", "STATUS"]


def test_a_pipe_gets_every_value_whole(told, ctl):
    text = ctl.ok("users", "-e", "person5@example.com")
    assert "Z" * 300 in text and "…" not in text
    assert "…" in ctl.screen("users", "-e", "person5@example.com", columns=120)
    card = ctl.ok("show", "person5@example.com").partition("\nStatus\n")[0]
    assert card.count("Z" * 300) == 2 and "…" not in card
    assert "Z" * 300 not in ctl.screen("show", "person5@example.com", columns=400)


def test_nothing_from_outside_reaches_the_terminal_raw(ctl):
    for command in ("users", "show"):
        args = [command, *(["-e"] if command == "users" else []), "person4@example.com"]
        for text in (ctl.screen(*args, columns=200, env=PLAIN), ctl.ok(*args)):
            assert "\x1b" not in text and "evil?[2Jname line" in text
    assert "did you mean evil?[2J@example.com?" in ctl.fails(1, "show", "evil@example.com")


def test_colour_only_on_a_terminal_and_not_with_no_color(ctl):
    args = ("users", "-r", "Suspended")
    assert f"{RED}Suspended" in ctl.screen(*args)
    assert "\x1b" not in ctl.screen(*args, env=PLAIN)
    assert "\x1b" not in ctl.screen(*args, env={"TERM": "dumb"})
    assert f"{RED}Suspended" in ctl.screen(*args, env={"NO_COLOR": ""})
    assert "\x1b" not in ctl.ok(*args)


def test_a_terminal_without_unicode(ctl):
    env = {"LANG": "C", "LC_ALL": "C", **PLAIN}
    text = ctl.screen("users", "-e", "person*", columns=120, env=env)
    assert text.isascii() and "??????????" in text and "~" in text  # five wide characters
    assert "person0@example.com" in text
    # a pipe carries UTF-8 whatever the locale
    assert "田中さくら" in ctl.ok("users", env=env)
    assert "Ana Pérez" in ctl.ok("users", "--format", "csv", env=env)


def test_too_narrow_for_a_table(ctl):
    text = ctl.screen("query", "SELECT * FROM users WHERE primary_email = 'person1@example.com'",
                      columns=60, env=PLAIN)
    assert re.search(r"^primary_email +person1@example.com$", text, re.M)
    assert re.search(r"^display_name +Ana Pérez$", text, re.M)


def test_show_on_a_terminal(ctl):
    text = uncolour(ctl.screen("show", "person1@example.com", columns=100))
    assert text.startswith("Ana Pérez\n")
    assert re.search(r"^  user registration status +Suspended$", text, re.M)
    assert re.search(r"^FROM +UNTIL +FOR +WHAT +STATUS$", text, re.M)
    assert re.search(r"^TIME +EVENT +CHANGE$", text, re.M)


def test_an_address_in_two_accounts(tmp_path):
    second = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"
    with Emulator(users=3, accounts=["0f2c1d5e-8a41-4c6e-9b57-1f0e2d3c4b5a", second]) as chime:
        roster = Rosterd(tmp_path, chime, accounts={"acme": {}, "rooms": {"account_id": second}})
        for account in (chime.account_id, second):
            user = chime.users(limit=1, account=account)[0]
            chime.patch_user(user["UserId"], account=account, PrimaryEmail="ana@example.com")
        for user in chime.users(account=second)[1:]:
            chime.patch_user(user["UserId"], account=second, PrimaryEmail="bo@example.com")
        roster.once()
    ctl = Rosterctl("--config", roster.config)
    said = ctl.fails(1, "show", "ana@example.com")
    assert "2 people" in said and "acme " in said and "rooms " in said and "--account" in said
    whole = json.loads(ctl.ok("show", "ana@example.com", "-a", "rooms", "-f", "json"))
    assert whole["user"]["account"] == "rooms"
    assert "  acme  " not in ctl.ok("users", "--account", "rooms")
    # two of one account: its name says nothing more
    for account in ((), ("-a", "rooms")):
        assert ctl.fails(1, "show", "bo@example.com", *account).endswith("; name one by the id.")
    assert ctl.fails(1, "show", "bo@example.com", "-a", "acme") == \
        "rosterctl: nobody in acme has the e-mail address or id 'bo@example.com', but somebody in rooms" \
        " has; leave out --account, or name that one."
    assert "nobody has" in ctl.fails(1, "show", "cy@example.com", "-a", "acme")


# ---- among other tools ----

def test_a_reader_that_goes_away(told):
    """Quiet, as other tools are, also where SIGPIPE was ignored."""
    for ignored in (False, True):
        trap = "trap '' PIPE; " if ignored else ""
        script = f"{trap}'{binary()}' -c '{told.config}' users -f ndjson | head -n 1; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", script], env=environment(), capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.stderr == ""
        assert json.loads(done.stdout.splitlines()[0])
        assert done.stdout.splitlines()[1] in ("141", "0")  # 0: it all went into the pipe


def test_a_full_disk_on_standard_output(ctl):
    with open("/dev/full", "w", encoding="ascii") as full:
        said = ctl.fails(73, "export", stdout=full)
    assert "cannot write the output: No space left on device" in said


@pytest.mark.parametrize("command", ["export", "status", "--help", "--version"])
def test_a_closed_standard_output(told, command):
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", binary(), "-c", told.config, command],
                          env=environment(), stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 73, done.stderr
    assert done.stderr == "rosterctl: cannot write the output: Bad file descriptor.\n"


def test_export_to_a_file_is_whole_or_not_there(told, ctl, tmp_path):
    path = tmp_path / "roster.csv"
    path.write_text("what was there before")
    assert ctl.ok("export", "-o", str(path)) == ""
    assert path.read_bytes().decode() == ctl.ok("export", binary_output=True).decode()
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    said = ctl.fails(66, "export", "-o", str(tmp_path / "no" / "where.csv"))
    assert "cannot create" in said
    # a failure before the first row leaves nothing either
    assert "nowhere" in ctl.fails(1, "export", "-a", "nowhere", "-o", str(tmp_path / "new.csv"))
    assert "is a directory" in ctl.fails(73, "export", "-o", str(tmp_path)).lower()
    assert os.listdir(tmp_path) == ["roster.csv"]
    assert ctl.run("export", "-o", "/dev/stdout").stdout.startswith("account,")


@pytest.mark.parametrize("command", [["export", "-o"], ["backup"]])
def test_a_disk_that_fills_up_on_the_way(told, tmp_path, command):
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("needs root and mount namespaces")
    place = tmp_path / "small"
    place.mkdir()
    path = place / "roster.out"
    script = (f"mount -t tmpfs -o size=16k tmpfs '{place}' && echo before >'{path}' || exit 99; "
              f"\"$@\"; status=$?; ls '{place}'; cat '{path}'; exit $status")
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", binary(), "-c", told.config,
                           *command, str(path)], env=environment(), capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 73, done.stderr
    assert done.stderr.startswith("rosterctl: cannot write ") and done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr
    assert done.stdout == "roster.out\nbefore\n"  # nothing else is left there


def test_help_and_version(ctl):
    text = ctl.ok("--help")
    commands = re.findall(r"^  ([a-z]+)  ", text.split("Commands:")[1].split("Options:")[0], re.M)
    assert len(commands) >= 11
    for command in commands:
        said = ctl.ok(command, "--help")
        assert f"Usage: rosterctl {command}" in said
        example = said.split("Example:\n")[1].strip()
        assert example.startswith(f"rosterctl {command}") or f" {command} " in f"{example} ", said
        assert ctl.ok("--utc", command, "-h") == said
    assert re.fullmatch(r"rosterctl \d+\.\d+\.\d+\n", ctl.ok("--version"))


def test_database_directly_and_by_configuration(told, tmp_path):
    by_file = Rosterctl("-d", told.database).ok("users")
    assert by_file == Rosterctl("-c", told.config).ok("users")
    # what is wrong with an account, or secrets that others may not read, is no matter here
    (tmp_path / "rosterd.conf").write_text(
        f"[rosterd]\ndatabase = {told.database}\n[account acme]\nshoe = 42\n"
        "secret_access_key_file = /nonexistent\n")
    assert Rosterctl("-c", str(tmp_path / "rosterd.conf")).ok("users") == by_file
    (tmp_path / "rosterd.conf").write_text(f"[rosterd]\ndatabse = {told.database}\n")
    said = Rosterctl("-c", str(tmp_path / "rosterd.conf")).fails(78, "users")
    assert "--check-config" in said and "--database" in said


def test_a_database_that_is_locked_or_damaged(told, tmp_path):
    path = str(tmp_path / "copy.db")
    Rosterctl("-d", told.database).ok("backup", path)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("BEGIN EXCLUSIVE")
    said = Rosterctl("-d", path).fails(75, "users")
    assert "being written by another program" in said
    db.execute("ROLLBACK")
    db.close()
    with open(path, "r+b") as f:  # all pages but the first
        f.seek(4096)
        f.write(b"\xa5" * (os.path.getsize(path) - 4096))
    for command in (("users",), ("status",), ("export",), ("show", "person1@example.com")):
        said = Rosterctl("-d", path).fails(65, *command)
        assert "is damaged" in said and "restore a backup" in said
    done = Rosterctl("-d", path).run("verify")
    assert done.returncode in (1, 65)
