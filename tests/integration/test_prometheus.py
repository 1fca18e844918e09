# SPDX-License-Identifier: Apache-2.0
"""Metrics and alert rules, judged by Prometheus' own tool."""

import os
import re
import shutil
import subprocess

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RULES = os.path.join(TOP, "conf", "rosterd.rules.yml")
TESTS = os.path.join(TOP, "tests", "prometheus", "rules-test.yml")


def promtool(*args, **more):
    if not shutil.which("promtool") and shutil.which("apt-get"):
        pytest.fail("this needs promtool: './setup.sh check' installs it (prometheus)")
    if not shutil.which("promtool"):
        pytest.skip("there is no promtool here")
    done = subprocess.run(["promtool", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120, check=False, **more)
    return done.returncode, done.stdout


def test_the_rules_are_well_formed():
    status, said = promtool("check", "rules", RULES)
    assert status == 0 and "SUCCESS" in said, said


def test_the_rules_do_what_they_say():
    status, said = promtool("test", "rules", TESTS)
    assert status == 0 and "SUCCESS" in said, said


def test_every_rule_is_tested():
    with open(RULES, encoding="utf-8") as f:
        rules = re.findall(r"- alert: (\w+)", f.read())
    with open(TESTS, encoding="utf-8") as f:
        tested = re.findall(r"alertname: (\w+)", f.read())
    assert rules and set(rules) == set(tested)


@pytest.fixture
def metrics(roster, chime, tmp_path):
    """The metrics file of an account and a webhook that nobody answers."""
    path = tmp_path / "rosterd.prom"
    roster.settings["metrics_file"] = path
    roster.webhooks["ops"] = {"url": "http://127.0.0.1:9/"}
    roster.write_config()
    chime.patch_users({"UserRegistrationStatus": "Suspended"}, count=4)
    roster.once(status=None)
    return path.read_text(encoding="utf-8")


def test_the_metrics_are_well_formed(metrics):
    status, said = promtool("check", "metrics", input=metrics)
    assert (status, said) == (0, "")


def test_the_rules_speak_of_metrics_that_there_are(metrics):
    with open(RULES, encoding="utf-8") as f:
        named = set(re.findall(r"\brosterd_[a-z_]+\b", re.sub(r"(?m)^ *(#|description:|summary:).*", "", f.read())))
    assert len(named) >= 10
    assert named <= set(re.findall(r"(?m)^(rosterd_[a-z_]+)[{ ]", metrics))
