"""The panes and which of them is in front: one set of widgets that every screen size lays out its own way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from textual.app import ComposeResult
from textual.containers import Grid, Vertical
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from nsview.tui.desk import Desk
from nsview.tui.diff.grid import DiffGrid
from nsview.tui.diff.panel import DiffPanel
from nsview.tui.events.list import EventList
from nsview.tui.events.panel import Events
from nsview.tui.launching.panel import LaunchPanel
from nsview.tui.launching.pickers import NamespacePicker
from nsview.tui.line_list import LineList
from nsview.tui.namespaces.panel import NamespacePanel
from nsview.tui.processes.pane import ProcessPane
from nsview.tui.processes.table import ProcTable
from nsview.tui.security.list import SecurityList
from nsview.tui.security.panel import SecurityPanel
from nsview.tui.terminal.pane import TerminalPane
from nsview.tui.terminal.terminal import ChildTerminal
from nsview.tui.timeline.grid import Waterfall
from nsview.tui.timeline.panel import Timeline


class Place(Enum):
    """Where a pane lies when there is room for more than one of them."""

    LEFT = "left"
    """Below one another at the left; always there."""
    FORM = "form"
    """At 120 columns it takes the place of the right column; at 200 it has a column of its own."""
    UPPER = "upper"
    """The upper half of the right column."""
    LOWER = "lower"
    """The lower half of the right column: one of these at a time."""


_RIGHT = (Place.UPPER, Place.LOWER)


@dataclass(frozen=True, slots=True)
class Pane:
    """A pane: its name (the id of its widget), the digit that brings it to the front, title, place, and widget.

    ``focus``: which widget in it gets the keys, of several the first that is displayed. The first of all LOWER panes
    is shown at the start.
    """

    name: str
    digit: int
    title: str
    place: Place
    make: Callable[[Desk], Widget]
    focus: type[Widget]


def _launch(desk: Desk) -> Widget:
    return LaunchPanel(privileged=desk.privileged, read_only=desk.read_only)


PANES: tuple[Pane, ...] = (
    Pane("tree", 1, "Processes", Place.LEFT, lambda desk: ProcessPane(desk.ordinals), ProcTable),
    Pane("launch", 4, "Launch", Place.FORM, _launch, NamespacePicker),
    Pane("diff", 2, "Diff", Place.UPPER, DiffPanel, DiffGrid),
    Pane("timeline", 6, "Timeline", Place.LOWER, Timeline, Waterfall),
    Pane("events", 7, "Events", Place.LOWER, Events, EventList),
    Pane("namespaces", 3, "Namespaces", Place.LOWER, NamespacePanel, LineList),
    Pane("security", 8, "Security", Place.LOWER, SecurityPanel, SecurityList),
    Pane("terminal", 5, "Terminal", Place.LEFT, TerminalPane, ChildTerminal),
)
"""In the order in which Tab goes through them, and the grid lays them out; those at the right stand together."""

PANE_OF = {pane.name: pane for pane in PANES}


class Panes(Grid):
    """Holds the panes. ``show`` brings one to the front: alone at 80 columns or zoomed, else with the others."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(id="main", classes="-side-launch")
        self._desk = desk
        self.pane = "tree"

    def compose(self) -> ComposeResult:
        """Lay out all panes; app.tcss says where."""
        for place, panes in groupby(PANES, lambda pane: pane.place in _RIGHT):
            widgets = [self._made(pane) for pane in panes]
            if place:
                yield Vertical(*widgets, id="side")
            else:
                yield from widgets

    def _made(self, pane: Pane) -> Widget:
        widget = pane.make(self._desk)
        widget.id = pane.name
        widget.add_class("pane", f"-{pane.place.value}")
        widget.border_title = f"{pane.digit} {pane.title}"
        return widget

    def on_mount(self) -> None:
        """Begin with the tree in front."""
        first = next(pane for pane in PANES if pane.place is Place.LOWER)
        self.query_one(f"#{first.name}").add_class("-chosen")
        self.query_one("#tree").add_class("-front")

    def show(self, pane: str, focus: bool = True) -> None:
        """Bring a pane to the front."""
        if pane != "terminal":
            self.fill_screen(False)
        place = PANE_OF[pane].place
        right = place in _RIGHT
        self.query(".-front").remove_class("-front")
        self.query_one(f"#{pane}").add_class("-front")
        self.query_one("#side").set_class(right, "-front")
        if place is not Place.LEFT:
            self.set_class(not right, "-side-launch")
        if place is Place.LOWER:
            self.query(".-lower.-chosen").remove_class("-chosen")
            self.query_one(f"#{pane}").add_class("-chosen")
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

    @property
    def fills_screen(self) -> bool:
        """Whether the terminal has the whole screen."""
        return self.screen.has_class("-full-screen")

    def fill_screen(self, full: bool) -> None:
        """Give the terminal the whole screen, without header, footer, tabs and border; or take it back."""
        self.screen.set_class(full, "-full-screen")
        if full:
            self.show("terminal")

    def pane_of(self, widget: Widget | None) -> str | None:
        """Return the pane a widget is in."""
        if widget is None:
            return None
        return next((node.id for node in widget.ancestors_with_self if node.id in PANE_OF), None)

    @property
    def terminal(self) -> ChildTerminal | None:
        """The terminal in front, if there is one."""
        current = self.query_one("#terminals", ContentSwitcher).visible_content
        return current if isinstance(current, ChildTerminal) else None

    def _focus(self, pane: str) -> None:
        inside = self.query_one(f"#{pane}").query(PANE_OF[pane].focus)
        target = self.terminal if pane == "terminal" else next((one for one in inside if one.display), None)
        if target is not None:
            self.screen.set_focus(target)
