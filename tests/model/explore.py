#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays histories until one fails, or the time is up; shrinks what failed and prints it.

    explore.py [--seed N] [--count N | --minutes M] [--jobs N] [--lists N] [--patience P]
    explore.py --steps FILE        plays one history, as it was printed

ROSTERD, ROSTERCTL and CHIME_EMULATOR name the programs; otherwise they are looked for in the current
directory, which is then a build directory."""

import argparse
import concurrent.futures
import json
import os
import random
import shutil
import sys
import tempfile
import time

import shrink
import steps as steps_module
from world import Mismatch, World

ACCOUNTS = 2


def play(steps):
    """(runs judged, events compared, None or what is wrong, the last listing's requests)."""
    folder = tempfile.mkdtemp(prefix="rosterd-model.")
    try:
        with World(folder, ACCOUNTS) as world:
            try:
                world.play(steps)
                wrong = None
            except Mismatch as mismatch:
                wrong = mismatch.lines
            except (TimeoutError, AssertionError) as error:  # rosterd hangs, or has ended
                wrong = [f"{type(error).__name__}: {error}"]
            return world.judged, world.events, wrong, world.trace
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def history(seed, lists, patience):
    return steps_module.Generator(seed, lists, ACCOUNTS, patience).history()


def shortest(steps, seconds):
    """What is left of a history that fails, within so many seconds."""
    end = time.monotonic() + seconds
    return shrink.shrink(steps, lambda part: play(part)[2] is not None,
                         lambda: time.monotonic() > end)


def report(seed, steps, wrong, trace):
    """For people: what it takes to see it again, and what was seen."""
    lines = ["", f"seed {seed}: {len(steps)} of its steps suffice; save them for --steps:"]
    lines += [json.dumps(step, ensure_ascii=True) for step in steps]
    lines += ["", "the requests of the last listing:"] + ["  " + line for line in trace[-60:]]
    lines += ["", "what is wrong:"] + ["  " + line for line in wrong]
    return "\n".join(lines)


def try_seed(seed, lists, patience, seconds):
    """(runs, events, None or a report)."""
    steps = history(seed, lists, patience)
    judged, events, wrong, trace = play(steps)
    if wrong is None:
        return judged, events, None
    print(f"\nseed {seed} fails after {judged} runs; shrinking its {len(steps)} steps:\n  " +
          "\n  ".join(wrong), file=sys.stderr, flush=True)
    left = shortest(steps, seconds)
    _, _, again, trace_again = play(left)
    if again is None:  # it takes luck, too
        return judged, events, report(seed, left, wrong + ["(not seen again)"], trace)
    return judged, events, report(seed, left, again, trace_again)


def read_steps(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.startswith("{")]


def seeds(first, count, end):
    seed = first
    while (count is None or seed < first + count) and time.monotonic() < end:
        yield seed
        seed += 1


def explore(options):
    begun = time.monotonic()
    end = begun + (options.minutes * 60 if options.minutes else float("inf"))
    count = options.count if options.minutes is None else None
    histories = runs = events = 0
    bad = []
    more = seeds(options.seed, count, end)
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        waiting = set()
        while not bad:
            while len(waiting) < options.jobs and (seed := next(more, None)) is not None:
                waiting.add(pool.submit(try_seed, seed, options.lists,
                                        options.patience, options.shrink_seconds))
            if not waiting:
                break
            done, waiting = concurrent.futures.wait(
                waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for judged, told, wrong in (each.result() for each in done):
                histories, runs, events = histories + 1, runs + judged, events + told
                bad += [wrong] if wrong else []
            print(f"\r{histories} histories, {runs} runs, {events} events, "
                  f"{time.monotonic() - begun:.0f} s ", end="", flush=True)
    print("\n" + "\n".join(bad) if bad else "\nall as they must be")
    return 1 if bad else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="the first; otherwise a random one")
    parser.add_argument("--count", type=int, default=1, help="how many histories")
    parser.add_argument("--minutes", type=float, help="as many as there is time for")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2, help="at a time")
    parser.add_argument("--lists", type=int, default=30, help="listings of one history")
    parser.add_argument("--patience", type=float, default=0.05,
                        help="how many faults may take seconds, from 0 to 1")
    parser.add_argument("--shrink-seconds", type=float, default=600, help="at most, for what fails")
    parser.add_argument("--steps", help="a file of steps to play")
    parser.add_argument("--shrink", action="store_true", help="with --steps: shrinks them")
    options = parser.parse_args()
    if options.steps:
        steps = read_steps(options.steps)
        if options.shrink:
            steps = shortest(steps, options.shrink_seconds)
        _, _, wrong, trace = play(steps)
        print(report("-", steps, wrong, trace) if wrong else "all as it must be")
        return 1 if wrong else 0
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1, 1 << 40)
    print(f"the first seed is {options.seed}", flush=True)
    return explore(options)


if __name__ == "__main__":
    sys.exit(main())
