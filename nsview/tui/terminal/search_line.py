"""The line in which one types what to look for in a terminal's history."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class SearchLine(Input):
    """Posts ``Wanted`` for each step to an older or newer match, and ``Left`` when done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,up", "look(True)", "Older", show=False, id="terminal-search.older"),
        Binding("down", "look(False)", "Newer", show=False, id="terminal-search.newer"),
        Binding("escape", "leave", "Leave", show=False, id="terminal-search.leave"),
    ]
    DEFAULT_CSS = """
    SearchLine { display: none; height: 1; border: none; padding: 0; background: $boost; }
    SearchLine:focus { border: none; }
    SearchLine.-open { display: block; }
    """

    class Wanted(Message):
        """Look for this, in older lines or in newer ones."""

        def __init__(self, text: str, older: bool) -> None:
            super().__init__()
            self.text = text
            self.older = older

    class Left(Message):
        """The person has done."""

    def action_look(self, older: bool) -> None:
        """Ask for the next match."""
        self.post_message(self.Wanted(self.value, older))

    def action_leave(self) -> None:
        """Say that it is done."""
        self.post_message(self.Left())
