# SPDX-License-Identifier: Apache-2.0
"""The machine that run.sh boots, and the service in it: what the tests do with systemd, the journal
and rosterd's configuration."""

import json
import os
import shutil
import sqlite3
import subprocess
import time

SRC = os.environ["SRC"]
CONFIG = "/etc/rosterd/rosterd.conf"
DATABASE = "/var/lib/rosterd/roster.db"
DROPINS = "/etc/systemd/system/rosterd.service.d"


# ---- speaking to systemd and the journal -------------------------------------------------------

def run(*command, status=0, **more):
    if "input" not in more:
        more["stdin"] = subprocess.DEVNULL
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, timeout=60, **more)
    assert status is None or done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}"
    return done.stdout


def shell(command, **more):
    return run("bash", "-c", command, **more)


def wait_until(condition, timeout=60, message="the condition"):
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{message}: not within {timeout} s\n" +
                                 run("journalctl", "-u", "rosterd*", "-n", "40", status=None))
        time.sleep(0.05)


def show(name, unit="rosterd"):
    return run("systemctl", "show", "--value", "-p", name, unit).strip()


def journal(*match, unit="rosterd"):
    """Entries since this test began, oldest first."""
    run("journalctl", "--sync")
    text = run("journalctl", "-u", unit, "-o", "json", "--all", f"--since=@{int(journal.begin)}", *match)
    entries = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [e for e in entries if int(e["__REALTIME_TIMESTAMP"]) > journal.begin * 1e6]


def wait_message(part, unit="rosterd", timeout=60, count=1):
    def found():
        hits = [e for e in journal(unit=unit) if part in str(e.get("MESSAGE"))]
        return hits[-1] if len(hits) >= count else None
    return wait_until(found, timeout, f"a message with '{part}'")


def sql(query):
    db = sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True, timeout=10)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


# ---- the service and its configuration ---------------------------------------------------------

def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        os.fchmod(f.fileno(), mode)
        f.write(text)


def unit_text(path):
    with open(f"{SRC}/systemd/{path}", encoding="utf-8") as f:
        text = f.read().replace("@sbindir@", "/usr/sbin")
    if f"default {CONFIG})" not in run(os.environ["ROSTERD"], "--help"):  # built for another prefix
        text = text.replace("ExecStart=/usr/sbin/rosterd", f"ExecStart=/usr/sbin/rosterd --config {CONFIG}")
    return text


def configure(chime, settings="", account=""):
    """A configuration of one account of the emulator."""
    text = f"[rosterd]\ninterval = 10s\n{settings}\n[account acme]\naccount_id = {chime.account_id}\n" \
           f"endpoint = {chime.url}\nrequests_per_second = 0\n{account}"
    if "access_key_id" not in account:
        text += f"access_key_id = {chime.access_key}\nsecret_access_key = {chime.secret_key}\n"
    write(CONFIG, text, 0o640)
    shutil.chown(CONFIG, "root", "rosterd")
    return text


def dropin(name, text, unit="rosterd"):
    write(f"/etc/systemd/system/{unit}.service.d/{name}.conf", f"[Service]\n{text}\n")
    run("systemctl", "daemon-reload")


def start():
    run("systemctl", "start", "rosterd")


def start_and_baseline():
    start()
    wait_message("baseline taken")


def sync_now(chime, times=[60]):
    """A reload that changes the account a little has it listed at once."""
    times[0] += 1
    done = sql("SELECT count(*) FROM runs WHERE outcome = 'complete'")
    configure(chime, account=f"request_timeout = {times[0]}s\n")
    run("systemctl", "reload", "rosterd")
    wait_until(lambda: sql("SELECT count(*) FROM runs WHERE outcome = 'complete'") > done, message="a run")
