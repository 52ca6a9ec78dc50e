"""One line of the eight kinds, each by its letter with what is said of it; one of them is chosen. Clicks choose too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget


@dataclass(frozen=True, slots=True)
class Tab:
    """A kind: its letter (``a`` for all), what is shown of it, and whether that is nothing of interest."""

    letter: str
    text: str
    faint: bool = False


class KindBar(Widget):
    """Shows :class:`Tab` s; a click on one posts :class:`Chosen`."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"kind-bar--tab", "kind-bar--faint", "kind-bar--chosen"}

    DEFAULT_CSS = """
    KindBar {
        height: 1;
        background: $panel;
        & > .kind-bar--tab { background: $panel; color: $foreground; }
        & > .kind-bar--faint { background: $panel; color: $text-muted; }
        & > .kind-bar--chosen { background: $primary; color: $text; text-style: bold; }
        &:ansi > .kind-bar--faint { text-style: dim; }
        &:ansi > .kind-bar--chosen { text-style: bold reverse; }
        &:nocolor > .kind-bar--chosen { text-style: bold reverse; }
    }
    """

    class Chosen(Message):
        """A person clicked on a kind."""

        def __init__(self, letter: str) -> None:
            super().__init__()
            self.letter = letter

    def __init__(self) -> None:
        super().__init__()
        self.tabs: tuple[Tab, ...] = ()
        self.chosen: str | None = None

    def show(self, tabs: tuple[Tab, ...], chosen: str | None) -> None:
        """Show these, the chosen one (by its letter) standing out."""
        if (tabs, chosen) != (self.tabs, self.chosen):
            self.tabs, self.chosen = tabs, chosen
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the line."""
        segments = [Segment(text, self._style(tab)) for tab, text in self._pieces()]
        return Strip(segments).extend_cell_length(self.size.width, self.rich_style).crop(0, self.size.width)

    def _pieces(self) -> list[tuple[Tab, str]]:
        """Pad each text by a blank on both sides, or on the right alone where that is too wide."""
        texts = [tab.text for tab in self.tabs]
        roomy = sum(cell_len(text) + 2 for text in texts) <= self.size.width
        return [(tab, f" {text} " if roomy else f"{text} ") for tab, text in zip(self.tabs, texts, strict=True)]

    def _style(self, tab: Tab) -> Style:
        name = "chosen" if tab.letter == self.chosen else "faint" if tab.faint else "tab"
        return self.get_component_rich_style(f"kind-bar--{name}")

    def on_click(self, event: events.Click) -> None:
        """Tell which kind was clicked on."""
        left = 0
        for tab, text in self._pieces():
            left += cell_len(text)
            if event.x < left:
                self.post_message(self.Chosen(tab.letter))
                return
