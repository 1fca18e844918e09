# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin that writes TAP to file descriptor 3: a plan, one line a test, what failed as comments."""

import os

import pytest


class Tap:
    def __init__(self):
        self.out = os.fdopen(3, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
        self.number = 0
        self.broken = []  # files that could not be collected
        self.reports = []  # of the test that runs

    def comment(self, text):
        for line in str(text).splitlines():
            self.out.write(f"#   {line}\n")

    def tell(self, verdict, name, directive="", details=""):
        self.number += 1
        # "#" would begin a directive
        name = " ".join(name.replace("#", "_").split())
        self.out.write(f"{verdict} {self.number} - {name}{directive}\n")
        self.comment(details)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config, items):
        """TEST_SHARD=I/N: every N-th test, from the I-th on."""
        if os.environ.get("TEST_SHARD"):
            index, count = map(int, os.environ["TEST_SHARD"].split("/"))
            config.hook.pytest_deselected(items=[t for i, t in enumerate(items) if i % count != index])
            items[:] = items[index::count]

    @pytest.hookimpl
    def pytest_collectreport(self, report):
        if report.failed:
            self.broken.append(report)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session):
        self.out.write(f"1..{len(session.items) + len(self.broken)}\n")
        for report in self.broken:
            self.tell("not ok", f"{report.nodeid} (cannot be collected)", details=report.longreprtext)

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report):
        self.reports.append(report)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid):
        reports, self.reports = self.reports, []
        path, _, test = nodeid.partition("::")
        name = f"{os.path.basename(path)}::{test}"
        failed = [r for r in reports if r.failed]
        skipped = [r for r in reports if r.skipped]
        if failed:
            details = "\n".join(part for r in failed for part in
                                [f"in {r.when}:", r.longreprtext] +
                                [f"{title}:\n{text}" for title, text in r.sections])
            self.tell("not ok", name, details=details)
        elif skipped and hasattr(skipped[0], "wasxfail"):  # whose directive in TAP is TODO
            self.tell("not ok", name, f" # TODO {skipped[0].wasxfail}")
        elif skipped:
            why = skipped[0].longrepr
            why = why[2] if isinstance(why, tuple) else str(why)
            self.tell("ok", name, f" # SKIP {why.removeprefix('Skipped: ')}")
        else:
            self.tell("ok", name)


def pytest_configure(config):
    config.pluginmanager.register(Tap(), "tap-writer")
