"""Events guessed from looking again and again: where the kernel does not tell them."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator

from nsview.host.events.clock import TICK_NS, asleep_ns, started_ns
from nsview.host.events.event import Event
from nsview.host.events.stoppable import Stoppable
from nsview.host.snapshot import ProcessRecord, Snapshot, take

INTERVAL = 1.0


class Polling(Stoppable):
    """Events from the differences of snapshots. One thread reads; any thread may call stop().

    What is born and ends between two looks is missed, and nobody can count it. Exits have no status, threads are
    not told, and a fork's ``parent`` is the parent at the first look. ``look``: makes a snapshot.
    """

    describes_itself = "guessed, short lives are missed"

    def __init__(self, interval: float = INTERVAL, look: Callable[[], Snapshot] = take) -> None:
        """Take the first look."""
        self.lost = 0
        self.without_accounts: str | None = "not known to who only looks"
        self._interval = interval
        self._look = look
        self._before = look()
        super().__init__()
        self._next = time.monotonic() + interval

    def close(self) -> None:
        """Give back what it holds."""
        if self._stopping >= 0:
            os.close(self._stopping)
            self._stopping = -1

    def read(self, timeout: float | None = None, gather: float = 0.0) -> list[Event]:
        """Look again when it is time, but wait no longer than ``timeout`` seconds; return what has changed."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self._stopped:
            until = self._next if end is None else min(self._next, end)
            self._wait(until - time.monotonic())
            if self._stopped:
                break
            if time.monotonic() >= self._next:
                if events := self._again():
                    return events
            elif end is not None and time.monotonic() >= end:
                break
        return []

    def _wait(self, seconds: float) -> None:
        poller = select.poll()
        poller.register(self._stopping, select.POLLIN)
        poller.poll(max(0.0, seconds) * 1000)

    def _again(self) -> list[Event]:
        now = self._look()
        self._next = time.monotonic() + self._interval
        events = list(differences(self._before, now))
        self._before = now
        return events


def differences(before: Snapshot, after: Snapshot) -> Iterator[Event]:
    """Yield what must have happened between two snapshots. Pure but for the clocks' distance."""
    when = after.when_ns
    asleep = asleep_ns()
    for pid, old in before.records.items():
        new = after.records.get(pid)
        if new is None or new.identity != old.identity:
            new = None
        if not old.has_ended and (new is None or new.has_ended):
            yield Event(when, "exit", pid, pid, (new or old).ppid or None, last=True)
    for pid, new in after.records.items():
        known = before.records.get(pid)
        if new.has_ended:
            continue
        if known is None or known.identity != new.identity:
            # Its start is cut to a tick. A look taken before, which still shows who had the pid then, must not seem the
            # later one: so it is as late as it may have been.
            born = min(started_ns(new.start_time, asleep) + TICK_NS - 1, when)
            yield Event(born, "fork", pid, pid, new.ppid or None)
            yield Event(when, "comm", pid, pid, comm=new.comm)
        else:
            yield from _changes(when, known, new)


def _changes(when: int, old: ProcessRecord, new: ProcessRecord) -> Iterator[Event]:
    if new.comm != old.comm:
        yield Event(when, "comm", new.pid, new.pid, comm=new.comm)
    if new.uid is not None and old.uid is not None and new.uid != old.uid:
        yield Event(when, "uid", new.pid, new.pid, euid=new.uid)
    if new.session != old.session:
        yield Event(when, "sid", new.pid, new.pid)
