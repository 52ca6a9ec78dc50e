"""Recording the machine: a sample at each interval, and between them the events as the kernel tells them."""

from __future__ import annotations

import math
import os
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from nsview.host.events.event import Event
from nsview.host.events.source import Source
from nsview.host.namespaces import Namespace, discover, namespaces_of
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.recording.form import Header
from nsview.host.recording.writer import Writer
from nsview.host.snapshot import TICKS_PER_SECOND, ProcessRecord, Snapshot, take
from nsview.host.tree import ProcessTree
from nsview.host.users import user_name
from spawner.namespaces import KINDS

_GATHER = 0.05
"""Seconds that events are let come together, so as to wake up rarely."""

_LONGEST_WAIT = 86400.0
"""Seconds: poll(2) takes milliseconds as an int."""

_PATIENCE = 0.25
"""Seconds after which a signal is noticed while events are waited for."""

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
    """Records by a plan until it is done, or stop() is called.

    ``source`` gives events, read by the thread that runs; None: there are none.
    """

    def __init__(
        self, writer: Writer, plan: Plan, source: Source | None = None, look: Callable[[], Snapshot] = take
    ) -> None:
        """Record nothing yet."""
        self._stopped = False
        self._waking = -1
        self._writer = writer
        self._plan = plan
        self._source = source
        self._look = look
        self._last: Snapshot | None = None
        self._execed: set[int] = set()
        self._known: Mapping[int, Namespace] = {}
        self._present = _Present()

    def run(self) -> None:
        """Record to the end. OSError when the file cannot be written or the processes cannot be read."""
        waking = self._waking = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            self._run()
        finally:
            self._waking = -1
            os.close(waking)

    def stop(self) -> None:
        """End the recording in order, soon; a signal handler may call it, for no lock is taken."""
        self._stopped = True
        if self._waking >= 0:
            os.eventfd_write(self._waking, 1)

    def _run(self) -> None:
        began = time.monotonic()
        due, reason = began, "count"
        while True:
            self.sample()
            if self._plan.count is not None and self._writer.samples >= self._plan.count:
                break
            due = max(due + self._plan.interval, time.monotonic())
            end = math.inf if self._plan.duration is None else began + self._plan.duration
            if self._stopped_before(min(due, end)) or due > end:
                reason = "signal" if self._stopped else "duration"
                self.sample()  # so that what was told since the last one lies between two
                break
        self._tell(self._heard())
        self._writer.end(reason, time.monotonic_ns())

    def sample(self) -> None:
        """Take a sample and write it where it belongs among the events."""
        snapshot = self._look()
        heard = self._heard()
        self._tell(event for event in heard if event.when_ns <= snapshot.when_ns)
        last = {} if self._last is None else self._last.records
        # The producer gives a record that is as before as the same object: that costs next to nothing.
        changed = [record for pid, record in snapshot.records.items() if last.get(pid) is not record]
        self._write_namespaces(snapshot, changed)
        uids = {record.uid for record in changed if record.uid is not None}
        users = {uid: user_name(uid) for uid in uids}
        self._writer.sample(snapshot, users, self._commands(changed))
        self._last, self._execed = snapshot, set()
        self._tell(event for event in heard if event.when_ns > snapshot.when_ns)

    def _stopped_before(self, due: float) -> bool:
        """Wait until a time (time.monotonic()) and write the events as they come; True when stopped before."""
        waking = select.poll()
        waking.register(self._waking, select.POLLIN)
        while not self._stopped and (left := due - time.monotonic()) > 0:
            if self._source is None:
                waking.poll(math.ceil(min(left, _LONGEST_WAIT) * 1000))
            else:
                self._tell(self._source.read(min(left, _PATIENCE), min(left, _GATHER)))
        return self._stopped

    def _heard(self) -> list[Event]:
        """Return what has happened up to now and was not yet told."""
        return [] if self._source is None else self._source.read(timeout=0)

    def _tell(self, events: Iterable[Event]) -> None:
        told = sorted(events, key=lambda event: event.when_ns)
        self._execed.update(event.pid for event in told if event.what == "exec")
        self._writer.tell(told)

    def _commands(self, changed: Iterable[ProcessRecord]) -> dict[Identity, str | None]:
        """Read the command lines of who is new, has another name, or has called execve."""
        last = {} if self._last is None else self._last.records
        found = {}
        for record in changed:
            then = last.get(record.pid)
            if record.is_kernel_thread:
                continue
            if (
                then is None
                or record.pid in self._execed
                or then.identity != record.identity
                or then.comm != record.comm
            ):
                found[record.identity] = _words(*record.identity)
        return found

    def _write_namespaces(self, snapshot: Snapshot, changed: Iterable[ProcessRecord]) -> None:
        if self._plan.everything:
            self._writer.namespaces(snapshot.when_ns, discover(snapshot).values(), everything=True)
            return
        before = self._present.inodes()
        self._present.replace({} if self._last is None else self._last.records, snapshot.records, changed)
        if self._present.inodes() <= before:
            return
        told, self._known = self._known, namespaces_of(snapshot, ProcessTree(snapshot.records), self._known)
        fresh = [now for inode, now in self._known.items() if not _is_told(told.get(inode), now)]
        self._writer.namespaces(snapshot.when_ns, fresh, everything=False)


class _Present:
    """The inodes of namespaces that processes are in: many processes have the same, so they are counted."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int | None, ...]] = Counter()

    def inodes(self) -> set[int]:
        """Return those that any process has."""
        return {inode for links in self._counts for inode in links if inode is not None}

    def replace(
        self,
        before: Mapping[int, ProcessRecord],
        after: Mapping[int, ProcessRecord],
        changed: Iterable[ProcessRecord],
    ) -> None:
        """Go from one snapshot to the next, of whose records those ``changed`` are other objects."""
        for record in changed:
            self._counts[_links(record)] += 1
            if (then := before.get(record.pid)) is not None:
                self._counts[_links(then)] -= 1
        for pid in before.keys() - after.keys():
            self._counts[_links(before[pid])] -= 1
        self._counts = +self._counts


def _links(record: ProcessRecord) -> tuple[int | None, ...]:
    return (*record.ns, record.pid_for_children, record.time_for_children)


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
