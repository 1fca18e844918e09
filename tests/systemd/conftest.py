# SPDX-License-Identifier: Apache-2.0
"""The unit, the system user and the catalog are put in place as `make install` would, and every test
begins with a service that was never started."""

import os
import shutil
import sys
import time

import pytest

from machine import SRC, journal, run, unit_text, write

sys.path.insert(0, f"{SRC}/tests/emulator")
from emulator import Emulator  # noqa: E402


@pytest.fixture(scope="session")
def installed():
    shutil.copy(os.environ["ROSTERD"], "/usr/sbin/rosterd")
    os.chmod("/usr/sbin/rosterd", 0o755)
    write("/usr/lib/sysusers.d/rosterd.conf", unit_text("rosterd.sysusers"))
    write("/usr/lib/systemd/system/rosterd.service", unit_text("rosterd.service.in"))
    for unit in ("rosterd-once.service", "rosterd-once.timer", "rosterd-mail.service", "rosterd-mail.timer"):
        write(f"/usr/lib/systemd/system/{unit}", unit_text(f"examples/{unit}"))
    write("/usr/local/sbin/rosterd-mail", unit_text("examples/rosterd-mail"), 0o755)
    write("/usr/lib/systemd/catalog/rosterd.catalog", unit_text("rosterd.catalog"))
    run("systemd-sysusers", "rosterd.conf")
    run("journalctl", "--update-catalog")
    run("systemctl", "daemon-reload")
    run("useradd", "--no-create-home", "--groups", "rosterd", "reader")
    run("useradd", "--no-create-home", "stranger")


@pytest.fixture
def chime(installed):
    """An emulator with 450 users, of whom the first is ana, Registered; nothing is left of other tests."""
    with Emulator(users=450) as emulator:
        emulator.patch_users({"UserRegistrationStatus": "Registered", "UserInvitationStatus": "Accepted"}, count=450)
        emulator.ana = emulator.users(limit=1)[0]["UserId"]
        emulator.patch_user(emulator.ana, PrimaryEmail="ana@example.com")
        journal.begin = time.time()
        yield emulator
        for unit in ("rosterd-mail.timer", "rosterd-mail.service", "rosterd-once.timer", "rosterd-once.service",
                     "rosterd.service"):
            run("systemctl", "kill", "-s", "KILL", "--kill-who=all", unit, status=None)
            run("systemctl", "stop", unit, status=None)
            run("systemctl", "reset-failed", unit, status=None)
        for unit in ("rosterd", "rosterd-once", "rosterd-mail"):
            shutil.rmtree(f"/etc/systemd/system/{unit}.service.d", ignore_errors=True)
            shutil.rmtree(f"/etc/systemd/system/{unit}.timer.d", ignore_errors=True)
            shutil.rmtree(f"/var/lib/{unit}", ignore_errors=True)
        shutil.rmtree("/run/mails", ignore_errors=True)
        shutil.rmtree("/etc/rosterd", ignore_errors=True)
        run("systemctl", "daemon-reload")
