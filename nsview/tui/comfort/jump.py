"""Jumping: a letter lies over everything that can have the keys, and typing it goes there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase

from textual import events
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static


@dataclass(frozen=True, slots=True)
class Mark:
    """A letter, where it lies, and what has the keys once it is typed."""

    letter: str
    place: Region
    widget: Widget


def marks_of(screen: Screen[object]) -> list[Mark]:
    """Return a mark for each widget in sight that can have the focus, in the order of Tab; 26 at most."""
    places = ((widget, screen.find_widget(widget).visible_region) for widget in screen.focus_chain)
    seen = ((widget, place) for widget, place in places if place.area)
    return [
        Mark(letter, Region(place.x, place.y, 3, 1), widget)
        for letter, (widget, place) in zip(ascii_lowercase, seen, strict=False)
    ]


class Jump(ModalScreen[Widget | None]):
    """Shows the marks over the screen below; answers with the widget whose letter was typed, or None."""

    DEFAULT_CSS = """
    Jump {
        background: $background 0%;
        & > .mark {
            position: absolute;
            width: 3;
            height: 1;
            background: $warning;
            color: $background;
            text-style: bold;
        }
        & > .mark:nocolor { text-style: bold reverse; }
    }
    """

    def __init__(self, marks: Sequence[Mark]) -> None:
        super().__init__()
        self._marks = {mark.letter: mark for mark in marks}

    def compose(self) -> ComposeResult:
        """Put each letter where its widget begins."""
        for mark in self._marks.values():
            label = Static(f" {mark.letter} ", classes="mark", markup=False)
            label.styles.offset = mark.place.offset
            yield label

    def on_key(self, event: events.Key) -> None:
        """Go where the letter says; any other key goes nowhere."""
        event.stop()
        event.prevent_default()
        mark = self._marks.get(event.key)
        self.dismiss(None if mark is None else mark.widget)


async def jump(app: App[None]) -> None:
    """Show the marks, and give the keys to what was chosen."""
    screen = app.screen
    widget = await app.push_screen_wait(Jump(marks_of(screen)))
    if widget is not None and widget.is_attached:
        screen.set_focus(widget)
