# SPDX-License-Identifier: Apache-2.0
"""rosterd under a real systemd and journald.  Runs inside the machine that run.sh boots, as root."""

import base64
import glob
import json
import os
import re
import shutil
import time

import pytest

from emulator import Emulator
from machine import (CONFIG, DATABASE, DROPINS, SRC, configure, dropin, journal, run, shell, show, sql,
                     start, start_and_baseline, sync_now, wait_message, wait_until, write)

SUSPENDED = "412cf2ba5b1b4b1fb3c0276e83de0844"
RELOAD_REFUSED = "1b43791bf50c49c29987222c9f4ee9b7"
RELOADED = "ffbf315f4625462d9e19ae418604886d"


# ---- start, status, journal --------------------------------------------------------------------

def test_start_waits_for_ready(chime):
    configure(chime)
    start()  # returns when READY=1 came
    assert show("ActiveState") == "active"
    assert show("SubState") == "running"
    assert show("Type") == "notify"
    assert show("WatchdogUSec") == "1min"
    started = wait_until(lambda: journal("MESSAGE_ID=17d244b5420b464b984141558a9058b9"))
    assert len(started) == 1 and "watches 1 account" in started[0]["MESSAGE"]


def test_status_is_a_sentence_that_is_kept_current(chime):
    configure(chime)
    start_and_baseline()
    wait_until(lambda: "450 users of 1 account" in show("StatusText"), message="StatusText")
    chime.fault("status", exception="ForbiddenException", times="always")
    configure(chime, account="request_timeout = 59s\n")
    run("systemctl", "reload", "rosterd")
    wait_until(lambda: "1 failing: acme" in show("StatusText"), message="StatusText of a failure")


def test_runs_as_its_own_user_with_its_own_directories(chime):
    configure(chime)
    start_and_baseline()
    pid = show("MainPID")
    assert run("stat", "-c", "%U:%G", f"/proc/{pid}/cgroup") in ("rosterd:rosterd\n", "root:root\n")
    assert run("ps", "-o", "user:20=,group:20=", "-p", pid).split() == ["rosterd", "rosterd"]
    assert run("stat", "-c", "%U:%G %a", "/var/lib/rosterd") == "rosterd:rosterd 750\n"
    assert run("stat", "-c", "%U:%G %a", DATABASE) == "rosterd:rosterd 640\n"
    assert run("stat", "-c", "%U:%G %a", "/run/rosterd") == "rosterd:rosterd 750\n"


def test_journal_fields_of_a_suspension(chime):
    configure(chime)
    start_and_baseline()
    chime.patch_user(chime.ana, UserRegistrationStatus="Suspended")
    sync_now(chime)
    wait_message("ana@example.com was suspended")
    entries = journal(f"MESSAGE_ID={SUSPENDED}")
    assert len(entries) == 1
    entry = entries[0]
    seq, event_id, run_id = sql("SELECT seq, id, run_id FROM events WHERE type = 'user.suspended'")[0]
    expected = {
        "MESSAGE": "acme: ana@example.com was suspended (was Registered)",
        "MESSAGE_ID": SUSPENDED,
        "PRIORITY": "4",
        "ROSTERD_EVENT": "user.suspended",
        "ROSTERD_EVENT_ID": event_id,
        "ROSTERD_SEQ": str(seq),
        "ROSTERD_ACCOUNT": "acme",
        "ROSTERD_ACCOUNT_ID": chime.account_id,
        "ROSTERD_USER_ID": chime.ana,
        "ROSTERD_EMAIL": "ana@example.com",
        "ROSTERD_OLD": "Registered",
        "ROSTERD_NEW": "Suspended",
        "ROSTERD_RUN": str(run_id),
        "_SYSTEMD_UNIT": "rosterd.service",
        "SYSLOG_IDENTIFIER": "rosterd",
    }
    assert {name: entry.get(name) for name in expected} == expected
    assert entry["CODE_FILE"].endswith(".c")
    assert int(entry["CODE_LINE"]) > 0
    assert entry["CODE_FUNC"]
    # and by a field of its own, as people look for it
    found = run("journalctl", "-o", "cat", "ROSTERD_EMAIL=ana@example.com", f"ROSTERD_EVENT_ID={event_id}")
    assert found == "acme: ana@example.com was suspended (was Registered)\n"


def test_catalog_explains_a_suspension(chime):
    configure(chime)
    start_and_baseline()
    chime.patch_user(chime.ana, UserRegistrationStatus="Suspended")
    sync_now(chime)
    wait_message("ana@example.com was suspended")
    event_id = sql("SELECT id FROM events WHERE type = 'user.suspended'")[0][0]
    text = run("journalctl", "-x", f"ROSTERD_EVENT_ID={event_id}")
    assert "Subject: User suspended in account acme" in text
    assert "Defined-By: rosterd" in text
    assert f"the user {chime.ana} went from Registered to" in text
    assert "@ROSTERD" not in text
    # the command that it advises works as it stands
    query = next(line.strip("░ ") for line in text.splitlines() if "FROM events" in line)
    assert "user.suspended" in shell(query)


def test_the_journal_takes_every_line_of_a_mass_change(chime):
    configure(chime)
    chime.generate(12000)
    chime.patch_users({"UserRegistrationStatus": "Registered"}, count=12450)
    start_and_baseline()
    chime.patch_users({"UserRegistrationStatus": "Suspended"}, count=12450)
    sync_now(chime)
    wait_until(lambda: len(journal(f"MESSAGE_ID={SUSPENDED}")) == 12450, timeout=30, message="12450 lines")
    assert not [e for e in journal() if "Suppressed" in str(e.get("MESSAGE"))]


# ---- reload ------------------------------------------------------------------------------------

def test_reload_takes_a_good_configuration(chime):
    configure(chime)
    start_and_baseline()
    pid = show("MainPID")
    with Emulator(users=30) as other:
        text = configure(chime)
        write(CONFIG, text + f"\n[account second]\naccount_id = 11111111-2222-4333-8444-555555555555\n"
              f"endpoint = {other.url}\naccess_key_id = {other.access_key}\n"
              f"secret_access_key = {other.secret_key}\n", 0o640)
        other.add_account("11111111-2222-4333-8444-555555555555", users=30)
        run("systemctl", "reload", "rosterd")
        wait_message("second: baseline taken: 30 users")
    assert show("MainPID") == pid
    assert len(journal(f"MESSAGE_ID={RELOADED}")) == 1
    wait_until(lambda: show("ActiveState") == "active")


def test_reload_keeps_the_old_configuration_when_the_new_one_is_bad(chime):
    text = configure(chime)
    start_and_baseline()
    pid = show("MainPID")
    write(CONFIG, text.replace("interval = 10s", "intervall = 10s"), 0o640)
    run("systemctl", "reload", "rosterd", status=None)
    wait_until(lambda: journal(f"MESSAGE_ID={RELOAD_REFUSED}"), message="the refusal")
    said = "\n".join(e["MESSAGE"] for e in journal(f"MESSAGE_ID={RELOAD_REFUSED}"))
    assert f"{CONFIG}:2" in said or ("line 2" in said and CONFIG in said), said
    assert "intervall" in said and "interval" in said
    wait_until(lambda: show("ActiveState") == "active", message="the end of the reload")
    assert show("MainPID") == pid
    wait_until(lambda: "the new configuration was refused" in show("StatusText"), message="StatusText")
    # the old one goes on: the account is still watched, at its old interval
    chime.patch_user(chime.ana, UserRegistrationStatus="Suspended")
    wait_message("ana@example.com was suspended", timeout=25)


def test_a_disk_that_is_full_at_the_start_is_waited_for(chime):
    configure(chime)
    state = os.path.dirname(DATABASE)
    os.makedirs(state, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", state)
    try:
        shell(f"cat /dev/zero > {state}/filler", status=None)
        start()
        wait_message("no space is left for the database")
        assert "no space is left" in show("StatusText")
        run("systemctl", "reload", "rosterd")
        time.sleep(6)
        assert len([e for e in journal() if "no space is left" in str(e.get("MESSAGE"))]) == 1
        assert (show("ActiveState"), show("NRestarts")) == ("active", "0")
        os.unlink(f"{state}/filler")
        wait_message("the database can be written again")
        wait_until(lambda: "450 users of 1 account" in show("StatusText"), message="StatusText")
    finally:
        run("systemctl", "stop", "rosterd", status=None)
        run("umount", "-l", state)


# ---- the end of it, in all ways ----------------------------------------------------------------

def test_watchdog_kills_and_restarts_a_process_that_hangs(chime):
    configure(chime)
    dropin("watchdog", "WatchdogSec=1s\nTimeoutStopSec=2s\nTimeoutAbortSec=2s\nRestartSec=100ms")
    start_and_baseline()
    pid = show("MainPID")
    time.sleep(2.5)  # an idle daemon feeds its watchdog
    assert show("MainPID") == pid
    run("kill", "-STOP", pid)
    wait_until(lambda: show("NRestarts") == "1" and show("ActiveState") == "active", message="a restart")
    assert show("MainPID") not in (pid, "0")
    assert not shell("ls /var/lib/systemd/coredump/* /var/lib/rosterd/core* 2>/dev/null; true").strip()


def test_watchdog_is_fed_while_the_service_stalls(chime):
    configure(chime)
    chime.fault("stall", times="always")
    dropin("watchdog", "WatchdogSec=1s\nRestartSec=100ms")
    start()
    chime.wait_for(lambda log: chime.stats()["listing_requests"] > 0)
    pid = show("MainPID")
    time.sleep(3)
    assert show("MainPID") == pid
    assert show("NRestarts") == "0"


def test_sigterm_ends_it_within_two_seconds(chime):
    configure(chime)
    start_and_baseline()
    begin = time.monotonic()
    run("systemctl", "stop", "rosterd")
    assert time.monotonic() - begin < 2
    assert show("Result") == "success"
    assert show("ExecMainStatus") == "0"
    assert len(journal("MESSAGE_ID=7fa7b35ee855403b9dff45e9440ca7ae")) == 1


def test_sigterm_in_mid_listing_loses_nothing(chime):
    configure(chime)
    start_and_baseline()
    chime.patch_user(chime.ana, UserRegistrationStatus="Suspended")  # on the first page
    bo = chime.users(offset=449, limit=1)[0]["UserId"]  # on the last
    chime.patch_user(bo, PrimaryEmail="bo@example.com", UserRegistrationStatus="Suspended")
    chime.fault("stall", page=2, times="always")
    seen = chime.stats()["listing_requests"]
    configure(chime, account="request_timeout = 58s\n")
    run("systemctl", "reload", "rosterd")
    wait_until(lambda: chime.stats()["listing_requests"] >= seen + 2, message="the second page")
    begin = time.monotonic()
    run("systemctl", "stop", "rosterd")
    assert time.monotonic() - begin < 2
    assert show("Result") == "success"
    assert sql("SELECT outcome FROM runs ORDER BY run_id DESC LIMIT 1") == [("interrupted",)]
    assert sql("SELECT count(*) FROM users") == [(450,)]
    assert sql("SELECT user_registration_status FROM users WHERE primary_email = 'ana@example.com'") == [("Suspended",)]
    assert len(journal(f"MESSAGE_ID={SUSPENDED}")) == 1
    chime.clear_faults()
    configure(chime)
    start()
    wait_message("bo@example.com was suspended", timeout=25)
    said = [e["MESSAGE"] for e in journal(f"MESSAGE_ID={SUSPENDED}")]
    assert said == ["acme: ana@example.com was suspended (was Registered)", said[1]]
    assert not sql("SELECT 1 FROM events WHERE type = 'user.removed'")


def test_sigkill_in_mid_listing_loses_nothing(chime):
    configure(chime)
    start_and_baseline()
    bo = chime.users(offset=449, limit=1)[0]["UserId"]
    chime.patch_user(bo, PrimaryEmail="bo@example.com", UserRegistrationStatus="Suspended")
    chime.patch_user(chime.ana, UserRegistrationStatus="Suspended")
    chime.fault("stall", page=2, times=1)
    dropin("quick", "RestartSec=100ms")
    seen = chime.stats()["listing_requests"]
    configure(chime, account="request_timeout = 57s\n")
    run("systemctl", "reload", "rosterd")
    wait_until(lambda: chime.stats()["listing_requests"] >= seen + 2, message="the second page")
    pid = show("MainPID")
    run("systemctl", "kill", "-s", "KILL", "--kill-who=main", "rosterd")
    wait_until(lambda: show("ActiveState") == "active" and show("MainPID") not in (pid, "0"), message="a restart")
    wait_message("bo@example.com was suspended", timeout=25)
    outcomes = [row[0] for row in sql("SELECT outcome FROM runs ORDER BY run_id")]
    assert "interrupted" in outcomes and outcomes[0] == "complete", outcomes
    assert "running" not in outcomes[:-1]
    # once each at least, and in the log exactly once
    assert sql("SELECT count(*), count(DISTINCT user_id) FROM events WHERE type = 'user.suspended'") == [(2, 2)]
    assert {e["ROSTERD_USER_ID"] for e in journal(f"MESSAGE_ID={SUSPENDED}")} == {chime.ana, bo}
    assert not sql("SELECT 1 FROM events WHERE type = 'user.removed'")


# ---- configuration and secrets -----------------------------------------------------------------

def test_bad_configuration_is_status_78_and_no_restart_loop(chime):
    text = configure(chime)
    write(CONFIG, text + "max_result = 7\n", 0o640)
    dropin("quick", "RestartSec=100ms")
    run("systemctl", "start", "rosterd", status=1)
    assert show("ExecMainStatus") == "78"
    time.sleep(1)
    assert show("ActiveState") == "failed"
    assert show("NRestarts") == "0"
    said = "\n".join(e["MESSAGE"] for e in journal("MESSAGE_ID=fd67f96c95734594ad193ad312b5ffff"))
    assert "max_result" in said and "max_results" in said and CONFIG in said


def test_a_damaged_database_is_status_65_and_no_restart_loop(chime):
    configure(chime)
    start_and_baseline()
    run("systemctl", "stop", "rosterd")
    with open(DATABASE, "r+b") as f:
        f.write(b"this is no database")
    before = open(DATABASE, "rb").read()
    dropin("quick", "RestartSec=100ms")
    run("systemctl", "start", "rosterd", status=1)
    assert show("ExecMainStatus") == "65"
    time.sleep(0.5)
    assert show("NRestarts") == "0"
    assert open(DATABASE, "rb").read() == before
    assert journal("MESSAGE_ID=91503219da1942e0b7b598e7cc90d3a8")


def test_a_credential_reaches_it_by_loadcredential(chime):
    write("/etc/rosterd/chime-secret", chime.secret_key + "\n", 0o600)
    configure(chime, account=f"access_key_id = {chime.access_key}\nsecret_access_key_file = chime-secret\n")
    os.makedirs(DROPINS)
    shutil.copy(f"{SRC}/systemd/examples/credentials.conf", DROPINS)
    run("systemctl", "daemon-reload")
    start_and_baseline()
    pid = show("MainPID")
    # not in its environment, not in its journal
    assert chime.secret_key not in shell(f"tr '\\0' '\\n' </proc/{pid}/environ")
    assert chime.secret_key not in run("journalctl", "-b", "-o", "export")


def test_a_credential_reaches_the_timer_example(chime):
    """By a drop-in of its own, as the example says: those of rosterd.service do not count."""
    write("/etc/rosterd/chime-secret", chime.secret_key + "\n", 0o600)
    configure(chime, account=f"access_key_id = {chime.access_key}\nsecret_access_key_file = chime-secret\n")
    for unit in ("rosterd", "rosterd-once"):
        os.makedirs(f"/etc/systemd/system/{unit}.service.d")
        shutil.copy(f"{SRC}/systemd/examples/credentials.conf", f"/etc/systemd/system/{unit}.service.d")
        run("systemctl", "daemon-reload")
        run("systemctl", "start", "rosterd-once", status=0 if unit == "rosterd-once" else 1)
    wait_message("baseline taken: 450 users", unit="rosterd-once")


def test_without_its_credential_it_does_not_start(chime):
    configure(chime, account=f"access_key_id = {chime.access_key}\nsecret_access_key_file = chime-secret\n")
    run("systemctl", "start", "rosterd", status=1)
    assert show("ExecMainStatus") == "78"
    said = "\n".join(e["MESSAGE"] for e in journal("MESSAGE_ID=fd67f96c95734594ad193ad312b5ffff"))
    assert "secret_access_key_file" in said


def test_no_secret_is_left_anywhere(chime):
    """Each secret holds the word; they are used, refused, complained about, and the service crashes."""
    chime.add_credential("AKIACANARY", "canary-secret", "canary-token")
    chime.patch_users({"PersonalPIN": "canary-pin"}, count=450)
    webhook = "[webhook ops]\nurl = http://127.0.0.1:9/canary-path?canary-query\nheader = X-Key: canary-header\n" \
        f"secret = whsec_{base64.b64encode(b'a canary of a webhook secret').decode()}\n"
    keys = "access_key_id = AKIACANARY\nsecret_access_key = canary-secret\nsession_token = canary-token\n"
    metrics = "metrics_file = /var/lib/rosterd/rosterd.prom\nlog_level = debug\n"
    configure(chime, metrics, keys + webhook)
    start_and_baseline()
    chime.patch_user(chime.ana, UserRegistrationStatus="Suspended")
    run("systemctl", "reload", "rosterd")
    wait_until(lambda: journal("ROSTERD_EVENT=user.suspended"), message="the suspension")
    wait_until(lambda: sql("SELECT 1 FROM webhooks WHERE last_error IS NOT NULL"), message="a refused webhook")
    write(CONFIG, open(CONFIG, encoding="utf-8").read() + "secret = canary-misplaced-key\n[nonsense\n")
    run("systemctl", "reload", "rosterd")
    wait_until(lambda: journal(f"MESSAGE_ID={RELOAD_REFUSED}"), message="the refusal")
    shown = run("systemctl", "status", "rosterd", status=None) + run("systemctl", "show", "rosterd")
    restarts = show("NRestarts")
    run("systemctl", "kill", "-s", "SEGV", "rosterd")
    wait_until(lambda: show("NRestarts") != restarts or show("ActiveState") == "failed", message="the crash")
    run("journalctl", "--sync")
    entries = run("journalctl", "-u", "rosterd", "-o", "json", "--all", "--no-pager")
    files = {name: open(name, "rb").read() for folder in ("/var/lib/rosterd", "/run/rosterd", "/var/lib/systemd/coredump")
             for name in glob.glob(f"{folder}/**", recursive=True) if os.path.isfile(name)}
    assert f"{DATABASE}" in files and "/var/lib/rosterd/rosterd.prom" in files
    assert len(entries.splitlines()) > 10 and "user.suspended" in entries
    for name, data in {"journal": entries.encode(), "systemctl": shown.encode(), **files}.items():
        assert b"canary" not in data.lower(), name
        assert b"YSBjYW5hcnkgb2Yg" not in data, name  # the webhook's secret as it was written
    assert not glob.glob("/var/lib/systemd/coredump/*rosterd*") and not glob.glob("/core*")


# ---- AWS credentials ---------------------------------------------------------------------------

NO_KEYS = "# no access_key_id, nor its secret\n"


def aws_keys(chime):
    return f"aws_access_key_id = {chime.access_key}\naws_secret_access_key = {chime.secret_key}\n"


def test_aws_files_reach_it_by_the_example(chime):
    write("/etc/rosterd/aws-credentials", "[acme]\n" + aws_keys(chime), 0o600)
    configure(chime, account="profile = acme\n" + NO_KEYS)
    os.makedirs(DROPINS)
    shutil.copy(f"{SRC}/systemd/examples/aws-files.conf", DROPINS)
    run("systemctl", "daemon-reload")
    start_and_baseline()
    assert chime.secret_key not in run("journalctl", "-b", "-o", "export")


def test_aws_files_in_its_home(chime):
    write("/var/lib/rosterd/.aws/credentials", "[default]\n" + aws_keys(chime), 0o600)
    for path in ("/var/lib/rosterd", "/var/lib/rosterd/.aws", "/var/lib/rosterd/.aws/credentials"):
        shutil.chown(path, "rosterd", "rosterd")
    configure(chime, account=NO_KEYS)
    start_and_baseline()


def test_a_helper_runs_within_the_sandbox(chime):
    """A shell script, its JSON and its remark; it sees neither systemd's socket nor people's homes."""
    keys = {"Version": 1, "AccessKeyId": chime.access_key, "SecretAccessKey": chime.secret_key}
    write("/usr/local/bin/aws-helper",
          "#!/bin/sh\n"
          "echo \"socket:${NOTIFY_SOCKET:-none} home:$HOME uid:$(id -un) root:$(ls /root 2>&1 | wc -c)\" >&2\n"
          f"cat <<'END'\n{json.dumps(keys)}\nEND\n", 0o755)
    write("/etc/rosterd/aws-config", "[default]\ncredential_process = /usr/local/bin/aws-helper --any 'thing'\n")
    configure(chime, account=NO_KEYS)
    os.makedirs(DROPINS)
    shutil.copy(f"{SRC}/systemd/examples/credential-process.conf", DROPINS)
    run("systemctl", "daemon-reload")
    start_and_baseline()
    said = journal("MESSAGE_ID=431948f13c30bea56e8b9a28d2ea879e")[0]["MESSAGE"]
    assert "acme: credential_process said: socket:none home:/var/lib/rosterd uid:rosterd" in said
    assert chime.secret_key not in run("journalctl", "-b", "-o", "export")
    os.unlink("/usr/local/bin/aws-helper")


def test_metrics_reach_the_textfile_directory_by_the_example(chime):
    directory = "/var/lib/prometheus/node-exporter"
    os.makedirs(directory, exist_ok=True)
    shutil.chown(directory, "rosterd")
    configure(chime, f"metrics_file = {directory}/rosterd.prom\n")
    os.makedirs(DROPINS)
    shutil.copy(f"{SRC}/systemd/examples/metrics.conf", DROPINS)
    run("systemctl", "daemon-reload")
    start_and_baseline()
    wait_until(lambda: os.path.exists(f"{directory}/rosterd.prom"), message="the metrics")
    assert "rosterd_" in run("runuser", "-u", "stranger", "--", "cat", f"{directory}/rosterd.prom")


# ---- who may read the database -----------------------------------------------------------------

def count_as(user, status=0):
    return run("runuser", "-u", user, "--", "sqlite3", "-readonly", DATABASE, "SELECT count(*) FROM users",
               status=status).strip()


def test_a_member_of_the_group_reads_the_database_while_it_runs(chime):
    configure(chime)
    start_and_baseline()
    assert count_as("reader") == "450"


def test_a_member_of_the_group_reads_the_database_while_it_is_stopped(chime):
    configure(chime)
    start_and_baseline()
    run("systemctl", "stop", "rosterd")
    assert count_as("reader") == "450"


def test_a_member_of_the_group_reads_the_database_of_a_killed_daemon(chime):
    configure(chime)
    dropin("dead", "Restart=no")
    start_and_baseline()
    run("systemctl", "kill", "-s", "KILL", "rosterd")
    wait_until(lambda: show("ActiveState") == "failed")
    assert count_as("reader") == "450"


def test_a_stranger_does_not_read_the_database(chime):
    configure(chime)
    start_and_baseline()
    assert count_as("stranger", status=None).isdigit() is False


# ---- who may ask rosterd -----------------------------------------------------------------------

def ctl_as(user, *args, status=0):
    return run("runuser", "-u", user, "--", os.environ["ROSTERCTL"], "--database", DATABASE, *args,
               status=status)


def test_a_member_of_the_group_asks_the_running_service(chime):
    """The service knows no users but its own (PrivateUsers=); the group it knows."""
    configure(chime)
    start_and_baseline()
    assert run("stat", "-c", "%U:%G %a", "/run/rosterd/control") == "rosterd:rosterd 660\n"
    chime.patch_user(chime.ana, UserRegistrationStatus="Suspended")
    assert "acme: complete: 450 users" in ctl_as("reader", "sync", "--wait")
    assert "ana@example.com" in ctl_as("reader", "users", "--registration", "Suspended")
    assert f"runs, pid {show('MainPID')}" in ctl_as("reader", "status")
    assert f"runs, pid {show('MainPID')}" in ctl_as("root", "status")


def test_a_stranger_does_not_ask_the_service_even_if_the_door_is_open(chime):
    configure(chime)
    start_and_baseline()
    assert "you may not ask rosterd" in ctl_as("stranger", "sync", status=77)
    run("chmod", "755", "/run/rosterd")
    run("chmod", "666", "/run/rosterd/control")
    assert "only root and members" in ctl_as("stranger", "sync", status=77)
    assert len(sql("SELECT 1 FROM runs")) == 1


def test_root_works_for_the_service_while_it_is_stopped(chime):
    configure(chime)
    start_and_baseline()
    run("systemctl", "stop", "rosterd")
    text = configure(chime).replace("[account acme]", "[account other]").replace(chime.account_id, "nobody")
    write(CONFIG, text, 0o640)
    shutil.chown(CONFIG, "root", "rosterd")
    start()
    run("systemctl", "stop", "rosterd")
    for name in os.listdir("/var/lib/rosterd"):
        if name != "roster.db":
            os.unlink(f"/var/lib/rosterd/{name}")
    assert "acme is forgotten: 450 users" in ctl_as("root", "forget", "acme")
    for name in os.listdir("/var/lib/rosterd"):
        assert run("stat", "-c", "%U:%G", f"/var/lib/rosterd/{name}") == "rosterd:rosterd\n", name
    start()
    assert show("ActiveState") == "active"


# ---- the timer ---------------------------------------------------------------------------------

def test_the_timer_example_syncs(chime):
    configure(chime)
    write("/etc/systemd/system/rosterd-once.timer.d/soon.conf",
          "[Timer]\nOnCalendar=\nOnActiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=1ms\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "rosterd-once.timer")
    wait_message("baseline taken: 450 users", unit="rosterd-once")
    wait_until(lambda: show("ActiveState", "rosterd-once") == "inactive", message="its end")
    assert show("Result", "rosterd-once") == "success"
    chime.patch_user(chime.ana, UserRegistrationStatus="Suspended")
    run("systemctl", "start", "rosterd-once")
    wait_message("ana@example.com was suspended", unit="rosterd-once")
    assert count_as("reader") == "450"


def test_the_oneshot_fails_when_a_sync_does(chime):
    configure(chime)
    chime.fault("status", exception="ForbiddenException", times="always")
    run("systemctl", "start", "rosterd-once", status=1)
    assert show("ExecMainStatus", "rosterd-once") == "1"


# ---- mail from the journal -----------------------------------------------------------------------

MAILER = """#!/bin/sh
# keeps what it is given; fails, or is killed, when told to
cd /run/mails || exit 1
[ ! -e broken ] || exit 75
cat >"mail.$$.new"
mv "mail.$$.new" "mail.$(date +%s%N)"
[ ! -e kill ] || kill -9 "$PPID"
"""


@pytest.fixture
def mails(chime):
    """The mails so far, oldest first, as lists of lines; mails.send() runs the unit."""
    os.mkdir("/run/mails")
    shutil.chown("/run/mails", "rosterd", "rosterd")
    write("/usr/local/sbin/fake-sendmail", MAILER, 0o755)
    dropin("sendmail", "Environment=SENDMAIL=/usr/local/sbin/fake-sendmail MAIL_TO=ops@example.com", "rosterd-mail")

    class Mails:
        def __call__(self):
            names = sorted(name for name in os.listdir("/run/mails") if re.fullmatch(r"mail\.\d+", name))
            return [open(f"/run/mails/{name}", encoding="utf-8").read().splitlines() for name in names]

        def send(self, status=0):
            run("journalctl", "--sync")
            run("systemctl", "start", "rosterd-mail", status=status)

    return Mails()


def suspend(chime, index):
    """Suspends the user of this index, and waits until the journal has it."""
    user = chime.users(offset=index, limit=1)[0]["UserId"]
    chime.patch_user(user, UserRegistrationStatus="Suspended", PrimaryEmail=f"user{index}@example.com")
    sync_now(chime)
    wait_message(f"user{index}@example.com was suspended")


def body(mail):
    """What a mail says, without the times of its lines."""
    text = mail[mail.index("") + 1:]
    return [re.sub(r"^\d{4}-\d\d-\d\dT[\d:.]+Z ", "", line) for line in text if line and "journalctl -x" not in line]


def was_suspended(index):
    return f"acme: user{index}@example.com was suspended (was Registered)"


def test_mail_tells_what_is_new_once(chime, mails):
    configure(chime)
    start_and_baseline()
    suspend(chime, 1)
    mails.send()  # the first time: what is past is not mailed
    assert mails() == []
    mails.send()
    assert mails() == []

    suspend(chime, 2)
    suspend(chime, 3)
    chime.patch_user(chime.ana, DisplayName="Ana")  # user.updated is not asked for
    sync_now(chime)
    mails.send()
    (mail,) = mails()
    assert "To: ops@example.com" in mail
    assert f"Subject: rosterd on {run('uname', '-n').strip()}: 2 messages" in mail
    assert body(mail) == [was_suspended(2), was_suspended(3)]
    mails.send()
    assert len(mails()) == 1


def test_mail_survives_restarts_and_a_failing_mailer(chime, mails):
    configure(chime)
    start_and_baseline()
    mails.send()
    suspend(chime, 1)
    open("/run/mails/broken", "w").close()
    mails.send(status=1)
    assert mails() == []
    suspend(chime, 2)
    run("systemctl", "restart", "systemd-journald")
    run("journalctl", "--rotate")
    os.unlink("/run/mails/broken")
    mails.send()
    assert body(mails()[-1]) == [was_suspended(1), was_suspended(2)]

    # killed between the mail and the note of it: that mail comes twice, and nothing is lost
    suspend(chime, 3)
    open("/run/mails/kill", "w").close()
    mails.send(status=1)
    os.unlink("/run/mails/kill")
    suspend(chime, 4)
    mails.send()
    mails.send()
    assert [body(mail) for mail in mails()[1:]] == [[was_suspended(3)], [was_suspended(3), was_suspended(4)]]


def test_mail_goes_by_itself(chime, mails):
    configure(chime)
    start_and_baseline()
    write("/etc/systemd/system/rosterd-mail.timer.d/soon.conf",
          "[Timer]\nOnBootSec=\nOnUnitInactiveSec=\nOnActiveSec=100ms\nOnUnitInactiveSec=200ms\nAccuracySec=1ms\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "rosterd-mail.timer")
    wait_until(lambda: os.path.exists("/var/lib/rosterd-mail/cursor"), message="its first place in the journal")
    suspend(chime, 1)
    wait_until(mails, message="a mail")
    assert body(mails()[0]) == [was_suspended(1)]


def test_mail_is_not_fooled_by_others(chime, mails):
    configure(chime)
    start_and_baseline()
    mails.send()
    run("runuser", "-u", "stranger", "--", "logger", "--journald", status=None,
        input=f"MESSAGE_ID={SUSPENDED}\nMESSAGE=acme: the chief was suspended\n")
    wait_until(lambda: run("journalctl", "-q", "-o", "cat", f"MESSAGE_ID={SUSPENDED}").count("the chief"))
    suspend(chime, 1)
    mails.send()
    assert [body(mail) for mail in mails()] == [[was_suspended(1)]]
