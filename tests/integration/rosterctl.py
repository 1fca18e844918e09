# SPDX-License-Identifier: Apache-2.0
"""Runs the real rosterctl, in a pipe or on a terminal of its own."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

TIMEOUT = 60


def binary():
    given = os.environ.get("ROSTERCTL")
    return given or os.path.join(os.environ.get("abs_top_builddir", os.getcwd()), "rosterctl")


def environment(**more):
    """Without what the person who runs the tests has set."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith("LC_")
           and name not in ("LANG", "LANGUAGE", "NO_COLOR", "TZ", "COLUMNS", "STATE_DIRECTORY",
                            "RUNTIME_DIRECTORY")}
    env.update({"LANG": "C.UTF-8", "TERM": "xterm"}, **more)
    return env


def run(*args, env=None, stdin=None, stdout=subprocess.PIPE, timeout=TIMEOUT, binary_output=False):
    """To its end; returns the CompletedProcess."""
    return subprocess.run([binary(), *args], env=environment(**(env or {})),
                          stdin=stdin or subprocess.DEVNULL, stdout=stdout,
                          stderr=subprocess.PIPE, timeout=timeout, check=False,
                          **({} if binary_output else {"text": True, "errors": "replace",
                                                       "encoding": "utf-8"}))


def on_terminal(*args, columns=80, env=None, timeout=TIMEOUT):
    """What appears on a terminal of so many columns, and the exit status."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    child = subprocess.Popen([binary(), *args], env=environment(**(env or {})), stdin=slave,
                             stdout=slave, stderr=slave, close_fds=True, start_new_session=True)
    os.close(slave)
    seen = b""
    deadline = time.monotonic() + timeout
    try:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([master], [], [], 0.2)
            if ready:
                try:
                    piece = os.read(master, 65536)
                except OSError:  # the other side is closed
                    break
                if not piece:
                    break
                seen += piece
        return seen.decode("utf-8", "replace").replace("\r\n", "\n"), child.wait(10)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait(10)
        os.close(master)


class Rosterctl:
    """Bound to one database (or configuration)."""

    def __init__(self, *general):
        self.general = general

    def run(self, *args, **how):
        return run(*self.general, *args, **how)

    def ok(self, *args, **how):
        """Its standard output; it must succeed and say nothing else."""
        done = self.run(*args, **how)
        assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"
        assert done.stderr in ("", b""), done.stderr
        return done.stdout

    def fails(self, status, *args, **how):
        """The one sentence with which it fails."""
        done = self.run(*args, **how)
        assert done.returncode == status, f"exit {done.returncode}: {done.stderr}"
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith("rosterctl: "), done.stderr
        assert lines[0][-1] in ".?", lines[0]
        return lines[0]

    def screen(self, *args, **how):
        text, status = on_terminal(*self.general, *args, **how)
        assert status == 0, text
        return text
