"""A process as a row of a list: its record, the scene it is seen in, and what is read of it when asked for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, MutableMapping
from functools import cached_property
from typing import Any, TypeVar

from nsview.host.cells import initial_reference, parent_reference
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import TICKS_PER_SECOND, ProcessRecord, Snapshot
from nsview.host.text import printable

T = TypeVar("T")
Identity = tuple[int, int]

TICK_NS = 1_000_000_000 // TICKS_PER_SECOND


class Scene:
    """One snapshot, and what its rows are seen against.

    ``reference`` is parent, init, self or a pid: the process whose namespaces a row's cells compare with.
    ``before`` is an earlier snapshot: rates are of the time between. ``commands`` keeps command lines by
    identity over many scenes, for a list that is drawn again and again; forget one's at its execve.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        before: Snapshot | None = None,
        reference: str = "parent",
        commands: MutableMapping[Identity, str | None] | None = None,
    ) -> None:
        """Look at a snapshot."""
        self.snapshot = snapshot
        self.records = snapshot.records
        self.before = before
        self.commands: MutableMapping[Identity, str | None] = {} if commands is None else commands
        self.seconds = 0.0 if before is None else (snapshot.when_ns - before.when_ns) / 1e9
        self.referred = referred(reference)

    def row(self, record: ProcessRecord) -> ProcessRow:
        """Return a process of the snapshot as a row."""
        return ProcessRow(record, self)

    def rows(self) -> list[ProcessRow]:
        """Return all processes, by pid."""
        return [ProcessRow(record, self) for record in self.records.values()]

    def earlier(self, record: ProcessRecord) -> ProcessRecord | None:
        """Return the same process in the snapshot before; None when it was not in it, or there is none."""
        then = None if self.before is None else self.before.records.get(record.pid)
        return then if then is not None and then.start_time == record.start_time else None

    @cached_property
    def boot_time_ns(self) -> int:
        """The machine's clock since boot (CLOCK_BOOTTIME, which start times count in) at the snapshot."""
        return self.snapshot.when_ns + time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()

    @cached_property
    def epoch_ns(self) -> int:
        """When the clock since boot was zero, in nanoseconds since the Epoch."""
        return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    @cached_property
    def memory(self) -> int:
        """The machine's memory in bytes."""
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    @property
    def own_pid(self) -> int:
        """The pid of who looks."""
        return os.getpid()

    def answer(self, record: ProcessRecord, question: Callable[[PinnedProcess], T]) -> T | None:
        """Return what ``question`` makes of a process of the snapshot; None when it is gone."""
        try:
            with PinnedProcess(record.pid, record.start_time) as process:
                return question(process)
        except ProcessGoneError:
            return None

    @cached_property
    def initial(self) -> ProcessRecord | None:
        """A process in the initial namespaces."""
        return initial_reference(self.records)


class ProcessRow:
    """One process of a scene. What is read beside its record is read once, through a pinned descriptor."""

    __slots__ = ("_kept", "record", "scene")

    def __init__(self, record: ProcessRecord, scene: Scene) -> None:
        """Take the record of a process in the scene's snapshot."""
        self.record = record
        self.scene = scene
        self._kept: dict[Callable[..., Any], Any] | None = None

    @property
    def start_ns(self) -> int:
        """When it was born, in nanoseconds since boot."""
        return self.record.start_time * TICK_NS

    @property
    def age_ns(self) -> int:
        """How old it was at the snapshot; never negative, though start times are rounded to ticks."""
        return max(0, self.scene.boot_time_ns - self.start_ns)

    def ask(self, question: Callable[[PinnedProcess], T]) -> T | None:
        """Return what ``question`` makes of the process, asked once; None when the process is gone."""
        if self._kept is None:
            self._kept = {}
        if question not in self._kept:
            self._kept[question] = self.scene.answer(self.record, question)
        answer: T | None = self._kept[question]
        return answer

    @property
    def command(self) -> str | None:
        """Its arguments in one line; the name in brackets where it has none (kernel threads, zombies)."""
        if self.record.is_kernel_thread:
            return f"[{self.record.comm}]"
        commands, identity = self.scene.commands, self.record.identity
        if identity in commands:
            return commands[identity]
        words = self.scene.answer(self.record, _arguments)
        text = None if words is None else command_line(words, self.record)
        commands[identity] = text
        return text


def _arguments(process: PinnedProcess) -> bytes | None:
    return process.read("cmdline")


def command_line(words: bytes, record: ProcessRecord) -> str:
    """Word proc_pid_cmdline(5); the name in brackets where it is empty."""
    return printable(words.rstrip(b"\0").replace(b"\0", b" ")) if words else f"[{record.comm}]"


def referred(who: str) -> Callable[[ProcessRow], ProcessRecord | None]:
    """Return the function from a row to the record that parent, init, self or a pid means for it."""
    if who == "parent":
        return lambda row: parent_reference(row.record, row.scene.records)
    if who == "init":
        return lambda row: row.scene.initial
    if who == "self":
        return lambda row: row.scene.records.get(row.scene.own_pid)
    pid = int(who)
    return lambda row: row.scene.records.get(pid)


def refer(who: str) -> Callable[[ProcessRow], ProcessRow | None]:
    """Return the same as rows, for the filter language (nsview.host.filter)."""
    whose = referred(who)
    if who == "parent":

        def parent(row: ProcessRow) -> ProcessRow | None:
            record = whose(row)
            return None if record is None else ProcessRow(record, row.scene)

        return parent
    last: tuple[Scene | None, ProcessRow | None] = (None, None)

    def fixed(row: ProcessRow) -> ProcessRow | None:
        """Look it up once for each scene, so that what is read of it is read once."""
        nonlocal last
        scene, found = last
        if scene is not row.scene:
            record = whose(row)
            found = None if record is None else ProcessRow(record, row.scene)
            last = (row.scene, found)
        return found

    return fixed
