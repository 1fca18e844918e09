# SPDX-License-Identifier: Apache-2.0
"""The emulated service that the benchmarks list, with or without TLS, and the two that list it: rosterd
and the bare loop."""

import os
import shutil
import subprocess
import tempfile

from bench import PATIENCE, figures, program, timed

import emulator
from emulator import Emulator
from rosterd import Rosterd

emulator.CALL_TIMEOUT = PATIENCE


class Service:
    """An emulator with so many users, in a folder.  A context manager."""

    def __init__(self, folder, users, tls=False, **options):
        self.folder = folder
        self.users = users
        self.ca = certificate(folder) if tls else None
        if tls:
            options.update(tls_cert=self.ca, tls_key=os.path.join(folder, "key.pem"))
        self.chime = Emulator(users=users, **options)
        self.template = None

    def __enter__(self):
        self.chime.start()
        return self

    def __exit__(self, *exc):
        self.chime.stop()

    def environment(self):
        """For the clients that look for keys where every AWS tool does."""
        return dict(os.environ, AWS_ACCESS_KEY_ID=self.chime.access_key, AWS_EC2_METADATA_DISABLED="true",
                    AWS_SECRET_ACCESS_KEY=self.chime.secret_key, AWS_CONFIG_FILE="/dev/null",
                    AWS_SHARED_CREDENTIALS_FILE="/dev/null")

    def list_loop(self, *accounts, parallel=1, keep=None):
        """The reference: all pages, by a bare libcurl program."""
        command = [program("list-loop"), "-j", str(parallel)]
        if self.ca:
            command += ["-c", self.ca]
        if keep:
            command += ["-o", keep]
        return timed([*command, self.chime.url, *(accounts or [self.chime.account_id])], self.environment())

    # -- rosterd -----------------------------------------------------------------------------

    def roster(self, accounts=None, **settings):
        """A rosterd with an empty database; accounts as Rosterd takes them, acme by default."""
        folder = tempfile.mkdtemp(prefix="roster-", dir=self.folder)
        accounts = {name: dict({"ca_file": self.ca} if self.ca else {}, **given)
                    for name, given in (accounts or {"acme": {}}).items()}
        return Rosterd(folder, self.chime, accounts, **dict({"interval": "30d"}, **settings))

    def filled(self, accounts=None, **settings):
        """The same with acme's users in the database: the first import is made once, and copied."""
        if not self.template:
            self.template = self.roster()
            once(self.template)
        roster = self.roster(accounts, **settings)
        for suffix in ("", ".key"):
            shutil.copyfile(self.template.database + suffix, roster.database + suffix)
        os.sync()  # whoever writes first would else pay for the copy
        return roster


def once(roster, *accounts):
    """One `rosterd --once`, process start included.  Each run must have been complete."""
    run = timed(roster.command("--once", *accounts), roster.environment())
    last = roster.run_rows()[-len(accounts or roster.accounts):]
    if any(row["outcome"] != "complete" for row in last):
        raise RuntimeError(f"not complete: {last}")
    return run


def start(roster):
    """The daemon; it ends with the benchmark, however that ends."""
    return roster.start(prefix=["setpriv", "--pdeathsig", "TERM"])


def last_run(roster):
    return roster.run_rows()[-1]


def discard(roster):
    """Half a gigabyte at a time is worth it."""
    roster.stop()
    shutil.rmtree(roster.folder)


def compared(ours, reference):
    """A sample: by how many times ours takes longer."""
    return {"rosterd": figures(ours), "reference": figures(reference), "value": ours.wall / reference.wall}


def wait_for_baselines(roster, count):
    """Until the daemon has told of so many first listings."""
    roster.wait_line("baseline taken", PATIENCE, count)


def certificate(folder):
    """Makes one that vouches for itself."""
    path = os.path.join(folder, "cert.pem")
    if not os.path.exists(path):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-out", path, "-keyout",
                        os.path.join(folder, "key.pem")], check=True, capture_output=True, timeout=60)
    return path
