# SPDX-License-Identifier: Apache-2.0
"""The program's life: bad configurations and databases, signals, reload, restart, full disks."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time

import pytest

from rosterd import Rosterd, kinds, wait_until

OTHER = "11111111-2222-4333-8444-555555555555"


def one_sentence(done):
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


# ---- command line ----

def test_version_and_help(roster):
    done = roster.run("--version")
    assert done.returncode == 0 and re.fullmatch(r"rosterd \d+\.\d+\.\d+\n", done.stdout)
    done = roster.run("--help")
    assert done.returncode == 0 and not done.stderr
    for option in ("--config", "--once", "--check-config", "--version", "--help"):
        assert option in done.stdout


@pytest.mark.parametrize("option", ["--help", "--version", "--check-config"])
@pytest.mark.parametrize("where, why", [(">/dev/full", "No space left on device"),
                                        (">&-", "Bad file descriptor")])
def test_an_output_that_cannot_be_written(roster, option, where, why):
    done = roster.run(option, prefix=["sh", "-c", f'exec "$@" {where}', "sh"])
    assert done.returncode == 73
    assert one_sentence(done) == f"rosterd: cannot write the output: {why}"


def test_once_without_a_standard_output(roster):
    """Nothing is written to it; nothing else takes its place."""
    done = roster.run("--once", prefix=["sh", "-c", 'exec "$@" >&- <&-', "sh"])
    assert done.returncode == 0, done.stderr
    assert len(roster.users()) == 450


@pytest.mark.parametrize("args", [["--nonsense"], ["acme"], ["--once", "--check-config"],
                                  ["--once", "acmee"], ["--config", ""]])
def test_wrong_usage(roster, args):
    done = roster.run(*args)
    assert done.returncode == 2 and done.stderr and not os.path.exists(roster.database)


def test_unknown_account_gets_a_hint(roster):
    assert "did you mean acme?" in one_sentence(roster.run("--once", "acmee"))


def test_once_for_one_account(roster, chime):
    chime.add_account(OTHER, users=30)
    roster.accounts["globex"] = {"account_id": OTHER}
    roster.write_config()
    roster.once("globex")
    assert {row["account"] for row in roster.users().values()} == {"globex"}
    roster.once()
    assert {row["account"] for row in roster.users().values()} == {"acme", "globex"}


def test_once_fails_if_one_fails(roster, chime):
    roster.accounts["globex"] = {"account_id": OTHER}
    roster.write_config()
    lines = roster.once(status=1)
    assert any(line.startswith("globex: sync failed: page 1: ") for line in lines)
    assert len(roster.users()) == 450


def test_once_says_what_webhooks_have_yet_to_take(roster):
    """Every account is complete; what makes the status 1 is named, as often as it is so."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        url = f"http://127.0.0.1:{s.getsockname()[1]}/x"
    roster.accounts["acme"]["baseline"] = "events"
    roster.webhooks = {"ops": {"url": url}, "pager": {"url": url, "replay_from": "now"}}
    roster.write_config()
    for _ in range(2):
        lines = roster.once(status=1)
        n = roster.last_seq()
        assert [line for line in lines if "yet to take" in line] == [
            f"webhooks have yet to take events: ops ({n} events), pager ({n} events);"
            " the next run goes on with them"]
    assert n >= 450
    assert {run["outcome"] for run in roster.run_rows()} == {"complete"}
    del roster.webhooks["pager"]
    roster.write_config()
    assert f"a webhook has yet to take events: ops ({n} events); the next run goes on with them" in \
        roster.once(status=1)
    roster.webhooks = {f"w{i}": {"url": url, "replay_from": f"{n}"} for i in range(6)}
    roster.write_config()
    assert "webhooks have yet to take events: w0 (1 event), w1 (1 event), w2 (1 event), w3 (1 event)" \
        " and 2 more; the next run goes on with them" in roster.once(status=1)
    roster.webhooks = {}
    roster.write_config()
    assert not any("yet to take" in line for line in roster.once())


# ---- configuration ----

def test_check_config(roster):
    done = roster.run("--check-config")
    assert done.returncode == 0 and "1 account" in done.stdout and not done.stderr
    roster.write_text("[rosterd]\nintervall = 5m\nconcurrency = many\n[account acme]\n")
    done = roster.run("--check-config")
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) >= 3
    assert f"{roster.config}:2: " in done.stderr and "interval" in done.stderr
    assert f"{roster.config}:3: " in done.stderr
    assert "account_id" in done.stderr


def test_missing_config(roster):
    os.unlink(roster.config)
    done = roster.run("--once")
    assert done.returncode == 78 and roster.config in done.stderr


def test_config_is_a_folder(roster):
    os.unlink(roster.config)
    os.mkdir(roster.config)
    assert roster.run("--once").returncode == 78


def test_secrets_for_all_to_read(roster):
    os.chmod(roster.config, 0o644)
    done = roster.run("--once")
    assert done.returncode == 78 and "chmod" in done.stderr
    assert not os.path.exists(roster.database)


# ---- database ----

def refused(roster, status, *words):
    done = roster.run("--once")
    assert done.returncode == status, (done.returncode, done.stderr)
    sentence = one_sentence(done)
    for word in words:
        assert word in sentence, sentence
    return sentence


def test_not_a_database(roster):
    with open(roster.database, "wb") as f:
        f.write(b"Dear diary, " * 1000)
    before = open(roster.database, "rb").read()
    refused(roster, 65, roster.database)
    assert open(roster.database, "rb").read() == before


def test_database_of_another_program(roster):
    db = sqlite3.connect(roster.database)
    db.execute("CREATE TABLE cookies (host TEXT)")
    db.commit()
    db.close()
    refused(roster, 65, roster.database)


def test_newer_schema(roster):
    roster.once()
    db = sqlite3.connect(roster.database)
    db.execute("PRAGMA user_version = 999")
    db.close()
    refused(roster, 65, "999")


def test_corrupt_database(roster, chime):
    roster.once()
    size = os.path.getsize(roster.database)
    with open(roster.database, "r+b") as f:
        f.seek(8192)
        f.write(os.urandom(size - 8192))
    for name in ("-wal", "-shm"):
        if os.path.exists(roster.database + name):
            os.unlink(roster.database + name)
    before = open(roster.database, "rb").read()
    done = roster.run("--once")
    assert done.returncode == 65, (done.returncode, done.stderr)
    assert "damaged" in done.stderr
    assert open(roster.database, "rb").read() == before


def test_folder_is_missing(roster, tmp_path):
    roster.database = str(tmp_path / "nowhere" / "roster.db")
    roster.write_config()
    refused(roster, 73, "nowhere")


def test_database_is_a_folder(roster):
    os.mkdir(roster.database)
    refused(roster, 65, roster.database)


def test_read_only_place(roster, tmp_path):
    place = tmp_path / "ro"
    place.mkdir()
    script = f"mount -t tmpfs -o ro tmpfs {place} && exec \"$@\""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("needs root for a mount namespace")
    roster.database = str(place / "roster.db")
    roster.write_config()
    done = roster.run("--once", prefix=["unshare", "-m", "sh", "-c", script, "sh"])
    assert done.returncode == 73 and str(place) in one_sentence(done)


def test_two_daemons(roster):
    with roster:
        pid = roster.process.pid
        sentence = refused(roster, 75, str(pid))
        assert roster.database in sentence
    roster.once()


# ---- signals ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_at_once_in_mid_listing(roster, chime, number):
    roster.once()
    changed = chime.users(limit=1)[0]["UserId"]
    chime.patch_user(changed, DisplayName="Changed Before The Stall")
    chime.delete_users(count=40, start="back")
    chime.fault("stall", page=2, times="always")
    seq = roster.last_seq()
    roster.change_database("UPDATE account_data SET last_attempt_at = NULL")
    roster.start()
    chime.wait_for(lambda log: log and log[-1]["page"] == 2)
    wait_until(lambda: chime.stats()["by_status"].get("0", 0) >= 0)
    started = time.monotonic()
    assert roster.stop(number) == 0
    assert time.monotonic() - started < 2
    run = roster.run_rows()[-1]
    assert run["outcome"] == "interrupted" and run["finished_at"]
    assert kinds(roster.events(seq)) == [("user.updated", changed)]
    assert len(roster.users()) == 450


def test_killed_in_mid_listing(roster, chime):
    roster.once()
    chime.fault("stall", page=2, times="always")
    roster.change_database("UPDATE account_data SET last_attempt_at = NULL")
    roster.start()
    chime.wait_for(lambda log: log and log[-1]["page"] == 2)
    roster.stop(signal.SIGKILL)
    assert roster.run_rows()[-1]["outcome"] == "running"
    chime.clear_faults()
    roster.once()
    rows = roster.run_rows()
    assert [row["outcome"] for row in rows] == ["complete", "interrupted", "complete"]
    assert rows[1]["finished_at"] and rows[1]["error"]


def test_restart_does_not_sync_at_once_again(roster, chime):
    roster.settings["interval"] = "1h"
    roster.write_config()
    roster.once()
    asked = chime.stats()["listing_requests"]
    with roster:
        time.sleep(1.5)
    assert chime.stats()["listing_requests"] == asked


def test_what_was_not_told_is_told_after_a_restart(roster, chime):
    roster.once()
    user = chime.users(limit=1)[0]["UserId"]
    chime.patch_user(user, DisplayName="Untold", PrimaryEmail="untold@example.com")
    roster.once()
    roster.change_database("UPDATE sink_data SET cursor = cursor - 1 WHERE sink = 'journal'")
    lines = roster.once()
    assert any("untold@example.com has changed" in line for line in lines)
    assert not any("untold@example.com" in line for line in roster.once())


# ---- reload ----

def test_reload_takes_new_accounts(roster, chime):
    roster.settings["interval"] = "1h"
    roster.write_config()
    with roster:
        roster.wait_line("baseline taken: 450 users")
        chime.add_account(OTHER, users=30)
        roster.accounts["globex"] = {"account_id": OTHER}
        roster.write_config()
        asked = len(chime.log())
        roster.send_signal(signal.SIGHUP)
        roster.wait_line("configuration reloaded: 2 accounts")
        roster.wait_line("globex: baseline taken: 30 users")
        assert {entry["account"] for entry in chime.log()[asked:]} == {OTHER}
        del roster.accounts["globex"]
        roster.write_config()
        roster.send_signal(signal.SIGHUP)
        roster.wait_line("configuration reloaded: 1 account")
        wait_until(lambda: roster.account("globex")["active"] == 0)


def test_a_bad_reload_changes_nothing(roster, chime):
    with roster:
        roster.wait_line("baseline taken")
        roster.write_text("[rosterd]\ninterval = never\n")
        roster.send_signal(signal.SIGHUP)
        roster.wait_line("the old configuration goes on")
        roster.wait_line(f"{roster.config}:2: ")
        user = chime.users(limit=1)[0]["UserId"]
        chime.patch_user(user, PrimaryEmail="still@example.com")
        roster.wait_line("still@example.com has changed")
        os.unlink(roster.config)
        roster.send_signal(signal.SIGHUP)
        roster.wait_line("the old configuration goes on", count=2)


def test_systemd_is_told_of_a_refused_reload(roster, tmp_path):
    """`systemctl status` says so until one is taken."""
    refused = "; the new configuration was refused"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        roster.env["NOTIFY_SOCKET"] = str(tmp_path / "notify")

        def wait_status(wanted):
            wait_until(lambda: (said := manager.recv(65536).decode()).startswith("STATUS=") and wanted(said),
                       timeout=60, message="the status")

        with roster:
            wait_status(lambda said: said == "STATUS=450 users of 1 account")
            roster.write_text("[rosterd]\ninterval = never\n")
            roster.send_signal(signal.SIGHUP)
            wait_status(lambda said: said.endswith(refused))
            roster.sync_now()
            roster.wait_line("configuration reloaded")
            wait_status(lambda said: refused not in said)


def test_reload_interrupts_a_run_whose_account_changed(roster, chime):
    chime.fault("stall", page=2, times=1)
    with roster:
        chime.wait_for(lambda log: log and log[-1]["page"] == 2)
        roster.accounts["acme"]["max_results"] = 100
        roster.write_config()
        roster.send_signal(signal.SIGHUP)
        roster.wait_line("baseline taken: 450 users")
        rows = roster.run_rows()
        assert [row["outcome"] for row in rows] == ["interrupted", "complete"]
        assert rows[1]["pages"] == 5


def test_reload_does_not_move_the_database(roster, tmp_path):
    with roster:
        roster.wait_line("baseline taken")
        old = roster.database
        roster.database = str(tmp_path / "other.db")
        roster.settings["database"] = roster.database
        roster.write_config()
        roster.send_signal(signal.SIGHUP)
        roster.wait_line("takes a restart")
        assert not os.path.exists(roster.database)
        roster.database = old


# ---- time, concurrency ----

def test_clock_set_back_an_hour(roster, chime):
    if "CLOCK_SHIFT_LIBRARY" not in os.environ:
        pytest.skip("needs the preload library that make check builds; not with the sanitizers")
    roster.once()
    chime.config(clock_offset=-3600)
    user = chime.users(limit=1)[0]["UserId"]
    chime.patch_user(user, DisplayName="In The Past")
    seq = roster.last_seq()
    roster.env = {"LD_PRELOAD": os.environ["CLOCK_SHIFT_LIBRARY"], "CLOCK_SHIFT": "-3600"}
    done = roster.run("--once")
    assert done.returncode == 0, done.stderr
    assert kinds(roster.events(seq)) == [("user.updated", user)]
    rows = roster.run_rows()
    assert rows[1]["started_at"] < rows[0]["started_at"]
    assert rows[1]["finished_at"] >= rows[1]["started_at"]
    # back to the right time: no storm, nothing twice
    chime.config(clock_offset=0)
    roster.env = {}
    seq = roster.last_seq()
    roster.once()
    assert roster.events(seq) == []


def test_clock_years_ahead(roster, chime):
    """The service refuses what is signed with it; and nothing is old by it."""
    if "CLOCK_SHIFT_LIBRARY" not in os.environ:
        pytest.skip("needs the preload library that make check builds; not with the sanitizers")
    roster.settings["retention"] = "30d"
    roster.accounts["acme"]["baseline"] = "events"
    roster.write_config()
    roster.once()
    before = roster.events()
    roster.env = {"LD_PRELOAD": os.environ["CLOCK_SHIFT_LIBRARY"], "CLOCK_SHIFT": str(4000 * 86400)}
    done = roster.run("--once")
    assert done.returncode != 0 and "Signature not yet current" in done.stderr, done.stderr
    assert len(before) > 1 and roster.events()[:len(before)] == before
    # what is old by the right time goes
    roster.env = {}
    roster.change_database("UPDATE event_data SET time = '2001-01-01T00:00:00.000Z' WHERE seq = 1")
    roster.once()
    assert roster.events()[0]["seq"] == 2


def test_nothing_is_old_before_a_listing_is_complete(roster, chime):
    roster.settings["retention"] = "1d"
    roster.write_config()
    chime.fault("status", times="always", status=403)
    assert roster.run("--once").returncode == 1
    roster.change_database("UPDATE event_data SET time = '2001-01-01T00:00:00.000Z'")
    assert roster.run("--once").returncode == 1
    assert roster.events()[0]["type"] == "sync.failed"
    chime.clear_faults()
    roster.once()
    assert roster.events()[0]["seq"] == 2


def test_concurrency_and_no_overlap(roster, chime):
    accounts = [f"{n:08d}-2222-4333-8444-555555555555" for n in range(12)]
    for n, account in enumerate(accounts):
        chime.add_account(account, users=50 + n)
    roster.accounts = {f"acct{n}": {"account_id": account} for n, account in enumerate(accounts)}
    roster.settings["concurrency"] = 3
    roster.write_config()
    chime.config(latency_ms=50)
    roster.once()
    assert len(roster.users()) == sum(50 + n for n in range(12))
    assert [row["outcome"] for row in roster.run_rows()] == ["complete"] * 12
    assert chime.stats()["connections"] <= 3 + 30  # this test's own calls make one each


def test_slow_account_delays_no_other(roster, chime):
    chime.add_account(OTHER, users=30)
    roster.accounts["globex"] = {"account_id": OTHER}
    roster.write_config()
    chime.fault("stall", account=chime.account_id, times="always")
    with roster:
        roster.wait_line("globex: baseline taken", timeout=15)


# ---- disk full ----

def test_disk_full_is_said_once_and_overcome(roster, chime, tmp_path):
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("needs root for a mount namespace")
    place = tmp_path / "small"
    place.mkdir()
    roster.database = str(place / "roster.db")
    roster.settings["database"] = roster.database
    roster.write_config()
    fifo = tmp_path / "more-room"
    os.mkfifo(fifo)
    # The small file system lives in a mount namespace of its own; told by the fifo, it gets room.
    script = (f"mount -t tmpfs -o size=420k tmpfs {place} || exit 99; "
              f"(read x <{fifo}; mount -o remount,size=64m {place}) 2>/dev/null & exec \"$@\"")
    roster.start(wait=False, prefix=["unshare", "-m", "sh", "-c", script, "sh"])
    try:
        roster.wait_line("the database cannot be written; rosterd keeps trying")
        assert "full" in "\n".join(roster.lines)
        time.sleep(1)
    finally:
        room = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        os.write(room, b"x\n")
    roster.wait_line("baseline taken: 450 users", timeout=60)
    os.close(room)
    assert sum("rosterd keeps trying" in line for line in roster.lines) == 1
    assert any("can be written again" in line for line in roster.lines)


# ---- metrics ----

def metrics(path):
    figures = {}
    for line in open(path, encoding="utf-8"):
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            figures[name] = float(value)
    return figures


def test_metrics(roster, chime, tmp_path):
    path = tmp_path / "rosterd.prom"
    roster.settings["metrics_file"] = path
    roster.write_config()
    chime.patch_users({"UserRegistrationStatus": "Registered",
                       "UserInvitationStatus": "Accepted"}, count=450)
    chime.patch_users({"UserRegistrationStatus": "Suspended"}, count=4)
    chime.fault("status", exception="ThrottledClientException", page=2)
    roster.once()
    m = metrics(path)
    assert m['rosterd_users{account="acme",registration="Suspended",invitation="Accepted"}'] == 4
    assert m['rosterd_users{account="acme",registration="Registered",invitation="Accepted"}'] == 446
    assert abs(m['rosterd_last_complete_timestamp_seconds{account="acme"}'] - time.time()) < 60
    assert m['rosterd_last_run_pages{account="acme"}'] == 3
    assert m['rosterd_retries_total{account="acme"}'] == 1
    assert m['rosterd_throttled_total{account="acme"}'] == 1
    assert m['rosterd_held_removals{account="acme"}'] == 0
    assert os.stat(path).st_mode & 0o777 == 0o644
    chime.delete_users(count=100)
    roster.once()
    assert metrics(path)['rosterd_held_removals{account="acme"}'] == 100
    assert [name for name in os.listdir(tmp_path) if name.startswith("rosterd.prom")] == [
        "rosterd.prom"]


def test_metrics_that_cannot_be_written_stop_nothing(roster, tmp_path):
    roster.settings["metrics_file"] = tmp_path / "nowhere" / "rosterd.prom"
    roster.write_config()
    lines = roster.once()
    assert sum("cannot write metrics_file" in line for line in lines) == 1


# ---- the format of events on stderr ----

def test_stderr_has_plain_lines(roster):
    lines = roster.once()
    assert not any(re.match(r"<\d>", line) for line in lines)
    assert not any(json.dumps(line).count("\\u001b") for line in lines)


def test_no_core_dump_with_secrets(roster):
    with roster:
        status = open(f"/proc/{roster.process.pid}/status", encoding="ascii").read()
        assert status
        # not dumpable: its /proc files belong to root, whoever runs it
        assert os.stat(f"/proc/{roster.process.pid}/environ").st_uid == 0
