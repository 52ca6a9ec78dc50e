"""Asks once more before something that cannot be undone, or that many would feel: Cancel is the answer by default."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from nsview.tui.acting.whom import Whom
from nsview.tui.acting.wording import counted, group_of, left_out, names, one_for_good, warning


class Sure(ModalScreen[bool]):
    """Names everybody, the count and the call. True only when the button that does it was pressed."""

    DEFAULT_CSS = """
    Sure { align: center middle; }
    Sure Horizontal { height: 1; align-horizontal: right; margin-top: 1; }
    Sure Button { margin-left: 2; min-width: 12; }
    Sure .note { color: $text-warning; height: auto; }
    Sure .call { color: $text-accent; height: auto; }
    Sure .who { height: auto; max-height: 5; }
    """
    AUTO_FOCUS = "#cancel"  # whoever presses Enter without reading has cancelled
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(False)", "Cancel", id="sure.cancel"),
        Binding("left,up", "app.focus_previous", "Previous", show=False, id="sure.previous"),
        Binding("right,down", "app.focus_next", "Next", show=False, id="sure.next"),
    ]

    def __init__(self, does: str, whom: Whom, call: str, note: str = "", command: str = "") -> None:
        super().__init__()
        self._does = does
        self._whom = whom
        self._call = call
        self._note = note
        self._command = command

    def compose(self) -> ComposeResult:
        """Say what would be done; Cancel comes first and has the focus."""
        whom = self._whom
        with Vertical(classes="dialog"):
            yield Static(f"{self._does}?", classes="title", markup=False)
            yield Static(self._who(), classes="who", markup=False)
            yield Static(f"call: {self._call}", classes="call", markup=False)
            said = " ".join(text for text in (left_out(whom), warning(whom), self._note) if text)
            if said:
                yield Static(said, classes="note", markup=False)
            with Horizontal():
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(self._does.split()[0], id="do", variant="error", compact=True)

    def _who(self) -> str:
        whom = self._whom
        if whom.members == (whom.subject,):
            command = f"\n{self._command}" if self._command else ""
            return f"{one_for_good(whom.subject)}{command}"
        group = f" in {group_of(whom)}" if whom.group is not None else ""
        return f"{counted(whom.count)}{group}: {names(whom.members)}\nfrom {one_for_good(whom.subject)}"

    def on_button_pressed(self, message: Button.Pressed) -> None:
        """Answer."""
        message.stop()
        self.dismiss(message.button.id == "do")
