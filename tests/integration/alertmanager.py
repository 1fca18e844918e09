# SPDX-License-Identifier: Apache-2.0
"""A real Alertmanager on loopback."""

import json
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import pytest
from rosterd import wait_until


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Alertmanager:
    def __init__(self, folder):
        self.program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        if not self.program and shutil.which("apt-get"):
            pytest.fail("this needs Alertmanager: './setup.sh check' installs it (prometheus-alertmanager)")
        if not self.program:
            pytest.skip("there is no Alertmanager here")
        self.folder = folder
        self.url = f"http://127.0.0.1:{free_port()}"
        (folder / "alertmanager.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")

    def __enter__(self):
        self.start()
        return self

    def start(self):
        """Also again after stop(), at the same address, with nothing remembered."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        self.log = open(self.folder / "log", "wb")  # noqa: SIM115
        self.process = subprocess.Popen(
            [self.program, f"--config.file={self.folder}/alertmanager.yml", f"--storage.path={self.folder}/data",
             f"--web.listen-address={self.url.removeprefix('http://')}", "--cluster.listen-address="],
            stdout=self.log, stderr=subprocess.STDOUT)
        wait_until(self.ready, 60, lambda: (self.folder / "log").read_text())

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=25)
        self.log.close()

    def ready(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=25) as answer:
                return answer.status == 200
        except OSError:
            return False

    def post(self, body):
        request = urllib.request.Request(f"{self.url}/api/v2/alerts", body.encode(),
                                         {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=25) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def alerts(self):
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=25) as answer:
            return json.load(answer)

    def active(self):
        """The labels of all alerts that have not ended."""
        return [alert["labels"] for alert in self.alerts() if alert["status"]["state"] != "resolved"]
