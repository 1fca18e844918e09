#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`make bench`: how long rosterd takes for a million users, each case beside a reference in the same run.

BENCH_ROUNDS (5), BENCH_USERS (1000000), BENCH_CASES (names, all), BENCH_IDLE_SECONDS (600),
BENCH_BOTO3_USERS (a quarter of the users: the script takes minutes, and CPU grows alike for both).
Prints a table, writes bench.json; a run of everything also draws the chart anew."""

import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from bench import BUILD, ROUNDS, USERS, machine, versions
import listings
import report
import steady
from service import Service

BOTO3_USERS = int(os.environ.get("BENCH_BOTO3_USERS", USERS // 4))
MIN_USERS = 2000
SAVING = threading.Lock()

# Of one service with all users, without and with TLS: the last two change them, and their order.
LISTED = [
    ("unchanged", listings.unchanged),
    ("import", listings.first_import),
    ("readers", steady.readers),
    ("changed", listings.changed),
    ("shuffled", listings.shuffled),
]
ONLY_PLAIN = {"readers"}


def wanted_cases():
    names = os.environ.get("BENCH_CASES", "").replace(",", " ").split() or report.CASES
    for name in names:
        if name not in report.CASES:
            sys.exit(f"BENCH_CASES: {name}: there are {', '.join(report.CASES)}")
    return set(names)


class Bench:
    def __init__(self, folder, wanted):
        self.folder = folder
        self.wanted = wanted
        self.samples = {}  # (case, "http" or "https"): one a round
        self.failed = []
        self.begun = time.time()
        self.about = {"date": time.strftime("%Y-%m-%d", time.gmtime(self.begun)), "users": USERS, "rounds": ROUNDS,
                      "machine": machine(), "versions": versions()}

    def take(self, case, transport, measure, *args):
        """One that fails is told of, and takes no other with it."""
        if case not in self.wanted:
            return
        begin = time.monotonic()
        try:
            self.samples[case, transport] = measure(*args)
        except Exception:
            self.failed.append(case)
            traceback.print_exc()
        print(f"# {case} over {transport}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
        self.save()

    def save(self):
        """After each case: a run takes long.  Returns what there is so far."""
        result = {**self.about, "seconds": round(time.time() - self.begun), "failed": self.failed,
                  "results": report.judge(dict(self.samples))}
        path = os.path.join(BUILD, "bench.json")
        with SAVING:
            with open(path + ".new", "w", encoding="utf-8") as f:
                json.dump(result, f, indent=1)
                f.write("\n")
            os.replace(path + ".new", path)
        return result

    def listed(self, transport):
        tls = transport == "https"
        cases = [(name, run) for name, run in LISTED if name in self.wanted and not (tls and name in ONLY_PLAIN)]
        if cases:
            with Service(self.folder, USERS, tls) as service:
                for name, run in cases:
                    self.take(name, transport, run, service)
        self.take("accounts", transport, listings.many_accounts, self.folder, USERS, tls)

    def script(self, transport):
        if "script" in self.wanted:
            with Service(tempfile.mkdtemp(dir=self.folder), BOTO3_USERS, transport == "https") as service:
                self.take("script", transport, listings.script, service)

    def side_by_side(self):
        """Those that mostly wait, and those of which only CPU counts."""
        with ThreadPoolExecutor() as pool:
            runs = [pool.submit(self.take, "idle", "http", steady.idle, self.folder),
                    pool.submit(self.take, "rate", "http", steady.rate_limited, self.folder, USERS),
                    *(pool.submit(self.script, transport) for transport in ("http", "https"))]
        for run in runs:
            run.result()

    def run(self):
        self.listed("http")
        self.listed("https")
        self.take("memory", "http", steady.memory, self.folder, USERS)
        self.take("growth", "http", steady.growth, self.folder, USERS)
        self.side_by_side()


def main():
    if USERS < MIN_USERS or ROUNDS < 1:
        sys.exit(f"BENCH_USERS is at least {MIN_USERS}, BENCH_ROUNDS at least 1")
    wanted = wanted_cases()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that programs are ended
    with tempfile.TemporaryDirectory(prefix="rosterd-bench-") as folder:
        bench = Bench(folder, wanted)
        bench.run()
    result = bench.save()
    print(report.table(result))
    whole = wanted == set(report.CASES) and USERS >= 1000000 and not bench.failed
    if result["results"]:
        report.draw(result, os.environ["BENCH_SVG"] if whole and "BENCH_SVG" in os.environ
                    else os.path.join(BUILD, "bench.svg"))
    sys.exit(f"failed: {', '.join(bench.failed)}" if bench.failed else 0)


if __name__ == "__main__":
    main()
