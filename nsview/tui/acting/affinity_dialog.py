"""A dialog with a box to tick for each CPU."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets.selection_list import Selection

from nsview.tui.acting.dialog import ActDialog
from nsview.tui.acting.settings import AFFINITY
from nsview.tui.acting.whom import Choices
from nsview.tui.launching.pickers import Picker


class AffinityDialog(ActDialog):
    """Asks on which CPUs it may run; the value of the answer is a frozenset of their numbers."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "set", "Set", priority=True, id="affinity.set"),
        Binding("a", "all", "All", id="affinity.all"),
        Binding("i", "invert", "Invert", id="affinity.invert"),
    ]

    def __init__(self, choices: Choices, cpus: Iterable[int], now: frozenset[int], said: str) -> None:
        super().__init__("CPUs of", choices, f"Space ticks · a all · i invert · Enter sets · Esc leaves · now: {said}")
        self._cpus = tuple(cpus)
        self._now = now

    def body(self) -> Iterable[Widget]:
        """Return the list."""
        yield Picker(*(Selection(f"cpu {cpu}", cpu, cpu in self._now) for cpu in self._cpus), compact=True)

    @property
    def ticked(self) -> frozenset[int]:
        """The CPUs that are ticked."""
        return frozenset(self.query_one(Picker).selected)

    def call(self) -> str:
        """Return the call with what is ticked."""
        return AFFINITY.form(self.ticked) if self.ticked else "tick at least one CPU"

    def on_selection_list_selected_changed(self) -> None:
        """Say what it would do."""
        self.say()

    def action_all(self) -> None:
        """Tick all."""
        self.query_one(Picker).select_all()

    def action_invert(self) -> None:
        """Tick those that are not, and no others."""
        self.query_one(Picker).toggle_all()

    def action_set(self) -> None:
        """Leave with what is ticked, if anything is."""
        if self.ticked:
            self.answer(self.ticked)


def cpus_of_machine() -> tuple[int, ...]:
    """Return the CPUs there are, from /sys/devices/system/cpu/online; those we may use where that is not told."""
    try:
        with open("/sys/devices/system/cpu/online", encoding="ascii") as file:
            return parse_cpus(file.read())
    except (FileNotFoundError, PermissionError):
        return tuple(sorted(os.sched_getaffinity(0)))


def parse_cpus(text: str) -> tuple[int, ...]:
    """Return the CPUs of a list as ``0-3,8``; the other way round is cpu_list(). Pure."""
    found: list[int] = []
    for piece in filter(None, text.strip().split(",")):
        first, _, last = piece.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return tuple(found)
