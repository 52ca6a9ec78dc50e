"""What a launch leaves to read: the timeline as text, the report as JSON."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any

from spawner import Child, Event, Exit

VERSION = 1


def timeline_lines(events: Sequence[Event]) -> Iterator[str]:
    """Each system call: when it began and how long it took, in microseconds, the call, what it returned."""
    yield f"{'start µs':>10} {'took µs':>10}  call"
    for event in events:
        took = "?" if event.duration_ns is None else f"{event.duration_ns / 1000:.1f}"
        yield f"{event.start_ns / 1000:10.1f} {took:>10}  {event.text} = {outcome(event.result)}"


def outcome(result: int | None) -> str:
    """A system call's result as strace shows it."""
    if result is None:
        return "?"
    if -4095 <= result < 0:
        return f"-1 {errno.errorcode.get(-result, str(-result))}"
    return str(result)


def report_of(child: Child, started: int | None, ended: Exit) -> dict[str, Any]:
    """What `run --report` writes, for JSON.

    Start time in clock ticks since boot, namespaces as inodes, the timeline in nanoseconds; ``read_back`` is what was
    asked for and the kernel's word on it; null is unknown.
    """
    usage = ended.rusage
    return {
        "version": VERSION,
        "pid": child.pid,
        "start_time": started,
        "mechanism": str(child.plan.mechanism),
        "why": child.plan.why,
        "clone_flags": child.plan.flags_text,
        "namespaces": child.namespaces,
        "timeline": [
            {
                "index": event.index,
                "label": event.label,
                "phase": event.phase,
                "call": event.text,
                "start_ns": event.start_ns,
                "end_ns": event.end_ns,
                "result": event.result,
            }
            for event in child.timeline
        ],
        "read_back": [{"what": what, "found": found} for what, found in child.read_back],
        "cgroup": None if child.cgroup is None else {"paths": child.cgroup.paths, "usage": asdict(child.cgroup.usage)},
        "exit": {"code": ended.code, "signal": ended.signal, "core": ended.core},
        "rusage": None if usage is None else {name: getattr(usage, name) for name in _RUSAGE},
    }


_RUSAGE = (
    "ru_utime",
    "ru_stime",
    "ru_maxrss",
    "ru_minflt",
    "ru_majflt",
    "ru_inblock",
    "ru_oublock",
    "ru_nvcsw",
    "ru_nivcsw",
)


class ReportFile:
    """Where the report goes: opened before anything runs, for one that cannot be written is bad input.

    ``where`` is a path, ``-`` for standard output, or None. Used as a context manager; without a write() the file
    is as it was, or not there if it was not.
    """

    def __init__(self, where: str | None) -> None:
        self._where = where
        self._fd = -1
        self._made = False
        if where in (None, "-"):
            return
        try:
            self._fd = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            self._made = True
        except FileExistsError:
            self._fd = os.open(where, os.O_WRONLY | os.O_CLOEXEC)

    def write(self, report: dict[str, Any]) -> None:
        """Write it, in place of what was there."""
        if self._where is None:
            return
        text = json.dumps(report, indent=2) + "\n"
        if self._fd < 0:
            if sys.stdout is not None:
                sys.stdout.write(text)
                sys.stdout.flush()
            return
        if stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.ftruncate(self._fd, 0)
        with os.fdopen(self._fd, "w", encoding="utf-8", closefd=False) as file:
            file.write(text)
        self._made = False

    def __enter__(self) -> ReportFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._made and self._where is not None:
            os.unlink(self._where)
        if self._fd >= 0:
            os.close(self._fd)
