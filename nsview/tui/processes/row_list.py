"""A list of processes whose cursor stays on its process, and on its line of the screen, while rows come and go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType

from textual.message import Message

from nsview.host.model import Identity
from nsview.tui.hues import Ordinals
from nsview.tui.line_list import LineList
from nsview.tui.processes.detail import NOTHING_READ, Details
from nsview.tui.processes.reading import Wanted
from nsview.tui.processes.rows import Row, Rows
from nsview.tui.processes.view import AS_TREE, View

_NOTHING: Details = MappingProxyType({})


class RowList(LineList):
    """Shows :class:`Rows`, and follows its process. When that goes from the rows, the cursor moves to its parent."""

    class Highlighted(Message):
        """The cursor is on another process; ``identity`` is None when there is none to be on."""

        def __init__(self, table: RowList, identity: Identity | None) -> None:
            """Say who is under the cursor."""
            super().__init__()
            self.table = table
            self.identity = identity

        @property
        def control(self) -> RowList:
            """The table."""
            return self.table

    class Selected(Message):
        """A person chose a process with Enter or a double click."""

        def __init__(self, table: RowList, identity: Identity) -> None:
            """Say who was chosen."""
            super().__init__()
            self.table = table
            self.identity = identity

        @property
        def control(self) -> RowList:
            """The table."""
            return self.table

    class ViewChanged(Message):
        """A person wants the rows otherwise: arrange them by ``view`` and show them."""

        def __init__(self, table: RowList, view: View) -> None:
            """Say what is wanted."""
            super().__init__()
            self.table = table
            self.view = view

        @property
        def control(self) -> RowList:
            """The table."""
            return self.table

    class InView(Message):
        """Other lines may be in view now, or the cursor on another: :meth:`RowList.wanted` says what to read."""

        def can_replace(self, message: Message) -> bool:
            """One stands for all that wait."""
            return isinstance(message, type(self))

    def __init__(self, *, id: str | None = None, classes: str | None = None, ordinals: Ordinals | None = None) -> None:
        """Begin with no rows; ``ordinals`` number the namespaces, for other panes too."""
        super().__init__(id=id, classes=classes)
        self.rows = Rows()
        """What is shown."""
        self.view = AS_TREE
        """What is wanted; the rows follow when they have been arranged anew."""
        self.chosen: tuple[str, ...] | None = None
        """Columns that a person chose, None for those that suit."""
        self.details: Details = _NOTHING
        """What was read of the processes in view."""
        self.note = "Reading the processes…"
        self._cursor: Identity | None = None
        self._thread = 0
        self._awaited: Identity | None = None
        self.ordinals = Ordinals() if ordinals is None else ordinals

    # What others call.

    @property
    def highlighted(self) -> Identity | None:
        """The process under the cursor."""
        return self._cursor

    @property
    def tagged(self) -> list[Identity]:
        """The tagged processes that are still known, by line and then those without one."""
        rows, nowhere = self.rows, len(self.rows)

        def place(identity: Identity) -> tuple[int, Identity]:
            line = rows.line_of(identity)
            return nowhere if line is None else line, identity

        return sorted((one for one in self.view.tagged if rows.record_of(one) is not None), key=place)

    def show(self, rows: Rows) -> None:
        """Show these rows in place of the last; cursor and its line of the screen stay where they can."""
        before, self.rows = self.rows, rows
        if not len(before):
            for kind, inode in enumerate(rows.initial_namespaces() or ()):
                if inode is not None:
                    self.ordinals.number(kind, inode)
        self.note = "No process matches the filter." if rows.view.filter is not None else "Reading the processes…"
        anchor = self.cursor_line if self.cursor_line is not None and self.in_view(self.cursor_line) else None
        if anchor is None and len(before):
            anchor = min(self.top_line(), len(before) - 1)
        held = None if anchor is None else rows.line_of(*before.place_at(anchor))
        top = self.top_line()
        moved = self._follow(before)
        self.lines_changed()
        if held is not None and anchor is not None and held != anchor:
            self.jump_to(top + held - anchor)
        if moved:
            self.move_cursor(self.cursor_line)
            self.cursor_moved()
        elif self.view.follow is not None:
            self.show_cursor_line()
        self._select_awaited()
        self.post_message(self.InView())

    def tell(self, details: Details) -> None:
        """Show what was read of the processes in view."""
        self.details = details
        self.repaint_changed()

    def select(self, identity: Identity) -> bool:
        """Put the cursor on a process, opening what hides it: folds, and a filter until the cursor moves on.

        False if there is no such process.
        """
        line = self.rows.line_of(identity)
        if line is not None:
            self._awaited = None
            self.move_cursor(line)
            return True
        record = self.rows.record_of(identity)
        if record is None:
            return False
        view = self.view
        for above in self.rows.ancestors_of(identity):
            view = view.fold(above, False) if view.is_folded(above) else view
        if record.is_kernel_thread:
            view = replace(view, kernel=True)
        if view.filter is not None:
            view = replace(view, follow=identity)
        self._awaited = identity
        self.want(view)
        return True

    def want(self, view: View) -> None:
        """Ask for the rows to be arranged by another view."""
        self.view = view
        # From the table itself, whoever calls: what its own parent makes it say does not go beyond that parent.
        self.call_next(lambda: self.post_message(self.ViewChanged(self, view)))

    def wanted(self) -> Wanted | None:
        """Say what there is to read for the lines in view; None while there are no rows."""
        rows = self.rows
        if not len(rows):
            return None
        top = self.top_line()
        lines = [*range(top, min(top + self.page, len(rows)))]
        records = {record.identity: record for record in (rows.arranged.records[line] for line in lines)}
        threads = frozenset(rows.identity_at(line) for line in lines if rows.arranged.threads[line] > 0)
        if self._cursor is not None and (record := rows.record_of(self._cursor)) is not None:
            records[self._cursor] = record
        living = tuple(record for record in records.values() if not rows.is_gone(record.identity))
        return Wanted(rows, living, tuple(self.costly_columns()), threads, self._cursor)

    def costly_columns(self) -> Iterator[str]:
        """Yield the names of the columns shown that have to be read."""
        return iter(())

    # Cursor.

    def row(self, line: int) -> Row:
        """Return a row with what was read of it; of one that is gone the arguments are still known."""
        detail = self.details.get(self.rows.identity_at(line), NOTHING_READ)
        if detail.command is None and (command := self.rows.command_of(self.rows.arranged.records[line])):
            detail = replace(detail, command=command)
        return self.rows.detailed(line, detail)

    def can_rest(self, index: int) -> bool:
        """Tell whether the cursor may stand on this line: not on a mark between processes."""
        return not self.rows.is_boundary(index)

    def _follow(self, before: Rows) -> bool:
        """Find the cursor's line in the new rows; tell whether another process is under it now."""
        wanted, line = self._cursor, None
        if wanted is not None:
            line = self.rows.line_of(wanted, self._thread)
        while wanted is not None and line is None:
            wanted = before.parent_of(wanted)
            line = None if wanted is None else self.rows.line_of(wanted)
        if line is None and len(self.rows):
            line = self._resting_place(min(self.cursor_line or 0, len(self.rows) - 1), 1)
        self.cursor_line = line
        found, self._thread = (None, 0) if line is None else self.rows.place_at(line)
        moved, self._cursor = found != self._cursor, found
        return moved

    def _select_awaited(self) -> None:
        if self._awaited is not None and (line := self.rows.line_of(self._awaited)) is not None:
            self._awaited = None
            self.move_cursor(line)

    def cursor_moved(self) -> None:
        """Tell who is under the cursor now; moving away from a process that is followed ends that."""
        if self.cursor_line is None:
            self._cursor, self._thread = None, 0
        else:
            self._cursor, self._thread = self.rows.place_at(self.cursor_line)
        if self.view.follow is not None and self._cursor != self.view.follow:
            self.want(replace(self.view, follow=None))
        self.post_message(self.Highlighted(self, self._cursor))
        self.post_message(self.InView())

    def line_chosen(self) -> None:
        """Tell which process was chosen."""
        if self._cursor is not None:
            self.post_message(self.Selected(self, self._cursor))

    @property
    def line_count(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Have what comes into view read."""
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.InView())

    def on_resize(self) -> None:
        """Have what comes into view read."""
        super().on_resize()
        self.post_message(self.InView())
