"""The grid of the diff panel: attribute, parent, child, Δ, under headings that fold."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from nsview.host.difference import DiffRow
from nsview.host.text import printable
from nsview.tui.cell_text import fitted
from nsview.tui.diff.lines import (
    MARK_WIDTH,
    SHARING,
    Heading,
    Line,
    Waiting,
    Widths,
    brief,
    counted,
    first_difference,
    name_of,
    numbered,
    section_of,
    widths,
)
from nsview.tui.diff.trail import Trend, sparkline
from nsview.tui.hues import Ordinals
from nsview.tui.line_list import LineList

_MARKS = {True: " ", False: "≠", None: "?"}
_CHANGED = "*"


class DiffGrid(LineList):
    """The rows of a comparison under their sections; the cursor stays on its attribute when values change.

    It begins on the first row that differs. On a heading Enter, left and right fold and unfold the section; on a
    row left goes to its heading, and Enter asks for the whole value.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "fold", "Fold", show=False, id="diff.fold"),
        Binding("right", "unfold", "Unfold", show=False, id="diff.unfold"),
        Binding("w", "whole", "Whole value", show=False, id="diff.whole"),
    ]

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "diff--section",
        "diff--count",
        "diff--same",
        "diff--attribute",
        "diff--parent",
        "diff--child",
        "diff--delta",
        "diff--unknown",
        "diff--changed",
    }

    DEFAULT_CSS = """
    DiffGrid {
        height: 1fr;
        & > .diff--section { color: $text-primary; text-style: bold; }
        & > .diff--count { color: $text-muted; }
        & > .diff--same { color: $text-muted; }
        & > .diff--attribute { color: $foreground; text-style: bold; }
        & > .diff--parent { color: $foreground; }
        & > .diff--child { color: $text-accent; text-style: bold; }
        & > .diff--delta { color: $text-success; }
        & > .diff--unknown { color: $text-warning; }
        & > .diff--changed { color: $text-warning; text-style: bold; }
        &:ansi > .diff--same { text-style: dim; }
    }
    """

    class LineHighlighted(Message):
        """The cursor is on another line, or the line under it has changed; None when there is none to be on."""

        def __init__(self, line: Line | None) -> None:
            """Say which line."""
            super().__init__()
            self.line = line

    class Whole(Message):
        """A person wants to read all of a row."""

        def __init__(self, line: DiffRow | Trend) -> None:
            """Say which."""
            super().__init__()
            self.line = line

    def __init__(self, ordinals: Ordinals, fold: Callable[[str, bool], None]) -> None:
        """Begin with nothing to show; ``ordinals`` number the namespaces.

        ``fold`` is told which section a person wants folded or not, and shows the lines anew before it returns: so
        the next key finds what is seen.
        """
        super().__init__()
        self.lines: tuple[Line, ...] = ()
        self._ordinals = ordinals
        self._fold = fold
        self._changed: frozenset[tuple[str, str]] = frozenset()
        self._sizes: tuple[int, Widths] | None = None

    def show(self, lines: tuple[Line, ...], note: str, changed: frozenset[tuple[str, str]] = frozenset()) -> None:
        """Show these lines, the note if there are none; the cursor stays on its attribute.

        ``changed``: the names (:func:`name_of`) of rows that are marked as other than at the mark.
        """
        wanted, before = name_of(self.line), section_of(self.line) if self.line is not None else ""
        self.lines, self.note, self._sizes, self._changed = lines, note, None, changed
        self._strips.clear()
        place = next((i for i, line in enumerate(lines) if wanted and name_of(line) == wanted), None)
        if place is None:  # folded, or left out: its heading is nearest
            place = next((i for i, line in enumerate(lines) if wanted and name_of(line) == (before, "")), None)
        self.cursor_line = place
        self.lines_changed()
        if place is None and lines:
            self.move_cursor(first_difference(lines))
        else:
            self.cursor_moved()

    @property
    def line(self) -> Line | None:
        """The line under the cursor."""
        if self.cursor_line is None or self.cursor_line >= len(self.lines):
            return None
        return self.lines[self.cursor_line]

    @property
    def row(self) -> DiffRow | None:
        """The row under the cursor; None on any other line."""
        return self.line if isinstance(self.line, DiffRow) else None

    def cursor_moved(self) -> None:
        """Tell which line is under the cursor now."""
        self.post_message(self.LineHighlighted(self.line))

    def line_chosen(self) -> None:
        """Fold or unfold at a heading; ask for the whole value elsewhere."""
        line = self.line
        if isinstance(line, Heading):
            self._fold(line.section, not line.folded)
        else:
            self.action_whole()

    def action_fold(self) -> None:
        """Fold the section at its heading; from a row, go to the heading first."""
        line = self.line
        if isinstance(line, Heading):
            if not line.folded:
                self._fold(line.section, True)
        elif line is not None:
            section = section_of(line)
            self.move_cursor(next(i for i, it in enumerate(self.lines) if name_of(it) == (section, "")))

    def action_unfold(self) -> None:
        """Unfold the section at its heading; where it is unfolded, go to its first row."""
        line = self.line
        if isinstance(line, Heading):
            if line.folded:
                self._fold(line.section, False)
            else:
                self.action_cursor_down()

    def action_whole(self) -> None:
        """Ask for all of the row under the cursor."""
        if isinstance(self.line, DiffRow | Trend):
            self.post_message(self.Whole(self.line))

    def on_click(self, event: events.Click) -> None:
        """Fold or unfold by a click on the mark of a heading."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y == 0 or offset.x >= MARK_WIDTH or event.chain != 1:
            return
        index = self.top_line() + offset.y - 1
        if index < self.line_count and isinstance(line := self.lines[index], Heading):
            self._fold(line.section, not line.folded)

    @property
    def line_count(self) -> int:
        """Number of lines, headings among them."""
        return len(self.lines)

    def line_key(self, index: int) -> Hashable:
        """Name all that a line shows."""
        line = self.lines[index]
        return line, name_of(line) in self._changed

    def header_strip(self, width: int) -> Strip:
        """Draw the columns' headings."""
        sizes = self._widths(width)
        text = " " * MARK_WIDTH + " ".join(
            (
                fitted("attribute", sizes.attribute),
                fitted("parent", sizes.value),
                fitted("child", sizes.value),
                fitted("Δ", sizes.delta, right=True),
            )
        )
        return Strip([Segment(fitted(text, width), self.look("lines--header"))], width)

    def line_strip(self, index: int, width: int, cursor: bool) -> Strip:
        """Draw a line."""
        segments = list(self._pieces(self.lines[index], width))
        rest = width - sum(cell_len(segment.text) for segment in segments)
        segments.append(Segment(" " * max(0, rest), self.look("diff--parent")))
        if cursor:
            segments = self.under_cursor(segments)
        return Strip(segments).crop(0, width)

    def _widths(self, width: int) -> Widths:
        if self._sizes is None or self._sizes[0] != width:
            self._sizes = width, widths(self.lines, width)
        return self._sizes[1]

    def _pieces(self, line: Line, width: int) -> Iterator[Segment]:
        match line:
            case Heading():
                return self._heading(line, width)
            case Trend():
                return self._trend(line, width)
            case Waiting():
                return iter((Segment(fitted("  Reading it from the kernel…", width), self.look("diff--count")),))
        return self._row(line, width)

    def _heading(self, line: Heading, width: int) -> Iterator[Segment]:
        name = f"{'▸' if line.folded else '▾'} {line.section}"
        yield Segment(fitted(name, min(cell_len(name), width)), self.look("diff--section"))
        yield Segment(f" {counted(line)}", self.look("diff--count"))

    def _trend(self, line: Trend, width: int) -> Iterator[Segment]:
        sizes = self._widths(width)
        top = line.top(sizes.value)
        yield Segment(" " * MARK_WIDTH + fitted(line.measure.name, sizes.attribute) + " ", self.look("diff--parent"))
        yield Segment(sparkline(line.parent, sizes.value, top) + " ", self.look("diff--parent"))
        yield Segment(sparkline(line.child, sizes.value, top) + " ", self.look("diff--child"))
        yield Segment(fitted(line.top_text(sizes.value), sizes.delta, right=True), self.look("diff--delta"))

    def _row(self, row: DiffRow, width: int) -> Iterator[Segment]:
        sizes = self._widths(width)
        differs = row.same is False
        plain = self.look("diff--parent" if differs else "diff--same")
        yield Segment(_MARKS[row.same], self.look("diff--child" if differs else "diff--unknown"))
        yield Segment(_CHANGED if name_of(row) in self._changed else " ", self.look("diff--changed"))
        yield Segment(
            fitted(row.attribute, sizes.attribute) + " ",
            self.look("diff--attribute") if differs else plain,
        )
        child = self.look("diff--child") if differs else plain
        if row.section == "sharing":  # one answer for both, and no amount between them
            yield Segment(fitted(SHARING[row.same], 2 * sizes.value + sizes.delta + 2), self._value(row.parent, child))
            return
        for value, style in ((row.parent, plain), (row.child, child)):
            text = numbered(value, self._ordinals, sizes.bare)
            yield Segment(brief(text, sizes.value) + " ", self._value(value, style))
        yield Segment(fitted(printable(row.delta or ""), sizes.delta, right=True), self.look("diff--delta"))

    def _value(self, value: str | None, style: Style) -> Style:
        return self.look("diff--unknown") if value is None else style
