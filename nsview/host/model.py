"""What two snapshots and the events between them mean: rates, births, deaths, and lives too short for either."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from nsview.host.events.event import LOST, Event
from nsview.host.lifetimes import Life, Lifetimes, Sighting
from nsview.host.snapshot import TICKS_PER_SECOND, ProcessRecord, Snapshot, Turnover, turnover

Identity = tuple[int, int]
"""A process for good: its pid and its start time in clock ticks. A pid alone may be another process later."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one process did in ``seconds``; None where one look alone cannot tell, or a counter is unknown.

    ``ticks`` of CPU time (TICKS_PER_SECOND), faults and context switches are counts; ``rss`` is bytes and may be
    negative. Execve resets none of the process's counters, but context switches are those of its main thread,
    and when another thread calls execve it becomes the main one (execve(2)): a counter that went back is unknown.
    """

    seconds: float
    ticks: int | None
    faults: int | None
    switches: int | None
    rss: int | None

    @property
    def cpu(self) -> float | None:
        """CPU time in percent of one core."""
        rate = self._rate(self.ticks)
        return None if rate is None else rate * 100 / TICKS_PER_SECOND

    @property
    def faults_per_second(self) -> float | None:
        """Page faults, minor and major."""
        return self._rate(self.faults)

    @property
    def switches_per_second(self) -> float | None:
        """Context switches of the main thread, voluntary and not."""
        return self._rate(self.switches)

    def _rate(self, amount: int | None) -> float | None:
        return None if amount is None or self.seconds <= 0 else amount / self.seconds


def change(now: ProcessRecord, then: ProcessRecord | None, seconds: float) -> Change:
    """Return what a process did between two looks; all unknown when ``then`` is not of the same process."""
    if then is None or then.identity != now.identity:
        return Change(seconds, None, None, None, None)
    return Change(
        seconds,
        _grown(now.utime + now.stime, then.utime + then.stime),
        _grown(now.minflt + now.majflt, then.minflt + then.majflt),
        _grown(_switches(now), _switches(then)),
        now.rss - then.rss,
    )


@dataclass(frozen=True, slots=True)
class Birth:
    """A process that the later snapshot is the first to see; time and parent at birth are None without its event."""

    record: ProcessRecord
    when_ns: int | None = None
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Death:
    """A process that ended: the last that was seen of it, and what its exit event said, None without one.

    ``exit_code`` is a status as of wait(2). CPU times are of its whole life, at least ``cpu_ns`` and at most
    ``cpu_most_ns``.
    """

    record: ProcessRecord
    when_ns: int | None = None
    exit_code: int | None = None
    cpu_ns: int | None = None
    cpu_most_ns: int | None = None
    utime_us: int | None = None
    stime_us: int | None = None


class Interval:
    """The time between two snapshots. Pure; a mark is an interval whose earlier snapshot is old.

    ``events`` are what happened meanwhile, in any order; None when nobody listened. Events outside the interval
    may be among them. Pass what :attr:`unsettled` says on to the next interval: an end during the reading of the
    later snapshot belongs there.
    """

    def __init__(self, earlier: Snapshot, later: Snapshot, events: Iterable[Event] | None = None) -> None:
        """Take the two snapshots and what was told of the time between."""
        self.earlier = earlier
        self.later = later
        self._events = None if events is None else sorted(events, key=lambda event: event.when_ns)

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.later.when_ns - self.earlier.when_ns) / 1e9

    def change(self, pid: int) -> Change:
        """Return what the process that has this pid in the later snapshot did; KeyError when none has."""
        return change(self.later.records[pid], self.earlier.records.get(pid), self.seconds)

    @cached_property
    def turnover(self) -> Turnover:
        """Who is new, gone, or did anything."""
        return turnover(self.earlier, self.later)

    @cached_property
    def births(self) -> Mapping[Identity, Birth]:
        """The processes that the earlier snapshot has not seen."""
        fresh = (self.later.records[pid] for pid in self.turnover.born)
        return {record.identity: self._birth(record) for record in fresh}

    @cached_property
    def gone(self) -> Mapping[Identity, ProcessRecord]:
        """The processes that the later snapshot has no more: reaped, the only trace left is what was seen."""
        left = (self.earlier.records[pid] for pid in self.turnover.gone)
        return {record.identity: record for record in left}

    @cached_property
    def deaths(self) -> Mapping[Identity, Death]:
        """The processes that lived, or were not yet born, in the earlier snapshot, and have ended since.

        They are gone, or in the later snapshot as zombies.
        """
        then, now = self.earlier.records, self.later.records
        ended = [record for record in self.gone.values() if not record.has_ended]
        ended += [now[pid] for pid in self.turnover.born if now[pid].has_ended]
        ended += [now[pid] for pid in self.turnover.changed if now[pid].has_ended and not then[pid].has_ended]
        return {record.identity: self._death(record) for record in ended}

    @cached_property
    def brief(self) -> tuple[Life, ...] | None:
        """The processes that neither snapshot has seen, by the time of their end; None when nobody listened."""
        if self._lifetimes is None:
            return None
        began, end = self.earlier.when_ns, self.later.when_ns
        found = [
            life
            for life in self._lifetimes.all()
            if life.born_ns is not None
            and life.died_ns is not None
            and began < life.died_ns <= end
            and id(life) not in self._seen
        ]
        return tuple(sorted(found, key=lambda life: life.died_ns or 0))

    @property
    def lost(self) -> int | None:
        """How many events were lost at least (one that nobody counted is one); None when nobody listened."""
        if self._events is None:
            return None
        began, end = self.earlier.when_ns, self.later.when_ns
        losses = (event for event in self._events if event.what == LOST and began < event.when_ns <= end)
        return sum(1 if event.count is None else event.count for event in losses)

    @property
    def unsettled(self) -> list[Event]:
        """The events that the next interval needs too."""
        if self._lifetimes is None or self._events is None:
            return []
        began, end = self.earlier.when_ns, self.later.when_ns
        unseen = {
            (life.pid, life.born_ns)
            for life in self._lifetimes.since_the_last_loss()
            if id(life) not in self._seen and (life.died_ns is None or life.died_ns > end)
        }
        return [
            event
            for event in self._events
            if event.when_ns > end
            or (event.what == "fork" and event.when_ns > began and (event.pid, event.when_ns) in unseen)
        ]

    @cached_property
    def _lifetimes(self) -> Lifetimes | None:
        if self._events is None:
            return None
        return Lifetimes(event for event in self._events if event.when_ns <= self.later.ended_ns)

    @cached_property
    def _matched(self) -> Mapping[Identity, Life]:
        """The lives, as events tell them, of the processes that a snapshot has seen."""
        return {identity: found.lives[0] for identity, found in self._sightings.items() if found.sure}

    @cached_property
    def _seen(self) -> frozenset[int]:
        """The lives, by id(), that a snapshot has seen, or may have: not to know is better than to count twice."""
        return frozenset(id(life) for found in self._sightings.values() for life in found.lives)

    @cached_property
    def _sightings(self) -> Mapping[Identity, Sighting]:
        found: dict[Identity, Sighting] = {}
        lifetimes = self._lifetimes
        for pid in () if lifetimes is None else lifetimes.pids():
            assert lifetimes is not None
            then, now = self.earlier.records.get(pid), self.later.records.get(pid)
            if then is not None:
                found[then.identity] = lifetimes.at_the_start(then, self.earlier)
            if now is not None and not _same(then, now):
                before = None if then is None else found[then.identity]
                found[now.identity] = lifetimes.at_the_end(now, self.later, before)
        return found

    def _birth(self, record: ProcessRecord) -> Birth:
        life = self._matched.get(record.identity)
        return Birth(record) if life is None else Birth(record, life.born_ns, life.parent)

    def _death(self, record: ProcessRecord) -> Death:
        life = self._matched.get(record.identity)
        if life is None or life.died_ns is None:
            return Death(record)
        return Death(record, life.died_ns, life.exit_code, life.cpu_ns, life.cpu_most_ns, life.utime_us, life.stime_us)


def _same(one: ProcessRecord | None, other: ProcessRecord) -> bool:
    return one is not None and one.start_time == other.start_time


def _grown(now: int | None, then: int | None) -> int | None:
    return None if now is None or then is None or now < then else now - then


def _switches(record: ProcessRecord) -> int | None:
    if record.voluntary is None or record.involuntary is None:
        return None
    return record.voluntary + record.involuntary
