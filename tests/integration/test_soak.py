# SPDX-License-Identifier: Apache-2.0
"""The soak of tests/soak/soak.py for half a minute, which is two hours: a leak of every run or request
shows, a slow one does not; and a database that has not reached its retention grows."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "soak"))

from soak import ALLOWED, KIB, soak  # noqa: E402

WARM, MEASURE = 0.6, 1.6  # hours of fast time: 9 and 24 s
# A third of that is a few samples, between which there may always be a request or two under way; 4 KiB
# a run would be more than twice this.  What the heap takes for it has gaps.
ALLOWED["allocated"] = lambda first: 256 * KIB
ALLOWED["rss_anon"] = ALLOWED["heap"] = lambda first: 4 * 256 * KIB


@pytest.mark.skipif("ROSTERD_SANITIZED" in os.environ, reason="sanitizers take memory of their own")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root looks into a process that is not dumpable")
def test_nothing_grows(tmp_path):
    os.chmod(tmp_path, 0o750)
    result, wrong = soak(str(tmp_path), WARM, MEASURE, every=0.5, pause=0.1,
                         names=("allocated", "rss_anon", "heap", "descriptors", "sockets", "watched", "threads",
                                "wal"))
    print({name: row for name, row in result["table"].items()})
    assert wrong == []
    assert result["runs"] > 100 and result["events"] > 100
