"""``nsview flags`` shows the table of clone flags and explains some of them, on any terminal and as JSON."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from nsview.commands.flags import explained, listed
from spawner.flags import FLAGS, GROUPS, find
from spawner.namespaces import KINDS, NamespaceKind
from spawner.rules import RULES

COMMAND = (sys.executable, "-m", "nsview", "flags")


def flags(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *args], capture_output=True, text=True, check=False)


def on_terminal(columns: int, *args: str) -> list[str]:
    """The lines that the command writes on a terminal of that width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen([*COMMAND, *args], stdout=slave, stdin=subprocess.DEVNULL, env=environment):
        os.close(slave)
        written = b""
        while True:
            try:
                written += os.read(master, 65536)
            except OSError as error:  # EIO: the other side is closed
                if error.errno != errno.EIO:
                    raise
                break
    os.close(master)
    return written.decode().splitlines()


def test_piped_table_has_one_line_per_flag() -> None:
    done = flags()
    assert done.returncode == 0
    title, *lines = done.stdout.splitlines()
    assert title.split()[:3] == ["NAME", "BIT", "GROUP"]
    assert [line.split()[0] for line in lines] == [flag.name for flag in FLAGS]
    assert all(line.endswith(flag.does) for line, flag in zip(lines, FLAGS, strict=True))


def test_header_can_be_left_out() -> None:
    assert flags("--no-header").stdout.splitlines()[0].startswith(FLAGS[0].name)


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_nothing_is_cut_or_too_long_on_a_terminal(columns: int) -> None:
    lines = on_terminal(columns)
    assert max(map(len, lines)) <= columns
    words = " ".join(" ".join(lines).split())
    for flag in FLAGS:
        if columns < 100:  # below the name; beside it the wrapped sentence is broken by the columns to its left
            assert flag.does in words
        assert flag.name in words


@pytest.mark.parametrize("room", range(20, 210, 7))
def test_every_width_has_every_word(room: int) -> None:
    for lines in (list(listed(FLAGS, True, room)), list(explained(FLAGS, room))):
        words = "\n".join(lines).split()
        for flag in FLAGS:
            assert flag.name in words
            assert set(flag.does.split()) <= set(words)


def test_listing_by_group() -> None:
    for group in GROUPS:
        lines = flags("--group", group, "--no-header").stdout.splitlines()
        assert [line.split()[0] for line in lines] == [flag.name for flag in FLAGS if flag.group == group]


@pytest.mark.parametrize("name", ["CLONE_FS", "fs", "clone_fs", "FS"])
def test_flag_is_explained_with_the_rules_that_mention_it(name: str) -> None:
    done = flags(name)
    assert done.returncode == 0
    text = done.stdout
    flag = find("FS")
    assert text.startswith("CLONE_FS  0x200  sharing")
    assert flag.does in text
    assert flag.after_exec in text
    for rule in RULES:
        if flag.bit in (rule.has, rule.lacks) or (rule.has & flag.bit):
            assert rule.why in text
    assert "CLONE_FS with CLONE_NEWNS (clone3, clone)" in text


def test_flag_that_must_be_there_is_named_as_missing() -> None:
    assert "CLONE_THREAD without CLONE_SIGHAND (clone3, clone)" in flags("sighand").stdout


def test_several_flags_are_judged_together() -> None:
    assert flags("newns,fs").stdout.splitlines()[-1].strip().startswith("refused with EINVAL (CLONE_FS|CLONE_NEWNS)")
    assert flags("vm|thread|sighand").stdout.splitlines()[-1].strip().startswith("accepted")


def test_unknown_flag_gets_one_clear_message() -> None:
    done = flags("NEWUT")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "unknown clone flag 'NEWUT'; did you mean CLONE_NEWUTS" in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr


def test_json_has_every_flag_and_rule() -> None:
    document = json.loads(flags("--json").stdout)
    assert document["version"] == 1
    assert [flag["name"] for flag in document["flags"]] == [flag.name for flag in FLAGS]
    assert {flag["name"]: flag["stays"] for flag in document["flags"]} == {flag.name: flag.stays for flag in FLAGS}
    rules = {rule["name"]: rule for rule in document["rules"]}
    assert rules["fs-across-mounts"]["has"] == ["CLONE_FS", "CLONE_NEWNS"]
    assert rules["fs-across-mounts"]["errno"] == "EINVAL"
    assert rules["thread-needs-sighand"]["lacks"] == ["CLONE_SIGHAND"]
    assert any(danger["stops"] for danger in document["dangers"])
    assert rules["signal-in-flags"]["any_of"] == ["0x7f"]
    assert {rule.name for rule in RULES} == rules.keys()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_flag_of_a_namespace_tells_what_is_shared_still(kind: NamespaceKind) -> None:
    assert kind.still_shared in " ".join(flags(kind.flag_name).stdout.split())
    (flag,) = json.loads(flags("--json", kind.flag_name).stdout)["flags"]
    assert flag["still_shared"] == kind.still_shared


def test_flag_of_no_namespace_tells_nothing_of_that() -> None:
    assert "still shared" not in flags("CLONE_FS").stdout
    (flag,) = json.loads(flags("--json", "CLONE_FS").stdout)["flags"]
    assert flag["still_shared"] is None


def test_json_of_one_flag_has_its_rules_only() -> None:
    document = json.loads(flags("--json", "sysvsem").stdout)
    assert [flag["name"] for flag in document["flags"]] == ["CLONE_SYSVSEM"]
    assert "semaphores-across-ipc" in [rule["name"] for rule in document["rules"]]
    assert "fs-across-mounts" not in [rule["name"] for rule in document["rules"]]
