"""The panes and which of them is in front: one set of widgets that every screen size lays out its own way."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Grid, Vertical
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Static

from nsview.tui.children_bar import ChildrenBar
from nsview.tui.diff_panel import DiffGrid, DiffPanel
from nsview.tui.launch_panel import LaunchPanel, NamespacePicker
from nsview.tui.proc_table import ProcTable
from nsview.tui.terminal import ChildTerminal
from nsview.tui.timeline import Timeline, Waterfall

TITLES = {
    "tree": "1 Processes",
    "diff": "2 Diff",
    "launch": "4 Launch",
    "terminal": "5 Terminal",
    "timeline": "6 Timeline",
}

_SIDES = {"launch": "launch", "diff": "diff", "timeline": "diff"}
"""Which of the two faces of the right column a pane belongs to, at 120 columns."""


class Panes(Grid):
    """Holds the panes. ``show`` brings one to the front: alone at 80 columns or zoomed, else with the others."""

    def __init__(self, privileged: bool) -> None:
        super().__init__(id="main", classes="-pane-tree -side-launch")
        self._privileged = privileged
        self.pane = "tree"

    def compose(self) -> ComposeResult:
        """Lay out all panes; app.tcss says where."""
        with Vertical(id="tree", classes="pane"):
            yield ProcTable(id="processes")
        yield LaunchPanel(id="launch", classes="pane", privileged=self._privileged)
        with Vertical(id="side"):
            yield DiffPanel(id="diff", classes="pane")
            yield Timeline(id="timeline", classes="pane")
        with Vertical(id="terminal", classes="pane"):
            yield ChildrenBar(id="children")
            with ContentSwitcher(initial="no-terminal", id="terminals"):
                yield Static("A launched program gets its terminal here.", id="no-terminal", markup=False)

    def on_mount(self) -> None:
        """Name the panes and their digits."""
        for name, title in TITLES.items():
            self.query_one(f"#{name}").border_title = title

    def show(self, pane: str, focus: bool = True) -> None:
        """Bring a pane to the front."""
        self.remove_class(*(f"-pane-{name}" for name in TITLES))
        self.add_class(f"-pane-{pane}")
        if pane in _SIDES:
            self.set_class(_SIDES[pane] == "launch", "-side-launch")
            self.set_class(_SIDES[pane] == "diff", "-side-diff")
        self.pane = pane
        if focus:
            # Only what is displayed can have the focus, and keys typed ahead go to who has it: so no waiting.
            self.app.stylesheet.update(self, animate=False)
            self._focus(pane)

    def zoom(self) -> None:
        """Show the pane in front alone, or all of them again."""
        focused = self.pane_of(self.screen.focused)
        if focused is not None and not self.has_class("-zoom"):
            self.show(focused, focus=False)
        self.toggle_class("-zoom")

    def pane_of(self, widget: Widget | None) -> str | None:
        """Return the pane a widget is in."""
        if widget is None:
            return None
        return next((node.id for node in widget.ancestors_with_self if node.id in TITLES), None)

    @property
    def terminal(self) -> ChildTerminal | None:
        """The terminal in front, if there is one."""
        current = self.query_one("#terminals", ContentSwitcher).visible_content
        return current if isinstance(current, ChildTerminal) else None

    def _focus(self, pane: str) -> None:
        targets: dict[str, Widget | None] = {
            "tree": self.query_one(ProcTable),
            "diff": self.query_one(DiffGrid),
            "launch": self.query_one(NamespacePicker),
            "timeline": self.query_one(Waterfall),
            "terminal": self.terminal,
        }
        target = targets[pane]
        if target is not None:
            self.screen.set_focus(target)
