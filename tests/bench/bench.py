# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: where things are, how long a program takes, and on what machine."""

import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import namedtuple

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("abs_top_builddir", os.getcwd())
sys.path[:0] = [os.path.join(TOP, "tests", part) for part in ("integration", "emulator")]

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
USERS = int(os.environ.get("BENCH_USERS", "1000000"))
PATIENCE = 3600  # seconds after which a program is taken to hang

Timed = namedtuple("Timed", "wall cpu out")


def program(name):
    """One of tests/bench, as built."""
    return os.path.join(BUILD, "tests", "bench", name)


def timed(command, env=None, statuses=(0,)):
    """Runs a program to its end: seconds by the clock from before it is started, seconds of CPU of it and
    its children, and its stdout.  Whatever else it ends with than one of statuses is an error."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = time.monotonic()
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        watch = threading.Timer(PATIENCE, process.kill)
        watch.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - begin
        except BaseException:
            process.kill()
            raise
        finally:
            watch.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode not in statuses:
            said = err.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{command[0]} ended with {process.returncode}: {said}")
        return Timed(wall, usage.ru_utime + usage.ru_stime, out.read().decode())


def figures(run):
    """A Timed for JSON."""
    return {"wall": round(run.wall, 4), "cpu": round(run.cpu, 4)}


def median(samples, *path):
    """Of the number at the end of the path through each sample."""
    values = []
    for sample in samples:
        for name in path:
            sample = sample[name]
        values.append(sample)
    return statistics.median(values)


# -- what it ran on ------------------------------------------------------------------------


def first_line(*command):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              timeout=60)
    except OSError:
        return None
    return done.stdout.partition("\n")[0].strip() if done.returncode == 0 else None


def from_proc(path, name):
    """The first line of that name in a file of /proc made of "NAME: VALUE"."""
    with open(path, encoding="utf-8") as f:
        for line in f:
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return None


def machine():
    return {"processor": from_proc("/proc/cpuinfo", "model name") or platform.processor(),
            "cores": len(os.sched_getaffinity(0)),
            "memory": from_proc("/proc/meminfo", "MemTotal"),
            "kernel": platform.release(),
            "load": os.getloadavg()[0]}


def versions():
    """Of rosterd and what it stands on."""
    library = {name: first_line("pkg-config", "--modversion", name) for name in ("libcurl", "json-c", "sqlite3")}
    return {"rosterd": first_line(os.environ.get("ROSTERD", os.path.join(BUILD, "rosterd")), "--version"),
            "commit": first_line("git", "-C", TOP, "describe", "--always", "--dirty"),
            "compiler": first_line(os.environ.get("CC", "cc"), "--version"),
            "python": platform.python_version(), "python-sqlite": sqlite3.sqlite_version, **library}
