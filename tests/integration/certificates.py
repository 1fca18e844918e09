# SPDX-License-Identifier: Apache-2.0
"""An authority for tests, and certificates of it, good ones and others."""

import ssl
import subprocess
from datetime import datetime, timedelta, timezone

CONFIG = """
[ca]
default_ca = here
[here]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
"""
EC = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


class Authority:
    """Files NAME.pem and NAME.key in a folder; its own certificate is ca.pem."""

    def __init__(self, folder, name="ca"):
        self.folder = folder
        self.name = name
        folder.mkdir(exist_ok=True)
        (folder / "config").write_text(CONFIG)
        (folder / "index").write_text("")
        (folder / "serial").write_text("1000\n")
        self.self_signed(name, f"Authority {folder.name}")

    def openssl(self, *args):
        subprocess.run(["openssl", *map(str, args)], cwd=self.folder, check=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=120)

    def path(self, file):
        return str(self.folder / file)

    @property
    def file(self):
        return self.path(f"{self.name}.pem")

    def self_signed(self, name, subject, *extensions):
        self.openssl("req", "-x509", "-newkey", *EC, "-nodes", "-keyout", f"{name}.key",
                     "-out", f"{name}.pem", "-days", "30", "-subj", f"/CN={subject}",
                     *(part for e in extensions for part in ("-addext", e)))
        return name

    def issue(self, name, names="DNS:localhost,IP:127.0.0.1", first=-1, last=30, signer=None,
              authority=False, key=EC):
        """A certificate that is valid from and to so many days from now; returns its name."""
        now = datetime.now(timezone.utc)
        start, end = ((now + timedelta(days=d)).strftime("%Y%m%d%H%M%SZ") for d in (first, last))
        ext = "basicConstraints=CA:TRUE" if authority else f"subjectAltName={names}"
        self.openssl("req", "-newkey", *key, "-nodes", "-keyout", f"{name}.key", "-out",
                     f"{name}.csr", "-subj", f"/CN={name}", "-addext", ext)
        signer = signer or self.name
        self.openssl("ca", "-config", "config", "-batch", "-notext", "-in", f"{name}.csr", "-out",
                     f"{name}.pem", "-cert", f"{signer}.pem", "-keyfile", f"{signer}.key",
                     "-startdate", start, "-enddate", end)
        return name

    def chain(self, name, length):
        """A certificate below so many authorities, each issued by the one before; all are sent."""
        signer, files = self.name, []
        for n in range(length):
            signer = self.issue(f"{name}-{n}", signer=signer, authority=True)
            files.insert(0, self.folder / f"{signer}.pem")
        self.issue(name, signer=signer)
        leaf = self.folder / f"{name}.pem"
        leaf.write_text(leaf.read_text() + "".join(file.read_text() for file in files))
        return name

    def context(self, name):
        """For a server that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.show(context, name)
        return context

    def show(self, context, name):
        """The same server shows another certificate from now on."""
        context.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
