"""Two launches side by side: steps matched by label, medians where there are many runs, sums. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from nsview.tui.launching.launched import Launched, Run
from spawner import Event, Mechanism


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: what it is called, and its runs, one or many. ``held``: our pauses are in its times."""

    name: str
    runs: tuple[Run, ...]
    held: bool = False


def side_of(launched: Launched) -> Side:
    """Make a side of a launch that was made once."""
    run = Run(launched.timeline, launched.returned_ns)
    return Side(f"{launched.pid} {launched.title} {launched.plan.mechanism}", (run,), launched.was_held)


@dataclass(frozen=True, slots=True)
class Measure:
    """Nanoseconds that a step took: the median of ``count`` runs, and the bounds of the middle half of them."""

    median: int
    low: int
    high: int
    count: int


def measure(values: Sequence[int]) -> Measure | None:
    """Sum up what several runs took; None where there is nothing."""
    if not values:
        return None
    low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else (values[0],) * 3
    return Measure(round(median(values)), round(low), round(high), len(values))


@dataclass(frozen=True, slots=True)
class PairLine:
    """A step of either or both, or a sum (``total``: what it means is in ``meaning``)."""

    label: str
    phase: str
    one: Measure | None
    two: Measure | None
    total: bool = False
    meaning: str = ""

    @property
    def difference(self) -> int | None:
        """Nanoseconds that the second took longer."""
        return None if self.one is None or self.two is None else self.two.median - self.one.median

    @property
    def ratio(self) -> float | None:
        """How many times as long as the first the second took."""
        if self.one is None or self.two is None or not self.one.median:
            return None
        return self.two.median / self.one.median


Step = tuple[Hashable, Event]
"""An event, and what it is matched by."""


def matched(events: Iterable[Event]) -> tuple[Step, ...]:
    """Name each event by its label, and which of those with this label it is; the call that makes the child is one
    whatever it is called.
    """
    seen: dict[str, int] = {}
    found: list[Step] = []
    for event in events:
        birth = event.index is None and event.phase == "birth"
        label = "birth" if birth else event.label
        nth = seen[label] = seen.get(label, -1) + 1
        found.append(((birth, label, nth), event))
    return tuple(found)


def compared(one: Side, two: Side) -> tuple[PairLine, ...]:
    """Compare the sums, then step by step in the order of the first; what only the second has stands behind what it
    comes after there.
    """
    sides = [{key: event for run in side.runs for key, event in matched(run.timeline)} for side in (one, two)]
    times = [_times(side) for side in (one, two)]
    lines = []
    for key in _merged(*([*side] for side in sides)):
        events = [side.get(key) for side in sides]
        labels = dict.fromkeys(event.label for event in events if event is not None)
        phase = next(event.phase for event in events if event is not None)
        one_took, two_took = (measure(side.get(key, ())) for side in times)
        lines.append(PairLine(" | ".join(labels), phase, one_took, two_took))
    return totals(one, two) + tuple(lines)


def _times(side: Side) -> dict[Hashable, list[int]]:
    found: dict[Hashable, list[int]] = {}
    for run in side.runs:
        for key, event in matched(run.timeline):
            if event.duration_ns is not None:
                found.setdefault(key, []).append(event.duration_ns)
    return found


def _merged(one: list[Hashable], two: list[Hashable]) -> list[Hashable]:
    merged = [*one]
    place = 0
    for key in two:
        if key in merged:
            place = merged.index(key) + 1
        else:
            merged.insert(place, key)
            place += 1
    return merged


def totals(one: Side, two: Side) -> tuple[PairLine, ...]:
    """Return the sums: of the steps, until the parent goes on, until the program runs."""

    def of(label: str, meaning: str, what: Callable[[Run], int | None], paused: bool) -> PairLine:
        found = [
            None if paused and side.held else measure([ns for run in side.runs if (ns := what(run)) is not None])
            for side in (one, two)
        ]
        return PairLine(label, "total", found[0], found[1], total=True, meaning=meaning)

    return (
        of("all steps", "the sum of the times of all steps", all_steps, False),
        of("parent goes on", "from the call that makes the child until it has returned in the parent", returned, False),
        of(
            "program runs",
            "from the call that makes the child until execve has succeeded; unknown where nobody saw it, "
            "not told where the child was held",
            until_exec,
            True,
        ),
    )


def all_steps(run: Run) -> int | None:
    """Nanoseconds that all steps took."""
    took = [event.duration_ns for event in run.timeline if event.duration_ns is not None]
    return sum(took) if took else None


def returned(run: Run) -> int | None:
    """Nanoseconds that the parent was in the call that made the child."""
    birth = _birth(run.timeline)
    return None if birth is None or run.returned_ns is None else run.returned_ns - birth.start_ns


def until_exec(run: Run) -> int | None:
    """Nanoseconds from the call that made the child until its program began: posix_spawn(3) returns only then."""
    birth = _birth(run.timeline)
    if birth is not None and birth.label == Mechanism.POSIX_SPAWN:
        return birth.duration_ns
    ends = [event.end_ns for event in run.timeline if event.phase == "exec" and event.result == 0 and event.end_ns]
    return None if birth is None or not ends else max(ends) - birth.start_ns


def _birth(events: Iterable[Event]) -> Event | None:
    return next((event for event in events if event.index is None and event.phase == "birth"), None)
