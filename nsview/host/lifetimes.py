"""The lives of processes as their events tell them: who was born when to whom, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from nsview.host.events.event import LOST, Event
from nsview.host.snapshot import ProcessRecord, Snapshot


@dataclass(slots=True)
class Life:
    """One life under one pid; None where its events did not tell.

    ``parent`` is the one at birth. ``comm`` is the last name it was given, raw as Event.comm; None when its
    events gave it none (a fork has its parent's). ``cpu_ns`` (at least) to ``stime_us`` are of the whole life.
    ``certain``: no event was lost before it, so a life without a birth is that of the process that was there.
    """

    pid: int
    born_ns: int | None = None
    parent: int | None = None
    comm: str | None = None
    died_ns: int | None = None
    exit_code: int | None = None
    cpu_ns: int | None = None
    cpu_most_ns: int | None = None
    utime_us: int | None = None
    stime_us: int | None = None
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Sighting:
    """The lives that a snapshot may have seen under a pid: reading takes time, so lives may begin and end meanwhile.

    ``sure``: there is one, and nothing speaks against it.
    """

    lives: tuple[Life, ...]
    sure: bool


class Lifetimes:
    """Lives by pid, from events in order of time.

    After a loss nothing is joined to what came before: a pid may have been used again unseen.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        """Read the events."""
        self._lives: dict[int, list[Life]] = {}
        self._closed: dict[int, int] = {}
        self._whole = True
        for event in events:
            self._read(event)

    def pids(self) -> Iterator[int]:
        """Yield the pids of which anything was told."""
        return iter(self._lives)

    def all(self) -> Iterator[Life]:
        """Yield every life."""
        for lives in self._lives.values():
            yield from lives

    def since_the_last_loss(self) -> Iterator[Life]:
        """Yield the lives after whose last event none was lost."""
        for pid, lives in self._lives.items():
            yield from lives[self._closed.get(pid, 0) :]

    def at_the_start(self, record: ProcessRecord, snapshot: Snapshot) -> Sighting:
        """Find the life that a snapshot from before these events has seen as ``record``."""
        lives = self._lives[record.pid]
        found, sure = [], True
        for life, next_one in zip_longest(lives, lives[1:]):
            # Its own birth may be told after it was seen; that of a successor would follow an end.
            is_read = life is lives[0] or _born(life) <= snapshot.ended_ns
            if is_read and _may_be(record, snapshot, life, next_one):
                found.append(life)
                # Where events were lost, a successor in its pid may have been read in its place.
                sure &= life.certain and (self._whole or life.died_ns is None or life.died_ns > snapshot.ended_ns)
        if record.has_ended and lives[0].born_ns is not None:
            sure = False  # who had the pid before may have been reaped meanwhile
        return Sighting(tuple(found), sure and len(found) == 1)

    def at_the_end(self, record: ProcessRecord, snapshot: Snapshot, before: Sighting | None) -> Sighting:
        """Find the life that a snapshot from the end of these events has seen as ``record``.

        ``before``: what the snapshot from before them saw under this pid, which was another process.
        """
        other = before.lives[0] if before is not None and before.sure else None
        lives, closed = self._lives[record.pid], self._closed.get(record.pid, 0)
        found, sure = [], True
        for at, (life, next_one) in enumerate(zip_longest(lives, lives[1:])):
            if life is other or _born(life) > snapshot.ended_ns:
                continue
            if _may_be(record, snapshot, life, next_one):
                found.append(life)
                sure &= at >= closed and life.born_ns is not None
        if not self._whole and _born(lives[min(closed, len(lives) - 1)]) > snapshot.when_ns:
            sure = False  # who had the pid before may have been seen, and its events lost
        return Sighting(tuple(found), sure and len(found) == 1)

    def _read(self, event: Event) -> None:
        if event.what == LOST:
            self._whole = False
            self._closed = {pid: len(lives) for pid, lives in self._lives.items()}
        elif event.what == "fork" and not event.is_of_thread:
            life = Life(event.pid, event.when_ns, event.parent, certain=self._whole)
            self._lives.setdefault(event.pid, []).append(life)
        elif event.what in ("comm", "exec") and not event.is_of_thread:
            self._current(event.pid).comm = event.comm  # None: execve gave it a name that was not told
        elif event.what == "exit" and (event.last or (event.last is None and not event.is_of_thread)):
            life = self._current(event.pid)
            life.died_ns, life.exit_code = event.when_ns, event.exit_code
            life.cpu_ns, life.cpu_most_ns = event.cpu_ns, event.cpu_most_ns
            life.utime_us, life.stime_us = event.utime_us, event.stime_us
            life.comm = event.comm or life.comm

    def _current(self, pid: int) -> Life:
        """Return the life under way under a pid; one of unknown birth when none is."""
        lives = self._lives.setdefault(pid, [])
        if len(lives) <= self._closed.get(pid, 0) or lives[-1].died_ns is not None:
            lives.append(Life(pid, certain=self._whole and not lives))
        return lives[-1]


def _born(life: Life) -> int:
    return 0 if life.born_ns is None else life.born_ns


def _may_be(record: ProcessRecord, snapshot: Snapshot, life: Life, next_one: Life | None) -> bool:
    """Tell whether a life was, at some time while the snapshot was read, in the state that was seen."""
    if not record.has_ended:
        return life.died_ns is None or life.died_ns > snapshot.when_ns or record.is_exiting
    reaped = next_one is not None and next_one.born_ns is not None and next_one.born_ns <= snapshot.when_ns
    return life.died_ns is not None and life.died_ns <= snapshot.ended_ns and not reaped
