"""How one launch is drawn: a line for each step with a bar of its time, under headings of phases. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from rich.cells import cell_len

from nsview.host.text import printable
from nsview.tui.cell_text import fitted
from nsview.tui.timeline.lines import Line, PhaseLine, State, StepLine
from nsview.tui.timeline.view import ROOMY, TIME, Piece
from nsview.tui.timeline.waterfall import WAIT_MOST, Bar, bars, duration
from spawner import Event

_CHANGED = 4
"""Cells of the column that counts what changed: Δ, at most two figures, a blank."""

_LABEL = 26
"""Cells that a label gets at most."""

_LOOKS = {
    State.DONE: "label",
    State.REFUSED: "refused",
    State.FAILED: "failed",
    State.NEXT: "next",
    State.DIED: "failed",
    State.TO_COME: "todo",
    State.NEVER: "todo",
}


class LaunchView:
    """The lines of one launch. ``slowest`` is the longest time of a step, in nanoseconds."""

    note = "Nothing was recorded of this launch."

    def __init__(self, lines: Sequence[Line], events: Sequence[Event], watched: bool) -> None:
        """``watched``: the child was held, so there is a column for what changed."""
        self.lines = lines
        self.events = events
        self.slowest = max((event.duration_ns or 0 for event in events), default=0)
        self._watched = watched
        self._figures = max((len(str(line.index)) for line in lines if isinstance(line, StepLine)), default=1)
        names = [line.label if isinstance(line, StepLine) else _heading(line) for line in lines]
        self._longest = max((cell_len(printable(name)) for name in names), default=4)
        self._bars: tuple[int, tuple[Bar, ...]] = (0, ())

    @property
    def count(self) -> int:
        """Number of lines."""
        return len(self.lines)

    def key(self, index: int) -> Hashable:
        """Name a line."""
        return self.lines[index].key

    def header(self, width: int) -> Sequence[Piece]:
        """Draw the headings."""
        text = fitted("   step", self._name(width)) + " "
        text += f"{'at':>8} " if width >= ROOMY else ""
        text += f"{'took':>8} " + ("Δ   " if self._watched else "")
        return ((fitted(text, width), "header"),)

    def line(self, index: int, width: int) -> Sequence[Piece]:
        """Draw a step, or the heading of a phase."""
        line = self.lines[index]
        return self._phase(line, width) if isinstance(line, PhaseLine) else self._step(line, width)

    # Columns.

    def _name(self, width: int) -> int:
        """Cells for the two marks, the index and the label."""
        head = 2 + self._figures + 1
        rest = width - TIME * (1 + (width >= ROOMY)) - _CHANGED * self._watched
        return max(head + 4, min(head + min(self._longest, _LABEL), rest - 8))

    def _bar_room(self, width: int) -> int:
        return width - self._name(width) - 1 - TIME * (1 + (width >= ROOMY)) - _CHANGED * self._watched

    def _step(self, line: StepLine, width: int) -> list[Piece]:
        look = _LOOKS[line.state]
        index = "" if line.index is None else str(line.index)
        mark = line.state.value + ("●" if line.breakpoint else " ")
        name = fitted(f"{index:>{self._figures}} {printable(line.label)}", self._name(width) - 2)
        pieces = [(mark, "mark"), (name + " ", look)]
        if width >= ROOMY:
            at = "" if line.event is None else duration(line.event.start_ns)
            pieces.append((f"{at:>8} ", "time"))
        slow = line.took is not None and line.took == self.slowest
        took = duration(line.took) if line.state.done else ""
        pieces.append((f"{took:>8} ", "slow" if slow else "took" if line.state is State.DONE else look))
        pieces += self._changed_piece(line.changed, line.unread)
        return pieces + self._bar(line.place, line.took, "slow" if slow else "bar", width)

    def _phase(self, line: PhaseLine, width: int) -> list[Piece]:
        mark = "▸" if line.folded else "▾"
        inside = line.state.value if line.folded else " "
        pieces = [(mark + inside, "phase"), (fitted(_heading(line), self._name(width) - 2) + " ", "phase")]
        if width >= ROOMY:
            at = duration(self.events[line.places[0]].start_ns) if line.places else ""
            pieces.append((f"{at:>8} ", "time"))
        pieces.append((f"{duration(line.took) if line.done else '':>8} ", "phase"))
        pieces += self._changed_piece(line.changed if line.folded else None, False)
        return pieces + (self._span(line, width) if line.folded else [])

    def _changed_piece(self, changed: int | None, unread: bool) -> list[Piece]:
        if not self._watched:
            return []
        text = "Δ?" if unread else "" if changed is None else f"Δ{min(changed, 99)}"
        return [(fitted(text, _CHANGED), "changed" if changed else "todo")]

    def _placed(self, cells: int) -> tuple[Bar, ...]:
        if self._bars[0] != cells:
            # Between the steps of a held child there are pauses of our own making, which tell nothing.
            self._bars = cells, bars(self.events, cells, 0 if self._watched else WAIT_MOST)
        return self._bars[1]

    def _bar(self, place: int | None, took: int | None, look: str, width: int) -> list[Piece]:
        room = self._bar_room(width)
        if place is None or room <= 2:
            return []
        bar = self._placed(room - 1)[place]
        long = not self._watched and bar.waited_ns > max(1_000_000, 10 * (took or 0))
        waited = f" after {duration(bar.waited_ns)}" if long else ""
        after = fitted(waited, room - bar.start - bar.length)
        return [(" " * bar.start, look), ("█" * bar.length, look), (after, "time")]

    def _span(self, line: PhaseLine, width: int) -> list[Piece]:
        room = self._bar_room(width)
        if not line.places or room <= 2:
            return []
        placed = [self._placed(room - 1)[place] for place in line.places]
        start = min(bar.start for bar in placed)
        end = max(bar.start + bar.length for bar in placed)
        return [(" " * start, "bar"), ("▬" * (end - start), "bar")]


def _heading(line: PhaseLine) -> str:
    count = f"{line.done}" if line.done == line.steps else f"{line.done} of {line.steps}"
    return f"{line.phase} · {count}"
