# SPDX-License-Identifier: Apache-2.0
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "emulator"))

from emulator import Emulator  # noqa: E402
from rosterd import Rosterd  # noqa: E402


@pytest.fixture
def chime():
    """An emulator with 450 users: three pages."""
    with Emulator(users=450) as emulator:
        yield emulator


@pytest.fixture
def roster(tmp_path, chime):
    """A rosterd for one account, acme, of the emulator; not started."""
    os.chmod(tmp_path, 0o750)
    r = Rosterd(tmp_path, chime)
    yield r
    r.stop()
