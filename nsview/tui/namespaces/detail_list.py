"""What is told of one namespace, on the screen: sections below one another; rows that lead somewhere say so."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from nsview.host.model import Identity
from nsview.tui.cell_text import fitted
from nsview.tui.line_list import LineList
from nsview.tui.namespaces.detail import Detail, Part
from nsview.wording.inside.section import Lead
from nsview.wording.table import fitting

_GUTTER = 2
_LEADS, _MARKED = "→ ", "◈ "


class DetailList(LineList):
    """Shows a :class:`Detail`; the cursor stays on its row when values change."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "ns-detail--title",
        "ns-detail--columns",
        "ns-detail--name",
        "ns-detail--value",
        "ns-detail--lead",
        "ns-detail--note",
        "ns-detail--added",
        "ns-detail--removed",
        "ns-detail--changed",
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "right", "section(1)", "Next section", show=False, id="namespaces.next-section", tooltip="the section after"
        ),
        Binding(
            "left",
            "section(-1)",
            "Section before",
            show=False,
            id="namespaces.section-before",
            tooltip="the section before",
        ),
    ]

    DEFAULT_CSS = """
    DetailList {
        height: 1fr;
        & > .ns-detail--title { color: $text-primary; text-style: bold; }
        & > .ns-detail--columns { color: $text-muted; }
        & > .ns-detail--name { color: $text-muted; }
        & > .ns-detail--value { color: $foreground; }
        & > .ns-detail--lead { color: $text-accent; }
        & > .ns-detail--note { color: $text-muted; text-style: italic; }
        & > .ns-detail--added { color: $text-success; text-style: bold; }
        & > .ns-detail--removed { color: $text-error; }
        & > .ns-detail--changed { color: $text-warning; text-style: bold; }
        &:ansi > .ns-detail--name { text-style: dim; }
    }
    """

    class Followed(Message):
        """A person wants to go where a row leads."""

        def __init__(self, lead: Lead) -> None:
            super().__init__()
            self.lead = lead

    class Unfolded(Message):
        """A person wants to see all rows of a section."""

        def __init__(self, title: str) -> None:
            super().__init__()
            self.title = title

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.detail = Detail()
        self.title = ""
        """What stands above the lines."""
        self.marked: frozenset[Identity] = frozenset()
        self._marked_pids: frozenset[int] = frozenset()
        self._sizes: dict[tuple[int, int], list[int]] = {}

    def show(self, title: str, detail: Detail, note: str, marked: frozenset[Identity], same: bool) -> None:
        """Show these lines under a title, or the note. ``same``: they are of the same namespace as those before, so
        the cursor stays on its row; else it goes to the first.
        """
        before, line = self.detail, self.cursor_line
        if (title, detail, note, marked) == (self.title, before, self.note, self.marked) and same:
            return
        self.title, self.detail, self.note = title, detail, note
        self.marked, self._marked_pids = marked, frozenset(pid for pid, _ in marked)
        self._sizes.clear()
        self._strips.clear()
        place = detail.place_of(before, line) if same and line is not None else None
        if place is None and detail.lines:
            place = self._resting_place(min(line or 0, len(detail.lines) - 1) if same else 0, 1)
        self.cursor_line = place
        self.lines_changed()
        self.show_cursor_line()

    def seek(self, name: str) -> bool:
        """Put the cursor on the first row that has a cell with this name; False if there is none."""
        line = self.detail.named(name)
        if line is not None:
            self.move_cursor(line)
        return line is not None

    @property
    def lead(self) -> Lead | None:
        """Where the row under the cursor leads."""
        if self.cursor_line is None or self.cursor_line >= len(self.detail.lines):
            return None
        return self.detail.lead(self.cursor_line)

    def line_chosen(self) -> None:
        """Go where the row leads, or unfold."""
        if self.cursor_line is None:
            return
        if self.detail.lines[self.cursor_line].part is Part.MORE:
            self.post_message(self.Unfolded(self.detail.title(self.cursor_line)))
        elif (lead := self.lead) is not None:
            self.post_message(self.Followed(lead))

    def action_section(self, by: int) -> None:
        """Move the cursor to the section after, or before."""
        if self.cursor_line is not None:
            line = self.detail.next_section(self.cursor_line, by)
            if line is not None:
                self.move_cursor(line)
                self.jump_to(line)

    @property
    def line_count(self) -> int:
        """Number of lines, titles among them."""
        return len(self.detail.lines)

    def can_rest(self, index: int) -> bool:
        """Let the cursor pass over titles."""
        return self.detail.lines[index].part not in (Part.TITLE, Part.COLUMNS)

    def line_key(self, index: int) -> Hashable:
        """Name all that a line shows; show() empties the cache when anything changes."""
        return index

    def header_strip(self, width: int) -> Strip:
        """Draw the title."""
        return Strip([Segment(fitted(self.title, width), self.look("lines--header"))], width)

    def line_strip(self, index: int, width: int, cursor: bool) -> Strip:
        """Draw a line."""
        segments = list(self._pieces(index, width))
        rest = width - sum(cell_len(segment.text) for segment in segments)
        segments.append(Segment(" " * max(0, rest), self.look("ns-detail--value")))
        if cursor:
            segments = self.under_cursor(segments)
        return Strip(segments).crop(0, width)

    def _pieces(self, index: int, width: int) -> Iterator[Segment]:
        number, part, at = self.detail.lines[index]
        table = self.detail.tables[number]
        section = table.section
        if part is Part.TITLE:
            amount = f" {table.total}" if any(column.title for column in section.columns) else ""
            text = fitted(section.title, min(cell_len(section.title), width - cell_len(amount))) + amount
            yield Segment(text, self.look("ns-detail--title"))
            yield Segment(" " + "─" * max(0, width - cell_len(text) - 1), self.look("ns-detail--columns"))
        elif part is Part.COLUMNS:
            yield from self._row([column.title for column in section.columns], number, width, None, heading=True)
        elif part is Part.ROW:
            yield from self._row(section.rows[at], number, width, self.detail.lead(index))
        elif part is Part.MORE:
            left = table.total - table.shown
            yield Segment(fitted(f"  … {left} more: Enter shows them", width), self.look("ns-detail--note"))
        else:
            yield Segment(fitted(f"  {table.notes[at]}", width), self.look("ns-detail--note"))

    def _row(
        self, texts: Sequence[str], number: int, width: int, lead: Lead | None, heading: bool = False
    ) -> Iterator[Segment]:
        table = self.detail.tables[number]
        sizes = self._sizes_of(number, width)
        marked = lead is not None and lead.to == "process" and lead.number in self._marked_pids
        gutter = _MARKED if marked else _LEADS if lead is not None else "  "
        yield Segment(gutter, self.look("ns-detail--lead"))
        named = not any(column.title for column in table.columns)
        for at, (column, text, size) in enumerate(zip(table.columns, texts, sizes, strict=True)):
            if size:
                look = "columns" if heading else "name" if named and at == 0 else "value"
                if column.title == "±":
                    look = _MARKS.get(text, look)
                yield Segment(fitted(text, size, column.right) + " ", self.look(f"ns-detail--{look}"))

    def _sizes_of(self, number: int, width: int) -> list[int]:
        found = self._sizes.get((number, width))
        if found is None:
            table = self.detail.tables[number]
            found = self._sizes[number, width] = fitting(table.columns, table.widths, width - _GUTTER)
        return found


_MARKS = {"+": "added", "-": "removed", "~": "changed"}
