# SPDX-License-Identifier: Apache-2.0
"""Speaks to rosterd's control socket without rosterctl, rightly and wrongly."""

import json
import socket

from rosterd import TIMEOUT, wait_until


class Connection:
    """One connection: a request goes out, lines come in."""

    def __init__(self, roster, request=None):
        self.socket = wait_until(lambda: self.connected(roster.settings["control_socket"]),
                                 message="the socket")
        self.pending = b""
        if request is not None:
            self.send(request)

    @staticmethod
    def connected(path):
        """A connected socket; None while there is none to connect to (it comes before it listens)."""
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        found.settimeout(TIMEOUT)
        try:
            found.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            found.close()
            return None
        return found

    def send(self, request):
        if not isinstance(request, bytes):
            request = json.dumps(request).encode() + b"\n"
        try:
            self.socket.sendall(request)
        except BrokenPipeError:  # it has answered already, and will hear no more
            pass

    def read(self):
        """The next answer; None at the end."""
        while b"\n" not in self.pending:
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:  # it has left some of what was sent unread
                piece = b""
            if not piece:
                assert self.pending == b"", "the answer was cut"
                return None
            self.pending += piece
        line, self.pending = self.pending.split(b"\n", 1)
        return json.loads(line)

    def rest(self):
        answers = []
        while True:
            answer = self.read()
            if answer is None:
                self.close()
                return answers
            answers.append(answer)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def ask(roster, request, **members):
    """All lines that answer a request: its name with members, or bytes as they are."""
    if not isinstance(request, bytes):
        request = dict({"request": request}, **members)
    with Connection(roster, request) as connection:
        return connection.rest()


def result(roster, request, **members):
    """The result, which must be one."""
    answers = ask(roster, request, **members)
    assert answers and "result" in answers[-1], answers
    return answers[-1]["result"]


def refusal(roster, request, **members):
    """Code and message of the only answer, which must be an error."""
    answers = ask(roster, request, **members)
    assert len(answers) == 1 and "error" in answers[0], answers
    return answers[0]["error"]["code"], answers[0]["error"]["message"]


def account(roster, name="acme"):
    """What the daemon says an account does."""
    found = [a for a in result(roster, "status")["accounts"] if a["account"] == name]
    return found[0] if found else None


def wait_idle(roster, *names):
    for name in names or ("acme",):
        wait_until(lambda name=name: account(roster, name)["state"] == "idle",
                   message=f"the end of the runs of {name}")
