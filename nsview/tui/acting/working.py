"""Shows how far a long act has come, and lets it be called off."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import ProgressBar, Static

from nsview.host.text import printable
from nsview.tui.acting.progress import Progress

REFRESH = 0.1
"""Seconds between two looks at the progress."""


class Working(ModalScreen[None]):
    """Shown while an act is under way for longer than an eye blinks; Esc calls it off. It goes when that is over."""

    DEFAULT_CSS = """
    Working { align: center middle; }
    Working ProgressBar { width: 1fr; }
    Working Bar { width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "call_off", "Call off", id="working.call-off")]

    def __init__(self, title: str, progress: Progress) -> None:
        super().__init__()
        self._title = title
        self._progress = progress
        self._left = False

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog"):
            yield Static(self._title, classes="title", markup=False)
            yield Static("", id="doing", markup=False)
            yield ProgressBar(show_eta=False)
            yield Static("Esc calls it off", id="call-off", classes="foot", markup=False)

    def on_mount(self) -> None:
        """Look now and then."""
        self._look()
        self.set_interval(REFRESH, self._look)

    def action_call_off(self) -> None:
        """Ask the act to stop."""
        self._progress.cancel()
        self.query_one("#call-off", Static).update("calling it off…")

    def leave(self) -> None:
        """Go, once; where the palette lies over it that is when that has gone."""
        if self.is_active and not self._left:
            self._left = True
            self.dismiss()

    def _look(self) -> None:
        progress = self._progress
        if progress.over:
            self.leave()
            return
        self.query_one("#doing", Static).update(printable(progress.words))
        self.query_one(ProgressBar).update(total=progress.total, progress=progress.done)
