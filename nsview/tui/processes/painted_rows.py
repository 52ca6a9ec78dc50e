"""Drawing the rows of the process table: headings, values, the eight namespace cells, boundaries."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from nsview.host.cells import ALL_SAME, SAME, UNKNOWN
from nsview.host.columns.column import FREE
from nsview.tui.cell_text import fitted
from nsview.tui.hues import hue, hues
from nsview.tui.processes.arrangement import BOUNDARY
from nsview.tui.processes.columns import Column, Layout, aligned, fit, namespace_cells
from nsview.tui.processes.command import command_pieces
from nsview.tui.processes.row_list import RowList
from nsview.tui.processes.rows import SHARED, Row
from nsview.tui.processes.scene import TABLE_COLUMNS
from nsview.tui.processes.view import Reference
from spawner.namespaces import KINDS, NamespaceKind


class PaintedRows(RowList):
    """Rows in colours that say again what letters and marks say."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "proc-table--sorted",
        "proc-table--value",
        "proc-table--faint",
        "proc-table--name",
        "proc-table--busy",
        "proc-table--boundary",
        "proc-table--own",
        "proc-table--born",
        "proc-table--gone",
        "proc-table--unknown",
        "proc-table--shared",
        "proc-table--tagged",
    }

    DEFAULT_CSS = """
    PaintedRows {
        & > .proc-table--sorted { text-style: bold underline; background: $panel; color: $foreground; }
        & > .proc-table--faint { color: $text-muted; }
        & > .proc-table--name { color: $foreground; text-style: bold; }
        & > .proc-table--busy { color: $text-warning; text-style: bold; }
        & > .proc-table--boundary { color: $text-accent; text-style: bold; }
        & > .proc-table--own { color: $text-success; text-style: bold; }
        & > .proc-table--born { color: $text-success; }
        & > .proc-table--gone { color: $text-error; }
        & > .proc-table--unknown { color: $text-warning 70%; }
        & > .proc-table--shared { color: $text-error; text-style: bold; }
        & > .proc-table--tagged { color: $text-warning; text-style: bold; }
        &:ansi > .proc-table--sorted { text-style: bold reverse; }
        &:ansi > .proc-table--faint { text-style: dim; }
    }
    """

    def columns_at(self, width: int) -> Layout:
        """Return the columns for a width."""
        return fit(width, self.chosen)

    def costly_columns(self) -> Iterator[str]:
        """Yield the names of the columns shown that have to be read."""
        for column in self.columns_at(self.line_width).columns:
            if column.text is None and TABLE_COLUMNS[column.name].cost > FREE:
                yield column.name

    def text_of(self, row: Row, column: Column) -> str:
        """Return what a row has in a column; ``…`` until it has been read."""
        if column.text is not None:
            return column.text(row)
        if row.thread:
            return ""
        asked = TABLE_COLUMNS[column.name]
        if asked.cost == FREE:
            return asked.text(self.rows.process_row(row.record))
        return row.detail.texts.get(column.name, "?" if row.gone else "…")

    def line_key(self, index: int) -> Hashable:
        """Name all that a row shows."""
        row = self.row(index)
        if row.thread == BOUNDARY:
            return row.branch, row.record.ns, self.rows.changed_kinds(row.record)
        texts = tuple(self.text_of(row, column) for column in self.columns_at(self.drawn_width).columns)
        about = (row.own, row.tagged, row.marked, row.gone, row.born, row.aside, row.below, row.thread)
        return texts, row.branch, row.record.comm, row.detail.command, row.record.ns, row.exit, about

    def header_strip(self, width: int) -> Strip:
        """Draw the columns' headings, with the reference at the right."""
        plain, sorted_by = self.look("lines--header"), self.look("proc-table--sorted")
        layout, sort = self.columns_at(width), self.rows.view.sort
        segments = []
        for column in layout.columns:
            title = column.title
            if column.name == sort.column and len(title) < column.width:
                title += sort.arrow
            style = sorted_by if column.name == sort.column else plain
            segments += [Segment(aligned(title, column), style), Segment(column.gap, plain)]
        reference = f"{self._compared()} "
        room = layout.command - cell_len(reference)
        title = "COMMAND" + (sort.arrow if sort.column in ("comm", "command") else "")
        text = set_cell_size(title, room) + reference if room > len("COMMAND ") else title
        segments.append(Segment(text, plain))
        return Strip(segments).adjust_cell_length(width, plain)

    def _compared(self) -> str:
        """Say what the eight cells mean now."""
        view = self.rows.view
        if view.audit:
            return "= shared with pid 1"
        if view.reference is Reference.MARKED and view.marked is not None:
            return f"NS≠marked {view.marked[0]}"
        return f"NS≠{view.reference.value}"

    def line_strip(self, index: int, width: int, cursor: bool) -> Strip:
        """Draw a row."""
        row = self.row(index)
        layout = self.columns_at(width)
        if row.thread == BOUNDARY:
            return Strip(self._boundary(row, width, width - layout.command), width)
        segments: list[Segment] = []
        for column in layout.columns:
            if column.text is namespace_cells:
                segments.extend(self._cells(row, column, layout.numbered))
            else:
                text = self.text_of(row, column)
                style = self.look(f"proc-table--{_value_look(row, column, text)}")
                segments.append(Segment(aligned(text, column) + column.gap, style))
        for text, look in command_pieces(row, layout.command):
            segments.append(Segment(text, self.look(f"proc-table--{look}")))
        return Strip(self.under_cursor(segments) if cursor else segments, width)

    def _boundary(self, row: Row, width: int, before: int) -> list[Segment]:
        """Draw the line above a process that says which namespaces begin with it."""
        faint = self.look("proc-table--faint")
        left = width - before
        branch = fitted(row.branch, min(cell_len(row.branch), left))
        segments = [Segment(" " * before, faint), Segment(branch, faint)]
        left -= cell_len(branch)
        begun = []
        for kind in self.rows.changed_kinds(row.record):
            inode = row.record.ns[kind]
            assert inode is not None, "a namespace that changes is known"
            begun.append((KINDS[kind], self.ordinals.number(kind, inode), inode))
        form = next((form for form in _FORMS if sum(len(form(*one)) + 2 for one in begun) <= left), _FORMS[-1])
        for one in begun:
            text = fitted(f"{form(*one)}  ", min(len(form(*one)) + 2, left))
            segments.append(Segment(text, self._hue(one[1])))
            left -= cell_len(text)
        return [*segments, Segment(" " * left, faint)]

    def _cells(self, row: Row, column: Column, numbered: bool) -> Iterator[Segment]:
        """Draw the eight cells: a letter has its namespace's hue, and its number where there is room."""
        faint, unknown = self.look("proc-table--faint"), self.look("proc-table--unknown")
        if row.cells == ALL_SAME and not numbered:
            yield Segment(row.cells + column.gap, faint)
            return
        for kind, (cell, inode) in enumerate(zip(row.cells, row.record.ns, strict=True)):
            if cell == SHARED:
                text, style = cell, self.look("proc-table--shared")
            elif cell in (SAME, UNKNOWN) or inode is None:
                text, style = cell, unknown if cell == UNKNOWN else faint
            else:
                number = self.ordinals.number(kind, inode)
                text = f"{cell}{number}" if numbered else cell
                style = self._hue(number)
            yield Segment(fitted(text, column.width // len(row.cells)), style)
        yield Segment(column.gap, faint)

    def _hue(self, number: int) -> Style:
        """Return the look of a namespace's letter."""
        place = hue(number)
        name = f"hue {place}"
        if name not in self._look:
            colours = hues(self.app.current_theme.dark, self.app.native_ansi_color)
            ground = self.look("proc-table--value").bgcolor
            self._look[name] = Style(color=colours[place].rich_color, bgcolor=ground, bold=True)
        return self._look[name]


_FORMS: tuple[Callable[[NamespaceKind, int, int], str], ...] = (
    lambda kind, number, inode: f"{kind.proc} #{number} [{inode}]",
    lambda kind, number, inode: f"{kind.proc} #{number}",
    lambda kind, number, inode: f"{kind.letter}{number}",
)
"""How a namespace is named where it begins: the first form in which all that begin there fit."""


def _value_look(row: Row, column: Column, text: str) -> str:
    if text == "?":
        return "unknown"
    if column.title == "":
        return "gone" if row.gone else "tagged" if row.tagged else "own" if row.own else "born"
    if row.gone or row.aside:
        return "faint"
    if column.name in ("cpu", "state") and (row.cpu or 0) >= _BUSY:
        return "busy"
    return "faint" if text in ("0", "0.0") or row.record.is_kernel_thread or row.thread else "value"


_BUSY = 5.0
"""From this share of a core on, in percent, a process stands out."""
