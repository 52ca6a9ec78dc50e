"""The line in which one types what to look for in a terminal's history."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label


class SearchLine(Input):
    """Posts ``Wanted`` for each step to an older or newer match, and ``Left`` when done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,up", "look(True)", "Older", show=False, id="terminal-search.older"),
        Binding("down", "look(False)", "Newer", show=False, id="terminal-search.newer"),
        Binding("escape", "leave", "Leave", show=False, id="terminal-search.leave"),
    ]

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


class SearchRow(Horizontal):
    """The line and its label; shown while something is looked for."""

    DEFAULT_CSS = """
    SearchRow { display: none; height: 1; background: $panel; }
    SearchRow.-open { display: block; }
    SearchRow Label { padding: 0 1; color: $foreground; }
    SearchRow SearchLine { width: 1fr; height: 1; border: none; padding: 0; background: $boost; }
    SearchRow SearchLine:focus { border: none; }
    """

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Label("Find")
        yield SearchLine(placeholder="Enter or Up: older, Down: newer, Esc: done", id="terminal-search")

    def open(self) -> None:
        """Begin with an empty line."""
        self.add_class("-open")
        line = self.query_one(SearchLine)
        line.value = ""
        self.call_after_refresh(line.focus)

    def close(self) -> None:
        """Hide it."""
        self.remove_class("-open")
