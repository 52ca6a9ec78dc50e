"""The form of a recording: its version, header and limits, and how a record stands in a line.

docs/snapshot-files.md describes it for readers of other programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from nsview.host.snapshot import ProcessRecord
from nsview.host.text import cut, printable
from spawner.namespaces import KINDS

KIND = "recording"
VERSION = 1

LONGEST_LINE = 4 << 20
"""Bytes; a sample of more is written in parts."""

PART = 4096
"""Processes in one line at most."""

MOST_PROCESSES = 1 << 19
"""In one sample. A file that says more is refused: its memory would be ours."""

LONGEST_COMMAND = 1 << 16
"""Characters of a command line that are recorded; what is longer is unknown."""

MOST_EVENTS = 1 << 18
"""Events between two samples that a reader keeps; it counts more as lost."""


class RecordingError(ValueError):
    """A file that cannot be read as a recording: why, and in which line."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        """Keep what is wrong where."""
        self.reason = cut(printable(reason), 200)  # it may tell of the file's own words
        self.line = line
        super().__init__(self.reason if line is None else f"line {line}: {self.reason}")


@dataclass(frozen=True, slots=True)
class Header:
    """Where, when and by whom a recording was begun.

    Three clocks were read at once, in nanoseconds: ``realtime_ns`` since the Epoch, ``monotonic_ns`` that samples
    and events count in, ``boottime_ns`` that start times count in. ``reader`` and ``reader_start`` are the pid and
    start time of who recorded. ``events`` says where events came from, None when nobody listened, and
    ``refused`` then why. ``fields`` are the values of a process in their order.
    """

    producer: str
    host: str
    kernel: str
    machine: str
    boot_id: str | None
    realtime_ns: int
    monotonic_ns: int
    boottime_ns: int
    ticks_per_second: int
    memory: int
    reader: int
    reader_start: int
    reader_uid: int
    reader_namespaces: Mapping[str, int | None]
    interval_ns: int | None = None
    events: str | None = None
    refused: str | None = None
    fields: Sequence[str] = ProcessRecord._fields

    def to_object(self) -> dict[str, object]:
        """Return the first line."""
        return {"nsview": KIND, "version": VERSION, **{name: getattr(self, name) for name in _NAMES}}

    @classmethod
    def from_object(cls, found: object) -> Header:
        """Read the first line; RecordingError when it is none, or of a version that is not ours."""
        if not isinstance(found, dict) or found.get("nsview") != KIND:
            raise RecordingError("this is no recording of nsview", 1)
        if found.get("version") != VERSION:
            told = printable(str(found.get("version")))[:40]
            raise RecordingError(f"version {told} of the format is not known here: this nsview reads {VERSION}", 1)
        values: dict[str, Any] = {}
        for name, check in _CHECKS.items():
            if not check(found.get(name)):
                raise RecordingError(f"the header's {name} is missing or is nothing it can be", 1)
            values[name] = found.get(name)
        for name in ("producer", "host", "kernel", "machine"):
            values[name] = printable(values[name])
        return cls(**values)

    def realtime_at(self, when_ns: int) -> int:
        """Return CLOCK_MONOTONIC as nanoseconds since the Epoch, if nobody has set the clock meanwhile."""
        return self.realtime_ns + when_ns - self.monotonic_ns


def _integer(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _text(longest: int) -> Callable[[object], bool]:
    return lambda value: type(value) is str and len(value) <= longest


def _or_none(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


_PIDS = _integer(1, 1 << 22)  # PID_MAX_LIMIT: include/linux/threads.h
_INODE = _or_none(_integer(0, (1 << 64) - 1))
_COUNT = _integer(0, (1 << 64) - 1)
_CLOCK = _integer(0, 1 << 62)


def _namespaces_by_name(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {kind.name for kind in KINDS} and all(map(_INODE, value.values()))


def _field_names(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) < 256
        and all(type(name) is str for name in value)
        and set(ProcessRecord._fields) <= {*value}
    )


_NAMES = tuple(field.name for field in fields(Header))
_CHECKS: Mapping[str, Callable[[object], bool]] = {
    "producer": _text(200),
    "host": _text(256),
    "kernel": _text(256),
    "machine": _text(256),
    "boot_id": _or_none(_text(64)),
    "realtime_ns": _CLOCK,
    "monotonic_ns": _CLOCK,
    "boottime_ns": _CLOCK,
    "ticks_per_second": _integer(1, 1_000_000),
    "memory": _integer(1, 1 << 62),
    "reader": _PIDS,
    "reader_start": _CLOCK,
    "reader_uid": _integer(0, (1 << 32) - 1),
    "reader_namespaces": _namespaces_by_name,
    "interval_ns": _or_none(_CLOCK),
    "events": _or_none(_text(200)),
    "refused": _or_none(_text(1000)),
    "fields": _field_names,
}

_SIGNED = _integer(-(1 << 31), (1 << 31) - 1)
_FACTS: Mapping[str, Callable[[object], bool]] = {
    "pid": _PIDS,
    "ppid": _integer(0, 1 << 22),
    "start_time": _integer(0, 1 << 40),
    "state": _text(8),
    "uid": _or_none(_integer(0, (1 << 32) - 1)),
    "utime": _COUNT,
    "stime": _COUNT,
    "rss": _COUNT,
    "minflt": _COUNT,
    "majflt": _COUNT,
    "voluntary": _or_none(_COUNT),
    "involuntary": _or_none(_COUNT),
    "threads": _COUNT,
    "pgrp": _SIGNED,
    "session": _SIGNED,
    "tty": _SIGNED,
    "flags": _integer(0, (1 << 32) - 1),
    "inner_pid": _or_none(_integer(0, 1 << 22)),
    "depth": _or_none(_integer(0, 1 << 10)),
    "ns": lambda value: type(value) is list and len(value) == len(KINDS) and all(map(_INODE, value)),
    "pid_for_children": _INODE,
    "time_for_children": _INODE,
    "comm": _text(1024),
}
"""What the values of a process can be. Every text of a file is another's: printable() sees them all."""


def record_reader(names: Sequence[str]) -> Callable[[Any], ProcessRecord]:
    """Return what reads a process from the values of a line, which stand in the order of ``names``.

    It raises ValueError when they are none. Fields that we do not know are passed over.
    """
    places = [(name, names.index(name), _FACTS[name]) for name in ProcessRecord._fields]
    ours = [place for _, place, _ in places]
    as_written = ours == list(range(len(names)))
    width, texts, ns = len(names), ("state", "comm"), ProcessRecord._fields.index("ns")
    text_places = [ProcessRecord._fields.index(name) for name in texts]

    def read(row: Any) -> ProcessRecord:
        if type(row) is not list or len(row) != width:
            raise ValueError(f"a process has not {width} values")
        for name, place, check in places:
            if not check(row[place]):
                raise ValueError(f"a process's {name} is nothing it can be")
        values = row if as_written else [row[place] for place in ours]
        values[ns] = tuple(values[ns])
        for place in text_places:
            values[place] = printable(values[place])
        return ProcessRecord._make(values)

    return read
