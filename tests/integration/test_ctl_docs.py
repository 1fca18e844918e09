# SPDX-License-Identifier: Apache-2.0
"""rosterctl and what is written of it: manual page, README, completion."""

import os
import pty
import re
import select
import shlex
import shutil
import subprocess

import pytest

import screens
from control import wait_idle
from emulator import Emulator
from rosterctl import Rosterctl, binary, environment
from rosterd import Rosterd, wait_until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as f:
        return f.read()


# ---- screens ----

def man_screens():
    """(command, lines) of each literal block that begins with one."""
    page = read("doc", "rosterctl.1").replace("\\e", "\\").replace("\\&", "")
    for block in re.findall(r"^\.Bd -literal\n(.*?)^\.Ed$", page, re.M | re.S):
        if block.startswith("$ rosterctl"):
            first, *lines = block.rstrip("\n").split("\n")
            yield first, lines


def readme_screens():
    lines = read("README.md").split("\n")
    for at, line in enumerate(lines):
        if line.startswith("    $ rosterctl"):
            end = at + 1
            while end < len(lines) and not lines[end].startswith("    $ ") and \
                    (lines[end].startswith("    ") or
                     (not lines[end] and end + 1 < len(lines) and lines[end + 1].startswith("    "))):
                end += 1
            shown = [text[4:] for text in lines[at + 1:end]]
            while shown and not shown[-1]:
                shown.pop()
            yield line[4:], shown


@pytest.mark.parametrize("where", [man_screens, readme_screens])
def test_screens_are_what_is_really_seen(tmp_path, where):
    shown = list(where())
    assert len(shown) >= 5
    with Emulator(users=0) as chime:
        roster = screens.build(tmp_path, chime)
        with roster:
            wait_idle(roster)
            for command, lines in shown:
                seen = screens.screen(roster, shlex.split(command[2:])[1:])
                assert screens.plain(seen) == screens.plain(lines), \
                    f"{command}\nis really:\n" + "\n".join(seen)


def test_the_version_of_the_schema_that_is_shown(tmp_path):
    """Screens are compared without their numbers; this one changes with each migration."""
    with Emulator(users=1) as chime:
        roster = Rosterd(tmp_path, chime)
        roster.once()
    version = roster.sql("PRAGMA user_version")[0]["user_version"]
    shown = [re.findall(r"version (\d+)", line) for _, lines in man_screens() for line in lines
             if line.startswith("schema ")]
    assert shown == [[str(version)]]


# ---- the manual page ----

def helped(text):
    """Options that a help text names, without the general ones."""
    return set(re.findall(r"--([a-z-]+)", "\n".join(
        re.findall(r"^  (?:-., |    )--[a-z-]+", text.split("General options:")[0], re.M))))


def test_the_page_has_every_command_and_option():
    page = read("doc", "rosterctl.1")
    sections = dict(re.findall(r"^\.Ss ([a-z]+)\n(.*?)(?=^\.S[hs] )", page, re.M | re.S))
    ctl = Rosterctl()
    text = ctl.ok("--help")
    commands = re.findall(r"^  ([a-z]+)  ", text.split("Commands:")[1].split("Options:")[0], re.M)
    assert list(sections) == commands
    for command in commands:
        options = helped(ctl.ok(command, "--help"))
        written = set(re.findall(r"Fl Fl ([a-z-]+)", sections[command]))
        if command == "export":  # "the options are those of users, and:"
            written |= set(re.findall(r"Fl Fl ([a-z-]+)", sections["users"]))
        assert options == written - {"utc", "format"}, command
    for option in re.findall(r"--([a-z-]+)", text.split("\nOptions:")[1].split("\n\n")[0]):
        assert f"Fl Fl {option}" in page.split(".Sh COMMANDS")[0]


def pages():
    build = os.environ.get("abs_top_builddir", TOP)
    for name in ("rosterctl.1", "rosterd.8", "rosterd.conf.5"):
        yield os.path.join(TOP, "doc", name)
    yield os.path.join(build, "doc", "rosterd-schema.5")


@pytest.mark.parametrize("path", list(pages()), ids=os.path.basename)
def test_mandoc_finds_nothing(path):
    if not shutil.which("mandoc"):
        pytest.skip("there is no mandoc here")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.stdout + done.stderr == ""


def test_the_schema_page_has_every_column():
    page = read_schema_page()
    tables = re.findall(r"^## `(.*)`$", read("doc", "schema.md"), re.M)
    assert len(tables) > 8
    for table in tables:
        assert f".Ss {table.replace('`', '')}\n" in page
    for column in re.findall(r"^\| `(\w+)` \|", read("doc", "schema.md"), re.M):
        assert f".It Sy {column} Pq" in page


def read_schema_page():
    with open(list(pages())[-1], encoding="utf-8") as f:
        return f.read()


# ---- completion ----

@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a roster, and rosterctl on the path."""
    folder = tmp_path_factory.mktemp("complete")
    with Emulator(users=1) as chime:
        chime.add_account(screens.ROOMS)
        roster = Rosterd(folder, chime, accounts={"acme": {}, "rooms": {"account_id": screens.ROOMS}})
        roster.once()
    roster.webhooks = {"ops": {"url": "https://hooks.example.com/rosterd"}}
    roster.write_config()
    (folder / "bin").mkdir()
    # what is typed names no configuration: this one is the default
    (folder / "bin" / "rosterctl").write_text(
        f"#!/bin/sh\nif [ \"$1\" = complete ]; then shift; set -- complete --config '{roster.config}' "
        f"\"$@\"; fi\nexec '{binary()}' \"$@\"\n")
    (folder / "bin" / "rosterctl").chmod(0o755)
    return folder


def shell_environment(place, **more):
    env = environment(HOME=str(place), **more)
    env["PATH"] = f"{place}/bin:{env['PATH']}"
    return env


# typed, what is offered, what is not
TYPED = [
    (["us"], ["users"], ["status"]),
    (["users", "--acc"], ["--account"], ["--email"]),
    (["users", "--account", ""], ["acme", "rooms"], ["users"]),
    (["users", "-r", "Sus"], ["Suspended"], ["Registered"]),
    (["--utc", "events", "--type", "user.s"], ["user.suspended"], ["sync.failed"]),
    (["check", ""], ["suspended", "sync", "webhooks"], ["acme"]),
    (["users", "--format", "nd"], ["ndjson"], ["csv"]),
    (["sync", "roo"], ["rooms"], ["acme"]),
    (["webhooks", "re"], ["replay"], ["ops"]),
    (["webhooks", "replay", ""], ["ops"], ["replay", "acme"]),
]


@pytest.mark.parametrize("typed,offered,others", TYPED)
def test_bash_completes(place, typed, offered, others):
    script = os.path.join(TOP, "conf", "completion", "rosterctl.bash")
    words = " ".join(f"'{word}'" for word in ["rosterctl", *typed])
    done = subprocess.run(["bash", "--norc", "-c", f"source '{script}'; COMP_WORDS=({words}); "
                           f"COMP_CWORD={len(typed)}; _rosterctl rosterctl; "
                           "printf '%s\\n' \"${COMPREPLY[@]}\""], env=shell_environment(place),
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    found = done.stdout.splitlines()
    assert set(offered) <= set(found) and not set(others) & set(found), found


@pytest.mark.parametrize("typed,offered,others", TYPED)
def test_fish_completes(place, typed, offered, others):
    if not shutil.which("fish"):
        pytest.skip("there is no fish here")
    script = os.path.join(TOP, "conf", "completion", "rosterctl.fish")
    line = " ".join(["rosterctl", *typed])
    done = subprocess.run(["fish", "--no-config", "-c", f"source '{script}'; complete -C '{line}'"],
                          env=shell_environment(place), capture_output=True, text=True, timeout=60,
                          check=False)
    found = [entry.split("\t")[0] for entry in done.stdout.splitlines()]
    assert set(offered) <= set(found) and not set(others) & set(found), (found, done.stderr)


ZSHRC = """
PS1=
fpath=({folder} $fpath)
autoload -Uz compinit && compinit -u -D
zle-line-init() {{ : >$ZDOTDIR/ready }}
zle -N zle-line-init
report() {{ print -r -- $BUFFER >$ZDOTDIR/new && mv $ZDOTDIR/new $ZDOTDIR/line }}
zle -N report
bindkey '^X' report
"""


@pytest.mark.parametrize("typed,offered,others", [case for case in TYPED if len(case[1]) == 1])
def test_zsh_completes(place, tmp_path, typed, offered, others):
    """By typing it: zsh has no other way.  The line then holds the one word that is offered."""
    del others
    if not shutil.which("zsh"):
        pytest.skip("there is no zsh here")
    (tmp_path / ".zshrc").write_text(ZSHRC.format(folder=os.path.join(TOP, "conf", "completion")))
    master, slave = pty.openpty()
    shell = subprocess.Popen(["zsh", "-d", "-i"], stdin=slave, stdout=slave, stderr=slave,
                             env=shell_environment(place, ZDOTDIR=str(tmp_path)), cwd=tmp_path,
                             start_new_session=True)
    os.close(slave)

    def appears(name):
        while select.select([master], [], [], 0)[0]:  # or it could not go on writing
            os.read(master, 65536)
        return os.path.exists(tmp_path / name)

    try:
        wait_until(lambda: appears("ready"), message="zsh")
        os.write(master, " ".join(["rosterctl", *typed]).encode() + b"\t\x18")
        wait_until(lambda: appears("line"), message="the completed line")
        line = (tmp_path / "line").read_text()
        assert line == " ".join(["rosterctl", *typed[:-1], offered[0]]) + " \n"
    finally:
        shell.kill()
        shell.wait(10)
        os.close(master)
