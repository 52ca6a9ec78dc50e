"""Recordings: what is written is read again, byte for byte; what is cut short is read as far as it goes."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from children import rename
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from leftovers import until
from records import record

from nsview.host.events.event import Event
from nsview.host.namespaces import BindMount, Descriptor, Keepers, Namespace, Task, discover, namespaces_of
from nsview.host.recorded import Recorded
from nsview.host.recording import End, NamespacesSeen, Reader, RecordingError, Sample, Writer
from nsview.host.recording import form as form_module
from nsview.host.recording.form import LONGEST_LINE, Header
from nsview.host.recording.reader import find
from nsview.host.recording.recorder import Plan, Recorder, header
from nsview.host.recording.writer import FULL_EVERY
from nsview.host.snapshot import ProcessRecord, ScanError, Snapshot, take
from spawner.namespaces import BY_NAME

HEADER = header("a test")


def shot(number: int, *records: ProcessRecord, **facts: object) -> Snapshot:
    """These processes, seen at some nanoseconds."""
    errors = (ScanError(errno.EIO, 3),)
    return Snapshot(number * 1000, number * 1000 + 5, {one.pid: one for one in records}, 1, errors, **facts)  # type: ignore[arg-type]


def recorded(
    *samples: Snapshot, compress: bool = False, before_the_end: Callable[[Writer], None] | None = None
) -> bytes:
    """The bytes of a recording of samples."""
    file = io.BytesIO()
    writer = Writer(file, HEADER, compress)
    for sample in samples:
        writer.sample(sample)
    if before_the_end is not None:
        before_the_end(writer)
    writer.end("count", 10**6)
    return file.getvalue()


def snapshots(data: bytes) -> list[Snapshot]:
    """The samples that bytes hold."""
    return [item.snapshot for item in Reader(io.BytesIO(data)) if isinstance(item, Sample)]


def lines_of(data: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize("compress", [False, True])
def test_samples_of_this_machine_are_read_as_they_were_taken(compress: bool):
    taken = [take(), take(), take()]
    assert snapshots(recorded(*taken, compress=compress)) == taken


def test_processes_stand_in_the_order_of_the_snapshot_when_one_is_born_between():
    first, third, second = record(2, 1, 5), record(9, 1, 6), record(4, 1, 7)
    taken = [shot(1, first, third), shot(2, first, second, third)]
    assert [list(one.records) for one in snapshots(recorded(*taken))] == [[2, 9], [2, 4, 9]]


def test_a_later_sample_says_only_what_changed_and_now_and_then_everything():
    still, busy = record(2, 1, 5), record(3, 1, 6)
    taken = [shot(at, still, busy._replace(utime=at)) for at in range(FULL_EVERY + 2)]
    data = recorded(*taken)
    counts = [len(line["processes"]) for line in lines_of(data) if "sample" in line]  # type: ignore[arg-type]
    assert counts == [2, *(1 for _ in range(FULL_EVERY - 1)), 2, 1]
    assert snapshots(data) == taken


def test_a_sample_of_many_processes_is_written_in_lines_of_bounded_length(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nsview.host.recording.writer.PART", 10)
    crowd = shot(1, *(record(pid, 1, pid, comm="\\x1b" * 15) for pid in range(1, 96)))
    data = recorded(crowd, shot(2))
    assert sum("processes" in line for line in lines_of(data)) == 11
    assert snapshots(data) == [crowd, shot(2)]


def test_the_longest_process_a_full_line_of_them_and_its_command_lines_are_read_again():
    worst = [record(pid, 1, pid)._replace(comm="\u2028" * 16 + r"\x1b" * 12) for pid in range(1, 5000)]
    names = {one.identity: "\udcff\x01" * 30000 for one in worst[:60]}
    file = io.BytesIO()
    writer = Writer(file, HEADER)
    writer.sample(shot(1, *worst), commands=names)
    assert max(map(len, file.getvalue().splitlines())) <= LONGEST_LINE
    reader = Reader(io.BytesIO(file.getvalue()))
    assert [len(item.snapshot.records) for item in reader if isinstance(item, Sample)] == [4999]
    assert reader.commands[worst[59].identity] == b"\xff\x01" * 30000


def test_events_namespaces_and_the_end_are_read_as_they_were_written():
    event = Event(1500, "exit", 7, 7, exit_code=256, last=True, comm="a\udcffb")
    keepers = Keepers(
        (Task(1, 2),), (), (Descriptor(3, 3, 4),), (Descriptor(5, 5, 6),), (BindMount(9, "/run/\udcff"),), (11,), ()
    )
    namespace = Namespace(BY_NAME["network"], 77, (), None, None, (), None, 88, 1000, 4711, keepers, None, "blue")

    def tell(writer: Writer) -> None:
        writer.tell([event])
        writer.namespaces(1600, [namespace], everything=True)

    items = [*Reader(io.BytesIO(recorded(shot(1), before_the_end=tell)))]
    assert items[1:] == [event, NamespacesSeen(1600, True, (namespace,)), End("count", 10**6, 1, 1, 0)]


def test_namespaces_of_a_recording_are_those_the_kernel_told():
    snapshot = take()
    for everything in (False, True):
        live = discover(snapshot) if everything else namespaces_of(snapshot)
        data = recorded(
            snapshot, before_the_end=lambda writer: writer.namespaces(1, live.values(), everything)  # noqa: B023
        )  # fmt: skip
        # they stand before their sample when a recorder writes them; where they stand is of no matter at the end
        source = Recorded(io.BytesIO(data))
        assert source.namespaces(snapshot) == live


def test_a_file_cut_at_any_byte_gives_its_whole_samples_and_says_so():
    taken = [shot(at, record(2, 1, 5)._replace(utime=at)) for at in range(1, 4)]
    data = recorded(*taken)
    head = data.index(b"\n") + 1
    for size in range(head, len(data)):
        reader = Reader(io.BytesIO(data[:size]))
        found = [item.snapshot for item in reader if isinstance(item, Sample)]
        assert found == taken[: len(found)]
        assert len(found) >= data[:size].count(b'{"sample"') - 1
        if reader.end is None:
            assert size < len(data) - 1
        assert reader.is_cut == (data[size - 1 : size] != b"\n")


def test_a_compressed_file_cut_anywhere_gives_all_that_was_flushed():
    file = io.BytesIO()
    writer = Writer(file, HEADER, compress=True)
    sizes = [len(file.getvalue())]
    taken = [shot(at, record(2, 1, 5)._replace(utime=at)) for at in range(1, 6)]
    for one in taken:
        writer.sample(one)
        sizes.append(len(file.getvalue()))
    data = file.getvalue()
    for size in range(sizes[0], len(data)):
        reader = Reader(io.BytesIO(data[:size]))
        found = [item.snapshot for item in reader if isinstance(item, Sample)]
        assert found[: sum(size >= one for one in sizes[1:])] == taken[: sum(size >= one for one in sizes[1:])]
        assert reader.is_cut


def test_gzip_reads_what_we_compressed_and_we_read_what_gzip_made_of_two_members():
    data = recorded(take())
    assert gzip.decompress(recorded(take(), compress=True)).startswith(b'{"nsview":"recording"')
    half = len(data) // 2
    assert snapshots(gzip.compress(data[:half]) + gzip.compress(data[half:])) == snapshots(data)


def test_a_recorder_killed_in_the_middle_leaves_a_readable_file(tmp_path):
    path = tmp_path / "killed.gz"
    command = [sys.executable, "-m", "nsview", "snapshot", "-o", str(path), "--interval", "0.02", "--no-events"]
    with subprocess.Popen(command) as process:
        try:
            assert until(lambda: path.exists() and path.stat().st_size and _samples(path) > 1, 60)
        finally:
            process.kill()
    with path.open("rb") as file:
        found = find(Reader(file))
    assert found.number > 1
    assert found.notice is not None
    assert process.pid in found.snapshot.records


def _samples(path: Path) -> int:
    with path.open("rb") as file:
        return sum(isinstance(item, Sample) for item in Reader(file))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "version 2 of the format is not known here: this nsview reads 1"),
        ({"version": None}, "version None of the format"),
        ({"version": "\x1b[31m" * 1000}, r"version \x1b[31m"),
        ({"nsview": "session"}, "this is no recording of nsview"),
        ({"host": 5}, "the header's host"),
        ({"reader_namespaces": {"mount": 1}}, "the header's reader_namespaces"),
        ({"fields": ["pid"]}, "the header's fields"),
        ({"realtime_ns": 1 << 80}, "the header's realtime_ns"),
    ],
)
def test_a_header_of_another_version_or_kind_is_refused_in_one_line(change: dict[str, object], says: str):
    line = json.dumps({**HEADER.to_object(), **change}).encode()
    with pytest.raises(RecordingError, match=r"^line 1: ") as caught:
        Reader(io.BytesIO(line + b"\n"))
    assert says in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_newer_recorder_may_add_values_and_lines_but_take_none_away():
    head, *rest = recorded(shot(1, record(2, 1, 5))).splitlines(keepends=True)
    told = json.loads(head)
    told["fields"].insert(3, "colour")
    told["mood"] = "blue"
    sample = json.loads(rest[0])
    sample["processes"][0].insert(3, "red")
    data = b"".join(json.dumps(line).encode() + b"\n" for line in (told, {"weather": 1}, sample)) + rest[1]
    assert snapshots(data) == [shot(1, record(2, 1, 5))]
    told["fields"].remove("utime")
    with pytest.raises(RecordingError, match="fields"):
        snapshots(json.dumps(told).encode() + b"\n")


BAD_LINES: dict[str, bytes] = {
    "no JSON": b"{nonsense}",
    "no object": b"[1, 2]",
    "nested": b"[" * 100_000,
    "not ASCII": '{"sample": "ü"}'.encode(),
    "a number as long as the line": b'{"sample": ' + b"9" * 10_000 + b"}",
    "a fraction": b'{"sample": 1.5}',
    "no number": b'{"sample": NaN}',
    "another sample": b'{"sample": 7, "when_ns": 1, "ended_ns": 1, "vanished": 0, "processes": []}',
    "a process of one value": b'{"processes": [[1]]}',
    "a process that is none": b'{"processes": [5]}',
    "gone but not there": b'{"sample": 1, "when_ns": 1, "ended_ns": 1, "vanished": 0, "gone": [5], "processes": []}',
    "an event of nothing": b'{"event": {}}',
    "an event that is a list": b'{"event": []}',
    "an event at no time": b'{"event": {"when_ns": "x\\u202e\\n", "what": "fork", "pid": 1, "tid": 1}}',
    "a namespace of no kind": b'{"namespaces": [{"type": "mnt", "inode": 4}], "when_ns": 1}',
    "a namespace of a list": b'{"namespaces": [{"type": [], "inode": 4}], "when_ns": 1}',
    "keepers of no kind": b'{"namespaces": [{"type": "user", "inode": 4, "keepers": {"tasks": [[1]]}}], "when_ns": 1}',
    "users that are a list": b'{"users": []}',
    "a user of no number": b'{"users": {"x": "root"}}',
    "a command of nobody": b'{"commands": [[1, 2]]}',
    "a command with half a character": b'{"commands": [[1, 2, "\\ud800"]]}',
    "an end that is none": b'{"end": 5}',
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_line_that_is_wrong_is_told_by_its_number_in_one_line(line: bytes):
    head = recorded().splitlines(keepends=True)[0]
    with pytest.raises(RecordingError, match=r"^line 2: ") as caught:
        list(Reader(io.BytesIO(head + line + b"\n" + b'{"users":{}}\n')))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


def test_more_after_the_end_is_refused():
    with pytest.raises(RecordingError, match="more after its end"):
        snapshots(recorded(shot(1)) * 2)


class Endless(io.RawIOBase):
    """A file without end that counts what is read of it."""

    def __init__(self, head: bytes, repeat: bytes) -> None:
        self.head, self.repeat, self.given = head, repeat, 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "a file is never read as a whole"
        data, self.head = self.head, b""
        data = data or self.repeat
        self.given += len(data)
        return data


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "compressed"])
def test_a_line_without_end_is_refused_before_it_fills_the_memory(compress: bool):
    """Compressed, 16 kB of it are 16 MB of blanks."""
    blanks = b" " * (16 << 20)
    head = recorded().splitlines(keepends=True)[0]
    file: io.RawIOBase | io.BytesIO
    file = io.BytesIO(gzip.compress(head + blanks, 1)) if compress else Endless(head, b" " * 65536)
    with pytest.raises(RecordingError, match=r"line 2: it is longer than 4 MiB"):
        list(Reader(file))  # type: ignore[arg-type]
    if isinstance(file, Endless):
        assert file.given < LONGEST_LINE + (1 << 20)


def test_a_sample_of_more_processes_than_there_can_be_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nsview.host.recording.reader.MOST_PROCESSES", 50)
    crowd = [record(pid, 1, pid) for pid in range(1, 52)]
    with pytest.raises(RecordingError, match="more than 50 processes"):
        snapshots(recorded(shot(1, *crowd)))
    with pytest.raises(RecordingError, match="more than 50 processes"):
        snapshots(recorded(shot(1, *crowd[:40]), shot(2, *crowd)))
    monkeypatch.setattr("nsview.host.recording.writer.MOST_PROCESSES", 50)
    with pytest.raises(ValueError, match="room for 50"):
        recorded(shot(1, *crowd))


def test_a_file_of_ever_more_namespaces_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nsview.host.recording.reader.MOST_NAMESPACES", 5)
    many = [Namespace(BY_NAME["user"], inode, ()) for inode in range(6)]
    for everything in (False, True):
        data = recorded(shot(1), before_the_end=lambda writer: writer.namespaces(1, many, everything))  # noqa: B023
        with pytest.raises(RecordingError, match="more than 5 namespaces"):
            Recorded(io.BytesIO(data))


def test_parents_in_a_circle_are_cut_open_and_not_walked_for_ever():
    """No kernel says so, but a file may."""
    user = BY_NAME["user"]
    circle = [Namespace(user, at, (), parent=1 + at % 3, owner_uid=0) for at in (1, 2, 3)]
    data = recorded(
        shot(1, record(5, 1, 9, ns=(None, None, None, 2, None, None, None, None))),
        before_the_end=lambda writer: writer.namespaces(1, circle, everything=False),
    )
    source = Recorded(io.BytesIO(data))
    found = source.namespaces(source.snapshot())
    assert [*found] == [1, 2, 3]
    assert None in [namespace.parent for namespace in found.values()]


def test_names_in_a_file_are_escaped_though_its_writer_did_not():
    line = json.loads(recorded(shot(1, record(2, 1, 5))).splitlines()[1])
    line["processes"][0][-1] = "\x1b]0;title\x07\u202e"
    head = recorded().splitlines(keepends=True)[0]
    data = head + b'{"users": {"0": "\\u001b[2J"}}\n' + json.dumps(line).encode() + b"\n"
    reader = Reader(io.BytesIO(data))
    (sample,) = [item for item in reader if isinstance(item, Sample)]
    assert sample.snapshot.records[2].comm == r"\x1b]0;title\x07\u202e"
    assert reader.users[0] == r"\x1b[2J"


def test_find_gives_the_sample_asked_for_the_one_before_and_the_events_between():
    file = io.BytesIO()
    writer = Writer(file, HEADER)
    for at in (1, 2, 3):
        writer.tell([Event(at * 1000 - 500, "fork", at, at)])
        writer.sample(shot(at, record(2, 1, 5)._replace(utime=at)))
    writer.end("count", 4000)
    found = find(Reader(io.BytesIO(file.getvalue())), lambda number, when_ns: when_ns <= 2500)
    assert (found.number, found.snapshot.when_ns) == (2, 2000)
    assert found.before is not None
    assert found.before.when_ns == 1000
    assert found.notice is None
    with pytest.raises(RecordingError, match="no such sample"):
        find(Reader(io.BytesIO(file.getvalue())), lambda number, when_ns: when_ns < 1000)
    with pytest.raises(RecordingError, match="no whole sample"):
        find(Reader(io.BytesIO(recorded())))


def test_the_recorder_names_users_and_reads_command_lines_of_the_new_and_the_renamed(forked):
    pid, _ = forked(lambda: rename(b"before"))
    file = io.BytesIO()
    looks = [take((pid,)), take((pid,))]
    looks.append(Snapshot(*_renamed(looks[1], pid)))
    left = iter(looks)
    recorder = Recorder(Writer(file, HEADER), Plan(0.001, 3), look=lambda: next(left))
    recorder.run()
    told = lines_of(file.getvalue())
    assert [len(line["commands"]) for line in told if "commands" in line] == [1, 1]  # type: ignore[arg-type]
    found = find(Reader(io.BytesIO(file.getvalue())))
    with open(f"/proc/{pid}/cmdline", "rb") as words:
        assert found.commands[looks[0].records[pid].identity] == words.read()
    assert found.users[os.geteuid()]
    assert told[-1]["end"]["reason"] == "count"  # type: ignore[index]


@pytest.mark.needs("unshare", "user_namespace")
def test_the_recorder_asks_for_the_relations_of_a_namespace_once_and_again_when_its_number_is_used_again(unshared):
    me = os.getpid()
    file = io.BytesIO()
    looks: list[Snapshot] = []
    recorder = Recorder(Writer(file, HEADER), Plan(), look=lambda: looks[-1])

    def told() -> list[NamespacesSeen]:
        """What of namespaces is in the file, after one look more."""
        recorder.sample()
        return [item for item in Reader(io.BytesIO(file.getvalue())) if isinstance(item, NamespacesSeen)]

    looks.append(take((me,)))
    ours = looks[0].records[me].namespace("user")
    assert [len(told()), len(told())] == [1, 1]
    pid = unshared("--user", "--map-root-user")
    looks.append(take((me, pid)))
    theirs = looks[1].records[pid].namespace("user")
    *_, seen = told()
    assert theirs != ours
    assert [(one.inode, one.parent) for one in seen.namespaces] == [(theirs, ours)]
    looks.append(take((me,)))
    assert len(told()) == 2
    looks.append(looks[1])  # as another would have it that is made when this one is gone
    assert len(told()) == 3


def _renamed(snapshot: Snapshot, pid: int) -> tuple[object, ...]:
    records = {pid: snapshot.records[pid]._replace(comm="after")}
    return snapshot.when_ns + 1, snapshot.ended_ns + 1, records, 0, ()


FEW = [os.getpid(), os.getppid(), *range(1, 30)]
REAL = recorded(take(FEW), take(FEW), before_the_end=lambda writer: writer.tell([Event(5, "fork", 3, 3, parent=1)]))
SMALL = recorded(
    shot(1, record(2, 1, 5), record(3, 2, 6)),
    shot(2, record(2, 1, 5)._replace(utime=9), record(4, 2, 7)),
    before_the_end=lambda writer: writer.namespaces(5, [Namespace(BY_NAME["user"], 5, (), owner=3)], True),
)


def survive(data: bytes) -> None:
    """Read bytes by every way: a whole answer, or one clear line."""
    for read in (lambda file: list(Reader(file)), Recorded):
        try:
            read(io.BytesIO(data))
        except RecordingError as error:
            said = str(error)
        else:
            continue
        assert said.isprintable()
        assert len(said) < 250


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=400))
@example(b"")
@example(b"\n")
@example(b"\x1f\x8b")
def test_any_bytes_are_a_recording_or_one_clear_line(data: bytes):
    survive(data)
    survive(SMALL[: SMALL.index(b"\n") + 1] + data)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), flips=st.integers(1, 8), compress=st.booleans(), real=st.booleans())
def test_flipped_bits_are_never_a_traceback(seed: int, flips: int, compress: bool, real: bool):
    chance = random.Random(seed)
    whole = REAL if real else SMALL
    data = bytearray(gzip.compress(whole) if compress else whole)
    for _ in range(flips):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    survive(bytes(data))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5) | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), value=VALUES)
def test_any_value_in_the_place_of_any_other_is_read_or_refused(seed: int, value: object):
    chance = random.Random(seed)
    told = [json.loads(line) for line in SMALL.splitlines()]
    where: object = chance.choice(told)
    while True:  # down to some place in it
        keys = list(where) if isinstance(where, dict) else list(range(len(where)))  # type: ignore[arg-type]
        key = chance.choice(keys)
        inner = where[key]  # type: ignore[index]
        if not isinstance(inner, dict | list) or not inner or chance.random() < 0.2:
            where[key] = value  # type: ignore[index]
            break
        where = inner
    survive(b"".join(json.dumps(line).encode() + b"\n" for line in told))


def test_every_value_of_a_process_has_a_check_and_the_header_too():
    assert set(form_module._FACTS) == set(ProcessRecord._fields)
    assert set(form_module._CHECKS) == set(Header.__dataclass_fields__)
