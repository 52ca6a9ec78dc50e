"""The process table: every process, its tree and its namespaces; and the keys that arrange it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from nsview.host.columns.column import DEAR
from nsview.tui.processes.choosers import ChooseColumns, ChooseOne, Offer
from nsview.tui.processes.columns import OWN, Layout
from nsview.tui.processes.painted_rows import PaintedRows
from nsview.tui.processes.presets import presets
from nsview.tui.processes.scene import COLUMNS, TABLE_COLUMNS
from nsview.tui.processes.view import Sort, View

_READ_OF_ALL = "(read of every process) "
"""Of a column to sort by that a process's record does not have."""
_REFERENCES = "the next: parent, pid 1, nsview, the process marked"


def _key(
    keys: str,
    action: str,
    label: str,
    name: str,
    does: str,
    display: str | None = None,
    *,
    footer: bool = False,
    first: bool = False,
) -> Binding:
    return Binding(
        keys, action, label, show=footer, key_display=display, priority=first, tooltip=does, id=f"table.{name}"
    )


class ProcTable(PaintedRows):
    """Shows :class:`Rows` and asks, by ViewChanged, for the view that a person's keys mean."""

    HELP = """
    # Processes

    Every process of the machine. The column **mnpUuiCT** has a letter for each namespace that differs from
    the reference's (`=` changes it) and `·` for each it shares; one colour is one namespace. `◆` in the
    tree: a namespace changes here. **PID** is `5709/72/1` where a process has other numbers inside.

    Marks: `●` launched by nsview, `◈` tagged (`◉` both), `◎` marked, `+` new, `✝` gone (with how it ended, where
    the kernel tells us), `❄` frozen by its control group, `?` unknown. Kernel threads are hidden until `K`: they
    have no namespaces of their own, and the title says how many there are.

    In audit (`!`), rows with any namespace of their own show as `=` what they still share with pid 1. A filter
    (`/`) is as in docs/filter.md: `user=root cpu>5 ns.net!=init /regex/`. Tree and list are sorted each in its own
    way: a list sorted by CPU never shuffles the tree, where siblings are sorted. A click on a heading sorts, once
    more inverts.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("equals_sign", "next_reference", "NS≠", "reference", f"compare with {_REFERENCES}", "=", footer=True),
        _key("m", "mark", "Mark", "mark", "mark the process, and compare the others with it"),
        _key("exclamation_mark", "audit", "Audit", "audit", "what contained processes still share with pid 1", "!"),
        # First: what is typed right after these is the filter, or what is looked for, be it a pane's digit.
        _key("slash", "filter", "Filter", "filter", "show only what matches a filter", "/", footer=True, first=True),
        _key(
            "ctrl+f", "find", "Find", "find", "go to a pid or a name as it is typed, hiding nothing", "^f", first=True
        ),
        _key("escape", "clear_filter", "No filter", "no-filter", "end the filter", "Esc"),
        _key("f", "preset", "Filters at hand", "presets", "filters at hand, some about this process"),
        _key("t", "toggle_tree", "Tree/flat", "tree", "the tree, or a flat list"),
        _key("B", "boundaries", "Boundaries", "boundaries", "lines that say which namespaces begin"),
        _key("H", "threads", "Threads", "threads", "threads on lines of their own"),
        _key("K", "kernel", "Kernel threads", "kernel", "the kernel's own threads, shown or hidden"),
        _key("left,minus", "fold", "Fold", "fold", "fold what is below; else to the parent", "← -"),
        _key("right,plus", "open", "Open", "open", "open what is folded; else to the first below", "→ +"),
        _key("E", "fold_all", "Fold all", "fold-all", "fold all, or open all"),
        _key("less_than_sign", "sort_next(-1)", "Sort before", "sort-before", "sort by the column before", "<"),
        _key("greater_than_sign", "sort_next(1)", "Sort next", "sort-next", "sort by the next column", ">"),
        _key("S", "sort", "Sort", "sort", "sort by any column"),
        _key("I", "invert", "Invert", "invert", "sort the other way round"),
        _key("o", "freeze", "Freeze order", "freeze", "keep the order while values go on"),
        _key("F", "follow", "Follow", "follow", "follow the process wherever it goes, until the cursor moves"),
        _key("space", "tag", "Tag", "tag", "tag the process, or take its tag away", "Space"),
        _key("c", "tag_subtree", "Tag subtree", "tag-subtree", "tag the process and all below it"),
        _key("u", "untag", "Untag all", "untag", "take all tags away"),
        _key("C", "columns", "Columns", "columns", "choose the columns"),
    ]

    class FilterWanted(Message):
        """A person has picked a filter; the empty one shows all."""

        def __init__(self, text: str) -> None:
            """Say which."""
            super().__init__()
            self.text = text

    open_filter: Callable[[], object] | None = None
    """Opens the line that filters are typed in, at once; the pane's."""
    open_find: Callable[[], object] | None = None
    """The same for what is looked for."""

    # Comparing.

    def action_next_reference(self) -> None:
        """Ask for the namespaces to be compared with the next reference."""
        self.want(self.view.next_reference())

    def action_mark(self) -> None:
        """Mark the process under the cursor, to compare the others with it; once more takes the mark away."""
        self.want(self.view.mark(self._cursor))

    def action_audit(self) -> None:
        """Show what contained processes still share with the machine, or what differs from the reference."""
        self.want(replace(self.view, audit=not self.view.audit))

    # Which processes.

    def action_filter(self) -> None:
        """Type a filter."""
        if self.open_filter is not None:
            self.open_filter()

    def action_find(self) -> None:
        """Type a number or a name to go to."""
        if self.open_find is not None:
            self.open_find()

    def find(self, text: str, step: int) -> bool:
        """Put the cursor on the nearest row whose pid begins with a text, or whose name or arguments contain it.

        From the cursor's on (``step`` 0), the next (1) or the one before (-1), around the end; False if there is none.
        """
        count, here = self.line_count, self.cursor_line or 0
        direction = -1 if step < 0 else 1
        for distance in range(abs(step), count + abs(step)):
            line = (here + direction * distance) % count
            if self._answers(line, text):
                self.move_cursor(line)
                return True
        return False

    def _answers(self, line: int, text: str) -> bool:
        """Tell whether a row is what is looked for; capitals count only in a text that has some."""
        arranged = self.rows.arranged
        record = arranged.records[line]
        if arranged.threads[line]:
            return False
        if text.isdecimal() and str(record.pid).startswith(text):
            return True
        said = f"{record.comm} {self.rows.command_of(record) or ''}"
        return text in (said if text != text.lower() else said.lower())

    def action_clear_filter(self) -> None:
        """Show all processes again."""
        self.post_message(self.FilterWanted(""))

    def action_preset(self) -> None:
        """Offer filters that are wanted often, some of them about the process under the cursor."""
        record = None if self._cursor is None else self.rows.record_of(self._cursor)
        offers = [Offer(text, title, text) for title, text in presets(record)]
        self.app.push_screen(ChooseOne("Show only", offers, str(self.view.filter or "")), self._preset_chosen)

    def _preset_chosen(self, text: str | None) -> None:
        if text is not None:
            self.post_message(self.FilterWanted(text))

    def action_kernel(self) -> None:
        """Show the kernel's own threads, or hide them."""
        self.want(replace(self.view, kernel=not self.view.kernel))

    def action_threads(self) -> None:
        """Show the threads of processes on lines of their own, or not."""
        self.want(replace(self.view, threads=not self.view.threads))

    def action_boundaries(self) -> None:
        """Show, above each process with which namespaces begin, which these are; or not."""
        self.want(replace(self.view, boundaries=not self.view.boundaries))

    # Order.

    def action_toggle_tree(self) -> None:
        """Ask for a flat list in place of the tree, or the other way."""
        self.want(self.view.toggle_tree())

    def action_sort_next(self, step: int) -> None:
        """Sort by the next of the columns shown, or the one before."""
        shown = [column.name for column in self.columns_at(self.line_width).columns if column.name]
        names = list(dict.fromkeys(("start", *shown, "comm")))
        place = names.index(self.view.sort.column) if self.view.sort.column in names else 0
        self.want(self.view.sorted_by(Sort(names[(place + step) % len(names)])))

    def action_sort(self) -> None:
        """Offer every column to sort by."""
        offers = [
            Offer(column.name, column.name, f"{_READ_OF_ALL if column.cost else ''}{column.help}")
            for column in COLUMNS
            if column.cost < DEAR
        ]
        where = "siblings in the tree" if self.view.tree else "the list"
        self.app.push_screen(ChooseOne(f"Sort {where} by", offers, self.view.sort.column), self._sort_chosen)

    def _sort_chosen(self, name: str | None) -> None:
        if name is not None:
            self.sort_by(name)

    def sort_by(self, name: str) -> None:
        """Sort by a column; by the same again, the other way round."""
        if name in TABLE_COLUMNS:
            self.want(self.view.sorted_by(self.view.sort.by(name)))

    def action_invert(self) -> None:
        """Sort the other way round."""
        self.want(self.view.sorted_by(self.view.sort.by(self.view.sort.column)))

    def action_freeze(self) -> None:
        """Keep the rows in the order they are in while their values go on, or let them be sorted again."""
        self.want(replace(self.view, order=self.rows.order() if self.view.order is None else None))

    def action_follow(self) -> None:
        """Keep the process under the cursor in view wherever it goes, until the cursor is moved."""
        self.want(replace(self.view, follow=self._cursor if self.view.follow is None else None))

    # Tags.

    def action_tag(self) -> None:
        """Tag the process under the cursor, or take its tag away, and go to the next."""
        if self._cursor is not None:
            self.want(self.view.tag(self._cursor))
            self.action_cursor_down()

    def action_tag_subtree(self) -> None:
        """Tag the process under the cursor and all below it; if all are tagged, take their tags away."""
        if self._cursor is not None:
            self.want(self.view.tag_all(self.rows.subtree_of(self._cursor)))

    def action_untag(self) -> None:
        """Take all tags away."""
        self.want(replace(self.view, tagged=frozenset()))

    # Folds.

    def action_fold(self) -> None:
        """Fold what is below the process under the cursor; where there is nothing to fold, go to its parent."""
        if self._cursor is None or not self.view.tree:
            return
        if self._thread == 0 and self.rows.is_parent(self._cursor) and not self._is_shut():
            self.want(self.view.fold(self._cursor, True))
        elif self._thread:
            self.select(self._cursor)
        elif (parent := self.rows.parent_of(self._cursor)) is not None:
            self.select(parent)

    def action_open(self) -> None:
        """Open what is folded below the process under the cursor; where it is open, go to its first child."""
        if self._cursor is None or not self.view.tree:
            return
        if self._is_shut():
            self.want(self.view.fold(self._cursor, False))
        elif self.rows.is_parent(self._cursor):
            self.action_cursor_down()

    def _is_shut(self) -> bool:
        assert self._cursor is not None
        return self.rows.is_parent(self._cursor) and self.view.is_folded(self._cursor)

    def action_fold_all(self) -> None:
        """Fold all but the top of the tree, or open everything."""
        self.want(self.view.fold_all(self.rows.roots()))

    # Columns.

    def action_columns(self) -> None:
        """Offer every column to be shown."""
        shown = [column.name for column in self.columns_at(self.line_width).columns if column.name in OWN]
        now = tuple(shown) if self.chosen is None else self.chosen
        fixed = ("pid", "ns", "comm", "command")
        offers = [Offer(column.name, column.name, column.help) for column in COLUMNS if column.name not in fixed]
        self.app.push_screen(ChooseColumns(offers, now, self.choose_columns))

    def choose_columns(self, names: tuple[str, ...] | None) -> None:
        """Show these columns, as far as they fit, beside marks, pid, namespaces and command; None: those that suit."""
        self.chosen = names
        self.repaint_changed()
        self.post_message(self.InView())

    # Mouse.

    def on_click(self, event: events.Click) -> None:
        """Sort by the heading clicked on; fold or open by a click on the tree's lines; elsewhere as in every list."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        layout = self.columns_at(self.line_width)
        if offset.y == 0:
            self._heading_clicked(offset.x, layout)
        elif event.chain == 1 and (line := self.top_line() + offset.y - 1) < self.line_count:
            row = self.rows[line]
            begin = self.line_width - layout.command
            joint = len(row.branch) + (0 if row.below is None else len(f"▸{row.below}"))
            if not row.thread and begin <= offset.x < begin + joint and self.rows.is_parent(row.identity):
                self.want(self.view.fold(row.identity, not self.view.is_folded(row.identity)))

    def _heading_clicked(self, x: int, layout: Layout) -> None:
        place = 0
        for column in layout.columns:
            place += column.width + len(column.gap)
            if x < place:
                if column.name:
                    self.sort_by(column.name)
                return
        self.sort_by("comm")

    def view_words(self) -> list[str]:
        """Word how the rows shown are arranged, the most important first; what is ordinary is not said."""
        return view_words(self.rows.view)


def view_words(view: View) -> list[str]:
    """Word a view, the most important first."""
    words = []
    if view.order is not None:
        words.append("ORDER FROZEN")
    if view.audit:
        words.append("AUDIT")
    if view.follow is not None:
        words.append(f"FOLLOWS {view.follow[0]}")
    sort = view.sort
    words.append(f"{'tree' if view.tree else 'list'} by {sort.column}{' inverted' if sort.inverted else ''}")
    if view.threads:
        words.append("threads")
    if view.tagged:
        words.append(f"{len(view.tagged)} tagged")
    return words
