"""One line with all launches, as tabs: number, pid, name, how each is, whether its bell rang; one is chosen."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from nsview.host.text import printable
from nsview.tui.launching.launched import Launched
from nsview.tui.launching.wording import condition

_ELSEWHERE = 5
"""Columns for ``‹12 `` or `` 12›``: how many more there are at that side."""

_OF_PROCESS = re.compile(r"/proc/(\d+)/ns/")


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
        self._last: tuple[Sequence[Launched], int | None, Mapping[int, str], Collection[int]] = ((), None, {}, ())

    def show(
        self,
        launches: Sequence[Launched],
        chosen: int | None,
        states: Mapping[int, str] | None = None,
        rung: Collection[int] = (),
    ) -> None:
        """Show these launches, with their states by /proc/PID/stat and the numbers of those whose bell rang."""
        self._last = launches, chosen, states or {}, rung
        self._draw()

    def on_resize(self) -> None:
        """Another width has room for others."""
        self._draw()

    def _draw(self) -> None:
        launches, chosen, states, rung = self._last
        self._places = []
        if not launches:
            self.update(Content.styled(" no program launched yet: n fills in a launch, F5 launches", "$text-muted"))
            return
        texts = [tab(one, states.get(one.number, ""), one.number in rung) for one in launches]
        front = next((at for at, one in enumerate(launches) if one.number == chosen), len(launches) - 1)
        shown = fitting([cell_len(text) for text in texts], front, self.size.width or 80)
        parts: list[Content] = []
        column = 0

        def put(text: str, style: str, leads_to: int) -> None:
            nonlocal column
            column += cell_len(text) + 1
            parts.append(Content.styled(text, style))
            self._places.append((column, launches[leads_to].number))

        if shown.start:
            put(f"‹{shown.start}", "$text-muted", shown.start - 1)
        for at in shown:
            put(texts[at], "reverse" if at == front else _style(launches[at]), at)
        if shown.stop < len(texts):
            put(f"{len(texts) - shown.stop}›", "$text-muted", shown.stop)
        self.update(Content(" ").join(parts))

    def on_click(self, event: events.Click) -> None:
        """Choose the launch clicked on, or the nearest of those that have no room."""
        number = next((number for end, number in self._places if event.x < end), None)
        if number is not None:
            self.post_message(self.Chosen(number))


def tab(launched: Launched, state: str = "", rung: bool = False) -> str:
    """Word one launch; of one that entered another's namespaces, whose."""
    entered = next((found[1] for join in launched.spec.join if (found := _OF_PROCESS.match(join.path))), None)
    title = printable(launched.title) + (f" in {entered}" if entered else "")
    return f" {launched.number}▸{launched.pid} {title} · {condition(launched, state)}{' · bell' if rung else ''} "


def fitting(widths: Sequence[int], front: int, room: int) -> range:
    """Return which of the tabs to show: the one in front, and around it as many as fit with a column between them."""
    if sum(widths) + len(widths) - 1 <= room:
        return range(len(widths))
    room -= 2 * _ELSEWHERE
    first, last, used = front, front, widths[front]
    grown = True
    while grown:
        grown = False
        if last + 1 < len(widths) and used + 1 + widths[last + 1] <= room:
            last += 1
            used += 1 + widths[last]
            grown = True
        if first and used + 1 + widths[first - 1] <= room:
            first -= 1
            used += 1 + widths[first]
            grown = True
    return range(first, last + 1)


def _style(launched: Launched) -> str:
    if launched.exit is None:
        return "$text-warning" if launched.held is not None else "$text-success"
    return "$text-muted" if launched.exit.code == 0 else "$text-error"
