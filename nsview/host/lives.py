"""Lives: what events, and snapshots where events were lost, say of each process from its birth to its end. Pure.

    lives = Lives(take())                  # once the source listens: then nothing falls between
    for event in source.read():
        ended = lives.fold(event)          # the lives that ended with it
        if event.what == "lost":           # as often as there are some, or once after all that were read
            appeared = lives.rescan(take())

Nothing is made up: a birth, parent or status that nobody told is None.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from nsview.host.events.clock import TICK_NS, asleep_ns, started_ns
from nsview.host.events.event import LOST, Event
from nsview.host.snapshot import ProcessRecord, Snapshot

REMEMBERED_NS = 60_000_000_000
"""How long an ended life is kept in mind, so that a snapshot begun before its end does not bring it back."""


@dataclass(slots=True)
class Life:
    """One process. The fold changes it until it ends. None is unknown.

    ``born_ns``, ``died_ns``: CLOCK_MONOTONIC. ``start_time``: ticks, once a snapshot has shown it. ``parent``: at
    birth; ``ppid``: at the last look, or whom the end was told to. ``names``: what it was called, the oldest first; the
    first is the parent's as of the birth (a child made with CLONE_PARENT has its maker's instead, which no event
    tells, until its own exit says). ``execs``: how many programs it began. ``exit_code``: status as of wait(2).
    ``threads``: alive at once, as far as known. ``not_before_ns``: what is told of earlier times is of
    another; ``first_seen_ns``: when the first look that shows it was over.
    """

    pid: int
    born_ns: int | None = None
    start_time: int | None = None
    parent: int | None = None
    ppid: int | None = None
    names: list[str] = field(default_factory=list)
    execs: int = 0
    threads: int | None = None
    died_ns: int | None = None
    ended: bool = False
    exit_code: int | None = None
    dumped_core: bool = False
    not_before_ns: int = 0
    first_seen_ns: int = 0
    cpu_ns: int | None = None
    cpu_most_ns: int | None = None
    utime_us: int | None = None
    stime_us: int | None = None

    @property
    def comm(self) -> str | None:
        """Its last name."""
        return self.names[-1] if self.names else None

    @property
    def lasted_ns(self) -> int | None:
        """How long it lived, None while it does."""
        return None if self.died_ns is None or self.born_ns is None else self.died_ns - self.born_ns

    def called(self, name: str | None) -> None:
        """Note a name, unless it is the one it has."""
        if name is not None and name != self.comm:
            self.names.append(name)


class Lives:
    """The lives going on, by pid, in ``going``; those that end are given to who folds, and forgotten."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        """Begin with the processes of a snapshot, or with none."""
        self.going: dict[int, Life] = {}
        self._missed: list[tuple[Life, int]] = []
        self._gone: dict[int, int] = {}
        self._order: deque[tuple[int, int]] = deque()
        if snapshot is not None:
            self.rescan(snapshot)

    def __iter__(self) -> Iterator[Life]:
        """Iterate over the lives going on."""
        return iter(self.going.values())

    def fold(self, event: Event) -> list[Life]:
        """Take an event; return the lives that ended with it, or that a look has missed for long enough."""
        ended = self.settle(event.when_ns - _ORDER_NS) if self._missed else []
        if event.what == LOST:
            return ended
        life = self.going.get(event.pid)
        if life is not None and life.not_before_ns > event.when_ns:
            return ended  # of the one before it in its number, which a look has missed
        if event.what == "fork":
            return ended + self._born(event, life)
        if life is None:
            if self._is_of_the_dead(event) or (event.is_of_thread and not event.last):
                return ended
            life = self.going[event.pid] = Life(event.pid)
        if event.what == "exit":
            return ended + self._exit(event, life)
        if event.what == "exec":
            # All other threads have ended by now (de_thread()).
            life.execs, life.threads = life.execs + 1, 1
            life.called(event.comm)
        elif event.what == "comm" and not event.is_of_thread:
            life.called(event.comm)
        elif event.what == "coredump":
            life.dumped_core = True
        return ended

    def _born(self, event: Event, life: Life | None) -> list[Life]:
        if event.is_of_thread:
            if life is not None and life.threads is not None:
                life.threads += 1
            return []
        if life is not None and life.born_ns is None and event.when_ns <= life.first_seen_ns:
            # A look showed it before its birth was read from the queue; what was born later is another.
            life.born_ns = life.not_before_ns = event.when_ns
            life.parent = event.parent
            return []
        ended = [] if life is None else [self._end(life, None, event.when_ns)]
        parent = None if event.parent is None else self.going.get(event.parent)
        born = Life(
            event.pid, event.when_ns, parent=event.parent, ppid=event.parent, threads=1, not_before_ns=event.when_ns
        )
        born.called(None if parent is None else parent.comm)
        self.going[event.pid] = born
        return ended

    def _exit(self, event: Event, life: Life) -> list[Life]:
        if life.threads is not None:
            life.threads = max(0, life.threads - 1)
        if not _ends(event, life):
            return []
        if not event.is_of_thread:
            life.called(event.comm)
        life.exit_code = event.exit_code
        life.ppid = life.ppid if event.parent is None else event.parent
        life.cpu_ns, life.cpu_most_ns = event.cpu_ns, event.cpu_most_ns
        life.utime_us, life.stime_us = event.utime_us, event.stime_us
        return [self._end(life, event.when_ns, event.when_ns)]

    def _is_of_the_dead(self, event: Event) -> bool:
        """True for what is told only now of a process that is known to have ended since."""
        return event.when_ns <= self._gone.get(event.pid, -1)

    def _end(self, life: Life, died_ns: int | None, by_ns: int) -> Life:
        life.died_ns, life.ended, life.threads = died_ns, True, 0
        if self.going.get(life.pid) is life:
            del self.going[life.pid]
        self._gone[life.pid] = by_ns
        self._order.append((by_ns, life.pid))
        while self._order[0][0] < by_ns - REMEMBERED_NS:
            when, pid = self._order.popleft()
            if self._gone.get(pid) == when:
                del self._gone[pid]
        return life

    def rescan(self, snapshot: Snapshot) -> list[Life]:
        """Bring the lives in line with a look, and return those that no event had told of.

        Those that it does not show have ended; that is said by fold() or settle() once it is sure that what the
        kernel told of it, with the exit status, is not about to be read. Folding what was told before the look
        changes nothing twice.
        """
        asleep = asleep_ns()
        missed = {life.pid: life for life in self.going.values() if _is_missed(life, snapshot, asleep)}
        self._missed += [(life, snapshot.ended_ns) for life in missed.values()]
        appeared = []
        for record in snapshot.records.values():
            life = self.going.get(record.pid)
            if record.has_ended:
                continue
            if life is not None and life.pid not in missed:
                # What was born during the look may have a predecessor there.
                if life.born_ns is None or life.born_ns < snapshot.when_ns:
                    _look_at(life, record, snapshot, asleep)
            elif life is not None or not self._has_ended_since(record, snapshot, asleep):
                life = self.going[record.pid] = Life(record.pid)
                _look_at(life, record, snapshot, asleep)
                appeared.append(life)
        return appeared

    def settle(self, up_to_ns: int) -> list[Life]:
        """Return the lives that ended unseen, when all that was told up to ``up_to_ns`` has been folded."""
        settled = [(life, when) for life, when in self._missed if when <= up_to_ns]
        self._missed = [(life, when) for life, when in self._missed if when > up_to_ns]
        return [self._end(life, None, when) for life, when in settled if not life.ended]

    def _has_ended_since(self, record: ProcessRecord, snapshot: Snapshot, asleep: int) -> bool:
        """True for a process whose end was folded, though the look, begun before, still shows it."""
        by_ns = self._gone.get(record.pid, -1)
        return by_ns >= snapshot.when_ns and started_ns(record.start_time, asleep) <= by_ns


def _ends(event: Event, life: Life) -> bool:
    """Tell whether a process ends with the exit of one of its tasks."""
    if event.last is not None:
        return event.last
    return life.threads == 0 if life.threads is not None else not event.is_of_thread


def _is_missed(life: Life, snapshot: Snapshot, asleep: int) -> bool:
    """True when a look shows that a life has ended without being told."""
    if life.born_ns is not None and life.born_ns >= snapshot.when_ns:
        return False
    record = snapshot.records.get(life.pid)
    if record is None or record.has_ended:
        return True
    if life.start_time is not None:
        return record.start_time != life.start_time
    # A successor, for what is its own start was noted before its birth was told, and is cut to a tick.
    return life.born_ns is not None and started_ns(record.start_time, asleep) >= life.born_ns + TICK_NS


def _look_at(life: Life, record: ProcessRecord, snapshot: Snapshot, asleep: int) -> None:
    if life.start_time is None:
        life.start_time, life.first_seen_ns = record.start_time, snapshot.ended_ns
        life.not_before_ns = life.born_ns or started_ns(record.start_time, asleep)
    life.ppid = record.ppid or None
    life.threads = record.threads
    life.called(record.comm)


_ORDER_NS = 100_000_000
"""Events of several CPUs come in the order in which they got into the queue, by far less out of that of their times."""
