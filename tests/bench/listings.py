# SPDX-License-Identifier: Apache-2.0
"""The cases that list all users, against references that do the same: each takes a Service and returns one
sample a round, the reference run first, then rosterd."""

import os
import sys
from math import isqrt

from bench import ROUNDS, TOP, Timed, figures, first_line, program, timed
from service import Service, compared, discard, last_run, once

SHARE_CHANGED = 100  # one user in so many


def unchanged(service):
    roster = service.filled()
    samples = [compared(reference=service.list_loop(), ours=once(roster)) for _ in range(ROUNDS)]
    discard(roster)
    return samples


def changed(service):
    """Each round one user in a hundred, evenly spread, has another name."""
    roster = service.filled()
    samples = []
    for i in range(ROUNDS):
        patched = service.chime.patch_users({"DisplayName": f"Round {i}"}, count=service.users, every=SHARE_CHANGED)
        samples.append(compared(reference=service.list_loop(), ours=once(roster)))
        assert last_run(roster)["changed"] == patched, (last_run(roster), patched)
    discard(roster)
    service.template = None  # the users are others now
    return samples


def shuffled(service):
    roster = service.filled()
    samples = []
    for i in range(ROUNDS):
        service.chime.shuffle(seed=i + 1)
        samples.append(compared(reference=service.list_loop(), ours=once(roster)))
        assert last_run(roster)["changed"] == 0, last_run(roster)
    discard(roster)
    return samples


def first_import(service):
    """Against json-c that reads the same pages from memory and does nothing with them."""
    pages = os.path.join(service.folder, "pages")
    service.list_loop(keep=pages)
    samples = []
    for _ in range(ROUNDS):
        seconds = timed([program("parse-loop"), pages]).out.split()
        roster = service.roster()
        samples.append(compared(reference=Timed(*map(float, seconds), ""), ours=once(roster)))
        assert last_run(roster)["added"] == service.users, last_run(roster)
        discard(roster)
    os.remove(pages)
    return samples


def python_with_boto3():
    """The interpreter, and the version of its boto3."""
    for python in (os.environ.get("BENCH_PYTHON"), "/usr/bin/python3", sys.executable):
        version = python and first_line(python, "-c", "import boto3; print(boto3.__version__)")
        if version:
            return python, version
    raise RuntimeError("no Python here has boto3")


def script(service):
    """How many times the CPU of rosterd a script with boto3 takes when nothing has changed."""
    python, version = python_with_boto3()
    command = [python, os.path.join(TOP, "tests", "bench", "boto3_sync.py"), service.chime.url, service.ca or "-",
               service.chime.account_id, os.path.join(service.folder, "boto3.db")]
    roster = service.filled()
    timed(command, service.environment())
    samples = []
    for _ in range(ROUNDS):
        theirs, ours = timed(command, service.environment()), once(roster)
        assert not theirs.out, f"the script saw changes: {theirs.out[:200]}"
        samples.append({"rosterd": figures(ours), "reference": figures(theirs), "boto3": version,
                        "users": service.users, "value": theirs.cpu / ours.cpu})
    discard(roster)
    return samples


def many_accounts(folder, users, tls):
    """As many accounts as each has users, nothing changed, four at once on both sides."""
    n = isqrt(users)
    ids = [f"{i:08x}-5e1f-4c6e-9b57-1f0e2d3c4b5a" for i in range(n)]
    with Service(folder, 0, tls) as service:
        for account_id in ids:
            service.chime.add_account(account_id, users=n)
        roster = service.roster({f"account-{i}": {"account_id": ids[i]} for i in range(n)}, concurrency="4")
        once(roster)
        samples = [compared(reference=service.list_loop(*ids, parallel=4), ours=once(roster)) for _ in range(ROUNDS)]
        discard(roster)
    return samples
