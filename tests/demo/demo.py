#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job in half a minute: an emulated Amazon Chime, the real rosterd, six things that happen.

demo.py ROSTERD EMULATOR DIRECTORY: the configuration and the database are left in DIRECTORY."""

import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "emulator"))
sys.dont_write_bytecode = True
from emulator import Emulator  # noqa: E402

COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
USERS = 240

CONFIG = """\
[rosterd]
database = {directory}/roster.db
control_socket = {directory}/control
interval = 10s

[account acme]
account_id = {chime.account_id}
endpoint = {chime.url}
access_key_id = {chime.access_key}
secret_access_key = {chime.secret_key}
"""

QUERIES = (
    ("Who is suspended?", "SELECT primary_email, display_name, last_changed_at FROM suspended_users "
                          "WHERE primary_email LIKE '%@example.com'"),
    ("Since when, and until when, was cleo suspended?",
     "SELECT field, value, from_time, to_time FROM user_history WHERE primary_email = 'cleo@example.com'"),
    ("What has happened?", "SELECT seq, time, type, primary_email, old_value, new_value FROM events ORDER BY seq"),
    ("Who is gone?", "SELECT primary_email, removed_at FROM former_users"),
    ("Is a removal held, and is the listing fresh?",
     "SELECT account, held_removals, last_complete_at, last_error FROM accounts"),
)


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def say(text=""):
    print(text, flush=True)


def story(text):
    say(f"{time.strftime('%H:%M:%S')}  {paint('1', text)}")


class Daemon:
    """rosterd in the foreground; its lines are shown as they come."""

    def __init__(self, program, config):
        env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        self.process = subprocess.Popen([program, "--config", config], stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True, errors="replace", env=env)
        self.lines = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stderr:
            line = line.rstrip("\n")
            warning = any(word in line for word in ("was suspended", "nobody was removed", "failed"))
            say(f"{time.strftime('%H:%M:%S')}    rosterd: {paint('33' if warning else '36', line)}")
            self.lines.append(line)

    def wait(self, *parts, timeout=40):
        end = time.monotonic() + timeout
        while not all(any(part in line for line in self.lines) for part in parts):
            if self.process.poll() is not None:
                sys.exit(f"demo: rosterd ended with status {self.process.returncode}")
            if time.monotonic() > end:
                sys.exit(f"demo: rosterd did not say: {', '.join(parts)}")
            time.sleep(0.05)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        time.sleep(0.2)  # the last lines


def people(chime):
    """Four whom the story is about, in a directory of made-up users."""
    names = {"ana": ("Ana Ruiz", "Registered", "Accepted"), "bo": ("Bo Lindqvist", "Unregistered", "Pending"),
             "cleo": ("Cléo Martin", "Suspended", "Accepted"), "dan": ("Dan Okafor", "Registered", "Accepted")}
    ids = {}
    for user, (name, (full, registration, invitation)) in zip(chime.users(limit=len(names)), names.items()):
        ids[name] = user["UserId"]
        chime.patch_user(ids[name], PrimaryEmail=f"{name}@example.com", DisplayName=full,
                         UserRegistrationStatus=registration, UserInvitationStatus=invitation)
    return ids


def tell(rosterd, emulator, directory):
    os.environ["CHIME_EMULATOR"] = emulator
    config = os.path.join(directory, "rosterd.conf")
    daemon = None
    with Emulator(users=USERS) as chime:
        ids = people(chime)
        with open(config, "w", encoding="utf-8") as f:
            os.fchmod(f.fileno(), 0o640)
            f.write(CONFIG.format(directory=directory, chime=chime))
        try:
            story(f"An account with {USERS} users, emulated at {chime.url}; rosterd lists it every 10 seconds")
            say(f"{'':8}  $ rosterd --config {config}")
            daemon = Daemon(rosterd, config)
            daemon.wait("baseline taken")
            time.sleep(2)
            story("Bo accepts the invitation")
            chime.patch_user(ids["bo"], UserInvitationStatus="Accepted", UserRegistrationStatus="Registered")
            time.sleep(2)
            story("Somebody suspends Ana")
            chime.patch_user(ids["ana"], UserRegistrationStatus="Suspended")
            daemon.wait("bo@example.com has accepted", "ana@example.com was suspended")
            time.sleep(2)
            story("Cléo, suspended until now, is reinstated")
            chime.patch_user(ids["cleo"], UserRegistrationStatus="Registered")
            time.sleep(2)
            story("Dan leaves and is deleted")
            chime.delete_user(ids["dan"])
            daemon.wait("cleo@example.com was reinstated", "dan@example.com was removed")
            time.sleep(2)
            story("A fault of the service: 80 users are missing from its answer")
            chime.delete_users(count=80, start="back")
            daemon.wait("nobody was removed")
            time.sleep(0.5)
            story("That was the story; rosterd is stopped")
        finally:
            if daemon:
                daemon.stop()


def show_queries(database):
    say()
    say("The roster is one SQLite file. Questions and answers:")
    for question, query in QUERIES:
        say()
        say(paint("1", question))
        say(f"$ sqlite3 -readonly -box {database} \\\n    \"{query}\"")
        subprocess.run(["sqlite3", "-readonly", "-box", database, query], check=True)


def main():
    rosterd, emulator, directory = (os.path.abspath(path) for path in sys.argv[1:4])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        tell(rosterd, emulator, directory)
    except KeyboardInterrupt:
        sys.exit(130)
    show_queries(os.path.join(directory, "roster.db"))
    say()
    say(f"Configuration and database are kept in {directory}")


main()
