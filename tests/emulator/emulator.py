# SPDX-License-Identifier: Apache-2.0
"""Starts the Chime emulator and speaks its control interface (README.md has the details).

    with Emulator(users=450) as chime:
        first = chime.users(limit=1)[0]
        chime.patch_user(first["UserId"], UserRegistrationStatus="Suspended")
        chime.fault("status", exception="ThrottledClientException", page=2, times=3)
        ... run a client against chime.url ...
        assert [entry["status"] for entry in chime.log()] == [200, 429, ...]
"""

import base64
import http.client
import json
import os
import select
import signal
import subprocess
import time
from urllib.parse import quote, urlencode, urlsplit

DEFAULT_ACCOUNT = "0f2c1d5e-8a41-4c6e-9b57-1f0e2d3c4b5a"
ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
START_TIMEOUT = 60
CALL_TIMEOUT = 60


class ControlError(Exception):
    """The emulator refused a control call."""


def binary():
    """The emulator's path: $CHIME_EMULATOR, else the build tree's."""
    given = os.environ.get("CHIME_EMULATOR")
    if given:
        return given
    top = os.environ.get("abs_top_builddir", os.getcwd())
    return os.path.join(top, "tests", "emulator", "chime-emulator")


class Emulator:
    """One running emulator; a context manager.  Every method works on the default account
    unless `account=` names another one."""

    def __init__(self, users=450, seed=1, accounts=None, session_token=None,
                 access_key=ACCESS_KEY, secret_key=SECRET_KEY, rate=None, gzip=False, port=0,
                 tls_cert=None, tls_key=None, threads=None, args=()):
        self.account_id = accounts[0] if accounts else DEFAULT_ACCOUNT
        self.access_key = access_key
        self.secret_key = secret_key
        self.session_token = session_token
        self.tls_cert = tls_cert
        self.url = None
        self.port = port
        self._process = None
        self._args = ["--users", str(users), "--seed", str(seed), "--access-key", access_key,
                      "--secret-key", secret_key, "--die-with-parent"]
        for account in accounts or []:
            self._args += ["--account", account]
        for name, value in (("--session-token", session_token), ("--rate", rate),
                            ("--tls-cert", tls_cert), ("--tls-key", tls_key),
                            ("--threads", threads)):
            if value is not None:
                self._args += [name, str(value)]
        if gzip:
            self._args.append("--gzip")
        self._args += list(args)

    # -- running ---------------------------------------------------------------------------

    def start(self):
        self._process = subprocess.Popen([binary(), "--port", str(self.port)] + self._args,
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        line = b""
        deadline = time.monotonic() + START_TIMEOUT
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._process.stdout], [], [], max(left, 0))
            piece = os.read(self._process.stdout.fileno(), 4096) if ready else b""
            if not piece:
                self.kill()
                raise RuntimeError("the emulator did not start")
            line += piece
        self.url = line.decode().split()[-1]
        self.port = urlsplit(self.url).port
        return self

    def stop(self):
        """SIGTERM; returns the exit status."""
        if not self._process:
            return None
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait(10)
        self._process.stdout.close()
        self._process = None
        return status

    def kill(self):
        """SIGKILL: the service vanishes.  start() brings it back on the same port, as new."""
        if self._process:
            self._process.kill()
            self._process.wait(10)
            self._process.stdout.close()
            self._process = None

    @property
    def pid(self):
        return self._process.pid

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    # -- the control interface -------------------------------------------------------------

    def control_raw(self, method, path, body=None):
        """One call; returns the answer's bytes."""
        where = urlsplit(self.url)
        if where.scheme == "https":
            import ssl
            connection = http.client.HTTPSConnection(
                where.hostname, where.port, timeout=CALL_TIMEOUT,
                context=ssl._create_unverified_context())
        else:
            connection = http.client.HTTPConnection(where.hostname, where.port,
                                                    timeout=CALL_TIMEOUT)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, "/_control/" + path, data)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise ControlError(f"{method} {path}: {text.decode(errors='replace').strip()}")
        return text

    def control(self, method, path, body=None):
        """One call; returns the answer's JSON."""
        return json.loads(self.control_raw(method, path, body))

    def _path(self, account, *rest):
        parts = ("accounts", account or self.account_id) + rest
        return "/".join(quote(part, safe="") for part in parts)

    # accounts
    def accounts(self):
        return self.control("GET", "accounts")["accounts"]

    def add_account(self, account_id, users=0, seed=1):
        """Replaces one of that id."""
        return self.control("POST", "accounts",
                            {"account_id": account_id, "users": users, "seed": seed})

    def delete_account(self, account_id):
        return self.control("DELETE", self._path(account_id))

    def count(self, account=None):
        return self.control("GET", self._path(account))["users"]

    # users
    def users(self, offset=0, limit=None, account=None):
        """The users in their order, as dictionaries."""
        query = {"offset": offset}
        if limit is not None:
            query["limit"] = limit
        return self.control("GET", self._path(account, "users") + "?" + urlencode(query))["Users"]

    def get_user(self, user_id, account=None):
        return self.control("GET", self._path(account, "users", user_id))

    def get_user_raw(self, user_id, account=None):
        """The bytes as they are sent in a page."""
        return self.control_raw("GET", self._path(account, "users", user_id))[:-1]

    def put_user(self, user_id, user, account=None):
        return self.control("PUT", self._path(account, "users", user_id), user)

    def patch_user(self, user_id, patch=None, account=None, **members):
        """Merge patch: None removes a member."""
        return self.control("PATCH", self._path(account, "users", user_id),
                            dict(patch or {}, **members))

    def delete_user(self, user_id, account=None):
        return self.control("DELETE", self._path(account, "users", user_id))

    def add_user(self, user, position="back", account=None):
        """UserId and AccountId are made up when missing; returns the UserId."""
        return self.control("POST", self._path(account, "users"),
                            {"user": user, "position": position})["user_ids"][0]

    def add_users(self, users, position="back", account=None):
        return self.control("POST", self._path(account, "users"),
                            {"users": users, "position": position})["user_ids"]

    def generate(self, count, position="back", account=None):
        return self.control("POST", self._path(account, "users"),
                            {"generate": count, "position": position})["user_ids"]

    @staticmethod
    def _choice(user_ids, count, start, every):
        if user_ids is not None:
            return {"user_ids": user_ids}
        return {"count": count, "from": start, "every": every}

    def delete_users(self, user_ids=None, count=None, start="front", every=1, account=None):
        """By ids, or among `count` of them beginning at `start` ("front", "back", an index) the first
        and each `every`-th behind it."""
        return self.control("POST", self._path(account, "delete"),
                            self._choice(user_ids, count, start, every))["deleted"]

    def patch_users(self, patch, user_ids=None, count=None, start="front", every=1, account=None):
        return self.control("POST", self._path(account, "patch"),
                            dict(self._choice(user_ids, count, start, every), patch=patch))["patched"]

    def add_raw(self, data, position="back", account=None):
        """Any bytes as one element of Users."""
        if isinstance(data, str):
            data = data.encode()
        return self.control("POST", self._path(account, "raw"),
                            {"base64": base64.b64encode(data).decode(), "position": position})

    def duplicate(self, user_id, position="back", patch=None, account=None):
        """The same user once more, with other contents if a patch is given."""
        body = {"user_id": user_id, "position": position}
        if patch is not None:
            body["patch"] = patch
        return self.control("POST", self._path(account, "duplicate"), body)

    def shuffle(self, seed=1, account=None):
        return self.control("POST", self._path(account, "reorder"), {"shuffle": seed})

    def reverse(self, account=None):
        return self.control("POST", self._path(account, "reorder"), {"reverse": True})

    def move(self, user_id, position, account=None):
        return self.control("POST", self._path(account, "reorder"),
                            {"user_id": user_id, "position": position})

    # faults
    def fault(self, action, page=None, request=None, account=None, has_token=None, times=1,
              after=0, **details):
        """Adds one fault behind those that are there; returns its id.  times="always"."""
        match = {name: value for name, value in
                 (("page", page), ("request", request), ("account", account),
                  ("has_token", has_token)) if value is not None}
        spec = dict(details, action=action, match=match, times=times, after=after)
        return self.control("POST", "faults", spec)["ids"][0]

    def faults(self):
        return self.control("GET", "faults")["faults"]

    def clear_faults(self):
        return self.control("DELETE", "faults")

    def delete_fault(self, fault_id):
        return self.control("DELETE", f"faults/{fault_id}")

    # what happened
    def log(self, since=0):
        """The requests of the listing, oldest first."""
        return self.control("GET", f"log?since={since}")["log"]

    def clear_log(self):
        return self.control("DELETE", "log")

    def stats(self):
        return self.control("GET", "stats")

    def wait_for(self, condition, timeout=30, message="the emulator"):
        """Polls until condition(self.log()) holds and returns its value."""
        deadline = time.monotonic() + timeout
        while True:
            value = condition(self.log())
            if value:
                return value
            if time.monotonic() > deadline:
                raise TimeoutError(f"{message}: not within {timeout} s")
            time.sleep(0.02)

    def reset(self):
        """Forgets faults, log and counters; the users stay."""
        return self.control("POST", "reset")

    # the service's own settings
    def config(self, **settings):
        """Changes settings if any are given; returns all of them."""
        if settings:
            return self.control("POST", "config", settings)
        return self.control("GET", "config")

    def add_credential(self, access_key, secret_key, session_token=""):
        return self.config(access_key=access_key, secret_key=secret_key,
                           session_token=session_token)
