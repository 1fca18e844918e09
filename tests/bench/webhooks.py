#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast events reach a webhook: 10,000 of them through a receiver on loopback, against a bare libcurl
loop that posts the same bodies, in the same run.  `make bench-webhooks` runs it; it prints ratios and
judges nothing."""

import json
import os
import signal
import statistics
import subprocess
import tempfile

from bench import BUILD, ROUNDS, program

from emulator import Emulator
from rosterd import Rosterd, wait_until

USERS = int(os.environ.get("BENCH_EVENTS", "10000"))


class Sink:
    """The C receiver."""

    def __init__(self, *args):
        self.process = subprocess.Popen([program("receiver"), *args], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def ask(self, word="count"):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        count, usec = self.process.stdout.readline().split()
        return int(count), int(usec) / 1e6

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


def filled(folder, chime):
    """A daemon that has just seen each user for the first time, and is not due for another sync."""
    roster = Rosterd(folder, chime, {"acme": {"baseline": "events"}}, interval="30d").start()
    roster.wait_line("baseline taken", timeout=300)
    return roster, len(roster.events())


def deliver(roster, sink, name, batch, requests):
    """Seconds from the first request to the last answer of a webhook that is new."""
    sink.ask("reset")
    roster.webhooks = {name: {"url": sink.url, "batch": str(batch), "replay_from": "1"}}
    roster.write_config()
    roster.send_signal(signal.SIGHUP)
    wait_until(lambda: sink.ask()[0] >= requests, timeout=300)
    count, seconds = sink.ask()
    assert count == requests, (count, requests)
    return seconds


def loop(sink, bodies, requests):
    sink.ask("reset")
    subprocess.run([program("post-loop"), sink.url, bodies], check=True, timeout=300)
    count, seconds = sink.ask()
    assert count == requests, (count, requests)
    return seconds


def measure(roster, events, folder, batch, kind):
    requests = -(-events // batch)
    bodies = os.path.join(folder, f"bodies-{batch}-{kind}")
    recorder = Sink("count", bodies)
    deliver(roster, recorder, f"record-{batch}-{kind}", batch, requests)
    recorder.close()
    sink = Sink(kind)
    ours, theirs = [], []
    for i in range(ROUNDS):
        theirs.append(loop(sink, bodies, requests))
        ours.append(deliver(roster, sink, f"round-{batch}-{kind}-{i}", batch, requests))
    sink.close()
    return {"case": f"batch = {batch}", "receiver": {"parse": "reads the JSON", "count": "only counts"}[kind],
            "events": events, "requests": requests,
            "seconds": statistics.median(ours), "reference_seconds": statistics.median(theirs),
            "events_per_second": events / statistics.median(ours),
            "ratio": statistics.median(a / b for a, b in zip(ours, theirs))}


def main():
    with tempfile.TemporaryDirectory() as folder, Emulator(users=USERS) as chime:
        roster, events = filled(folder, chime)
        try:
            rows = [measure(roster, events, folder, batch, kind) for kind in ("parse", "count") for batch in (1, 100)]
        finally:
            roster.stop()
    print(f"{'case':<14}{'receiver':<16}{'events':>8}{'requests':>10}{'rosterd':>10}{'libcurl':>10}{'ratio':>8}")
    for row in rows:
        print(f"{row['case']:<14}{row['receiver']:<16}{row['events']:>8}{row['requests']:>10}{row['seconds']:>9.2f}s"
              f"{row['reference_seconds']:>9.2f}s{row['ratio']:>8.2f}")
    with open(os.path.join(BUILD, "bench-webhooks.json"), "w", encoding="utf-8") as f:
        json.dump(rows, f, indent=1)


if __name__ == "__main__":
    main()
