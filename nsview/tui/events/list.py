"""The events on the screen, the newest at the bottom; who looks at the newest is kept there."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import ClassVar

from rich.segment import Segment
from textual.message import Message
from textual.strip import Strip

from nsview.host.events.event import LOST
from nsview.host.events.story import Told
from nsview.host.text import printable
from nsview.tui.cell_text import fitted
from nsview.tui.events.log import Choice, Entry, Log
from nsview.tui.line_list import LineList
from nsview.wording.events import cells

_TIME, _PID = 12, 7
_ROOMY = 64
"""Cells from which on the command's name has all its fifteen."""


class EventList(LineList):
    """Shows a :class:`Log`.

    While the cursor is on the newest line, and that is in view, both follow what comes; else nothing moves.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"events--{look}" for look in ("time", "name", "ours", "born", "runs", "plain", "bad", "lost")
    }

    DEFAULT_CSS = """
    EventList {
        height: 1fr;
        & > .events--time { color: $text-muted; }
        & > .events--name { color: $foreground; }
        & > .events--ours { color: $text-accent; text-style: bold; }
        & > .events--born { color: $text-success; }
        & > .events--runs { color: $text-primary; }
        & > .events--plain { color: $foreground; }
        & > .events--bad { color: $text-error; }
        & > .events--lost { color: $text-warning; text-style: bold; }
    }
    """

    class Chosen(Message):
        """A person wants to see the process of an event."""

        def __init__(self, entry: Entry) -> None:
            """Say which."""
            super().__init__()
            self.entry = entry

    class Moved(Message):
        """The cursor is on another line."""

    def __init__(self) -> None:
        """Begin with no events."""
        super().__init__()
        self.record = Log()
        self._followed = True
        self.note = "Beginning to listen…"

    # What is shown.

    def add(self, entries: Iterable[Entry]) -> None:
        """Add events at the bottom."""
        follows = self.follows
        dropped = self.record.add(entries)
        if dropped and not follows:
            # What is looked at stays where it is, until it is forgotten.
            if self.cursor_line is not None:
                self.cursor_line = max(0, self.cursor_line - dropped)
            top = self.top_line() - dropped
            self.lines_changed()
            self.jump_to(top)
            return
        if follows:
            self.cursor_line = self.line_count - 1 if self.line_count else None
        self.lines_changed()
        if follows:
            self.show_cursor_line()

    def choose(self, choice: Choice) -> None:
        """Show others; the cursor stays on its event, or goes to the next that is shown."""
        follows, entry = self.follows, self.entry
        self.record.choose(choice)
        place = None if follows or entry is None else self.record.place(entry.number)
        self.cursor_line = place if place is not None else self.line_count - 1 if self.line_count else None
        self.lines_changed()
        self.show_cursor_line()
        self.refresh()

    def clear(self) -> None:
        """Forget all events."""
        self.record.clear()
        self.cursor_line = None
        self.lines_changed()
        self.jump_to(0)
        self.refresh()

    @property
    def follows(self) -> bool:
        """Tell whether new events are brought into view; while the list is hidden, as it was before."""
        if self.size.height:
            last = self.line_count - 1
            at_end = self.cursor_line is None or self.cursor_line >= last
            self._followed = at_end and (last < 0 or self.in_view(last))
        return self._followed

    def on_resize(self) -> None:
        """Keep what comes in view, if it was."""
        followed = self._followed
        super().on_resize()
        if followed and self.size.height and self.line_count:
            self.move_cursor(self.line_count - 1)

    @property
    def entry(self) -> Entry | None:
        """The event under the cursor."""
        if self.cursor_line is None or self.cursor_line >= self.line_count:
            return None
        return self.record.shown[self.cursor_line]

    # Lines.

    @property
    def line_count(self) -> int:
        """Number of events shown."""
        return len(self.record.shown)

    def line_key(self, index: int) -> Hashable:
        """Name an event: what it says does not change."""
        return self.record.shown[index].number

    def cursor_moved(self) -> None:
        """Tell that the cursor is elsewhere."""
        self.post_message(self.Moved())

    def line_chosen(self) -> None:
        """Ask for the process of the event under the cursor."""
        if (entry := self.entry) is not None:
            self.post_message(self.Chosen(entry))

    def header_strip(self, width: int) -> Strip:
        """Draw the headings."""
        name = _name_width(width)
        text = f" {'TIME':<{_TIME}} {'PID':>{_PID}} {'COMMAND':<{name}} WHAT HAPPENED"
        return Strip([Segment(fitted(text, width), self.look("lines--header"))], width)

    def line_strip(self, index: int, width: int, cursor: bool) -> Strip:
        """Draw an event; ``*`` marks those of our launches."""
        entry = self.record.shown[index]
        when, pid, name, words = cells(entry.told)
        room = _name_width(width)
        rest = max(0, width - _TIME - _PID - room - 4)
        segments = [
            Segment("*" if entry.ours else " ", self.look("events--ours")),
            Segment(f"{when} {pid:>{_PID}} ", self.look("events--time")),
            Segment(f"{fitted(name, room)} ", self.look("events--ours" if entry.ours else "events--name")),
            Segment(fitted(printable(words), rest), self.look(f"events--{look_of(entry.told)}")),
        ]
        if cursor:
            segments = self.under_cursor(segments)
        return Strip(segments).adjust_cell_length(width)


def _name_width(width: int) -> int:
    return 15 if width >= _ROOMY else 9


def look_of(told: Told) -> str:
    """Return how an event is drawn: births, programs, ends that are not as they should be, losses stand out."""
    what = told.event.what
    if what == LOST:
        return "lost"
    if what == "coredump" or (what == "exit" and (told.signal is not None or told.status)):
        return "bad"
    return {"fork": "born", "exec": "runs"}.get(what, "plain")
