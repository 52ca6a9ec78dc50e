"""Help on a pane, and the keys that work everywhere."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Markdown

from nsview.tui.keys import help_text


class Help(ModalScreen[None]):
    """Help on the pane that had the focus, and the keys that work everywhere."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "dismiss(None)", "Leave", id="help.leave"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Show the pane's text and the table of keys."""
        with VerticalScroll(classes="dialog", can_focus=True):
            yield Markdown(f"{self._text}\n\n# Keys everywhere\n\n{help_text()}")
