"""The diff panel: how a child differs from its parent, row by row, and why."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Static

from nsview.host.difference import DiffRow
from nsview.host.text import printable
from nsview.tui.cell_text import fitted
from nsview.tui.line_list import LineList

NOTHING_TO_COMPARE = "Put the cursor on a process to see how it differs from its parent, or launch one."


@dataclass(frozen=True, slots=True)
class Heading:
    """A line that names the section below it: ``different`` of its ``total`` rows differ."""

    section: str
    different: int
    total: int


Line = Heading | DiffRow


_ORDER = {
    section: place
    for place, section in enumerate(("namespaces", "system", "sharing", "ids", "usage", "files", "identity"))
}


def lines_of(rows: Sequence[DiffRow], only_differences: bool) -> tuple[Line, ...]:
    """Group rows by section, what a launch is about first, each below a heading.

    ``only_differences`` leaves out rows known to be the same, and sections of which nothing is left.
    """
    sections: dict[str, list[DiffRow]] = {}
    for row in sorted(rows, key=lambda row: _ORDER.get(row.section, len(_ORDER))):
        sections.setdefault(row.section, []).append(row)
    lines: list[Line] = []
    for section, members in sections.items():
        shown = [row for row in members if not (only_differences and row.same is True)]
        if shown:
            different = sum(row.same is False for row in members)
            lines += [Heading(section, different, len(members)), *shown]
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class Widths:
    """Cells for each column, one blank between two of them; ``bare``: namespaces go by their number alone."""

    attribute: int
    value: int
    delta: int
    bare: bool


def widths(lines: Sequence[Line], width: int) -> Widths:
    """Divide ``width`` cells: attribute and Δ get what they need, the values share the rest."""
    rows = [line for line in lines if isinstance(line, DiffRow)]
    delta = min(max((cell_len(row.delta or "") for row in rows), default=1), max(7, width // 5))
    attribute = max((cell_len(row.attribute) for row in rows), default=0)
    # A namespace's number has ten digits: two of them come before the names of attributes.
    attribute = min(max(attribute, len("attribute")), width * 3 // 10, max(len("attribute"), width - 25 - delta))
    value = max(4, (width - len(_MARKS[None]) - attribute - delta - 3) // 2)
    values = (shown(value) for row in rows for value in (row.parent, row.child))
    bare = any(cell_len(text) > value for text in values if _NAMESPACE.fullmatch(text))
    return Widths(attribute, value, delta, bare)


_NAMESPACE = re.compile(r"\w+:\[(\d+)\]")
_MARKS = {True: "  ", False: "≠ ", None: "? "}


class DiffGrid(LineList):
    """The rows of a comparison under their sections; the cursor stays on its attribute when values change."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "diff--header",
        "diff--section",
        "diff--count",
        "diff--same",
        "diff--attribute",
        "diff--parent",
        "diff--child",
        "diff--delta",
        "diff--unknown",
        "diff--cursor",
    }

    DEFAULT_CSS = """
    DiffGrid {
        height: 1fr;
        & > .diff--header { text-style: bold; background: $panel; color: $foreground; }
        & > .diff--section { color: $text-primary; text-style: bold; }
        & > .diff--count { color: $text-muted; }
        & > .diff--same { color: $text-muted; }
        & > .diff--attribute { color: $foreground; text-style: bold; }
        & > .diff--parent { color: $foreground; }
        & > .diff--child { color: $text-accent; text-style: bold; }
        & > .diff--delta { color: $text-success; }
        & > .diff--unknown { color: $text-warning; }
        & > .diff--cursor {
            background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground;
            text-style: $block-cursor-blurred-text-style;
        }
        &:focus > .diff--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
            text-style: $block-cursor-text-style;
        }
        &:ansi > .diff--header { text-style: bold underline; }
        &:ansi > .diff--same { text-style: dim; }
        &:ansi:blur > .diff--cursor { text-style: underline; }
        &:nocolor:focus > .diff--cursor { text-style: reverse; }
    }
    """

    class RowHighlighted(Message):
        """The cursor is on another row; None when there is none to be on."""

        def __init__(self, row: DiffRow | None) -> None:
            """Say which row."""
            super().__init__()
            self.row = row

    def __init__(self) -> None:
        """Begin with nothing to show."""
        super().__init__()
        self.lines: tuple[Line, ...] = ()
        self._sizes: tuple[int, Widths] | None = None

    def show(self, lines: tuple[Line, ...], note: str) -> None:
        """Show these lines, the note if there are none; the cursor stays on its attribute."""
        wanted = _name_of(self.row)
        self.lines, self.note, self._sizes = lines, note, None
        self._strips.clear()
        line = next((i for i, line in enumerate(lines) if wanted and _name_of(line) == wanted), None)
        self.cursor_line = line
        self.lines_changed()
        if line is None and lines:
            self.move_cursor(0)
        else:
            self.cursor_moved()

    @property
    def row(self) -> DiffRow | None:
        """The row under the cursor."""
        if self.cursor_line is None or self.cursor_line >= len(self.lines):
            return None
        line = self.lines[self.cursor_line]
        return line if isinstance(line, DiffRow) else None

    def cursor_moved(self) -> None:
        """Tell which row is under the cursor now."""
        self.post_message(self.RowHighlighted(self.row))

    @property
    def line_count(self) -> int:
        """Number of lines, headings among them."""
        return len(self.lines)

    def line_key(self, index: int) -> Hashable:
        """Name all that a line shows."""
        return self.lines[index]

    def can_rest(self, index: int) -> bool:
        """Let the cursor pass over headings."""
        return isinstance(self.lines[index], DiffRow)

    def header_strip(self, width: int) -> Strip:
        """Draw the columns' headings."""
        sizes = self._widths(width)
        text = "  " + " ".join(
            (
                fitted("attribute", sizes.attribute),
                fitted("parent", sizes.value),
                fitted("child", sizes.value),
                fitted("Δ", sizes.delta, right=True),
            )
        )
        return Strip([Segment(fitted(text, width), self.look("diff--header"))], width)

    def line_strip(self, index: int, width: int, cursor: bool) -> Strip:
        """Draw a line."""
        line = self.lines[index]
        pieces = self._heading(line, width) if isinstance(line, Heading) else self._row(line, width)
        segments = list(pieces)
        rest = width - sum(cell_len(segment.text) for segment in segments)
        segments.append(Segment(" " * max(0, rest), self.look("diff--parent")))
        if cursor:
            style = self.look("diff--cursor")
            ground = Style(bgcolor=style.bgcolor, underline=style.underline, reverse=style.reverse)
            segments = [
                Segment(text, style if self.has_focus else (own or style) + ground) for text, own, _ in segments
            ]
        return Strip(segments).crop(0, width)

    def _widths(self, width: int) -> Widths:
        if self._sizes is None or self._sizes[0] != width:
            self._sizes = width, widths(self.lines, width)
        return self._sizes[1]

    def _heading(self, line: Heading, width: int) -> Iterator[Segment]:
        count = f" {line.different} of {line.total} differ"
        yield Segment(fitted(line.section, min(cell_len(line.section), width)), self.look("diff--section"))
        yield Segment(count, self.look("diff--count"))

    def _row(self, row: DiffRow, width: int) -> Iterator[Segment]:
        sizes = self._widths(width)
        differs = row.same is False
        plain = self.look("diff--parent" if differs else "diff--same")
        yield Segment(_MARKS[row.same], self.look("diff--child" if differs else "diff--unknown"))
        yield Segment(
            fitted(row.attribute, sizes.attribute) + " ",
            self.look("diff--attribute") if differs else plain,
        )
        yield Segment(brief(row.parent, sizes.value, sizes.bare) + " ", self._value(row.parent, plain))
        child = self.look("diff--child") if differs else plain
        yield Segment(brief(row.child, sizes.value, sizes.bare) + " ", self._value(row.child, child))
        yield Segment(fitted(row.delta or "", sizes.delta, right=True), self.look("diff--delta"))

    def _value(self, value: str | None, style: Style) -> Style:
        return self.look("diff--unknown") if value is None else style


def shown(value: str | None) -> str:
    """Return a value fit for the screen; ``?`` if it is unknown."""
    return "?" if value is None else printable(value)


def brief(value: str | None, width: int, bare: bool) -> str:
    """Fit a value into ``width`` cells: a path keeps its end, a namespace, if ``bare``, its number alone."""
    text = shown(value)
    if bare and (namespace := _NAMESPACE.fullmatch(text)):
        return fitted(namespace[1], width)
    if cell_len(text) > width and text.startswith("/"):
        return fitted("…" + text[len(text) - width + 1 :], width)
    return fitted(text, width)


def _name_of(line: Line | None) -> tuple[str, str] | None:
    return (line.section, line.attribute) if isinstance(line, DiffRow) else None


class DiffPanel(Vertical):
    """Compares a child with its parent; ``d`` shows only what differs; the row under the cursor says why.

    Call :meth:`expect` when other processes are to be compared, :meth:`show` with what the comparison gave,
    :meth:`keep` when one of the two is gone, :meth:`clear` when there is nothing to compare.
    """

    HELP = """
    # Parent and child

    What the child has of its own and what it shares with its parent. `≠` marks what differs, `?` what the
    kernel does not let us know. Below: why the row under the cursor is as it is, and where the values were
    read. `d` shows only what differs.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "toggle_only_differences", "Only differences", id="diff.only-differences"),
    ]

    DEFAULT_CSS = """
    DiffPanel {
        background: $surface;
        & > #diff-title { height: 1; text-style: bold; text-wrap: nowrap; text-overflow: ellipsis; }
        & > #diff-why { height: 4; border-top: solid $panel; color: $foreground; }
        &.-short > #diff-why { height: 3; }
        &.-tall > #diff-why { height: 6; }
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        """Begin with the sentence that says what to do."""
        super().__init__(id=id, classes=classes)
        self.only_differences = False
        """Whether rows known to be the same are left out."""
        self._names: tuple[str, str] | None = None
        self._ended = ""
        self._rows: tuple[DiffRow, ...] = ()
        self._note = NOTHING_TO_COMPARE

    def compose(self) -> ComposeResult:
        """Title, grid, and the lines about the row under the cursor."""
        yield Static(id="diff-title", markup=False)
        yield DiffGrid()
        yield Static(id="diff-why", markup=False)

    def on_mount(self) -> None:
        """Show what was asked for before."""
        self._draw()

    def on_resize(self) -> None:
        """Give the lines about a row as much room as there is to spare."""
        self.set_class(self.size.height < 14, "-short")
        self.set_class(self.size.height >= 22, "-tall")

    def expect(self, parent: str, child: str) -> None:
        """Name the two to be compared, as ``4701 sh``, while nothing is known of them yet."""
        self._names, self._ended, self._rows = (printable(parent), printable(child)), "", ()
        self._note = "Reading both from the kernel…"
        self._update()

    def show(self, rows: Sequence[DiffRow]) -> None:
        """Show the rows of the two named last."""
        self._rows, self._ended = tuple(rows), ""
        self._note = "Nothing is known of these two."
        self._update()

    def keep(self, how: str) -> None:
        """Keep the last values and say how the one that is gone ended, as ``exited 3``."""
        self._ended = printable(how)
        if not self._rows:
            self._note = f"Nothing was read before the end: {self._ended}."
        self._update()

    def clear(self, note: str = NOTHING_TO_COMPARE) -> None:
        """Show nothing but a sentence that says what to do."""
        self._names, self._ended, self._rows, self._note = None, "", (), printable(note)
        self._update()

    def action_toggle_only_differences(self) -> None:
        """Show only rows that differ, or all."""
        self.only_differences = not self.only_differences
        self._update()

    @property
    def title(self) -> str:
        """Who is compared with whom."""
        if self._names is None:
            return "Diff"
        parent, child = self._names
        ended = f"  ✝ {self._ended}" if self._ended else ""
        return f"Diff {parent} → {child}{ended}"

    def _update(self) -> None:
        if self.is_mounted:
            self._draw()

    def _draw(self) -> None:
        lines = lines_of(self._rows, self.only_differences)
        note = self._note if not self._rows else "Nothing differs. Press d to see all that was compared."
        self.query_one("#diff-title", Static).update(self.title)
        grid = self.query_one(DiffGrid)
        grid.show(lines, note)

    def on_diff_grid_row_highlighted(self, event: DiffGrid.RowHighlighted) -> None:
        """Say why the row under the cursor is as it is."""
        event.stop()
        row = event.row
        if row is None:
            self.query_one("#diff-why", Static).update("")
            return
        self.query_one("#diff-why", Static).update(explanation(row))


def explanation(row: DiffRow) -> Content:
    """Word what a row means, its values in full, and where they were read."""
    both = shown(row.parent)
    if row.parent != row.child:
        both += f" → {shown(row.child)}"
    if row.delta:
        both += f" ({printable(row.delta)})"
    return Content.assemble((f"{row.attribute}: {row.why}", "bold"), "\n", both, "\n", (row.source, "dim"))
