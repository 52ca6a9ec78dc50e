"""`nsview snapshot` as a person or a script has it, and its recordings in the place of the machine."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from leftovers import until
from listed import json_of, nsview, text_of

from nsview import cli
from nsview.commands import ns
from nsview.host import recording, source, users
from nsview.host.columns import FREE
from nsview.host.columns.namespaces import NAMESPACE_COLUMNS
from nsview.host.columns.processes import PROCESS_COLUMNS
from nsview.host.difference import DiffRow, compare_processes
from nsview.host.events.event import Event
from nsview.host.model import Interval
from nsview.host.namespaces import search
from nsview.host.recording import recorder
from nsview.host.recording.recorder import Plan, Recorder, header
from nsview.host.recording.writer import Writer
from nsview.host.snapshot import Snapshot, take
from nsview.host.tree import ProcessTree

CLOCKS = {"age", "start"}
"""Columns of a clock that runs on between two readings."""


FREE_COLUMNS = ",".join(one.name for one in PROCESS_COLUMNS if one.cost == FREE and one.name not in CLOCKS)


@pytest.fixture
def nothing_told() -> Iterator[None]:
    """Forget the users' names that a recording told."""
    yield
    users._told.clear()
    users.user_name.cache_clear()


BEGUN = header("a test")


def record_to(path: Path, *snapshots: Snapshot, compress: bool = False, everything: bool = False) -> str:
    """Record snapshots as the command does; return the path."""
    left = iter(snapshots)
    with path.open("wb") as file:
        writer = Writer(file, BEGUN, compress)
        Recorder(writer, Plan(0.001, len(snapshots), everything=everything), look=lambda: next(left)).run()
    return str(path)


def lasting(snapshot: Snapshot) -> Snapshot:
    """Leave only who will not end before the test does: ourselves, who we come from, and the kernel's threads."""
    tree = ProcessTree(snapshot.records)
    ours = {os.getpid(), *tree.ancestors(os.getpid())}
    records = {pid: one for pid, one in snapshot.records.items() if pid in ours or one.is_kernel_thread}
    return replace(snapshot, records=records)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command line in this process and return what it prints."""

    def show(*words: str) -> str:
        assert cli.main(words) == 0
        said = capsys.readouterr()
        assert said.err == ""
        return said.out

    return show


OPTIONS: tuple[tuple[str, ...], ...] = (
    ("ps",),
    ("ps", "--flat"),
    ("ps", "--args"),
    ("ps", "--no-header", "--reference", "init"),
    ("ps", "--reference", "self"),
    ("ps", "--json"),
    (
        "ps",
        "--flat",
        "-o",
        ",".join(one.name for one in PROCESS_COLUMNS if one.cost == FREE and one.name not in CLOCKS),
    ),
    ("ps", "--sort=-rss", "rss>1M", "not /kworker/"),
    ("tree",),
    ("tree", "--namespaces", "--json"),
)

NAMESPACE_OPTIONS: tuple[tuple[str, ...], ...] = (
    ("ns",),
    ("ns", "--json"),
    ("ns", "--tree", "owner"),
    ("ns", "net"),
    ("ns", "-o", ",".join(one.name for one in NAMESPACE_COLUMNS), "nprocs>1"),
)


@pytest.mark.usefixtures("nothing_told")
@pytest.mark.parametrize("compress", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize("words", OPTIONS, ids=" ".join)
def test_a_recorded_sample_is_shown_byte_for_byte_as_it_was_live(
    words: tuple[str, ...],
    compress: bool,
    shown: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    snapshots = lasting(take()), lasting(take())
    live = iter(snapshots * 2)
    monkeypatch.setattr(source, "take", lambda: next(live))
    path = record_to(tmp_path / "recording", *snapshots, compress=compress)
    if any(word.startswith("-o") for word in words):
        words = (*words, "--interval", "0.001")  # rates: two looks
    else:
        next(live)  # one look: the second
    expected = shown(*words)
    assert len(expected.splitlines()) > 3
    monkeypatch.setattr(source, "take", None)  # whoever looks at the machine now fails
    assert shown(*words, "--from", path) == expected


@pytest.mark.usefixtures("nothing_told")
@pytest.mark.parametrize("words", NAMESPACE_OPTIONS, ids=" ".join)
def test_recorded_namespaces_are_shown_as_they_were_live(
    words: tuple[str, ...], shown: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The search is made once, for the kernel may have changed at a second one; what it found is recorded."""
    snapshot = take()
    searched = search(snapshot)
    monkeypatch.setattr(source, "take", lambda: snapshot)
    monkeypatch.setattr(ns, "search", lambda *_: replace(searched, steps=()))
    monkeypatch.setattr(recorder, "discover", lambda *_: searched.namespaces)
    path = record_to(tmp_path / "recording", snapshot, everything=True)
    expected = shown(*words)
    assert expected
    monkeypatch.setattr(ns, "search", None)
    told = shown(*words, "--from", path)
    if words[-1] == "--json":
        live, recorded = json.loads(expected), json.loads(told)
        assert recorded["namespaces"] == live["namespaces"]
    else:
        assert told == expected


@pytest.mark.usefixtures("nothing_told")
def test_facts_that_were_not_recorded_are_unknown_though_the_process_is_there(shown, tmp_path: Path):
    path = record_to(tmp_path / "recording", take())
    pid = str(os.getpid())
    assert shown("ps", "-p", pid, "--no-header", "-o", "pid,exe,fds,pss", "--from", path).split() == [pid, *"???"]


@pytest.mark.usefixtures("nothing_told")
def test_users_have_the_names_they_had_where_it_was_recorded(shown, tmp_path: Path):
    path = tmp_path / "recording"
    record_to(path, take((os.getpid(),)))
    name = users.user_name(os.geteuid())
    path.write_text(
        path.read_text().replace(f'{{"users":{{"{os.geteuid()}":"{name}"', f'{{"users":{{"{os.geteuid()}":"elsewhere"')
    )
    assert shown("ps", "--no-header", "-o", "user", "--flat", "--from", str(path)) == "elsewhere\n"


@pytest.mark.usefixtures("nothing_told")
def test_at_chooses_a_sample_by_number_by_seconds_and_by_the_clock(shown, tmp_path: Path):
    first = take((os.getpid(),))
    begun = BEGUN
    shots = [
        Snapshot(
            begun.monotonic_ns + at * 10**9, begun.monotonic_ns + at * 10**9 + 1,
            {pid: one._replace(threads=at) for pid, one in first.records.items()}, 0, (),
        )
        for at in (2, 4, 6)
    ]  # fmt: skip
    path = record_to(tmp_path / "recording", *shots)

    def threads(*words: str) -> str:
        return shown("ps", "--flat", "--no-header", "-o", "threads", "--from", path, *words).strip()

    assert [threads(), threads("--at", "1"), threads("--at", "3")] == ["6", "2", "6"]
    assert [threads("--at", at) for at in ("+2.5", "+5.9", "+500")] == ["2", "4", "6"]
    by_date = subprocess.check_output(
        ["date", "-d", f"@{begun.realtime_ns // 10**9 + 5}", "+%Y-%m-%d %H:%M:%S"], text=True
    )
    assert threads("--at", by_date.strip()) == "4"
    assert threads("--at", by_date.split()[1]) == "4"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--at", "9"), "it has 1 samples, not 9"),
        (("--at", "+0"), "there is no such sample"),
        (("--at", "yesterday"), "'yesterday' is none of"),
        (("--at", "0"), "'0' is none of"),
        (("--at", "0001-01-01 00:00"), "is none of"),
    ],
)
def test_a_sample_that_is_not_there_is_one_line_and_status_2(words: tuple[str, ...], says: str, tmp_path: Path):
    path = record_to(tmp_path / "recording", take((os.getpid(),)))
    done = nsview("ps", "--from", path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    said = [line for line in done.stderr.splitlines() if not line.startswith("Try ")]
    assert len(said) == 1
    assert says in said[0]


@pytest.mark.parametrize("command", ["ps", "tree", "diff 1 1", "snapshot --info"])
def test_what_is_no_recording_is_refused_in_one_line(command: str, tmp_path: Path):
    words = command.split()
    options = words if words[-1] == "--info" else [*words, "--from"]
    other = tmp_path / "other"
    other.write_bytes(os.urandom(5000))
    for path, says in (
        (other, "line 1: this is no recording of nsview"),
        (tmp_path / "gone\n", "No such file"),
        (tmp_path, "Is a dir"),
    ):
        done = nsview(*options, str(path))
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done
        assert says in done.stderr
    done = nsview("ps", "--at", "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--from FILE" in done.stderr


def test_a_recording_that_was_cut_short_is_shown_with_a_notice(tmp_path: Path):
    path = Path(record_to(tmp_path / "recording", take((os.getpid(),)), take((os.getpid(),))))
    path.write_bytes(path.read_bytes()[:-3])
    done = nsview("ps", "--no-header", "--flat", "-o", "pid", "--from", str(path))
    assert (done.returncode, done.stdout.strip()) == (0, str(os.getpid()))
    assert (
        done.stderr
        == f"nsview ps: {path}: it is cut short within its last line: its recorder was killed, or records still\n"
    )


def test_diff_tells_of_a_recording_what_it_tells_live_and_unknown_for_the_rest(tmp_path: Path):
    me, parent = os.getpid(), os.getppid()
    path = record_to(tmp_path / "recording", take())
    told = {
        (row["section"], row["attribute"]): row for row in json_of("diff", str(parent), str(me), "--from", path)["rows"]
    }
    live: dict[tuple[str, str], DiffRow] = {(row.section, row.attribute): row for row in compare_processes(parent, me)}
    assert told.keys() == live.keys()
    same = [key for key in live if key[0] in ("identity", "namespaces")]
    for key in [key for key in same if key[1] != "program"]:
        assert [told[key][name] for name in ("parent", "child", "delta", "same", "why")] == [
            live[key].parent, live[key].child, live[key].delta, live[key].same, live[key].why,
        ], key  # fmt: skip
    for key in (("identity", "program"), ("sharing", "VM"), ("files", "cwd"), ("ids", "uid"), ("usage", "pss")):
        assert (told[key]["parent"], told[key]["child"], told[key]["same"]) == (None, None, None)
        assert told[key]["why"].startswith("not recorded")
    assert nsview("diff", str(me), "--from", path, "--section", "environment").returncode == 2
    assert nsview("diff", "999999999", "--from", path).returncode == 2


def test_without_options_it_is_one_document():
    document = json_of("snapshot")
    mine = {process["pid"]: process for process in document["processes"]}[os.getpid()]
    assert mine["ppid"] == os.getppid()
    assert mine["namespaces"]["network"] == os.stat("/proc/self/ns/net").st_ino
    assert (document["host"], document["kernel"]) == (os.uname().nodename, os.uname().release)
    found = json_of("snapshot", "--namespaces")["namespaces"]
    network = next(one for one in found if one["inode"] == mine["namespaces"]["network"])
    assert os.getpid() in network["members"]


def test_a_recording_is_ours_alone_to_read_and_is_never_written_over(tmp_path: Path):
    path = tmp_path / "recording"
    assert text_of("snapshot", "-o", str(path)) == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kinds = [next(iter(line)) for line in lines_of(path)]
    assert (kinds[0], kinds[-2], kinds[-1]) == ("nsview", "sample", "end")
    before = path.read_bytes()
    done = nsview("snapshot", "-o", str(path))
    assert (done.returncode, done.stdout, path.read_bytes()) == (2, "", before)
    assert len(done.stderr.splitlines()) == 1
    assert "is there already" in done.stderr


def test_a_recording_goes_down_a_pipe(tmp_path: Path):
    lines = [
        json.loads(line) for line in text_of("snapshot", "-o", "-", "--count", "2", "--interval", "0.01", "--no-events")
    ]
    assert [line["sample"] for line in lines if "sample" in line] == [1, 2]
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen([sys.executable, "-m", "nsview", "snapshot", "-o", str(fifo)]) as process:
        data = fifo.read_bytes()
    assert process.returncode == 0
    assert json.loads(data.splitlines()[-1])["end"]["samples"] == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--count", "3"), "say where to with -o FILE"),
        (("--events",), "say where to with -o FILE"),
        (("--info", "x", "-o", "y"), "--info only reads"),
        (("-o", "x", "--interval", "0"), "is no time in seconds"),
        (("-o", "x", "--interval", "nan"), "is no time in seconds"),
        (("-o", "x", "--count", "-1"), "is no number of samples"),
        (("-o", "/nonexistent/x"), "No such file or directory"),
    ],
)
def test_options_that_make_no_sense_are_one_line_and_status_2(words: tuple[str, ...], says: str, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "nsview", "snapshot", *words], capture_output=True, text=True, cwd=tmp_path
    )
    said = [line for line in done.stderr.splitlines() if not line.startswith("Try ")]
    assert (done.returncode, done.stdout, len(said)) == (2, "", 1), done
    assert says in said[0]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_status_1():
    done = nsview("snapshot", "-o", "/dev/full")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "nsview snapshot: recording to /dev/full failed: No space left on device\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_the_recording_in_order(number: signal.Signals, tmp_path: Path):
    path = tmp_path / "recording"
    command = [sys.executable, "-m", "nsview", "snapshot", "-o", str(path), "--interval", "3600", "--no-events"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert until(lambda: path.exists() and '"sample"' in path.read_text(), 60)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    assert lines_of(path)[-1]["end"]["reason"] == "signal"
    assert lines_of(path)[-1]["end"]["samples"] == 2, "the last is taken at the end"


def test_a_signal_that_is_ignored_from_outside_does_not_end_it(tmp_path: Path):
    """As nohup(1) has it: the recording goes on when its terminal is closed."""
    path = tmp_path / "recording"
    words = [sys.executable, "-m", "nsview", "snapshot", "-o", str(path), "--interval", "0.01", "--no-events"]

    def count() -> int:
        return path.read_text().count('"sample"') if path.exists() else 0

    with subprocess.Popen(["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *words]) as process:
        assert until(lambda: count() >= 1, 60)
        process.send_signal(signal.SIGHUP)
        seen = count()
        assert until(lambda: count() > seen + 2, 60)
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    assert lines_of(path)[-1]["end"]["reason"] == "signal"


def test_a_duration_ends_it(tmp_path: Path):
    path = tmp_path / "recording"
    text_of("snapshot", "-o", str(path), "--interval", "0.05", "--duration", "0.12", "--no-events")
    *_, end = lines_of(path)
    assert end["end"]["reason"] == "duration"
    assert 2 <= end["end"]["samples"] <= 4


@pytest.mark.needs("root", "proc_connector")
def test_a_process_shorter_than_the_interval_is_in_the_recording_with_its_parent_and_status(tmp_path: Path):
    path = tmp_path / "recording"
    command = [sys.executable, "-m", "nsview", "snapshot", "-o", str(path), "--interval", "3600", "--events"]
    with subprocess.Popen(command) as process:
        assert until(lambda: path.exists() and '"sample"' in path.read_text(), 60)
        brief = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 7"], {})
        os.waitpid(brief, 0)
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    events = [Event.from_object(line["event"]) for line in lines_of(path) if "event" in line]
    assert [event.when_ns for event in events] == sorted(event.when_ns for event in events)
    with path.open("rb") as file:
        samples = [item.snapshot for item in recording.Reader(file) if isinstance(item, recording.Sample)]
    lives = Interval(*samples, events).brief
    assert lives is not None
    (life,) = [one for one in lives if one.pid == brief]
    assert (life.parent, life.exit_code) == (os.getpid(), 7 << 8)
    summed = json_of("snapshot", "--info", str(path))
    assert summed["samples"] == len(samples) == 2
    assert summed["processes"]["brief"] >= 1
    assert summed["events"]["fork"] >= 1
    assert summed["events"]["exit"] >= 1
    assert summed["lost"] == 0


def test_info_sums_up_samples_processes_and_the_end(tmp_path: Path):
    me, parent = os.getpid(), os.getppid()
    path = record_to(tmp_path / "recording.gz", take((me, parent)), take((me,)), take((me, parent)), compress=True)
    document = json_of("snapshot", "--info", path)
    assert document["samples"] == 3
    assert document["processes"] == {"distinct": 3, "fewest": 1, "most": 2, "brief": None}
    assert (document["end"], document["cut"], document["events"], document["lost"]) == ("count", False, None, None)
    lines = dict(line.split(maxsplit=1) for line in text_of("snapshot", "--info", path) if line.split()[0] == "samples")
    assert lines == {"samples": "3"}
