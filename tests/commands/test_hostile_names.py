r"""Whatever a process calls itself, every command shows it escaped: each row one line, JSON a document, no control.

The terminal is the reader here: what is written must be printable but for the ends of lines.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from features import lacking
from hostile import GROUP, RAW, USER, Hostile, hostile_process
from leftovers import until
from windows import shown_in_window

from nsview.host.columns import DEAR
from nsview.host.columns.processes import PROCESS_COLUMNS
from nsview.host.text import printable

pytestmark = pytest.mark.needs("unshare")

ALL = ",".join(column.name for column in PROCESS_COLUMNS if column.cost < DEAR)
SHOWN = printable(RAW)

TEXTS = {
    "ps": ("ps",),
    "ps --args": ("ps", "--args"),
    "ps, all columns": ("ps", "--flat", "-o", ALL),
    "ps, a filter": ("ps", "pid={pid}", "-o", "command,cwd,exe,cgroup,container,user"),
    "ps by name": ("ps", "--sort", "command,exe,user"),
    "tree": ("tree",),
    "tree of one": ("tree", "--namespaces", "--args", "pid={pid}"),
    "ns": ("ns",),
    "ns mount": ("ns", "mount"),
    "ns INODE": ("ns", "{mount}"),
    "cgroups": ("cgroups",),
    "cgroups --processes": ("cgroups", "--processes"),
    "show": ("show", "{pid}"),
    "diff": ("diff", "self", "{pid}"),
    "diff --all": ("diff", "--all", "{pid}"),
}

DOCUMENTS = {
    "ps": ("ps", "--json"),
    "ps, all columns": ("ps", "--json", "-o", ALL),
    "tree": ("tree", "--json", "--args"),
    "ns": ("ns", "--json"),
    "ns INODE": ("ns", "{mount}", "--json"),
    "cgroups": ("cgroups", "--json"),
    "show": ("show", "{pid}", "--json"),
    "diff": ("diff", "--all", "self", "{pid}", "--json"),
    "snapshot": ("snapshot",),
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    """The process: with all that takes root where we are."""
    as_root = lacking("root") is None and lacking("cgroup2") is None
    with hostile_process(tmp_path_factory.mktemp("hostile"), as_root) as process:
        yield process


def words_of(hostile: Hostile, words: tuple[str, ...]) -> list[str]:
    mount = os.stat(f"/proc/{hostile.pid}/ns/mnt").st_ino
    return [word.format(pid=hostile.pid, mount=mount) for word in words]


def lines_of(written: bytes) -> list[str]:
    """The lines, each printable; UnicodeDecodeError where the bytes are no UTF-8."""
    text = written.decode("utf-8")
    assert text.endswith("\n")
    lines = text[:-1].split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    return lines


def test_the_names_are_as_hostile_as_they_are_meant_to_be(hostile):
    process = Path("/proc", str(hostile.pid))
    assert RAW in process.joinpath("cmdline").read_bytes()
    assert os.readlink(os.fsencode(process / "exe")).endswith(RAW)
    assert os.readlink(os.fsencode(process / "cwd")).endswith(RAW)
    assert b"\n" in process.joinpath("comm").read_bytes()[:-1]
    if hostile.users is not None:
        assert GROUP in process.joinpath("cgroup").read_bytes()
        assert b"\x1b" in process.joinpath("mountinfo").read_bytes()


@pytest.mark.parametrize("words", TEXTS.values(), ids=TEXTS)
def test_every_line_can_be_printed(hostile, words):
    assert lines_of(hostile.nsview(*words_of(hostile, words)))


@pytest.mark.parametrize("words", DOCUMENTS.values(), ids=DOCUMENTS)
def test_every_document_can_be_parsed_and_printed(hostile, words):
    written = hostile.nsview(*words_of(hostile, words))
    lines_of(written)
    json.loads(written)


def test_each_process_is_one_line(hostile):
    lines = lines_of(hostile.nsview("ps", "--flat", "--no-header", "-o", f"pid,{ALL.removeprefix('pid,')}"))
    pids = [int(line.split()[0]) for line in lines]
    assert pids == sorted(set(pids))
    assert hostile.pid in pids


def test_names_are_escaped_and_not_left_out(hostile):
    (process,) = json.loads(hostile.nsview("ps", "--json", "-o", ALL, f"pid={hostile.pid}"))["processes"]
    columns = process["columns"]
    assert columns["exe"].endswith(SHOWN)
    assert columns["cwd"].endswith(SHOWN)
    assert columns["command"].endswith("y" * 100 + SHOWN)
    assert len(columns["command"]) > 10_000
    assert columns["comm"] == process["comm"] == printable(RAW[:15])
    if hostile.users is not None:
        assert printable(GROUP) in columns["cgroup"]
        assert process["user"] == printable(USER)


def test_hostile_names_are_found_by_what_is_shown(hostile):
    for text in (r"exe:\x1b[2J", r"/evil\\u2066/", f'"{RAW[:1].decode()}\\n\\r"', "command:yyyy"):
        found = json.loads(hostile.nsview("ps", "--json", text, f"pid={hostile.pid}"))["processes"]
        assert [one["pid"] for one in found] == [hostile.pid], text


@pytest.mark.needs("pty")
@pytest.mark.parametrize("words", [("ps", "--args"), ("ps", "-o", "pid,exe,cwd,comm"), ("tree", "--args")])
def test_no_line_is_longer_than_the_terminal(hostile, words):
    lines = shown_in_window(72, *words, f"pid={hostile.pid}", NO_COLOR="1")
    assert all(line.isprintable() and len(line) <= 72 for line in lines)
    assert any(line.lstrip().startswith(str(hostile.pid)) for line in lines)


def test_a_recording_is_json_lines_and_is_listed_like_the_machine(hostile, tmp_path):
    file = tmp_path / "recording"
    hostile.nsview("snapshot", "-o", str(file), "--count", "1")
    for line in lines_of(file.read_bytes()):
        json.loads(line)
    for words in (("ps", "--args"), ("tree",), ("ns",), ("ps", "--json")):
        lines_of(hostile.nsview(*words, "--from", str(file)))
    text = f"pid={hostile.pid}"
    (process,) = json.loads(hostile.nsview("ps", "--json", "-o", "command", "--from", str(file), text))["processes"]
    assert process["comm"] == printable(RAW[:15])
    assert process["columns"]["command"].endswith(SHOWN)


@pytest.mark.needs("root", "proc_connector")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_events_of_hostile_programs_are_a_line_each(hostile, options):
    program = os.readlink(os.fsencode(f"/proc/{hostile.pid}/exe"))
    command = [sys.executable, "-m", "nsview", "events", "--no-header", "--count", "6", "/evil|title|2J/", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as events:

        def ended() -> bool:
            subprocess.run([program, "-c", "exit 3"])
            return events.poll() is not None

        assert until(ended, deadline=30)
        assert events.stdout
        lines = lines_of(events.stdout.read())
    assert events.returncode == 0
    assert len([line for line in lines if "2J" in line]) >= 6
    if options:
        assert [json.loads(line) for line in lines]
