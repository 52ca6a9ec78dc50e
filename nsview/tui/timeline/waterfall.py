"""Where the bars of a timeline stand: from events with nanoseconds to cells of a line. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spawner import Event

WAIT_MOST = 0.1
"""A pause between two steps takes no more of the axis than this share of all the work: a child held for a minute
would leave no cell for steps of microseconds."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One event on the axis, in cells: it fills ``length`` (at least 1) from ``start``; ``waited_ns`` went before."""

    start: int
    length: int
    waited_ns: int


def bars(events: Sequence[Event], cells: int, wait_most: float = WAIT_MOST) -> tuple[Bar, ...]:
    """Lay events, in the order of their starts, on an axis of ``cells`` cells; ``wait_most`` instead of WAIT_MOST."""
    if not events or cells < 1:
        return ()
    work = sum(_took(event) for event in events)
    most = int(work * wait_most)
    places: list[tuple[int, int, int]] = []
    at = until = 0
    for event in events:
        waited = max(0, event.start_ns - until)
        begin = at + min(waited, most) - max(0, until - event.start_ns)
        end = begin + _took(event)
        places.append((begin, end, waited))
        at, until = max(at, end), max(until, event.start_ns + _took(event))
    scale = cells / max(1, at)
    found = []
    for begin, end, waited in places:
        start = min(cells - 1, max(0, int(begin * scale)))
        length = max(1, min(cells - start, round((end - begin) * scale)))
        found.append(Bar(start, length, waited))
    return tuple(found)


def _took(event: Event) -> int:
    return max(0, event.duration_ns or 0)


def duration(nanoseconds: int | None) -> str:
    """Word a time in at most seven cells: ``830 ns``, ``12.3 µs``, ``4.56 ms``, ``1.20 s``; ``?`` if unknown."""
    if nanoseconds is None:
        return "?"
    if nanoseconds < 1000:
        return f"{nanoseconds} ns"
    for unit, size in (("µs", 1e3), ("ms", 1e6)):
        value = nanoseconds / size
        if value < 999.5:
            return f"{_three(value)} {unit}"
    seconds = nanoseconds / 1e9
    return f"{_three(seconds)} s" if seconds < 999.5 else f"{seconds:.0f} s"


def _three(value: float) -> str:
    if value < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def total(events: Iterable[Event]) -> int:
    """Nanoseconds from the launch to the end of the last event."""
    return max((event.start_ns + _took(event) for event in events), default=0)
