# SPDX-License-Identifier: Apache-2.0
"""rosterctl and what is written of it: manual page, README, completion."""

import os
import re
import shlex
import shutil
import subprocess

import pytest

import screens
from control import wait_idle
from emulator import Emulator
from rosterctl import Rosterctl, binary, environment

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
    with Emulator(users=0) as chime:
        roster = screens.build(folder, chime)
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


@pytest.mark.parametrize("typed,offered,others", [case for case in TYPED if len(case[1]) == 1])
def test_zsh_completes(place, tmp_path, typed, offered, others):
    """By typing it: zsh has no other way."""
    if not shutil.which("zsh"):
        pytest.skip("there is no zsh here")
    folder = os.path.join(TOP, "conf", "completion")
    line = " ".join(["rosterctl", *typed])
    script = f"""
zmodload zsh/zpty
zpty shell zsh -f -i
say() {{ zpty -w shell "$1"; sleep 0.1 }}
say "PS1= ; fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; print re'a'dy"
for i in {{1..250}}; do zpty -r -t shell text && print -rn -- $text; [[ $text = *ready* ]] && break; sleep 0.1; done
zpty -n -w shell $'{line}\\t'
sleep 0.3
zpty -w shell "#end"
for i in {{1..250}}; do zpty -r -t shell text && print -rn -- $text; [[ $text = *end* ]] && break; sleep 0.1; done
"""
    done = subprocess.run(["zsh", "-f", "-c", script], env=shell_environment(place, TERM="dumb"),
                          capture_output=True, text=True, errors="replace", timeout=90,
                          cwd=tmp_path, check=False)
    typed_out = re.sub("[\x07\r]|\x1b\\[[0-9;?]*[a-zA-Z]", "", done.stdout.split("ready")[-1])
    assert offered[0] in typed_out and not any(word in typed_out for word in others), done.stdout
