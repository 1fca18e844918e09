# SPDX-License-Identifier: Apache-2.0
"""Plays a history: one emulator, one rosterd with its database, and the model beside them.  After
each listing the model and the database must agree."""

import os
import pathlib
import signal
import sqlite3
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration"), str(HERE.parent / "emulator")]

import compare  # noqa: E402
import control  # noqa: E402
import model  # noqa: E402
import rosterctl  # noqa: E402
from compare import Mismatch  # noqa: E402
from emulator import Emulator  # noqa: E402
from rosterd import Rosterd, wait_until  # noqa: E402
from service import Service  # noqa: E402

DEFAULTS = {"baseline": "quiet", "max_results": 200, "max_removals": "10%", "missing_listings": 1,
            "user_type": "", "user_email": "", "other_id": False, "renamed": 0}
OURS = ("other_id", "renamed")  # of those, what is no key of the configuration
RETENTION_DAYS = 400
PATIENCE = 240  # seconds for one listing


class Section:
    """One account: its configuration, as written and as rosterd has it, and the model of it."""

    def __init__(self, index):
        self.index = index
        self.wanted = dict(DEFAULTS)
        self.config = dict(DEFAULTS)
        self.model = model.Account()
        self.run_id = 0       # the last run that was judged
        self.rows = {}, {}    # of `users` and `former_users`, as they were then
        self.pending = []     # answers to a run whose end has not been seen yet
        self.failed = False   # the run before, or it was interrupted

    def account_id(self, config):
        return f"0000000{self.index}-0000-4000-8000-00000000000{int(config['other_id'])}"

    def name(self, config):
        return f"account{self.index}" + ["", "-b", "-c"][config["renamed"]]


class World:
    """A context manager.  play() does a history and returns how many runs were judged."""

    def __init__(self, folder, accounts=2):
        self.folder = folder
        self.sections = [Section(i) for i in range(accounts)]
        self.pins = {"wanted": "no", "config": "no"}
        self.once = True
        self.archive = {}     # events by seq: their time
        self.seq = 0
        self.judged = self.events = 0
        self.trace = []       # requests of the last listing, in words

    def __enter__(self):
        ids = [s.account_id({"other_id": other}) for s in self.sections for other in (False, True)]
        os.chmod(self.folder, 0o750)
        self.chime = Emulator(users=0, accounts=ids, threads=2).start()
        self.service = Service(self.chime)
        self.roster = Rosterd(self.folder, self.chime, {}, interval="30d",
                              retention=f"{RETENTION_DAYS}d")
        self.write_config()
        return self

    def __exit__(self, *exc):
        self.roster.stop(signal.SIGKILL)
        self.chime.stop()

    # -- steps -----------------------------------------------------------------------------------

    def play(self, steps):
        for step in steps:
            self.do(step)
        self.finish()
        return self.judged

    def do(self, step):
        section = self.sections[step["account"]] if step.get("account") is not None else None
        action = getattr(self, "do_" + step["do"], None)
        if action:
            action(section, step)
        else:
            self.service.change(section.account_id(section.wanted), step)

    def do_fault(self, section, step):
        self.service.fault(section.account_id(section.wanted), step)

    def do_config(self, section, step):
        given = {name: value for name, value in step.items() if name not in ("do", "account")}
        if section is None:
            self.pins["wanted"] = given["store_personal_pin"]
            return
        # renamed and with another id at once, it would be another account
        if "renamed" in given and section.wanted["other_id"] != section.config["other_id"] or \
                "other_id" in given and section.wanted["renamed"] != section.config["renamed"]:
            return
        section.wanted.update(given)
        account_id = section.account_id(section.wanted)
        if given.get("other_id") and not self.chime.count(account_id):
            self.service.change(account_id, {"do": "add", "count": 12, "at": 0})

    def do_mode(self, section, step):
        if step["once"]:
            self.stop()
        self.once = step["once"]

    def do_restart(self, section, step):
        self.stop(getattr(signal, "SIG" + step["signal"]))

    def do_accept(self, section, step):
        if not section.model.held:
            return
        self.settle()
        section.model.accept()
        done = rosterctl.run("--config", self.roster.config, "removals",
                             section.name(section.config), "--accept")
        if done.returncode != 0:
            raise Mismatch(["rosterctl removals --accept failed: " + done.stderr])
        self.settle()  # a daemon lists at once

    def do_age(self, section, step):
        self.stop()
        if not os.path.exists(self.roster.database):
            return
        days = f"-{step['days']} days"
        shift = "strftime('%Y-%m-%dT%H:%M:%fZ', {0}, '" + days + "')"
        for table, columns in (("event_data", ["time"]), ("run_data", ["started_at", "finished_at"])):
            self.roster.change_database(f"UPDATE {table} SET " + ", ".join(
                f"{column} = {shift.format(column)}" for column in columns))
        self.archive = dict(self.query("SELECT seq, time FROM events"))

    def do_day(self, section, step):
        self.stop()
        if not os.path.exists(self.roster.database):
            return
        self.roster.change_database(
            "UPDATE account_data SET failure_told_at ="
            " strftime('%Y-%m-%dT%H:%M:%fZ', failure_told_at, '-25 hours')")
        for each in self.sections:
            each.model.told_long_ago = each.model.told

    def do_list(self, section, step):
        self.service.arm()
        if self.once:
            self.run_once()
        else:
            self.ready()
            answers = control.ask(self.roster, "sync", wait=True)
            if "result" not in answers[-1]:
                raise Mismatch([f"the daemon refused to sync: {answers[-1]}"])
        self.over()

    def do_interrupt(self, section, step):
        """rosterd is stopped while it waits for a page; all else has ended by then."""
        if self.once:
            self.do_list(section, step)
            return
        account_id = section.account_id(section.wanted)
        self.service.fault(account_id, {"action": "stall", "page": step["page"], "times": "always",
                                        "first": True})
        self.service.arm()
        self.ready()
        control.ask(self.roster, "sync")
        wait_until(lambda: self.waits_for(section), PATIENCE, "the page that never comes")
        self.stop(idle=False)
        self.over()

    def waits_for(self, section):
        """Nobody is busy but one who waits for a page that never comes."""
        busy = [a["account"] for a in control.result(self.roster, "status")["accounts"]
                if a["state"] != "idle"]
        return not busy or (busy == [section.name(section.config)] and self.service.stalls())

    # -- rosterd ---------------------------------------------------------------------------------

    def write_config(self):
        self.roster.settings["store_personal_pin"] = self.pins["wanted"]
        self.roster.accounts = {
            s.name(s.wanted): dict({"account_id": s.account_id(s.wanted), "baseline": "quiet"},
                                   **{k: v for k, v in s.wanted.items() if k not in OURS})
            for s in self.sections}
        self.roster.write_config()

    def take_config(self):
        """rosterd is about to read what was written."""
        self.pins["config"] = self.pins["wanted"]
        for section in self.sections:
            section.config = dict(section.wanted)
            if self.pins["config"] == "no":
                section.model.wipe_pins()

    def differs(self):
        return self.pins["config"] != self.pins["wanted"] or \
            any(s.config != s.wanted for s in self.sections)

    def started(self):
        self.take_config()
        for section in self.sections:
            section.model.restarted()

    def run_once(self):
        self.write_config()
        self.started()
        done = self.roster.run("--once", timeout=PATIENCE)
        if done.returncode not in (0, 1):
            raise Mismatch([f"rosterd --once ended with {done.returncode}:"] +
                           done.stderr.splitlines()[-20:])

    def ready(self):
        """A daemon runs, with the configuration that is wanted."""
        if not self.roster.process:
            self.write_config()
            self.started()
            self.roster.start()
        elif self.differs():
            self.settle()
            self.write_config()
            reloads = sum("configuration reloaded" in line for line in self.roster.lines)
            self.take_config()
            self.roster.send_signal(signal.SIGHUP)
            self.roster.wait_line("configuration reloaded", count=reloads + 1)

    def settle(self):
        """What a daemon does of itself is over, and judged: a run after an acceptance or a failure."""
        if self.roster.process:
            control.wait_idle(self.roster, *[s.name(s.config) for s in self.sections])
            self.judge_all(False)

    def stop(self, number=signal.SIGTERM, idle=True):
        if not self.roster.process:
            return
        if idle:
            self.settle()
        status = self.roster.stop(number)
        if status not in (0, -signal.SIGKILL):
            raise Mismatch([f"rosterd ended with {status}:"] + self.roster.lines[-20:])

    # -- the database ----------------------------------------------------------------------------

    def query(self, text):
        db = sqlite3.connect(f"file:{self.roster.database}?mode=ro", uri=True, timeout=30)
        try:
            return db.execute(text).fetchall()
        finally:
            db.close()

    def read(self):
        """Everything public, of one moment at which no run is under way."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = compare.read(self.roster.database, self.seq,
                                 min(s.run_id for s in self.sections))
            if all(run["outcome"] != "running" for run in found.runs):
                return found
            if time.monotonic() > deadline:
                raise Mismatch(["a run does not end"])
            time.sleep(0.02)

    def over(self):
        """A listing has ended."""
        self.judge_all(True)
        self.service.disarm([s.account_id(s.wanted) for s in self.sections])

    def judge_all(self, must):
        """Every run that has ended since; must: there was one of each account."""
        found = self.read()
        answers = self.service.answers()
        self.trace = [f"{account[:8]}: {words}" for _, account, _, _, words in answers] or self.trace
        for section in self.sections:
            ids = {section.account_id({"other_id": other}) for other in (False, True)}
            section.pending += [(at, page, answer) for at, account, page, answer, _ in answers
                                if account in ids]
            self.judge(section, found, must)
        self.judge_log(found)

    def judge(self, section, found, must):
        name = section.name(section.config)
        runs = [run for run in found.runs if run["account"] == name and run["run_id"] > section.run_id]
        if not runs:
            if must:
                raise Mismatch([f"{name}: there was no run"])
            return
        config = dict(section.config, account_id=section.account_id(section.config),
                      store_personal_pin=self.pins["config"] == "yes")
        judged = []
        for run in runs:
            mine = compare.of_run(section.pending, run, section.failed)
            answers = [answer for _, _, answer in mine]
            section.failed = run["outcome"] != model.COMPLETE
            stopped = run["outcome"] == model.INTERRUPTED
            if stopped:
                compare.forget_late(answers, run["pages"])
            try:
                expected = section.model.run(config, answers, stopped)
            except model.Impossible as why:
                raise Mismatch([f"{name}: run {run['run_id']}: {why}", f"found: {run}"]) from None
            if expected.unused:  # unless they fall into the next run, that one is refused
                section.pending[:0] = mine[-expected.unused:]
            events = [e for e in found.events if e["run_id"] == run["run_id"]]
            compare.run(name, expected, run, events)
            judged.append((expected, run, events))
            self.judged += 1
            self.events += len(events)
        compare.rows(name, section.model, judged, found)
        compare.account(name, section.model, found)
        before, section.rows = section.rows, found.rows(name)
        if not any(expected.baseline for expected, _, _ in judged):
            compare.undone(name, before, section.rows, [e for _, _, es in judged for e in es],
                           config["store_personal_pin"])
        section.run_id = runs[-1]["run_id"]

    def judge_log(self, found):
        """No event too many, none twice, none gone but for its age."""
        runs = {run["run_id"] for run in found.runs}
        for event in found.events:
            if event["run_id"] not in runs:
                raise Mismatch([f"an event of no run: {event}"])
            if event["seq"] in self.archive:
                raise Mismatch([f"the number of an event was used again: {event}"])
            self.archive[event["seq"]] = event["time"]
            self.seq = event["seq"]
        cutoff = time.strftime("%Y-%m-%dT%H:%M:%S.000Z",
                               time.gmtime(time.time() - RETENTION_DAYS * 86400))
        young = {seq for seq, at in self.archive.items() if at >= cutoff}
        kept = {seq for seq, in self.query("SELECT seq FROM events")}
        # ages are counted back from a complete listing
        [(complete,)] = self.query("SELECT max(last_complete_at) FROM accounts")
        if not young <= kept <= set(self.archive) or (self.once and complete and kept != young):
            raise Mismatch([f"the log should hold {sorted(young)}", f"and holds {sorted(kept)}"])
        ids = self.query("SELECT count(*), count(DISTINCT id) FROM events")[0]
        if ids[0] != ids[1]:
            raise Mismatch(["two events have the same id"])

    def finish(self):
        self.stop()
        for section in self.sections:
            if len(section.pending) > section.failed:
                raise Mismatch([f"account{section.index}: requests of no run: {section.pending}"])
        if not os.path.exists(self.roster.database):  # a history without a listing
            return
        for check, good in (("integrity_check", [("ok",)]), ("foreign_key_check", [])):
            found = self.query(f"PRAGMA {check}")
            if found != good:
                raise Mismatch([f"{check}: {found}"])
