"""One line with all launches: number, pid, name, how each is; the chosen one stands out."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from nsview.host.text import printable
from nsview.tui.launching.launcher import Launched
from nsview.tui.launching.wording import condition


class ChildrenBar(Static):
    """Shows the launches; a click posts ``Chosen``."""

    DEFAULT_CSS = """
    ChildrenBar { height: 1; background: $panel; color: $foreground; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    class Chosen(Message):
        """A launch was clicked on."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._places: list[tuple[int, int]] = []

    def show(self, launches: Sequence[Launched], chosen: int | None) -> None:
        """Show these launches."""
        if not launches:
            self._places = []
            self.update(Content.styled(" no program launched yet: n fills in a launch, F5 launches", "$text-muted"))
            return
        parts: list[Content] = []
        self._places = []
        at = 0
        # The chosen one first: at the end of a long line it would be cut off.
        for launched in sorted(launches, key=lambda one: (one.number != chosen, -one.number)):
            text = f" {launched.number}▸{launched.pid} {printable(launched.title)} · {condition(launched)} "
            parts.append(Content.styled(text, "reverse" if launched.number == chosen else _style(launched)))
            at += cell_len(text) + 1
            self._places.append((at, launched.number))
        self.update(Content(" ").join(parts))

    def on_click(self, event: events.Click) -> None:
        """Choose the launch clicked on."""
        number = next((number for end, number in self._places if event.x < end), None)
        if number is not None:
            self.post_message(self.Chosen(number))


def _style(launched: Launched) -> str:
    if launched.exit is None:
        return "$text-warning" if launched.held is not None else "$text-success"
    return "$text-muted" if launched.exit.code == 0 else "$text-error"
