"""The panes and which of them is in front: one set of widgets that every screen size lays out its own way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Grid, Vertical
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from nsview.tui.acting.table import ACTS
from nsview.tui.desk import Desk
from nsview.tui.later import find

if TYPE_CHECKING:
    from nsview.tui.terminal.terminal import ChildTerminal


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

    ``widget`` and ``focus`` are places below ``nsview.tui`` (later.py): what is made, of the desk alone, and which
    widget in it gets the keys, of several the first that is displayed. The first of all LOWER panes is shown at the
    start.
    """

    name: str
    digit: int
    title: str
    place: Place
    widget: str
    focus: str

    def make(self, desk: Desk) -> Widget:
        """Make the widget."""
        made = cast("Widget", find(f"nsview.tui.{self.widget}")(desk))
        made.id = self.name
        made.add_class("pane", f"-{self.place.value}")
        made.border_title = f"{self.digit} {self.title}"
        return made

    @property
    def focused(self) -> type[Widget]:
        """The class of what gets the keys."""
        return cast("type[Widget]", find(f"nsview.tui.{self.focus}"))


PANES: tuple[Pane, ...] = (
    Pane("tree", 1, "Processes", Place.LEFT, "processes.pane:process_pane", "processes.table:ProcTable"),
    Pane("launch", 4, "Launch", Place.FORM, "launching.panel:launch_panel", "launching.pickers:NamespacePicker"),
    Pane("diff", 2, "Diff", Place.UPPER, "diff.panel:DiffPanel", "diff.grid:DiffGrid"),
    Pane("timeline", 6, "Timeline", Place.LOWER, "timeline.panel:Timeline", "timeline.grid:Waterfall"),
    Pane("events", 7, "Events", Place.LOWER, "events.panel:Events", "events.list:EventList"),
    Pane("namespaces", 3, "Namespaces", Place.LOWER, "namespaces.panel:NamespacePanel", "line_list:LineList"),
    Pane("security", 8, "Security", Place.LOWER, "security.panel:SecurityPanel", "security.list:SecurityList"),
    Pane("labs", 9, "Labs", Place.LOWER, "labs.panel:LabsPanel", "labs.list:LabList"),
    Pane("terminal", 5, "Terminal", Place.LEFT, "terminal.pane:TerminalPane", "terminal.terminal:ChildTerminal"),
)
"""In the order in which Tab goes through them, and the grid lays them out; those at the right stand together."""

PANE_OF = {pane.name: pane for pane in PANES}


def _import_all() -> None:
    """Import what panes and acts are made of, and what launches: none of it is needed for the first picture."""
    for pane in PANES:
        find(f"nsview.tui.{pane.widget}")
    for act in ACTS:
        find(f"nsview.tui.{act.where}")
    find("nsview.tui.launching.conductor:Conductor")


class Panes(Grid):
    """Holds the panes. ``show`` brings one to the front: alone at 80 columns or zoomed, else with the others."""

    def __init__(self, desk: Desk, whole: bool) -> None:
        super().__init__(id="main", classes="-side-launch")
        self._desk = desk
        self.whole = whole
        """Whether all panes are there; until :meth:`fill` it may be the tree alone."""
        self.pane = "tree"

    def compose(self) -> ComposeResult:
        """Lay out the panes; app.tcss says where."""
        yield from self._made(PANES if self.whole else PANES[:1])

    def _made(self, panes: tuple[Pane, ...]) -> Iterator[Widget]:
        for right, group in groupby(panes, lambda pane: pane.place in _RIGHT):
            widgets = [pane.make(self._desk) for pane in group]
            if right:
                yield Vertical(*widgets, id="side")
            else:
                yield from widgets

    def on_mount(self) -> None:
        """Begin with the tree in front."""
        self.query_one("#tree").add_class("-front")
        if self.whole:
            self._choose_lower()

    def _choose_lower(self) -> None:
        first = next(pane for pane in PANES if pane.place is Place.LOWER)
        self.query_one(f"#{first.name}").add_class("-chosen")

    async def fill(self) -> None:
        """Make the panes that are not there yet."""
        await asyncio.to_thread(_import_all)
        await self.mount(*self._made(PANES[1:]))
        self._choose_lower()
        self.whole = True

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
        return cast("ChildTerminal", current) if self.takes_all_keys(current) else None

    @staticmethod
    def takes_all_keys(widget: Widget | None) -> bool:
        """Tell whether every key is for this widget: whether it is the terminal of a program."""
        return getattr(widget, "TAKES_ALL_KEYS", False)

    def _focus(self, pane: str) -> None:
        inside = self.query_one(f"#{pane}").query(PANE_OF[pane].focused)
        target = self.terminal if pane == "terminal" else next((one for one in inside if one.display), None)
        if target is not None:
            self.screen.set_focus(target)
