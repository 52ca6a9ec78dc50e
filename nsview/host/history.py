"""Snapshots folded one after another: the newest, the one before, and who came and went of late."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nsview.host.events.brief import Known
from nsview.host.events.event import Event
from nsview.host.model import Change, Death, Identity, Interval, change
from nsview.host.snapshot import ProcessRecord, Snapshot, turnover

BORN_NS = 3_000_000_000
"""For how long a new process counts as new."""

GONE_NS = 5_000_000_000
"""For how long a process that is gone is remembered."""

GONE_MOST = 200
"""How many processes that are gone are remembered at most; the newest are."""


@dataclass(frozen=True, slots=True)
class Departed:
    """The last that was seen of a process; ``gone_ns`` is the time of the first snapshot without it.

    ``death`` is what is known of its end; None when it was a zombie already when it was first seen.
    """

    record: ProcessRecord
    gone_ns: int
    death: Death | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The newest snapshot, the one before it, and who came and went of late (times as ``Snapshot.when_ns``).

    ``born`` is by identity; ``gone`` by pid, so of two processes that had the same pid the later is kept.
    ``zombies`` have ended but are in the newest snapshot still. ``unsettled`` events wait for the next snapshot.
    """

    newest: Snapshot
    before: Snapshot | None = None
    born: Mapping[Identity, int] = field(default_factory=dict)
    gone: Mapping[int, Departed] = field(default_factory=dict)
    zombies: Mapping[Identity, Death] = field(default_factory=dict)
    unsettled: tuple[Event, ...] = ()

    def change(self, record: ProcessRecord) -> Change:
        """Return what a process did between the two newest snapshots; of one gone, nothing is known."""
        earlier = None if self.before is None else self.before.records.get(record.pid)
        if self.before is None or self.newest.records.get(record.pid) is not record:
            return Change(0.0, None, None, None, None)
        return change(record, earlier, (self.newest.when_ns - self.before.when_ns) / 1e9)

    def known_with(self, snapshot: Snapshot) -> Known:
        """Say of whom events have to be told for :func:`advance` to a new snapshot: the lives of no others matter."""
        gone = turnover(self.newest, snapshot).gone
        return Known(snapshot.records, {*gone, *(event.pid for event in self.unsettled)}, snapshot.when_ns)

    def others_than(self, last: History) -> set[int]:
        """Return the pids of those who are not as they were in another picture, or only in one of both.

        The living and those gone of late; where a pid is used again, the living.
        """
        if self is last:
            return set()
        found = turnover(last.newest, self.newest).pids
        pids = self.gone.keys() | last.gone.keys()
        return found.union(pid for pid in pids if self.gone.get(pid) is not last.gone.get(pid))


def advance(history: History | None, snapshot: Snapshot, events: Iterable[Event] | None = None) -> History:
    """Fold in a new snapshot, and the events since the last (None: nobody listens).

    Notes births and deaths, forgets those of some seconds ago.
    """
    if history is None:
        return History(snapshot)
    when = snapshot.when_ns
    interval = Interval(history.newest, snapshot, None if events is None else (*history.unsettled, *events))
    born = {identity: at for identity, at in history.born.items() if when - at < BORN_NS}
    gone = {pid: departed for pid, departed in history.gone.items() if when - departed.gone_ns < GONE_NS}
    deaths = {**history.zombies, **interval.deaths}
    for identity in interval.births:
        # One that a snapshot missed, its files being unreadable for an instant, is back, not reborn.
        missed = gone.pop(identity[0], None)
        if missed is None or missed.record.identity != identity:
            born[identity] = when
    for identity, record in interval.gone.items():
        gone.pop(identity[0], None)  # to stand last
        gone[identity[0]] = Departed(record, when, deaths.get(identity))
    for pid in [*gone][: max(0, len(gone) - GONE_MOST)]:
        del gone[pid]
    zombies = {identity: death for identity, death in deaths.items() if identity not in interval.gone}
    return History(snapshot, history.newest, born, gone, zombies, tuple(interval.unsettled))
