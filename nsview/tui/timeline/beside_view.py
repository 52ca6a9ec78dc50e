"""How two launches are drawn side by side: two times, their difference and ratio, and two bars in a line. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from rich.cells import cell_len

from nsview.host.text import printable
from nsview.tui.cell_text import fitted
from nsview.tui.timeline.beside import Measure, PairLine
from nsview.tui.timeline.view import ROOMY, TIME, Piece
from nsview.tui.timeline.waterfall import duration

_RATIO = 8
"""Cells of the column of ratios, a blank among them."""

_DIFFERENCE = 10

_NOISE = 1.1
"""A ratio up to which the second is not called slower: the same call differs by as much from run to run."""

NAMES = ("A", "B")


class BesideView:
    """The lines of a comparison; the sums have a scale of their own."""

    note = "Neither has a step to compare."

    def __init__(self, lines: Sequence[PairLine]) -> None:
        self.lines = lines
        self._longest = max((cell_len(printable(line.label)) for line in lines), default=4)
        self._most = {
            total: max((_most(line) for line in lines if line.total is total), default=0) for total in (False, True)
        }

    @property
    def count(self) -> int:
        """Number of lines."""
        return len(self.lines)

    def key(self, index: int) -> Hashable:
        """Name a line."""
        line = self.lines[index]
        return line.total, line.label, sum(other.label == line.label for other in self.lines[:index])

    def header(self, width: int) -> Sequence[Piece]:
        """Draw the headings; the bars' are their key."""
        text = fitted("  step", self._name(width)) + f" {'A':>8} {'B':>8} "
        text += f"{'B − A':>9} " if width >= ROOMY else ""
        text += f"{'B / A':>7} ▀A ▄B"
        return ((fitted(text, width), "header"),)

    def line(self, index: int, width: int) -> Sequence[Piece]:
        """Draw a step, or a sum."""
        line = self.lines[index]
        look = "phase" if line.total else "label"
        only = None if line.one and line.two else "A" if line.one else "B" if line.two else "?"
        mark = "Σ " if line.total else f"{only or ' '} "
        pieces = [(mark, "mark"), (fitted(printable(line.label), self._name(width) - 2) + " ", look)]
        pieces += [(f"{_took(each, line.total):>8} ", "took") for each in (line.one, line.two)]
        slower = line.ratio is not None and line.ratio > _NOISE
        if width >= ROOMY:
            pieces.append((f"{signed(line.difference):>9} ", "slow" if slower else "bar"))
        said = f"only {only}" if only in NAMES and not line.total else times(line.ratio)
        pieces.append((f"{said:>7} ", "slow" if slower else "bar" if line.ratio is not None else "todo"))
        return pieces + self._bars(line, width - self._name(width) - 1 - 2 * TIME - _RATIO - self._between(width))

    def _between(self, width: int) -> int:
        return _DIFFERENCE if width >= ROOMY else 0

    def _name(self, width: int) -> int:
        rest = width - 1 - 2 * TIME - _RATIO - self._between(width)
        return max(8, min(2 + min(self._longest, 28), rest - 8))

    def _bars(self, line: PairLine, room: int) -> list[Piece]:
        if room < 3:
            return []
        one, two = (self._cells(each, line.total, room - 1) for each in (line.one, line.two))
        both = min(one, two)
        rest = "▀" * (one - both) + "▄" * (two - both)
        return [("█" * both, "bar"), (rest, "bar" if one > two else "slow"), (" " * (room - max(one, two)), "bar")]

    def _cells(self, measure: Measure | None, total: bool, room: int) -> int:
        if measure is None or not self._most[total]:
            return 0
        return max(1, round(room * measure.median / self._most[total]))


def _took(measure: Measure | None, total: bool) -> str:
    return duration(measure.median) if measure is not None else "?" if total else ""


def _most(line: PairLine) -> int:
    return max((each.median for each in (line.one, line.two) if each is not None), default=0)


def signed(nanoseconds: int | None) -> str:
    """Word a difference, with its sign; empty if it is unknown."""
    if nanoseconds is None:
        return ""
    sign = "+" if nanoseconds > 0 else "−" if nanoseconds < 0 else ""
    return sign + duration(abs(nanoseconds))


def times(ratio: float | None) -> str:
    """Word a ratio, as ``×0.28``, in at most six cells; empty if it is unknown."""
    if ratio is None:
        return ""
    return f"×{ratio:.2f}" if ratio < 99.995 else f"×{ratio:.0f}" if ratio < 99999 else "×>10⁵"


def spread(measure: Measure) -> str:
    """Word a measure: one run's time, or a median with the middle half of the runs."""
    if measure.count == 1:
        return duration(measure.median)
    return f"{duration(measure.median)} (half of {measure.count}: {duration(measure.low)} to {duration(measure.high)})"


def explained(line: PairLine) -> str:
    """Say in a line or two what a line shows."""
    parts = [
        f"{name} {spread(each)}" for name, each in zip(NAMES, (line.one, line.two), strict=True) if each is not None
    ]
    if line.difference is not None:
        parts.append(f"B − A {signed(line.difference)}{', ' + times(line.ratio) if line.ratio is not None else ''}")
    elif len(parts) == 1 and not line.total:
        parts.append(f"only {parts[0][0]} has this step")
    head = printable(f"{line.label}: {line.meaning}" if line.meaning else f"{line.label} ({line.phase})")
    return f"{head}\n{' · '.join(parts) or 'unknown'}"
