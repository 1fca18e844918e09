# SPDX-License-Identifier: Apache-2.0
"""Memory runs out.  Allocations of a life fail, one or several in a row: rosterd must not crash, must not
say that all is well when it is not, and the next life must come to the same end.  ROSTERD_SEED chooses
others, ROSTERD_CRASH_ALL=1 takes all."""

import collections
import json
import os
import random
import re
import time

import pytest
import rosterctl
from crash import SANITIZED, Image, Ledger, Phase, Scenario, ledger, server, without_marks  # noqa: F401
from emulator import Emulator
from receiver import Receiver, answer

pytestmark = pytest.mark.skipif(SANITIZED, reason="sanitizers bring an allocator of their own")

PARTS = 3  # run side by side
SAMPLE = 30
IN_A_ROW = [1, 1, 2, 5, 40]
STATUSES = {0, 1, 74}  # all is well, an account could not be synced, anything else


@pytest.fixture
def scenario(tmp_path, ledger, server):  # noqa: F811
    os.chmod(tmp_path, 0o750)
    with Emulator(users=12) as chime:
        yield Scenario(tmp_path, chime, ledger, server)


def library():
    given = os.environ.get("MALLOC_FAIL_LIBRARY")
    if not given:
        pytest.fail("MALLOC_FAIL_LIBRARY is not set: run this by `make check TESTS=…`")
    return given


def starved(phase, tmp_path, **settings):
    """A life of the phase with these settings of malloc-fail.c.  Returns its lines, and how many
    allocations there were."""
    told = tmp_path / "allocations"
    phase.scenario.env = {"LD_PRELOAD": library(), "MALLOC_TELL": str(told)}
    phase.scenario.env.update({f"MALLOC_{name}": str(value) for name, value in settings.items()})
    try:
        return phase.disturbed(), int(told.read_text())
    finally:
        phase.scenario.env = {}


def check_honest(phase):
    s = phase.scenario
    assert s.status in STATUSES
    if s.status == 0:
        image = phase.image()
        assert image.stories() == phase.stories
        assert without_marks(image.users()) == without_marks(phase.users)
        assert image.tables["run_data"][-1]["outcome"] == "complete"


def end_waits(scenario):
    """A webhook that could not be asked for want of memory waits before it tries again."""
    roster = scenario.roster
    if os.path.exists(roster.database) and roster.sql("SELECT 1 FROM sqlite_schema WHERE name = 'sink_data'"):
        roster.change_database("UPDATE sink_data SET next_attempt_at = NULL")


def starve(phase, tmp_path, part, check=lambda: None, least=1000, **settings):
    """Lives of a phase whose allocations fail; check() is called after each, and the one that made good."""
    scenario = phase.scenario
    rng = random.Random(int(os.environ.get("ROSTERD_SEED", part)))
    _, total = starved(phase, tmp_path, **settings)
    assert scenario.status == 0 and total > least
    chosen = range(1 + part, total + 1, PARTS) if os.environ.get("ROSTERD_CRASH_ALL") else \
        rng.sample(range(1, total + 1), SAMPLE)
    failed = 0
    for n in chosen:
        row = rng.choice(IN_A_ROW)
        try:
            lines, _ = starved(phase, tmp_path, FAIL_AT=n, FAIL_MORE=row - 1, **settings)
            check_honest(phase)
            failed += scenario.status != 0
            end_waits(scenario)
            phase.check_recovery(lines)
            check()
        except AssertionError as e:
            e.add_note(f"{row} allocations from {n} of {total}")
            raise
    print(f"{failed} of {len(chosen)} lives ended with an error")
    assert failed > len(chosen) / 4


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", ["nothing", "changed"])
def test_allocations_fail(scenario, tmp_path, name, part):
    if name == "changed":
        scenario.start()
        scenario.change()
    starve(Phase(scenario, name, None), tmp_path, part)


@pytest.mark.parametrize("part", range(PARTS))
def test_records_that_are_read_by_json_c(scenario, tmp_path, part):
    """Whoever has members that rosterd does not know is read by a library that, without memory, leaves out
    members and cuts strings; and forgets that with each number."""
    def odd(n, **more):
        badges = [f"{badge} " + "b\u00e9" * 20 for badge in range(12)]
        return {"Profile": {"Cost centre": f"{n}", "Badges": [*badges, n]}, "DisplayName": f"Zo\u00eb {n}", **more}

    for n, user in enumerate(scenario.chime.users()):
        scenario.chime.patch_user(user["UserId"], odd(n))
    scenario.start()
    for n, user in enumerate(scenario.chime.users()):
        scenario.chime.patch_user(user["UserId"], odd(n, Title="changed"))
    scenario.change()
    phase = Phase(scenario, "changed", None)
    assert sum('"Badges"' in story[-1] for story in phase.stories) > 20
    starve(phase, tmp_path, part, least=500, FAIL_BY="/libjson-c")


# ---- rosterctl ----

LASTED = re.compile(r"(\d+(ms|s|min|h|d) ?)+ *")  # since something began


@pytest.mark.parametrize("command", [["show", "{email}"], ["show", "-f", "json", "{email}"], ["events"],
                                     ["events", "-f", "json"], ["users"], ["export"], ["export", "--as-of", "now"],
                                     ["runs"], ["query", "SELECT * FROM events"]], ids=" ".join)
def test_rosterctl_says_all_or_fails(scenario, tmp_path, command):
    """What has status 0 is whole."""
    def asked(**settings):
        env = {f"MALLOC_{name}": str(value) for name, value in settings.items()}
        done = rosterctl.run("-d", scenario.roster.database, *command,
                             env={"LD_PRELOAD": library(), "MALLOC_TELL": str(told), **env})
        return done.returncode, LASTED.sub("*", done.stdout), done.stderr

    told = tmp_path / "allocations"
    for n, user in enumerate(scenario.chime.users()):  # in ASCII: without memory there is no locale
        scenario.chime.patch_user(user["UserId"], DisplayName=f"N. {n}", Profile={"Badges": ["a", "b" * 40]})
    scenario.start()
    user = scenario.chime.users()[0]["UserId"]
    for n in range(2):
        scenario.chime.patch_user(user, DisplayName=f"Name {n}", Profile={"Badges": ["c" * 40, n]})
        scenario.roster.once()
    command = [word.format(email=scenario.roster.users()[user]["primary_email"]) for word in command]
    whole = asked()
    assert whole[0] == 0 and whole[2] == ""
    total = int(told.read_text())
    rng = random.Random(int(os.environ.get("ROSTERD_SEED", "0")))
    last = list(range(max(1, total - 400), total + 1))  # before that it is mostly the database that is opened
    for n in last if os.environ.get("ROSTERD_CRASH_ALL") else rng.sample(last, min(30, len(last))):
        for more in (0, 4):
            status, out, err = asked(FAIL_AT=n, FAIL_MORE=more)
            where = f"{1 + more} allocations from {n} of {total}"
            assert status in (0, 74), where
            assert (out, err) == whole[1:] if status == 0 else err.count("\n") == 1, where


# ---- other formats ----

# of which there is one each, so that none are summed up
KINDS = {"events": "user.added, user.removed, user.returned, user.reinstated, user.invitation_failed"}
KEYS = {"slack": KINDS, "teams": KINDS, "pagerduty": {"routing_key": "R0123456789ABCDEFGHIJKLMNOPQRSTU"}}
FORMATS = ["alertmanager", "cloudevents", "pagerduty", "slack", "teams"]
VARYING = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+( UTC|Z)?|evt_[0-9a-f]{32}|\"(run|seq)\": \d+"
                     r"|\"sequence\": \"\d+\"")


def parts(hook, body):
    """What a body tells, each for itself: how much is in one depends on when it is sent."""
    if hook == "alertmanager":
        for alert in body:  # one that lasts ends later than now
            lasts = alert["endsAt"] > time.strftime("%FT%TZ", time.gmtime())
            yield {**alert, "endsAt": "later" if lasts else "now"}
    elif hook == "slack":
        yield from body["text"].split("\n")
    elif hook == "teams":
        for block in body["attachments"][0]["content"]["body"]:
            yield block["inlines"][0]["text"]
    else:
        yield body


class Bodies(Ledger):
    """Takes down, too, what webhooks of other formats are told, without times and random ids."""

    def clear(self):
        super().clear()
        self.told = collections.defaultdict(set)

    def __call__(self, request):
        hook = request.path.strip("/")
        if hook not in FORMATS:
            return super().__call__(request)
        for part in parts(hook, request.json()):
            with self.lock:
                self.told[hook].add(VARYING.sub("*", json.dumps(part, sort_keys=True)))
        return answer(200)


@pytest.mark.parametrize("part", range(PARTS))
def test_other_formats(tmp_path, part, monkeypatch):
    """Each is told what it would have been told, and nothing else."""
    monkeypatch.setitem(Image.RUNNING, "sink_data", ("last_success_at",))  # what lasts is told without news, too
    os.chmod(tmp_path, 0o750)
    bodies = Bodies()
    with Emulator(users=12) as chime, Receiver(bodies) as receiver:
        scenario = Scenario(tmp_path, chime, bodies, receiver)
        for name in FORMATS:
            scenario.roster.webhooks[name] = {"url": f"http://127.0.0.1:{receiver.port}/{name}", "format": name,
                                              "events": "user.*", **KEYS.get(name, {})}
        scenario.roster.write_config()
        scenario.start()
        scenario.change()
        phase = Phase(scenario, "changed", None)
        told = dict(bodies.told)
        assert sorted(told) == FORMATS
        ended = [body for body in told["alertmanager"] if "is no longer suspended" in body]
        begun = {body for body in told["alertmanager"] if "bob.baker1@" in body} - set(ended)
        assert len(ended) == len(begun) == 1

        def check():
            for name in FORMATS:
                untrue = bodies.told[name] - told[name]
                assert not untrue, "\n".join([name, *sorted(untrue), "in place of", *sorted(told[name])])
                lacks = told[name] - bodies.told[name] - begun  # told by an earlier life
                assert not lacks, (name, lacks)

        starve(phase, tmp_path, part, check)
