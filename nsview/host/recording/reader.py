"""Reading a recording: line by line, trusting nothing in it. What was cut short is read as far as it goes."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, NoReturn

from nsview.host.events.event import LOST, Event
from nsview.host.namespaces import Namespace
from nsview.host.producer import Producer
from nsview.host.recording.form import MOST_EVENTS, MOST_PROCESSES, Header, RecordingError, record_reader
from nsview.host.recording.lines import Lines
from nsview.host.recording.namespace_object import from_object
from nsview.host.snapshot import ProcessRecord, ScanError, Snapshot
from nsview.host.text import printable

Identity = tuple[int, int]
_MOST_USERS = 1 << 20

MOST_NAMESPACES = 1 << 20
"""In a whole recording without the full search, which tells of each once."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The sample ``number``, counted from 1."""

    number: int
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class NamespacesSeen:
    """Namespaces without their members: ``everything`` that was found at a time, or those not seen before."""

    when_ns: int
    everything: bool
    namespaces: tuple[Namespace, ...]


@dataclass(frozen=True, slots=True)
class End:
    """The last line: why the recording was ended, and what was written."""

    reason: str
    when_ns: int
    samples: int
    events: int
    lost: int


Item = Sample | Event | NamespacesSeen | End


@dataclass(slots=True)
class _Pending:
    """What lines say before the one that closes them."""

    processes: list[ProcessRecord] = field(default_factory=list)
    namespaces: list[Namespace] = field(default_factory=list)
    commands: dict[Identity, bytes | None] = field(default_factory=dict)


class Reader:
    """Iterates over what a binary file says, once. RecordingError when it is no recording, or damaged.

    ``header`` is there at once. While iterating, ``users`` are the names by uid and ``commands`` the command lines
    by identity told so far (raw, NUL after each word; None: could not be read). At the end ``is_cut`` says whether
    the file ends within a line, as one does whose recorder was killed, and ``end`` is its last line if it has one.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read the header."""
        self.users: dict[int, str] = {}
        self.commands: dict[Identity, bytes | None] = {}
        self.end: End | None = None
        self._lines = Lines(file)
        self._rest = iter(self._lines)
        self._records: dict[int, ProcessRecord] = {}
        self._pending = _Pending()
        self._samples = 0
        first = next(self._rest, b"")
        self.header = Header.from_object(_first(first))
        self._record = record_reader(self.header.fields)

    @property
    def is_cut(self) -> bool:
        """Tell, once all was read, whether the file ends within a line."""
        return self._lines.is_cut

    def __iter__(self) -> Iterator[Item]:
        """Yield samples, events, namespaces and the end in their order."""
        for line in self._rest:
            if self.end is not None:
                raise RecordingError("there is more after its end", self._lines.number)
            try:
                item = self._read(_loads(line))
            except (ValueError, RecursionError) as error:
                if self._lines.is_cut:  # the last line, and only a part of it
                    return
                reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
                raise RecordingError(reason, self._lines.number) from None
            if item is not None:
                yield item

    def _read(self, found: Any) -> Item | None:
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")
        for key, read in _READERS.items():
            if key in found:
                return read(self, found)
        return None  # of a later version that adds lines

    def _sample(self, found: dict[str, Any]) -> Sample:
        self._processes(found)
        records = {} if _flag(found, "full") else self._records
        for pid in _list(found, "gone"):
            record = records.pop(pid, None) if type(pid) is int else None
            if record is None:
                raise ValueError("a process is gone that was not there")
            self.commands.pop(record.identity, None)
        before = len(records)
        for record in self._pending.processes:
            last = records.get(record.pid)
            if last is not None and last.start_time != record.start_time:
                self.commands.pop(last.identity, None)
            records[record.pid] = record
        if len(records) != before:
            if len(records) > MOST_PROCESSES:
                raise ValueError(f"a sample of more than {MOST_PROCESSES} processes")
            records = dict(sorted(records.items()))
        self.commands.update(self._pending.commands)
        self._records, self._pending.processes, self._pending.commands = records, [], {}
        self._samples += 1
        if found["sample"] != self._samples:
            raise ValueError(f"sample {self._samples} was to come here")
        errors = [ScanError(*row) for row in _list(found, "errors") if _is_numbers(row, 2)]
        began, ended = _number(found, "when_ns"), _number(found, "ended_ns")
        try:
            by = Producer(str(found.get("by")))
        except ValueError:
            by = Producer.PROC
        return Sample(
            self._samples, Snapshot(began, ended, dict(records), _number(found, "vanished"), tuple(errors), by)
        )

    def _processes(self, found: dict[str, Any]) -> None:
        rows = _list(found, "processes")
        if len(rows) + len(self._pending.processes) > MOST_PROCESSES:
            raise ValueError(f"a sample of more than {MOST_PROCESSES} processes")
        self._pending.processes += map(self._record, rows)

    def _event(self, found: dict[str, Any]) -> Event:
        if not isinstance(found["event"], dict):
            raise ValueError("an event that is no object")
        return Event.from_object(found["event"])

    def _namespaces(self, found: dict[str, Any]) -> NamespacesSeen | None:
        self._pending.namespaces += map(from_object, _list(found, "namespaces"))
        if len(self._pending.namespaces) > MOST_PROCESSES:
            raise ValueError(f"more than {MOST_PROCESSES} namespaces at once")
        if _flag(found, "more"):
            return None
        namespaces, self._pending.namespaces = self._pending.namespaces, []
        return NamespacesSeen(_number(found, "when_ns"), _flag(found, "everything"), tuple(namespaces))

    def _users(self, found: dict[str, Any]) -> None:
        named = found["users"]
        if not isinstance(named, dict) or len(named) + len(self.users) > _MOST_USERS:
            raise ValueError("the users are nothing they can be")
        for uid, name in named.items():
            if not (uid.isdecimal() and len(uid) <= 10 and isinstance(name, str) and len(name) <= 1024):
                raise ValueError("a user's name is nothing it can be")
            self.users[int(uid)] = printable(name)

    def _commands(self, found: dict[str, Any]) -> None:
        for row in _list(found, "commands"):
            if not (isinstance(row, list) and len(row) == 3 and _is_numbers(row[:2], 2)):
                raise ValueError("a command line is of no process")
            if not (row[2] is None or isinstance(row[2], str)):
                raise ValueError("a command line is no text")
            words = None if row[2] is None else row[2].encode("utf-8", "surrogateescape")
            self._pending.commands[row[0], row[1]] = words
        if len(self.commands) + len(self._pending.commands) > 2 * MOST_PROCESSES:
            raise ValueError(f"more than {2 * MOST_PROCESSES} command lines at once")

    def _end(self, found: dict[str, Any]) -> End:
        told = found["end"]
        if not isinstance(told, dict) or not isinstance(told.get("reason"), str):
            raise ValueError("the end is nothing it can be")
        counts = [_number(told, name) for name in ("when_ns", "samples", "events", "lost")]
        self.end = End(printable(told["reason"]), *counts)
        return self.end


_READERS: Mapping[str, Callable[[Reader, dict[str, Any]], Item | None]] = {
    "sample": Reader._sample,
    "event": Reader._event,
    "namespaces": Reader._namespaces,
    "users": Reader._users,
    "commands": Reader._commands,
    "end": Reader._end,
    "processes": Reader._processes,
}
"""By the key that says what a line is, in this order: a sample has processes too."""


@dataclass(frozen=True, slots=True)
class Found:
    """One sample of a recording, with what was known then.

    ``before`` is the sample before it, ``events`` what was told between the two (None: nobody listened).
    ``namespaces`` are by inode, without members; ``everything`` when all were searched for. ``notice`` is
    something a person should know of the file.
    """

    number: int
    snapshot: Snapshot
    before: Snapshot | None
    events: tuple[Event, ...] | None
    users: Mapping[int, str]
    commands: Mapping[Identity, bytes | None]
    namespaces: Mapping[int, Namespace]
    everything: bool
    notice: str | None


def find(reader: Reader, wanted: Callable[[int, int], bool] | None = None) -> Found:
    """Return the last sample of which ``wanted`` is true, given its number and ``when_ns``; without, the last.

    What comes after the first sample that is not wanted is not read. Raises RecordingError when there is none.
    """
    shots: deque[Sample] = deque(maxlen=2)
    told: deque[Event] = deque(maxlen=MOST_EVENTS)
    dropped = 0
    between: tuple[Event, ...] = ()
    namespaces: dict[int, Namespace] = {}
    everything = False
    stopped = False
    commands: dict[Identity, bytes | None] = {}
    for item in reader:
        match item:
            case Sample(number, snapshot):
                if wanted is not None and not wanted(number, snapshot.when_ns):
                    stopped = True
                    break
                shots.append(item)
                commands = dict(reader.commands)
                between = tuple(told)
                if dropped:
                    between = (Event(snapshot.when_ns, LOST, 0, 0, count=dropped), *between)
                told.clear()
                dropped = 0
            case Event():
                dropped += len(told) == MOST_EVENTS
                told.append(item)
            case NamespacesSeen():
                if item.everything:
                    namespaces = {}
                namespaces.update((one.inode, one) for one in item.namespaces)
                everything = item.everything
                if len(namespaces) > MOST_NAMESPACES:
                    raise RecordingError(f"it tells of more than {MOST_NAMESPACES} namespaces")
            case End():
                break
    if not shots:
        raise RecordingError("there is no such sample" if stopped else "there is no whole sample in it")
    events = None if reader.header.events is None else between
    before = shots[0].snapshot if len(shots) == 2 else None
    notice = None
    if not stopped and reader.end is None:
        notice = "it is cut short within its last line" if reader.is_cut else "it has no end"
        notice += ": its recorder was killed, or records still"
    return Found(
        shots[-1].number, shots[-1].snapshot, before, events, reader.users, commands,
        _without_circles(namespaces), everything, notice,
    )  # fmt: skip


def _without_circles(namespaces: Mapping[int, Namespace]) -> Mapping[int, Namespace]:
    """Leave out a parent that would be a descendant: no kernel says so, but a file may."""
    kept = dict(namespaces)
    for inode in namespaces:
        seen = {inode}
        above = kept[inode].parent
        while above is not None and above in kept and above not in seen:
            seen.add(above)
            above = kept[above].parent
        if above in seen:
            kept[inode] = replace(kept[inode], parent=None)
    return kept


def _first(line: bytes) -> object:
    try:
        return _loads(line)
    except (ValueError, RecursionError):
        return None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word[:20]} is no number of ours")


def _loads(line: bytes) -> Any:
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        raise ValueError("it is not ASCII") from None
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError:
        raise ValueError("it is not JSON") from None


_decoder = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)


def _list(found: Mapping[str, Any], name: str) -> list[Any]:
    value = found.get(name, [])
    if not isinstance(value, list):
        raise ValueError(f"{name} is no list")
    return value


def _number(found: Mapping[str, Any], name: str) -> int:
    value = found.get(name)
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError(f"{name} is nothing it can be")
    return value


def _flag(found: Mapping[str, Any], name: str) -> bool:
    value = found.get(name, False)
    if type(value) is not bool:
        raise ValueError(f"{name} is neither true nor false")
    return value


def _is_numbers(row: object, count: int) -> bool:
    return isinstance(row, list) and len(row) == count and all(type(one) is int and 0 <= one < 1 << 62 for one in row)
