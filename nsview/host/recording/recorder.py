"""Recording the machine: a sample at each interval, and between them the events as the kernel tells them."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType

from nsview.host.events.connector import Connector
from nsview.host.events.event import Event
from nsview.host.events.refusal import SourceRefusedError
from nsview.host.namespaces import Namespace, discover, namespaces_of
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.recording.form import Header
from nsview.host.recording.writer import Writer
from nsview.host.snapshot import TICKS_PER_SECOND, Snapshot, take
from nsview.host.tree import ProcessTree
from nsview.host.users import user_name
from spawner.namespaces import KINDS

_GATHER = 0.05
"""Seconds that events are let come together, so as to wake up rarely."""

Identity = tuple[int, int]


def header(
    producer: str, interval_ns: int | None = None, events: str | None = None, refused: str | None = None
) -> Header:
    """Say where and when we are."""
    own = take((os.getpid(),)).records[os.getpid()]
    machine = os.uname()
    return Header(
        producer=producer,
        host=socket.gethostname(),
        kernel=machine.release,
        machine=machine.machine,
        boot_id=_boot_id(),
        realtime_ns=time.time_ns(),
        monotonic_ns=time.monotonic_ns(),
        boottime_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
        ticks_per_second=TICKS_PER_SECOND,
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        reader=own.pid,
        reader_start=own.start_time,
        reader_uid=os.geteuid(),
        reader_namespaces={kind.name: inode for kind, inode in zip(KINDS, own.ns, strict=True)},
        interval_ns=interval_ns,
        events=events,
        refused=refused,
    )


def _boot_id() -> str | None:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except (FileNotFoundError, PermissionError):  # masked, as in a container
        return None


class Listener:
    """Takes the kernel's events in a thread of its own. Use as a context manager."""

    def __init__(self) -> None:
        """Begin to listen; SourceRefusedError where the kernel does not let us."""
        self._source = Connector()
        self._heard: list[Event] = []
        self._lock = threading.Lock()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._listen, name="nsview-events", daemon=True)
        self.describes_itself = self._source.describes_itself

    def __enter__(self) -> Listener:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._source.stop()
        self._thread.join()
        self._source.close()

    def take(self) -> list[Event]:
        """Return what was heard since the last call; OSError when listening failed."""
        with self._lock:
            heard, self._heard = self._heard, []
            failure = self._failure
        if failure is not None:
            raise failure
        return heard

    def _listen(self) -> None:
        try:
            while events := self._source.read(gather=_GATHER):
                with self._lock:
                    self._heard += events
        except OSError as error:
            self._failure = error


@dataclass(frozen=True, slots=True)
class Plan:
    """What to record: a sample each ``interval`` seconds, ``count`` of them or for ``duration`` seconds.

    None: without end. ``everything``: search for every namespace at each sample, not only for relations of those
    that processes are in.
    """

    interval: float = 1.0
    count: int | None = None
    duration: float | None = None
    everything: bool = False


class Recorder:
    """Records by a plan until it is done, or ``stop`` is set by any thread or signal handler."""

    def __init__(
        self, writer: Writer, plan: Plan, listener: Listener | None = None, look: Callable[[], Snapshot] = take
    ) -> None:
        """Record nothing yet."""
        self.stop = threading.Event()
        self._writer = writer
        self._plan = plan
        self._listener = listener
        self._look = look
        self._last: Snapshot | None = None
        self._waiting: list[Event] = []
        self._known: Mapping[int, Namespace] = {}

    def run(self) -> None:
        """Record to the end. OSError when the file cannot be written or the processes cannot be read."""
        began = time.monotonic()
        due, reason = began, "count"
        while True:
            self.sample()
            if self._plan.count is not None and self._writer.samples >= self._plan.count:
                break
            due = max(due + self._plan.interval, time.monotonic())
            end = None if self._plan.duration is None else began + self._plan.duration
            if end is not None and due > end:
                stopped = self.stop.wait(max(0.0, end - time.monotonic()))
                reason = "signal" if stopped else "duration"
                break
            if self.stop.wait(max(0.0, due - time.monotonic())):
                reason = "signal"
                break
        self.finish(reason)

    def sample(self) -> None:
        """Take a sample and write it, after the events from before it."""
        snapshot = self._look()
        self._hear()
        self._writer.tell(event for event in self._waiting if event.when_ns <= snapshot.when_ns)
        execed = {event.pid for event in self._waiting if event.what == "exec"}
        self._waiting = [event for event in self._waiting if event.when_ns > snapshot.when_ns]
        users = {uid: user_name(uid) for uid in {record.uid for record in snapshot.records.values()} if uid is not None}
        self._write_namespaces(snapshot)
        self._writer.sample(snapshot, users, self._commands(snapshot, execed))
        self._last = snapshot

    def finish(self, reason: str) -> None:
        """Write the events that are left, and the end."""
        self._hear()
        self._writer.tell(self._waiting)
        self._waiting = []
        self._writer.end(reason, time.monotonic_ns())

    def _hear(self) -> None:
        if self._listener is not None:
            self._waiting += self._listener.take()
            self._waiting.sort(key=lambda event: event.when_ns)

    def _commands(self, snapshot: Snapshot, execed: Iterable[int]) -> dict[Identity, str | None]:
        """Read the command lines of who is new, has another name, or has called execve."""
        last = {} if self._last is None else self._last.records
        renewed = set(execed)
        found = {}
        for pid, record in snapshot.records.items():
            then = last.get(pid)
            if record.is_kernel_thread or (then is record and pid not in renewed):
                continue
            if then is None or pid in renewed or (then.start_time, then.comm) != (record.start_time, record.comm):
                found[record.identity] = _words(*record.identity)
        return found

    def _write_namespaces(self, snapshot: Snapshot) -> None:
        if self._plan.everything:
            self._known = discover(snapshot)
            self._writer.namespaces(snapshot.when_ns, self._known.values(), everything=True)
            return
        inodes = {inode for ns in {record.ns for record in snapshot.records.values()} for inode in ns}
        inodes |= {record.pid_for_children for record in snapshot.records.values()}
        inodes |= {record.time_for_children for record in snapshot.records.values()}
        if inodes - {None} <= self._known.keys():
            return
        before, self._known = self._known, namespaces_of(snapshot, ProcessTree(snapshot.records), self._known)
        fresh = [now for inode, now in self._known.items() if not _is_told(before.get(inode), now)]
        self._writer.namespaces(snapshot.when_ns, fresh, everything=False)


def _is_told(before: Namespace | None, now: Namespace) -> bool:
    return before is not None and all(
        getattr(before, name) == getattr(now, name) for name in ("kind", "parent", "owner", "owner_uid", "id")
    )


def _words(pid: int, start_time: int) -> str | None:
    try:
        with PinnedProcess(pid, start_time) as process:
            words = process.read("cmdline")
    except ProcessGoneError:
        return None
    return None if words is None else os.fsdecode(words)


__all__ = ["Listener", "Plan", "Recorder", "SourceRefusedError", "header"]
