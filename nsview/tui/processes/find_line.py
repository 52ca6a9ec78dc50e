"""The find line: the cursor goes to the next process with a number or a name, as it is typed; nothing is hidden."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Static

Find = Callable[[str, int], bool]
"""Goes to the nearest that matches a text: from here on (0), the next (1), the one before (-1); False if none does."""


class FindLine(Horizontal):
    """One line to type what is looked for. Hidden until ``open``; Enter and Esc leave the cursor where it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "leave", "Done", id="find.leave", priority=True),
        Binding("down,ctrl+f", "again(1)", "Next", id="find.next", key_display="↓", priority=True),
        Binding("up", "again(-1)", "Before", id="find.before", key_display="↑", priority=True),
    ]

    DEFAULT_CSS = """
    FindLine { height: 1; display: none; background: $panel; }
    FindLine .asks { width: 6; color: $text-accent; text-style: bold; }
    FindLine Input { width: 1fr; }
    FindLine .none { width: auto; color: $text-error; }
    """

    def __init__(self, find: Find, back_to: Widget) -> None:
        """``find`` moves the cursor; ``back_to`` has the keys when typing is over."""
        super().__init__()
        self._find = find
        self._back_to = back_to

    def compose(self) -> ComposeResult:
        """What is asked, the line, whether there is none."""
        yield Static("find  ", classes="asks", markup=False)
        yield Input(compact=True, placeholder="a pid, or part of a name or of arguments seen")
        yield Static("", classes="none", markup=False)

    def open(self) -> None:
        """Show the line, empty, and type in it; at once, as keys may have been typed ahead."""
        self.display = True
        self.query_one(Input).clear()
        self.screen.set_focus(self.query_one(Input))

    @on(Input.Changed)
    def _typed(self, message: Input.Changed) -> None:
        message.stop()
        self._go(0)

    def action_again(self, step: int) -> None:
        """Go to the next that matches, or to the one before."""
        self._go(step)

    def _go(self, step: int) -> None:
        text = self.query_one(Input).value
        found = not text or self._find(text, step)
        self.query_one(".none", Static).update("" if found else "none here ")

    def action_leave(self) -> None:
        """Give the keys back."""
        self.display = False
        self.screen.set_focus(self._back_to)
