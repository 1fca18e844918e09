# SPDX-License-Identifier: Apache-2.0
"""Runs the real daemon against a configuration of its own, and reads what it leaves behind."""

import json
import os
import signal
import sqlite3
import struct
import subprocess
import threading
import time

TIMEOUT = 60

# Every column of the public view `users`, with the member of the API's answer that it comes from.
MEMBERS = {
    "account_id": "AccountId",
    "user_id": "UserId",
    "primary_email": "PrimaryEmail",
    "primary_provisioned_number": "PrimaryProvisionedNumber",
    "display_name": "DisplayName",
    "license_type": "LicenseType",
    "user_type": "UserType",
    "user_registration_status": "UserRegistrationStatus",
    "user_invitation_status": "UserInvitationStatus",
    "registered_on": "RegisteredOn",
    "invited_on": "InvitedOn",
    "alexa_for_business_enabled": ("AlexaForBusinessMetadata", "IsAlexaForBusinessEnabled"),
    "alexa_for_business_room_arn": ("AlexaForBusinessMetadata", "AlexaForBusinessRoomArn"),
    "personal_pin": "PersonalPIN",
}


def binary():
    given = os.environ.get("ROSTERD")
    return given or os.path.join(os.environ.get("abs_top_builddir", os.getcwd()), "rosterd")


def wait_until(condition, timeout=TIMEOUT, message="the condition"):
    """Polls until condition() is true and returns its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            said = message() if callable(message) else message
            raise TimeoutError(f"{said}: not within {timeout} s")
        time.sleep(0.02)


def marks_of(segments):
    """Rows with their marks, out of those of mark_data in order of id: the last entry of a row counts."""
    last = {}
    for segment in segments:
        for row, mark in struct.iter_unpack("=I20s", segment["marks"]):
            last[row] = mark
    return {row: mark for row, mark in last.items() if mark[:4] != bytes(4)}


class Rosterd:
    """A configuration and a database in a folder of their own.

    accounts maps section names to dictionaries of keys; each gets the emulator's endpoint, keys and
    account_id unless it says otherwise (None leaves a key out)."""

    def __init__(self, folder, chime=None, accounts=None, **settings):
        self.folder = str(folder)
        self.chime = chime
        self.settings = dict({"interval": "10s",
                              "control_socket": os.path.join(self.folder, "control")}, **settings)
        self.accounts = accounts if accounts is not None else {"acme": {}}
        self.config = os.path.join(self.folder, "rosterd.conf")
        self.database = self.settings.get("database") or os.path.join(self.folder, "roster.db")
        self.webhooks = {}
        self.process = None
        self.lines = []
        self.env = {}
        self.write_config()

    # -- configuration ---------------------------------------------------------------------

    def account_keys(self, given):
        keys = {"source": "chime"}
        if self.chime:
            keys.update(account_id=self.chime.account_id, endpoint=self.chime.url,
                        access_key_id=self.chime.access_key,
                        secret_access_key=self.chime.secret_key,
                        requests_per_second="0", max_removals="10%")
            if self.chime.session_token:
                keys["session_token"] = self.chime.session_token
        keys.update(given)
        return {name: value for name, value in keys.items() if value is not None}

    def write_config(self):
        text = "[rosterd]\n"
        for name, value in dict({"database": self.database}, **self.settings).items():
            text += f"{name} = {value}\n"
        for account, given in self.accounts.items():
            text += f"\n[account {account}]\n"
            for name, value in self.account_keys(given).items():
                text += f"{name} = {value}\n"
        for webhook, given in self.webhooks.items():
            text += f"\n[webhook {webhook}]\n"
            for name, value in given.items():
                text += f"{name} = {value}\n"
        self.write_text(text)

    def write_text(self, text):
        with open(self.config, "w", encoding="utf-8") as f:
            os.fchmod(f.fileno(), 0o640)
            f.write(text)

    # -- running ---------------------------------------------------------------------------

    def environment(self):
        env = {name: value for name, value in os.environ.items()
               if not name.startswith("AWS_") and not name.lower().endswith("_proxy")
               and name not in ("NOTIFY_SOCKET", "JOURNAL_STREAM", "STATE_DIRECTORY",
                                "RUNTIME_DIRECTORY")}
        # nobody's own keys, and no instance's
        env.update(AWS_EC2_METADATA_DISABLED="true",
                   AWS_CONFIG_FILE=os.path.join(self.folder, "aws-config"),
                   AWS_SHARED_CREDENTIALS_FILE=os.path.join(self.folder, "aws-credentials"))
        env.update(self.env)
        return env

    def command(self, *args):
        return [binary(), "--config", self.config, *args]

    def run(self, *args, timeout=TIMEOUT, prefix=()):
        """To its end; returns the CompletedProcess with text output."""
        return subprocess.run([*prefix, *self.command(*args)], env=self.environment(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, text=True,
                              errors="replace", check=False)

    def once(self, *accounts, status=0, timeout=TIMEOUT):
        """One --once run; returns its lines."""
        done = self.run("--once", *accounts, timeout=timeout)
        assert status is None or done.returncode == status, f"exit {done.returncode}: {done.stderr}"
        return done.stderr.splitlines()

    def start(self, wait=True, prefix=()):
        self.process = subprocess.Popen([*prefix, *self.command()], env=self.environment(),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True, errors="replace")
        self.lines = []
        self.reader = threading.Thread(target=self._read, args=(self.process.stderr, self.lines),
                                       daemon=True)
        self.reader.start()
        if wait:
            self.wait_line("watches")
        return self

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def wait_line(self, part, timeout=TIMEOUT, count=1):
        """Waits until `count` lines of stderr hold part; returns the last of them."""
        def found():
            hits = [line for line in list(self.lines) if part in line]
            if len(hits) >= count:
                return hits
            if self.process and self.process.poll() is not None:
                time.sleep(0.2)
                hits = [line for line in list(self.lines) if part in line]
                assert len(hits) >= count, f"ended without '{part}': {self.lines}"
                return hits
            return None
        return wait_until(found, timeout, lambda: f"line '{part}' in {self.lines}")[count - 1]

    def complete_runs(self):
        return sum(run["outcome"] == "complete" for run in self.run_rows())

    def sync_now(self):
        """Has the running daemon sync at once, by a reload that changes each account a little, and
        waits for the end of those runs."""
        done = self.complete_runs()
        self.nudges = getattr(self, "nudges", 0) + 1
        for given in self.accounts.values():
            given["request_timeout"] = f"{60 + self.nudges}s"
        self.write_config()
        self.send_signal(signal.SIGHUP)
        wait_until(lambda: self.complete_runs() >= done + len(self.accounts), message="a run")

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, timeout=20):
        """Ends the daemon; returns its exit status."""
        if not self.process:
            return None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(timeout)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait(10)
        self.reader.join(5)
        if not self.reader.is_alive():
            self.process.stderr.close()
        self.process = None
        return status

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *exc):
        status = self.stop()
        assert kind or status in (0, None), f"it ended with {status}"

    # -- what it leaves --------------------------------------------------------------------

    def sql(self, query, *values):
        """All rows of a query, as dictionaries."""
        db = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)
        try:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(query, values)]
        finally:
            db.close()

    def change_database(self, query, *values):
        db = sqlite3.connect(self.database, timeout=10)
        try:
            with db:
                db.execute(query, values)
        finally:
            db.close()

    def users(self):
        return {row["user_id"]: row for row in self.sql("SELECT * FROM users")}

    def marks(self):
        return marks_of(self.sql("SELECT marks FROM mark_data ORDER BY id"))

    def events(self, after=0):
        return self.sql("SELECT * FROM events WHERE seq > ? ORDER BY seq", after)

    def last_seq(self):
        return self.sql("SELECT coalesce(max(seq), 0) AS n FROM events")[0]["n"]

    def run_rows(self):
        return self.sql("SELECT * FROM runs ORDER BY run_id")

    def account(self, name="acme"):
        return self.sql("SELECT * FROM accounts WHERE account = ?", name)[0]


def kinds(events):
    return [(event["type"], event["user_id"]) for event in events]


def load(text):
    return None if text is None else json.loads(text)
