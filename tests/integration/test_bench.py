# SPDX-License-Identifier: Apache-2.0
"""`make bench` in small: each case gives a figure.  What the figures are is not judged here."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[1] / "bench"
sys.path.insert(0, str(BENCH))

import report  # noqa: E402
import steady  # noqa: E402

pytestmark = pytest.mark.skipif(bool(os.environ.get("ROSTERD_SANITIZED")),
                                reason="how fast a build with sanitizers is, nobody asks")
needs_gnuplot = pytest.mark.skipif(not shutil.which("gnuplot"), reason="there is no gnuplot here")
WITH_TLS = {"unchanged", "script", "changed", "import", "shuffled", "accounts"}


def bench(folder, script="sync.py", **settings):
    """One run, in a build directory that is the folder."""
    build = os.environ.get("abs_top_builddir", os.getcwd())
    for name in ("tests", "rosterd", "rosterctl"):
        (folder / name).symlink_to(os.path.join(build, name))
    env = {name: value for name, value in os.environ.items() if not name.startswith("BENCH_")}
    env.update(settings, abs_top_builddir=str(folder), PYTHONDONTWRITEBYTECODE="1")
    return subprocess.run([sys.executable, str(BENCH / script)], env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=800, check=False)


@needs_gnuplot
def test_each_case_gives_a_figure(tmp_path):
    done = bench(tmp_path, BENCH_USERS="2000", BENCH_BOTO3_USERS="200", BENCH_ROUNDS="1", BENCH_IDLE_SECONDS="1")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "bench.json").read_text())
    seen = [(r["case"], r["transport"], r["what"]) for r in result["results"]]
    assert seen == [(row.case, transport, row.what) for row in report.ROWS for transport in
                    (["http", "https"] if row.case in WITH_TLS else ["http"])]
    assert all(isinstance(r["value"], (int, float)) for r in result["results"])
    sampled = [(r["case"], r["transport"]) for r in result["results"] if r["samples"]]
    assert sampled == list(dict.fromkeys((case, transport) for case, transport, _ in seen))
    assert len(done.stdout.splitlines()) == len(seen) + 1
    xml.etree.ElementTree.parse(tmp_path / "bench.svg")
    assert result["versions"]["rosterd"] and result["machine"]["cores"]


def test_the_floor_gives_a_figure_for_each_goal_that_is_missed(tmp_path):
    done = bench(tmp_path, "floor.py", BENCH_USERS="2000", BENCH_ROUNDS="1")
    assert done.returncode == 0, done.stderr
    told = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert told == ["first import", "1% changed", "many accounts", "memory, 1,000 users"]


def test_a_case_that_fails_is_told_of_and_takes_no_other_with_it(monkeypatch, capsys, tmp_path):
    import sync
    monkeypatch.setattr(sync, "BUILD", str(tmp_path))
    run = sync.Bench(str(tmp_path), {"unchanged", "shuffled"})
    run.take("shuffled", "http", lambda: 1 // 0)
    run.take("unchanged", "http", made_up, 1.2)
    run.take("growth", "http", lambda: 1 // 0)  # not asked for
    result = json.loads((tmp_path / "bench.json").read_text())
    assert result["failed"] == ["shuffled"] and [r["value"] for r in result["results"]] == [1.2]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_case_that_does_not_exist_is_refused(tmp_path):
    done = bench(tmp_path, BENCH_CASES="unchanged nonsense")
    assert done.returncode == 1 and "nonsense" in done.stderr and "shuffled" in done.stderr


def made_up(value):
    run = {"wall": value, "cpu": value}
    return [{"rosterd": run, "reference": run, "users": 1, "value": value}]


@pytest.mark.parametrize("case, value, met", [("unchanged", 1.5, True), ("unchanged", 1.51, False),
                                              ("script", 80, True), ("script", 79, False)])
def test_goals_are_judged(case, value, met):
    result, = report.judge({(case, "http"): made_up(value)})
    assert result["met"] is met and result["value"] == value
    assert report.cells(result)[4] == ("yes" if met else "no")
    assert (report.part_of_goal(result) <= 1) is met


def test_medians_are_of_rounds():
    result, = report.judge({("unchanged", "https"): [made_up(v)[0] for v in (9.0, 1.0, 1.4)]})
    assert result["value"] == 1.4 and report.name_of(result) == "nothing changed, TLS"


def test_the_exponent_of_growth():
    assert steady.slope([(n, 3e-6 * n ** 1.25) for n in (1000, 10000, 100000)]) == pytest.approx(1.25)
    assert steady.slope([(1, 7.0), (10, 7.0)]) == pytest.approx(0)


def test_the_table_of_the_readme_is_written_anew(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}old\n{report.END}after\n")
    on = {"processor": "Z80", "cores": 1, "load": 0.25}
    result = {"users": 7, "rounds": 1, "machine": on, "date": "2026-11-27",
              "results": report.judge({("unchanged", "http"): made_up(1.2)})}
    for _ in range(2):
        report.update(str(readme), result)
        lines = readme.read_text().splitlines()
        assert lines[0] == "before" and lines[-1] == "after" and len(lines) == 9
        assert lines[2] == "7 users, one round; Z80, 1 cores, load 0.2 before it began; 2026-11-27."
        assert lines[6].startswith("| nothing changed | bare libcurl download | ≤ 1.5 times | 1.2 | yes |")


@needs_gnuplot
def test_the_chart_is_the_same_for_the_same_figures(tmp_path):
    result = {"users": 2, "rounds": 3, "results": report.judge({("unchanged", "http"): made_up(1.2)})}
    for name in ("a.svg", "b.svg"):
        report.draw(result, str(tmp_path / name))
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text()
    assert "nothing changed" in text and "1.2 times" in text and "medians of 3 rounds" in text
