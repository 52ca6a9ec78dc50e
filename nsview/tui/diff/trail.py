"""What two processes did of late, look by look, and how that is drawn: twin sparklines on one scale. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from nsview.host.model import Change
from nsview.host.units import bytes_text, count_text
from nsview.host.usage import Usage

KEPT = 240
"""Looks that are kept: as many as the widest screen has cells for one process."""

_BARS = "▁▂▃▄▅▆▇█"
_GAP = " "


@dataclass(frozen=True, slots=True)
class Look:
    """What one process (or its subtree) did between two snapshots; None is unknown.

    ``cpu`` is percent of one core, ``rss`` bytes, the others are per second: faults, switches, bytes of ``io``.
    """

    cpu: float | None
    rss: float | None
    faults: float | None
    switches: float | None
    io: float | None = None


NOT_LOOKED = Look(None, None, None, None)


def look(change: Change, rss: int) -> Look:
    """Make a look of the change between two snapshots."""
    return Look(change.cpu, float(rss), change.faults_per_second, change.switches_per_second)


def io_rate(before: Usage | None, now: Usage | None) -> float | None:
    """Return the bytes a second that went through read(2) and write(2) between two samples of one process."""
    if before is None or now is None or before.identity != now.identity or now.when_ns <= before.when_ns:
        return None
    amounts = (before.read_chars, before.write_chars, now.read_chars, now.write_chars)
    if None in amounts:
        return None
    read, written, read_now, written_now = (amount or 0 for amount in amounts)
    moved = read_now + written_now - read - written
    return None if moved < 0 else moved * 1e9 / (now.when_ns - before.when_ns)


class Trail:
    """The newest looks at a pair, both sides at once: the oldest go when there are too many."""

    def __init__(self) -> None:
        """Begin with none."""
        self._looks: deque[tuple[Look, Look]] = deque(maxlen=KEPT)

    def __len__(self) -> int:
        """Return how many looks there are."""
        return len(self._looks)

    def note(self, parent: Look | None, child: Look | None) -> None:
        """Add a look at both; None: that one could not be looked at."""
        self._looks.append((parent or NOT_LOOKED, child or NOT_LOOKED))

    def note_io(self, parent: float | None, child: float | None) -> None:
        """Complete the newest look with what only a closer one tells."""
        if self._looks:
            one, two = self._looks.pop()
            self._looks.append((replace(one, io=parent), replace(two, io=child)))

    def complete(self, parent: Look | None, child: Look | None) -> None:
        """Put a look in place of the newest, which was only the place for it."""
        if self._looks:
            self._looks.pop()
            self.note(parent, child)

    def swap(self) -> None:
        """Exchange the sides."""
        self._looks = deque(((two, one) for one, two in self._looks), maxlen=KEPT)

    def lines(self) -> tuple[Trend, ...]:
        """Return what there is to draw."""
        return tuple(
            Trend(
                measure, tuple(measure.of(one) for one, _ in self._looks), tuple(measure.of(b) for _, b in self._looks)
            )
            for measure in MEASURES
        )


@dataclass(frozen=True, slots=True)
class TrendMeasure:
    """One thing that is followed: how it is called, taken from a look and worded, what it is, where it is read."""

    name: str
    of: Callable[[Look], float | None]
    text: Callable[[float], str]
    why: str
    source: str


MEASURES = (
    TrendMeasure(
        "cpu",
        lambda it: it.cpu,
        lambda amount: f"{amount:.0f} %",
        "share of one core between two snapshots",
        "/proc/PID/stat utime + stime",
    ),
    TrendMeasure(
        "rss",
        lambda it: it.rss,
        lambda amount: bytes_text(round(amount)),
        "memory in RAM, shared pages counted in full",
        "/proc/PID/stat rss",
    ),
    TrendMeasure(
        "faults",
        lambda it: it.faults,
        lambda amount: f"{count_text(round(amount))}/s",
        "page faults a second, minor and major",
        "/proc/PID/stat minflt + majflt",
    ),
    TrendMeasure(
        "switches",
        lambda it: it.switches,
        lambda amount: f"{count_text(round(amount))}/s",
        "context switches of the main thread a second",
        "/proc/PID/status *_ctxt_switches",
    ),
    TrendMeasure(
        "io",
        lambda it: it.io,
        lambda amount: f"{bytes_text(round(amount))}/s",
        "bytes a second through read(2) and write(2); read only while this pane is shown, never of subtrees",
        "/proc/PID/io rchar + wchar",
    ),
)


@dataclass(frozen=True, slots=True)
class Trend:
    """One measure of both processes, the oldest look first; the two are drawn on one scale."""

    measure: TrendMeasure
    parent: tuple[float | None, ...]
    child: tuple[float | None, ...]

    def top(self, width: int) -> float | None:
        """Return the largest amount on either side among the newest ``width`` looks; None: all are unknown."""
        known = [amount for amount in (*_newest(self.parent, width), *_newest(self.child, width)) if amount is not None]
        return max(known, default=None)

    def top_text(self, width: int) -> str:
        """Word the top of the scale."""
        top = self.top(width)
        return "?" if top is None else f"≤ {self.measure.text(top)}"

    def newest(self) -> tuple[str, str]:
        """Word the newest amounts, ``?`` where unknown."""
        one, two = (side[-1] if side else None for side in (self.parent, self.child))
        return tuple("?" if amount is None else self.measure.text(amount) for amount in (one, two))  # type: ignore[return-value]


def sparkline(amounts: Sequence[float | None], width: int, top: float | None) -> str:
    """Draw the newest amounts in ``width`` cells, the newest at the right; unknown ones are gaps.

    ``top`` is the full height; what is not zero never looks as low as zero does.
    """
    drawn = "".join(_bar(amount, top) for amount in _newest(amounts, width))
    return drawn.rjust(width, _GAP)


def _newest(amounts: Sequence[float | None], width: int) -> Iterable[float | None]:
    return amounts[-width:] if width > 0 else ()


def _bar(amount: float | None, top: float | None) -> str:
    if amount is None or top is None:
        return _GAP
    if amount <= 0 or top <= 0:
        return _BARS[0]
    return _BARS[max(1, round(min(1.0, amount / top) * (len(_BARS) - 1)))]
