"""The process table: every process, its tree and its namespaces, at the cost of the rows in view."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from nsview.host.cells import ALL_SAME, SAME, UNKNOWN
from nsview.host.model import Identity
from nsview.host.text import printable
from nsview.tui.cell_text import fitted
from nsview.tui.hues import Ordinals, hue, hues
from nsview.tui.line_list import LineList
from nsview.tui.processes.columns import Column, aligned, fit, namespace_cells
from nsview.tui.processes.rows import AS_TREE, Row, Rows, View


class ProcTable(LineList):
    """Shows :class:`Rows`; the cursor stays on its process, and on its line of the screen, while rows come
    and go.

    When the process under the cursor goes from the rows, the cursor moves to its parent. Keys: ``=`` compares
    namespaces with the next reference, ``t`` switches between tree and flat list, space marks a process.
    """

    HELP = """
    # Processes

    Every process of the machine. The column **mnpUuiCT** has a letter for each namespace that differs from
    the reference's (`=` changes it) and `·` for each it shares; one colour is one namespace. `◆` in the
    tree: a namespace changes here. `●` launched by nsview, `+` new, `✝` gone, `◈` marked, `?` unknown.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("equals_sign", "next_reference", "NS≠", key_display="=", id="table.reference"),
        Binding("t", "toggle_tree", "Tree/flat", show=False, id="table.tree"),
        Binding("space", "mark", "Mark", show=False, id="table.mark"),
    ]

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "proc-table--header",
        "proc-table--cursor",
        "proc-table--value",
        "proc-table--faint",
        "proc-table--name",
        "proc-table--busy",
        "proc-table--boundary",
        "proc-table--own",
        "proc-table--born",
        "proc-table--gone",
        "proc-table--unknown",
    }

    DEFAULT_CSS = """
    ProcTable {
        & > .proc-table--header { text-style: bold; background: $panel; color: $foreground; }
        & > .proc-table--faint { color: $text-muted; }
        & > .proc-table--name { color: $foreground; }
        & > .proc-table--busy { color: $text-warning; text-style: bold; }
        & > .proc-table--boundary { color: $text-accent; text-style: bold; }
        & > .proc-table--own { color: $text-success; text-style: bold; }
        & > .proc-table--born { color: $text-success; }
        & > .proc-table--gone { color: $text-error; }
        & > .proc-table--unknown { color: $text-warning 70%; }
        & > .proc-table--cursor {
            background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground;
            text-style: $block-cursor-blurred-text-style;
        }
        &:focus > .proc-table--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
            text-style: $block-cursor-text-style;
        }
        &:ansi > .proc-table--header { text-style: bold underline; }
        &:ansi > .proc-table--faint { text-style: dim; }
        &:ansi:blur > .proc-table--cursor { text-style: underline; }
        &:nocolor:focus > .proc-table--cursor { text-style: reverse; }
    }
    """

    class Highlighted(Message):
        """The cursor is on another process; ``identity`` is None when there is none to be on."""

        def __init__(self, table: ProcTable, identity: Identity | None) -> None:
            """Say who is under the cursor."""
            super().__init__()
            self.table = table
            self.identity = identity

        @property
        def control(self) -> ProcTable:
            """The table."""
            return self.table

    class Selected(Message):
        """A person chose a process with Enter or a double click."""

        def __init__(self, table: ProcTable, identity: Identity) -> None:
            """Say who was chosen."""
            super().__init__()
            self.table = table
            self.identity = identity

        @property
        def control(self) -> ProcTable:
            """The table."""
            return self.table

    class ViewChanged(Message):
        """A person wants the rows otherwise: arrange them by ``view`` and show them."""

        def __init__(self, table: ProcTable, view: View) -> None:
            """Say what is wanted."""
            super().__init__()
            self.table = table
            self.view = view

        @property
        def control(self) -> ProcTable:
            """The table."""
            return self.table

    def __init__(self, *, id: str | None = None, classes: str | None = None, ordinals: Ordinals | None = None) -> None:
        """Begin with no rows; ``ordinals`` number the namespaces, for other panes too."""
        super().__init__(id=id, classes=classes)
        self.rows = Rows()
        """What is shown."""
        self.view = AS_TREE
        """What is wanted; the rows follow when they have been arranged anew."""
        self.note = "Reading the processes…"
        self._cursor: Identity | None = None
        self._ordinals = Ordinals() if ordinals is None else ordinals

    # What others call.

    @property
    def highlighted(self) -> Identity | None:
        """The process under the cursor."""
        return self._cursor

    def show(self, rows: Rows) -> None:
        """Show these rows in place of the last; cursor and its line of the screen stay where they can."""
        before, self.rows = self.rows, rows
        if not len(before):
            for kind, inode in enumerate(rows.initial_namespaces() or ()):
                if inode is not None:
                    self._ordinals.number(kind, inode)
        anchor = self.cursor_line if self.cursor_line is not None and self.in_view(self.cursor_line) else None
        if anchor is None and len(before):
            anchor = min(self.top_line(), len(before) - 1)
        held = None if anchor is None else rows.line_of(before.identity_at(anchor))
        top = self.top_line()
        moved = self._follow(before)
        self.lines_changed()
        if held is not None and anchor is not None and held != anchor:
            self.jump_to(top + held - anchor)
        if moved:
            self.move_cursor(self.cursor_line)
            self.cursor_moved()

    def select(self, identity: Identity) -> bool:
        """Put the cursor on a process; False if it has no row."""
        line = self.rows.line_of(identity)
        if line is not None:
            self.move_cursor(line)
        return line is not None

    # Cursor.

    def _follow(self, before: Rows) -> bool:
        """Find the cursor's line in the new rows; tell whether another process is under it now."""
        wanted, line = self._cursor, None
        while wanted is not None and (line := self.rows.line_of(wanted)) is None:
            wanted = before.parent_of(wanted)
        if line is None and len(self.rows):
            line = min(self.cursor_line or 0, len(self.rows) - 1)
        self.cursor_line = line
        found = None if line is None else self.rows.identity_at(line)
        moved, self._cursor = found != self._cursor, found
        return moved

    def cursor_moved(self) -> None:
        """Tell who is under the cursor now."""
        self._cursor = None if self.cursor_line is None else self.rows.identity_at(self.cursor_line)
        self.post_message(self.Highlighted(self, self._cursor))

    def line_chosen(self) -> None:
        """Tell which process was chosen."""
        if self._cursor is not None:
            self.post_message(self.Selected(self, self._cursor))

    def action_next_reference(self) -> None:
        """Ask for the namespaces to be compared with the next reference."""
        self._want(self.view.next_reference())

    def action_toggle_tree(self) -> None:
        """Ask for a flat list in place of the tree, or the other way."""
        self._want(self.view.toggle_tree())

    def action_mark(self) -> None:
        """Mark the process under the cursor, to compare the others with it; once more takes the mark away."""
        self._want(self.view.mark(self._cursor))

    def _want(self, view: View) -> None:
        self.view = view
        self.post_message(self.ViewChanged(self, view))

    # Painting.

    @property
    def line_count(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def line_key(self, index: int) -> Hashable:
        """Name all that a row shows."""
        row = self.rows[index]
        texts = tuple(column.text(row) for column in fit(self.drawn_width).columns)
        return texts, row.branch, row.record.comm, row.record.ns, row.exit, row.own, row.gone, row.born

    def header_strip(self, width: int) -> Strip:
        """Draw the columns' headings, with the reference at the right."""
        style = self.look("proc-table--header")
        layout = fit(width)
        text = "".join(aligned(column.title, column) + column.gap for column in layout.columns)
        reference = f"NS≠{self.rows.view.reference.value} "
        room = layout.command - cell_len(reference)
        if room > len("COMMAND "):
            text += set_cell_size("COMMAND", room) + reference
        else:
            text += "COMMAND"
        return Strip([Segment(set_cell_size(text, width), style)], width)

    def line_strip(self, index: int, width: int, cursor: bool) -> Strip:
        """Draw a row."""
        row = self.rows[index]
        layout = fit(width)
        segments: list[Segment] = []
        for column in layout.columns:
            if column.text is namespace_cells:
                segments.extend(self._cells(row, column, layout.numbered))
            else:
                text = column.text(row)
                style = self.look(_value_look(row, column, text))
                segments.append(Segment(aligned(text, column) + column.gap, style))
        segments.extend(self._command(row, layout.command))
        return Strip(self._under_cursor(segments) if cursor else segments, width)

    def _cells(self, row: Row, column: Column, numbered: bool) -> Iterator[Segment]:
        """Draw the eight cells: a letter has its namespace's hue, and its number where there is room."""
        faint, unknown = self.look("proc-table--faint"), self.look("proc-table--unknown")
        if row.cells == ALL_SAME and not numbered:
            yield Segment(row.cells + column.gap, faint)
            return
        for kind, (cell, inode) in enumerate(zip(row.cells, row.record.ns, strict=True)):
            if cell in (SAME, UNKNOWN) or inode is None:
                text, style = cell, unknown if cell == UNKNOWN else faint
            else:
                number = self._ordinals.number(kind, inode)
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

    def _command(self, row: Row, width: int) -> Iterator[Segment]:
        """Draw the branches of the tree, the name, and how the process ended."""
        name = printable(row.record.comm)
        ending = f" {row.exit or 'gone'}" if row.gone else ""
        branch = shortened(row.branch, width, cell_len(name + ending) if row.gone else 0)
        lines, joint, after = branch.partition("◆")
        yield Segment(lines, self.look("proc-table--faint"))
        yield Segment(joint + after, self.look("proc-table--boundary"))
        left = width - cell_len(branch)
        shown = fitted(name, max(0, min(cell_len(name), left - len(ending))))
        yield Segment(shown, self.look(_name_look(row)))
        left -= cell_len(shown)
        yield Segment(fitted(ending, left), self.look("proc-table--gone"))

    def _under_cursor(self, segments: list[Segment]) -> list[Segment]:
        """Give a row the cursor's look; without the focus its own colours stay, on the cursor's ground."""
        style = self.look("proc-table--cursor")
        if self.has_focus:
            return [Segment(text, style) for text, _, _ in segments]
        ground = Style(bgcolor=style.bgcolor, underline=style.underline, reverse=style.reverse)
        return [Segment(text, (own or style) + ground) for text, own, _ in segments]


def shortened(branch: str, width: int, needs: int) -> str:
    """Fit the tree's lines to a command of ``width`` cells, of which the text right of them ``needs`` so
    many.

    Where it is narrow a level has two cells. What is too deep loses its left part: deep names begin in one
    column.
    """
    if width < 30:
        levels = [branch[place : place + 3] for place in range(0, len(branch), 3)]
        branch = "".join("◆ " if "◆" in level else f"{level[0]} " for level in levels)
    most = max(0, min(max(width // 2, width - 18), max(4, width - needs)))
    return branch if len(branch) <= most else "⋯" + branch[len(branch) - most + 1 :]


def _value_look(row: Row, column: Column, text: str) -> str:
    if text == "?":
        return "proc-table--unknown"
    if column.title == "":
        return "proc-table--gone" if row.gone else "proc-table--own" if row.own else "proc-table--born"
    if row.gone:
        return "proc-table--faint"
    if column.title in ("CPU%", "S") and (row.cpu or 0) >= _BUSY:
        return "proc-table--busy"
    return "proc-table--faint" if text in ("0", "0.0") or row.record.is_kernel_thread else "proc-table--value"


def _name_look(row: Row) -> str:
    if row.gone or row.record.is_kernel_thread:
        return "proc-table--faint"
    return "proc-table--own" if row.own else "proc-table--name"


_BUSY = 5.0
"""From this share of a core on, in percent, a process stands out."""
