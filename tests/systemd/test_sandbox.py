# SPDX-License-Identifier: Apache-2.0
"""The sandbox of rosterd.service, from within: sandbox-probe.c stands in rosterd's place in the very unit
and tries what it forbids.  Each try is made without the sandbox, too (as root, where it gets further), and
with each directive alone: a directive that stops nothing by itself, or is taken out, or says something
else, fails a test."""

import os
import shutil
import stat
import subprocess

import pytest

from machine import (CONFIG, DROPINS, SRC, configure, journal, run, shell, show, start_and_baseline, unit_text,
                     wait_until, write)

UNIT = "/etc/systemd/system/rosterd.service"
SHARED_MEMORY_KEY = 0x726f7374

# What came of a try: "ok", an errno (of the kernel, or the sandbox's), or a signal.
FORBIDDEN = {
    "write /": "EROFS",
    "write /etc": "EROFS",
    "write /usr": "EROFS",
    "write /var": "EROFS",
    "write the configuration": "EACCES",
    "write /home": "EACCES",
    "read a home": "EACCES",
    "read /tmp of others": "ENOENT",
    "write the cgroups": "EROFS",
    "a set-uid file": "EPERM",
    "a set-gid file": "EPERM",
    "a file of another user": "EPERM",
    "a file that others read": "EACCES",
    "make a device": "EPERM",
    "open a device": "ENOENT",
    "kernel symbols": "ENOENT",
    "kernel modules": "EACCES",
    "kernel log": "EPERM",
    "kernel log device": "ENOENT",
    "load a module": "EPERM",
    "set the clock": "EPERM",
    "set the host name": "EPERM",
    "reboot": "EPERM",
    "kexec": "EPERM",
    "mount": "EPERM",
    "pivot the root": "EPERM",
    "chroot": "EPERM",
    "swap": "EPERM",
    "process accounting": "EPERM",
    "bpf": "EPERM",
    "perf": "EPERM",
    "userfaultfd": "EPERM",
    "io_uring": "EPERM",
    "a key": "EPERM",
    "a key ring": "EPERM",
    "raw I/O": "EPERM",
    "file by handle": "EPERM",
    "watch everybody's files": "EPERM",
    "quotas": "EPERM",
    "another user id": "EPERM",
    "a set-uid program": "EACCES",
    "a personality": "EPERM",
    "real-time scheduling": "EPERM",
    "a priority": "EPERM",
    "core files": "EPERM",
    "calls of another architecture": "SIGSYS",
    "socket AF_NETLINK": "EAFNOSUPPORT",
    "socket AF_PACKET": "EAFNOSUPPORT",
    "socket AF_VSOCK": "EAFNOSUPPORT",
    "raw IP": "EPERM",
    "memory, writable and executable": "EPERM",
    "memory made executable": "EPERM",
    "shared memory, executable": "EPERM",
    "its own file as code": "EPERM",
    "shared memory left behind": "gone",
    "run a program": "EACCES",
    "run what it wrote": "EACCES",
    "trace a process": "EPERM",
    "read a process's memory": "EPERM",
    "see other processes": "ENOENT",
    "see the machine": "ENOENT",
    "share mounts": "ENOENT",
    "join a namespace": "EPERM",
    "new user namespace": "EPERM",
    "new mount namespace": "EPERM",
    "new UTS namespace": "EPERM",
    "new IPC namespace": "EPERM",
    "new PID namespace": "EPERM",
    "new network namespace": "EPERM",
    "new cgroup namespace": "EPERM",
    "child in a user namespace": "EPERM",
    "child in a mount namespace": "EPERM",
    "child in a PID namespace": "EPERM",
    "child in a network namespace": "EPERM",
}
# It must be able to do these.
ALLOWED = ["its configuration", "its state", "its socket's directory", "socket AF_UNIX", "socket AF_INET",
           "socket AF_INET6", "a child", "leave shared memory"]
# Doors that are known to be open, so that nobody believes them shut.
OPEN = {
    "run a program of a library": "libraries and programs share /usr/lib",
    "run from memory": "no mount option reaches a memfd, and libsystemd needs them for large journal entries",
}
# These hide from, or take from, a user; root is told by other means.
ONLY_FROM_USERS = ["see other processes", "shared memory left behind"]

# Each line of the unit's sandbox, and what it refuses alone, without any other: as root, or as the
# service's user where it means only users.
ALONE = {
    "CapabilityBoundingSet=": {"chroot": "EPERM", "mount": "EPERM", "another user id": "EPERM", "raw IP": "EPERM",
                               "make a device": "EPERM", "a file of another user": "EPERM", "reboot": "EPERM"},
    "NoNewPrivileges=yes": {"a set-uid program": "EPERM"},
    "ProtectSystem=strict": {"write /": "EROFS", "write /etc": "EROFS", "write /usr": "EROFS", "write /var": "EROFS"},
    "ReadOnlyPaths=%E/rosterd": {"write the configuration": "EROFS"},
    "ProtectHome=yes": {"write /home": "EROFS", "read a home": "ENOENT"},
    "PrivateTmp=yes": {"read /tmp of others": "ENOENT"},
    "PrivateDevices=yes": {"open a device": "ENOENT", "kernel log device": "ENOENT", "make a device": "EPERM"},
    "PrivateUsers=yes": {"a file of another user": "EINVAL", "mount": "EPERM", "swap": "EPERM"},
    "PrivateMounts=yes": {"share mounts": "EXDEV"},
    "NoExecPaths=/ %S/rosterd %t/rosterd /tmp /var/tmp": {
        "run a program": "EACCES", "run what it wrote": "EACCES", "its own file as code": "EPERM"},
    "ProtectClock=yes": {"set the clock": "EPERM"},
    "ProtectHostname=yes": {"set the host name": "EPERM"},
    "ProtectKernelTunables=yes": {"kernel symbols": "ENODATA"},
    "ProtectKernelModules=yes": {"kernel modules": "ENOENT", "load a module": "EPERM"},
    "ProtectKernelLogs=yes": {"kernel log": "EPERM"},
    "ProtectControlGroups=yes": {"write the cgroups": "EROFS"},
    "ProtectProc=invisible": {"see other processes": "ENOENT"},
    "ProcSubset=pid": {"see the machine": "ENOENT"},
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6": {
        "socket AF_NETLINK": "EAFNOSUPPORT", "socket AF_PACKET": "EAFNOSUPPORT", "socket AF_VSOCK": "EAFNOSUPPORT"},
    "RestrictNamespaces=yes": {name: "EPERM" for name in FORBIDDEN if "namespace" in name},
    "RestrictRealtime=yes": {"real-time scheduling": "EPERM"},
    "RestrictSUIDSGID=yes": {"a set-uid file": "EPERM", "a set-gid file": "EPERM"},
    "RemoveIPC=yes": {"shared memory left behind": "gone"},
    "LockPersonality=yes": {"a personality": "EPERM"},
    "MemoryDenyWriteExecute=yes": {"memory, writable and executable": "EPERM", "memory made executable": "EPERM",
                                   "shared memory, executable": "EPERM"},
    "SystemCallArchitectures=native": {"calls of another architecture": "SIGSYS"},
    "SystemCallFilter=@system-service": {"trace a process": "SIGSYS", "perf": "SIGSYS", "bpf": "SIGSYS",
                                         "mount": "SIGSYS", "kexec": "SIGSYS", "raw I/O": "SIGSYS"},
    "SystemCallFilter=~@privileged @resources": {"another user id": "SIGSYS", "a file of another user": "SIGSYS",
                                                 "a priority": "SIGSYS", "chroot": "SIGSYS"},
    "SystemCallFilter=~io_uring_setup io_uring_enter io_uring_register add_key keyctl request_key": {
        "io_uring": "SIGSYS", "a key": "SIGSYS", "a key ring": "SIGSYS"},
    "SystemCallFilter=~userfaultfd process_vm_readv process_vm_writev kcmp": {
        "userfaultfd": "SIGSYS", "read a process's memory": "SIGSYS"},
    "SystemCallErrorNumber=EPERM": {"chroot": "EPERM"},
    "DevicePolicy=closed": {"open a device": "EPERM"},
    "LimitCORE=0": {"core files": "EPERM"},
    "UMask=0027": {"a file that others read": "EACCES"},
}
AS_USER = ["NoNewPrivileges=yes", "ProtectProc=invisible", "RemoveIPC=yes"]
# What a line needs beside it to mean anything: the beginning of that line.
BESIDE = {"NoExecPaths=/ %S/rosterd %t/rosterd /tmp /var/tmp": "ExecPaths=",
          "SystemCallErrorNumber=EPERM": "SystemCallFilter=~@privileged"}
# Lines that stop nothing by themselves.
SILENT = {
    "AmbientCapabilities=": "none is what a service has without it, too",
    "ExecPaths=/usr/sbin/rosterd /usr/lib -/usr/lib64 -/usr/local/lib -/usr/bin/kill": "the exception to NoExecPaths=",
    "KeyringMode=private": "what systemd does for every service without it, too",
}


# ---- the probe in the unit ---------------------------------------------------------------------

def unit_lines():
    """The unit: before the sandbox, the sandbox's own lines, and after it."""
    lines = unit_text("rosterd.service.in").splitlines()
    begin = lines.index("CapabilityBoundingSet=")
    end = next(i for i, line in enumerate(lines) if line.startswith("UMask=")) + 1
    return (lines[:begin], [line for line in lines[begin:end] if line and not line.startswith("#")], lines[end:])


TRACES = ["/probe-was-here", "/etc/probe-was-here", "/usr/probe-was-here", "/var/lib/probe-was-here",
          "/home/probe-was-here", "/sys/fs/cgroup/probe-was-here"]


def clean():
    for path in TRACES:
        if os.path.isdir(path):
            os.rmdir(path)
        elif os.path.exists(path):
            os.unlink(path)
    run("umount", "/mnt", status=None)
    run("ipcrm", "-M", str(SHARED_MEMORY_KEY), status=None)
    shutil.rmtree("/var/lib/rosterd", ignore_errors=True)


def start_probe():
    """Starts the unit as it is now; returns what came of each try."""
    clean()
    run("systemctl", "daemon-reload")
    run("systemctl", "reset-failed", "rosterd", status=None)
    done = subprocess.run(["systemctl", "start", "rosterd"], check=False, timeout=100)
    assert done.returncode == 0, run("journalctl", "-u", "rosterd", "-n", "20", "-o", "cat")
    wait_until(lambda: show("ActiveState") == "inactive", message="the probe's end")
    with open("/var/lib/rosterd/probe", encoding="utf-8") as f:
        results = dict(line.rsplit(" ", 1) for line in f.read().splitlines())
    with open("/proc/sysvipc/shm", encoding="utf-8") as f:
        keys = [line.split()[0] for line in f]
    results["shared memory left behind"] = "ok" if str(SHARED_MEMORY_KEY) in keys else "gone"
    clean()
    return results


def probe(sandbox, as_root):
    before, _, after = unit_lines()
    lines = [line for line in before + sandbox + after
             if not (as_root and line.startswith(("User=", "Group=")))]
    write(UNIT, "\n".join(lines) + "\n")
    try:
        return start_probe()
    finally:
        os.unlink(UNIT)
        run("systemctl", "daemon-reload")


@pytest.fixture(scope="module")
def in_place(installed):
    """The probe is /usr/sbin/rosterd, and there is what it looks for."""
    write("/root/marker", "x")
    write("/tmp/marker", "x")
    write("/usr/lib/modules/marker", "x")
    os.makedirs("/usr/lib/probe", exist_ok=True)
    shutil.copy("/bin/true", "/usr/lib/probe/program")
    write(CONFIG, "# something\n", 0o640)
    shutil.chown(CONFIG, "root", "rosterd")
    if not os.path.exists("/dev/device-of-test"):
        os.mknod("/dev/device-of-test", stat.S_IFCHR | 0o666, os.makedev(1, 11))
    os.makedirs("/opt/probe", exist_ok=True)
    shutil.copy(os.environ["SANDBOX_PROBE"], "/opt/probe/suid")
    os.chmod("/opt/probe/suid", 0o4755)
    shutil.copy(os.environ["SANDBOX_PROBE"], "/usr/sbin/rosterd")
    yield
    shutil.copy(os.environ["ROSTERD"], "/usr/sbin/rosterd")
    shutil.rmtree("/etc/rosterd", ignore_errors=True)


@pytest.fixture(scope="module")
def within(in_place):
    """In the unit as it is installed."""
    return start_probe()


@pytest.fixture(scope="module")
def within_as_root(in_place):
    return probe(unit_lines()[1], as_root=True)


@pytest.fixture(scope="module")
def without(in_place):
    return probe([], as_root=True)


@pytest.fixture(scope="module")
def without_as_user(in_place):
    return probe([], as_root=False)


def must_mean_something(outcomes, what, refusal):
    if outcomes[what] == refusal or outcomes[what] == "SIGSEGV":
        pytest.skip(f"cannot be shown on this machine: {what} is {outcomes[what]} without the sandbox, too")


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_unit_refuses(within, without, what):
    must_mean_something(without, what, FORBIDDEN[what])
    assert within[what] == FORBIDDEN[what]


@pytest.mark.parametrize("what", [what for what in FORBIDDEN if what not in ONLY_FROM_USERS])
def test_it_is_the_sandbox_that_refuses_not_only_the_users_rights(within_as_root, without, what):
    must_mean_something(without, what, FORBIDDEN[what])
    assert within_as_root[what] not in ("ok", without[what])


@pytest.mark.parametrize("what", ALLOWED)
def test_the_unit_allows(within, what):
    assert within[what] == "ok"


@pytest.mark.parametrize("what", OPEN)
def test_known_to_be_open(within, what):
    assert within[what] == "ok", "it is shut now: put it among FORBIDDEN"


@pytest.mark.parametrize("line", ALONE)
def test_each_directive_alone(without, without_as_user, line):
    as_user = line in AS_USER
    others = without_as_user if as_user else without
    for what, refusal in ALONE[line].items():
        must_mean_something(others, what, refusal)
    beside = [other for other in unit_lines()[1] if line in BESIDE and other.startswith(BESIDE[line])]
    outcomes = probe(beside + [line], as_root=not as_user)
    assert {what: outcomes[what] for what in ALONE[line]} == ALONE[line]


def test_every_directive_and_every_try_is_looked_at(within):
    assert sorted(unit_lines()[1]) == sorted([*ALONE, *SILENT])
    assert sorted(within) == sorted([*FORBIDDEN, *ALLOWED, *OPEN])


# ---- the daemon itself; the probe has no further turn ------------------------------------------

@pytest.fixture
def daemon(chime):
    shutil.copy(os.environ["ROSTERD"], "/usr/sbin/rosterd")
    return chime


def test_the_daemon_itself_runs_confined(daemon):
    configure(daemon)
    start_and_baseline()
    status = shell(f"cat /proc/{show('MainPID')}/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == int(fields["CapPrm"], 16) == 0
    assert int(fields["CapAmb"], 16) == 0
    pid = show("MainPID")
    assert os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/1/ns/user")
    assert os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/1/ns/mnt")
    mounts = shell(f"cat /proc/{pid}/mountinfo")
    root = [line.split() for line in mounts.splitlines() if line.split()[4] == "/"][-1]
    assert "ro" in root[5].split(","), root


def test_exposure_is_at_most_1_1(installed):
    for unit in ("rosterd.service", "rosterd-once.service"):
        run("systemd-analyze", "security", "--offline=true", "--threshold=11",
            f"/usr/lib/systemd/system/{unit}")


def test_verify_prints_nothing(installed):
    said = run("systemd-analyze", "verify", "--man=no", *[
        f"/usr/lib/systemd/system/{unit}"
        for unit in ("rosterd.service", "rosterd-once.service", "rosterd-once.timer", "rosterd-mail.service",
                     "rosterd-mail.timer")], status=None)
    assert [line for line in said.splitlines() if "rosterd" in line] == []


def test_a_program_is_run_only_with_the_drop_in(daemon):
    """rosterd asks for a credential_process, and may not have it; test_systemd.py has the drop-in."""
    write("/usr/local/bin/aws-helper", "#!/bin/sh\ntouch /var/lib/rosterd/ran\n", 0o755)
    write("/etc/rosterd/aws-config", "[default]\ncredential_process = /usr/local/bin/aws-helper\n")
    configure(daemon, account="# no access_key_id, nor its secret\n")
    write(f"{DROPINS}/aws.conf", "[Service]\nEnvironment=AWS_CONFIG_FILE=/etc/rosterd/aws-config\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "rosterd")
    said = wait_until(lambda: [e["MESSAGE"] for e in journal() if "credential_process" in str(e.get("MESSAGE"))],
                      message="the refusal")
    assert "Permission denied" in said[0], said
    assert not os.path.exists("/var/lib/rosterd/ran")
    os.unlink("/usr/local/bin/aws-helper")
