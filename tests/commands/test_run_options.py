"""The options of `nsview run`: read as getopt would, meaning what unshare(1) and bwrap(1) mean by them."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from launched import complaint, run, said, words

from nsview import options as run_options
from nsview.commands.run import add_parser, prepare
from spawner import Mechanism, Spec, Stdio
from spawner.namespaces import KINDS

LETTERS = {kind.letter: kind for kind in KINDS}
LONG = {"mount": "mount", "network": "net"}


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    add_parser(parser.add_subparsers())
    return parser.parse_args(["run", *prepare(arguments)])


def spec(*arguments: str) -> Spec:
    return run_options.spec_of(parsed(*arguments))


# ---- reading ----

ALONE_NONSENSE = {"--masquerade", "--map-auto"}  # refused without --veth, and where /etc/subuid has nothing for us
FLAGS = sorted(
    name for name, option in run_options._OPTIONS.items() if not option.values and name not in ALONE_NONSENSE
)
SHORT_FLAGS = sorted(name[1] for name in FLAGS if len(name) == 2)
VALUES = {
    "--clone-flags": "NEWUTS,FS",
    "--via": "fork",
    "--map-user": "0",
    "--map-group": "0",
    "--setgroups": "deny",
    "--hostname": "-x",
    "--domainname": "--net",
    "--monotonic": "-5",
    "--boottime": "7",
    "--propagation": "slave",
    "-w": "-dir",
    "--wd": "--",
    "--unsetenv": "-u",
    "--argv0": "-sh",
    "--timeout": "2.5",
    "--report": "-",
}
flag = st.sampled_from(FLAGS).map(lambda name: [name])
cluster = st.lists(st.sampled_from(SHORT_FLAGS), min_size=1, max_size=4).map(lambda found: ["-" + "".join(found)])
separate = st.sampled_from(sorted(VALUES)).map(lambda name: [name, VALUES[name]])
joined = st.sampled_from(sorted(name for name in VALUES if len(name) > 2)).map(lambda name: [f"{name}={VALUES[name]}"])
cluster_with_value = st.sampled_from([["-uw", "/x"], ["-w/x"], ["-uw/x"], ["-w-u"]])
two_values = st.sampled_from(
    [["--setenv", "A", "b"], ["--setenv", "A", "-b"], ["--setenv", "A", "--"], ["--setenv", "A", ""]]
)
optional = st.sampled_from([["--kill-child=TERM"], ["--mount-proc=/x"]])
options = st.lists(st.one_of(flag, cluster, separate, joined, cluster_with_value, two_values, optional), max_size=6)
word = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
argument = st.one_of(word, st.sampled_from(["-r", "--", "-", "--net", "--setenv", "-5", "--help", "-h"]))
program = st.tuples(word.filter(lambda text: text and not text.startswith("-")), st.lists(argument, max_size=4))


@given(options, program)
def test_the_words_of_the_program_are_never_taken_for_options(
    before: list[list[str]], after: tuple[str, list[str]]
) -> None:
    name, arguments = after
    given_options = [part for option in before for part in option]
    assert spec(*given_options, name, *arguments).args == (name, *arguments)


@given(options, st.lists(argument, min_size=1, max_size=4))
def test_two_dashes_end_the_options(before: list[list[str]], after: list[str]) -> None:
    given_options = [part for option in before for part in option]
    assert spec(*given_options, "--", *after).args == tuple(after)


@given(options, program)
def test_no_value_of_an_option_is_taken_for_another(before: list[list[str]], after: tuple[str, list[str]]) -> None:
    asked = parsed(*(part for option in before for part in option), after[0])
    expected = {"hostname": None, "domainname": None, "argv0": None, "report": None}
    for option in before:
        name, _, value = option[0].partition("=")
        if (field := name.removeprefix("--")) in expected:
            expected[field] = value or option[1]
    assert {field: getattr(asked, field) for field in expected} == expected
    changes = [
        ("--unsetenv", option[0].partition("=")[2]) if option[0].startswith("--unsetenv=") else tuple(option)
        for option in before
        if option[0].partition("=")[0] in ("--setenv", "--unsetenv", "--clearenv")
    ]
    assert asked.environment == changes


@pytest.mark.parametrize("letter", LETTERS)
def test_each_letter_and_its_long_name_ask_for_the_same_namespace(letter: str) -> None:
    kind = LETTERS[letter]
    expected = frozenset({kind.name})
    assert spec(f"-{letter}", "true").namespaces == expected
    assert spec(f"--{LONG.get(kind.name, kind.name)}", "true").namespaces == expected


def test_letters_may_be_written_together() -> None:
    assert spec("-mnpUuiCT", "true").namespaces == spec("--unshare-all", "true").namespaces == {k.name for k in KINDS}


def test_nothing_is_asked_for_by_default_but_to_die_with_us() -> None:
    assert spec("true") == Spec(args=("true",), pdeathsig=signal.SIGKILL)


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        ((), signal.SIGKILL),
        (("--kill-child",), signal.SIGKILL),
        (("--kill-child=TERM",), signal.SIGTERM),
        (("--kill-child=SIGINT",), signal.SIGINT),
        (("--kill-child=hup",), signal.SIGHUP),
        (("--kill-child=34",), 34),
        (("--no-kill-child",), None),
    ],
)
def test_the_signal_of_our_death(arguments: tuple[str, ...], number: int | None) -> None:
    assert spec(*arguments, "true").pdeathsig == number


# posix_spawn and CLONE_PARENT have no such signal: not asked for it is left out, asked for it is refused
@pytest.mark.parametrize("other", [("--via", "posix_spawn"), ("--clone-flags", "PARENT")])
def test_what_cannot_die_with_us_does_so_only_if_nobody_asked(other: tuple[str, ...]) -> None:
    assert spec(*other, "true").pdeathsig is None
    assert spec(*other, "--kill-child=TERM", "true").pdeathsig == signal.SIGTERM
    assert "death" in complaint(run(*other, "--kill-child", "true"))


def test_a_terminal_is_asked_for_or_not() -> None:
    assert spec("--pty", "true").stdio is Stdio.PTY
    assert spec("--pty", "--no-pty", "true").stdio is Stdio.INHERIT


@pytest.mark.parametrize("via", list(Mechanism))
def test_every_call_can_be_asked_for(via: Mechanism) -> None:
    assert spec("--via", str(via), "true").via is via
    assert said("--via", str(via), "echo", "x") == "x\n"


# ---- the environment, in order, as bwrap(1) has it ----


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ((), {"A": "1", "B": "2", "PWD": "/p"}),
        (("--setenv", "A", "x"), {"A": "x", "B": "2", "PWD": "/p"}),
        (("--setenv", "C", ""), {"A": "1", "B": "2", "C": "", "PWD": "/p"}),
        (("--unsetenv", "A"), {"B": "2", "PWD": "/p"}),
        (("--unsetenv", "NONE"), {"A": "1", "B": "2", "PWD": "/p"}),
        (("--clearenv",), {"PWD": "/p"}),
        (("--setenv", "A", "x", "--clearenv"), {"PWD": "/p"}),
        (("--clearenv", "--setenv", "A", "x"), {"A": "x", "PWD": "/p"}),
        (("--setenv", "A", "x", "--unsetenv", "A"), {"B": "2", "PWD": "/p"}),
        (("--unsetenv", "A", "--setenv", "A", "x"), {"A": "x", "B": "2", "PWD": "/p"}),
        (("--setenv", "A", "x", "--setenv", "A", "y"), {"A": "y", "B": "2", "PWD": "/p"}),
        (("--setenv", "A", "-v"), {"A": "-v", "B": "2", "PWD": "/p"}),
        (("--setenv", "A", "a=b c\n"), {"A": "a=b c\n", "B": "2", "PWD": "/p"}),
    ],
    ids=str,
)
def test_the_environment_is_changed_in_the_order_given(changes: tuple[str, ...], expected: dict[str, str]) -> None:
    kept = {name: os.environ[name] for name in ("PYTHONPATH", "LC_ALL") if name in os.environ}
    env = {"A": "1", "B": "2", "PWD": "/p", **kept}
    text = said(*changes, "/usr/bin/env", "-0", env=env)
    found = dict(entry.split("=", 1) for entry in text.split("\0")[:-1])
    if "--clearenv" not in changes:
        expected = {**expected, **kept}
    found.pop("LC_CTYPE", None)  # Python's own coercion of the C locale (PEP 538)
    assert found == expected


@pytest.mark.parametrize("name", ["", "A=B", "="])
def test_what_names_no_variable_is_refused(name: str) -> None:
    assert "environment variable" in complaint(run("--setenv", name, "x", "true"))


def test_the_program_is_looked_for_along_its_own_path(tmp_path: Path) -> None:
    tool = tmp_path / "a-tool"
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)
    assert said("--setenv", "PATH", str(tmp_path), "a-tool") == "found\n"
    assert complaint(run("--setenv", "PATH", "/no/such", "sh"), 127)


# ---- the same as unshare(1) ----


def unshared(*arguments: str) -> str:
    return subprocess.run(
        ["unshare", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60
    ).stdout


IDS = ("sh", "-c", "id -u; id -g; cat /proc/self/setgroups /proc/self/uid_map /proc/self/gid_map")
SAME = {
    "user": (("-U",), IDS),
    "root": (("-r",), IDS),
    "root, long": (("--map-root-user",), IDS),
    "current": (("-c",), IDS),
    "current, long": (("--map-current-user",), IDS),
    "a user": (("--map-user=1234",), IDS),
    "a user and a group": (("--map-user=1234", "--map-group=5678"), IDS),
    "a group": (("--map-group=5678",), IDS),
    "a user by name": (("--map-user=nobody",), IDS),
    "setgroups": (("-U", "--setgroups=deny"), IDS),
    "working directory": (("--wd=/usr",), ("pwd",)),
    "working directory, short": (("-w", "/usr"), ("pwd",)),
    "ipc": (("-i",), ("cat", "/proc/sysvipc/msg")),
    "pid with its proc": (("-p", "--mount-proc"), ("sh", "-c", "echo $$; readlink /proc/self; ls -d /proc/[0-9]*")),
    "lo": (("-n", "--no-loopback"), ("cat", "/proc/self/net/fib_trie")),
    "offsets": (("-T", "--monotonic=1000", "--boottime=-5"), ("cat", "/proc/self/timens_offsets")),
    "private": (("-m",), ("sh", "-c", "grep -c shared: /proc/self/mountinfo; true")),
    "shared": (("-m", "--propagation", "shared"), ("sh", "-c", "grep -c shared: /proc/self/mountinfo")),
    "private, again": (("-m", "--propagation=private"), ("sh", "-c", "grep -c shared: /proc/self/mountinfo; true")),
    "cgroup": (("-C",), ("cat", "/proc/self/cgroup")),
    "everything as root": (
        ("-rmunipCT", "--mount-proc"),
        ("sh", "-c", "id -u; echo $$; hostname; wc -l < /proc/self/net/fib_trie"),
    ),
}


@pytest.mark.needs_root
@pytest.mark.needs("unshare")
@pytest.mark.parametrize("name", SAME)
def test_an_option_of_unshare_does_what_unshare_does(name: str) -> None:
    arguments, program = SAME[name]
    theirs = [word for word in arguments if word != "--no-loopback"]
    ours = list(arguments)
    if "n" in arguments[0].lstrip("-") and "--no-loopback" not in arguments and not arguments[0].startswith("--"):
        ours.append("--no-loopback")
    if "p" in arguments[0] and not arguments[0].startswith("--"):
        theirs.insert(0, "--fork")
    assert words(said(*ours, *program)) == words(unshared(*theirs, *program))


@pytest.mark.needs_root
@pytest.mark.parametrize("letter", LETTERS)
def test_a_letter_makes_that_namespace_and_no_other(letter: str) -> None:
    links = [f"/proc/self/ns/{kind.proc}" for kind in KINDS]
    inside = said(f"-{letter}", "readlink", *links).split()
    new = {kind.letter for kind, link, found in zip(KINDS, links, inside, strict=True) if os.readlink(link) != found}
    assert new == {letter}


@pytest.mark.needs_root
def test_names_are_set_inside_and_not_outside() -> None:
    before = socket.gethostname()
    script = "hostname; cat /proc/sys/kernel/domainname"
    assert said("-u", "--hostname", "demo", "--domainname=example", "sh", "-c", script) == "demo\nexample\n"
    assert socket.gethostname() == before


@pytest.mark.needs_root
@pytest.mark.parametrize(("option", "up"), [((), True), (("--no-loopback",), False)])
def test_lo_is_up_unless_asked_not_to_be(option: tuple[str, ...], up: bool) -> None:
    assert ("127.0.0.1" in said("-n", *option, "cat", "/proc/self/net/fib_trie")) is up


@pytest.mark.needs_root
def test_proc_is_mounted_where_it_is_asked_for(tmp_path: Path) -> None:
    assert said("-p", f"--mount-proc={tmp_path}", "ls", "-d", f"{tmp_path}/1") == f"{tmp_path}/1\n"
    assert list(tmp_path.iterdir()) == []


def test_argv0_is_what_the_program_is_told() -> None:
    assert said("--argv0", "-name", "cat", "/proc/self/cmdline").split("\0")[0] == "-name"
    assert said("--argv0=other", "cat", "/proc/self/cmdline").split("\0")[0] == "other"


def test_a_new_session_is_led_by_the_program() -> None:
    script = "echo $$; cut -d' ' -f6 /proc/self/stat"
    pid, session = said("--new-session", "sh", "-c", script).split()
    assert pid == session
    pid, session = said("sh", "-c", script).split()
    assert pid != session


# ---- refusals: one clear line, 125, and nothing done ----

BAD = {
    "an unknown option": (("--no-such",), "--no-such"),
    "an unknown letter": (("-Z",), "-Z"),
    "an abbreviation": (("--host=x", "-u"), "--host"),
    "an unknown flag": (("--clone-flags", "NEWUTZ"), "NEWUTS"),
    "an unknown call": (("--via", "spoon"), "posix_spawn"),
    "an unknown propagation": (("--propagation", "odd"), "slave"),
    "an unknown setgroups": (("--setgroups", "maybe"), "allow"),
    "an unknown signal": (("--kill-child=NONE",), "NONE"),
    "signal 0": (("--kill-child=0",), "'0'"),
    "signal 65": (("--kill-child=65",), "65"),
    "an unknown user": (("--map-user", "no-such-user"), "no-such-user"),
    "an unknown group": (("--map-group", "no-such-group"), "no-such-group"),
    "a number that is none": (("--map-user", "²"), "²"),
    "an id that is too large": (("--map-user", "4294967296"), "4294967294"),
    "a negative id": (("--map-user=-1",), "-1"),
    "seconds that are none": (("-T", "--boottime", "soon"), "soon"),
    "seconds that are too many": (("-T", "--boottime", "9" * 30), "offset"),
    "an offset without its namespace": (("--boottime", "5"), "-T"),
    "a name without its namespace": (("--hostname", "x"), "-u"),
    "no name without its namespace": (("--hostname", ""), "-u"),
    "a name that is too long": (("-u", "--hostname", "x" * 65), "64"),
    "proc nowhere": (("--mount-proc=",), "mount_proc"),
    "no time": (("--timeout", "0"), "'0'"),
    "a negative time": (("--timeout", "-1"), "-1"),
    "a time that is none": (("--timeout", "nan"), "nan"),
    "an endless time": (("--timeout", "inf"), "inf"),
    "a missing value": (("--timeout",), "--timeout"),
    "a value too many": (("--unshare-all=x",), "unshare-all"),
    "namespaces by fork": (("-u", "--via", "fork"), "fork+unshare"),
    "a held vfork": (("--step", "--via", "vfork"), "vfork"),
    "flags that clash": (("--clone-flags", "FS", "-m"), "CLONE_FS"),
    "a thread": (("--clone-flags", "THREAD,SIGHAND,VM"), "CLONE_THREAD"),
    "shared directory": (("--clone-flags", "FS", "-w", "/"), "CLONE_FS"),
    "a report into nowhere": (("--report", "/no/such/directory/file"), "/no/such/directory/file"),
    "a report into a directory": (("--report", "/"), "/"),
    "no directory": (("-w", "/no/such"), "/no/such"),
    "a place for proc that is missing": (("-rp", "--mount-proc=/no/such"), "/no/such"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_done_is_one_clear_line_and_nothing_is_done(name: str, tmp_path: Path) -> None:
    arguments, expected = BAD[name]
    mark = tmp_path / "mark"
    program = () if name == "a missing value" else ("touch", str(mark))
    assert expected in complaint(run(*arguments, *program))
    assert not mark.exists()


def test_several_problems_are_a_line_each() -> None:
    done = run("--hostname", "x", "--boottime", "5", "true")
    assert done.returncode == 125
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("arguments", [(), ("-u",), ("--",), ("",)], ids=str)
def test_no_program_is_said_to_be_missing(arguments: tuple[str, ...]) -> None:
    assert "no program" in complaint(run(*arguments))


# --no-check: the kernel itself is asked
@pytest.mark.needs_root
def test_unchecked_flags_are_refused_by_the_kernel() -> None:
    line = complaint(run("--no-check", "--clone-flags", "FS", "-m", "true"))
    assert line.startswith("clone3: EINVAL")


def test_help_has_every_option() -> None:
    text = run("--help").stdout
    for name in run_options._OPTIONS:
        assert name in text
