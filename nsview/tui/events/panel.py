"""The events pane: what happens to processes, as it happens, as a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static

from nsview.host.columns.column import by_name
from nsview.host.columns.events import EVENT_COLUMNS
from nsview.host.events.clock import TICK_NS, started_ns
from nsview.host.events.event import LOST
from nsview.host.events.story import Told
from nsview.host.filter import Filter, parse
from nsview.host.model import Identity
from nsview.host.text import printable
from nsview.tui.acting.signals import start_time_of
from nsview.tui.collecting.collector import Frame
from nsview.tui.desk import Desk, GoTo
from nsview.tui.events.hearing import Hearing
from nsview.tui.events.list import EventList
from nsview.tui.events.log import MOST, Entry
from nsview.tui.processes.filter_line import FilterLine
from nsview.tui.seen import is_seen
from nsview.wording.events import cells

_COLUMNS = frozenset(by_name(EVENT_COLUMNS))
_MOMENT, _WHILE = 0.1, 1.0
"""Seconds in which events gather to be shown at once; while nobody sees them, to be kept."""
_EXAMPLE = "what=exit status!=0, what=exec /python/, lasted<5ms"

Hear = Callable[[Callable[[], object], Callable[[Exception], object]], Hearing]
"""Makes what hears, given what to call when there is news and when something fails."""


def parsed(text: str) -> Filter[Told] | None:
    """Read a filter over the columns of events, None for one that asks nothing; FilterError if it is none."""
    found = parse(text, EVENT_COLUMNS)
    return None if found.is_empty else found


class Events(Vertical):
    """Hears events from when it is first on the screen; shows them when it is, and as fast as one can read."""

    HELP = """
    # Events

    What happens to processes, told by the kernel itself (the proc connector): births, programs, new names and ids,
    ends with status, how long the life was and the CPU time it took. Nothing short-lived is missed; where the kernel
    does not tell us (it takes CAP_NET_ADMIN in the first network namespace) the foot says so, and what is shown is
    guessed by looking again and again.

    Listening begins when this pane is shown for the first time; the newest 10,000 events are kept, and 10,000 of
    those that a filter shows. `*` marks those of your launches and their descendants. With the cursor on the newest
    line the list follows what comes; move it up, and the list stands still. That events were lost is a line of its
    own.

    **Enter** goes to the process in the tree. `/` filters: `what=exit status!=0`, `what=exec /python/`, `lasted<5ms`,
    `parent=1`, `comm=sh`; the columns are those of `nsview events`.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash",
            "filter",
            "Filter",
            key_display="/",
            id="events.filter",
            tooltip="show only what matches",
            priority=True,
        ),
        Binding("f", "ours", "Mine", id="events.ours", tooltip="only events of your launches and their descendants"),
        Binding("t", "threads", "Threads", show=False, id="events.threads", tooltip="births and ends of threads too"),
        Binding("p,space", "pause", "Pause", key_display="p", id="events.pause", tooltip="let the log stand still"),
        Binding("c", "clear", "Clear", show=False, id="events.clear", tooltip="forget all events so far"),
    ]

    DEFAULT_CSS = """
    Events { border-subtitle-align: left; }
    Events #event-detail { height: auto; max-height: 2; padding: 0 1; background: $panel; }
    """

    class Heard(Message):
        """There are new events."""

    class Failed(Message):
        """Listening failed."""

        def __init__(self, error: Exception) -> None:
            """Say why."""
            super().__init__()
            self.error = error

    def __init__(self, desk: Desk, hear: Hear | None = None) -> None:
        """``hear`` makes what hears; by default the machine's events, with our launches as ours."""
        super().__init__()
        self._hear = hear or (lambda wake, failed: Hearing(desk.me[0], wake, failed))
        self._hearing: Hearing | None = None
        self._desk = desk
        self._going: Identity | None = None
        self._waiting: list[Entry] = []
        self._due: Timer | None = None
        self._base = ""
        self._filter = ""
        self._detailed: Entry | None = None
        self.paused = False

    def compose(self) -> ComposeResult:
        """The list, and below it the line for a filter."""
        yield EventList()
        yield Static("", id="event-detail", markup=False)
        yield FilterLine(parsed, _COLUMNS, _EXAMPLE)

    def on_mount(self) -> None:
        """Keep the title, and follow the pictures of the machine."""
        self._base = str(self.border_title or "Events")
        self._desk.on_frame.subscribe(self, self._framed)

    def on_show(self) -> None:
        """Begin to listen when the pane is shown for the first time, and show what came while it was not."""
        if self._hearing is None:
            self._hearing = self._hear(
                lambda: self.post_message(self.Heard()), lambda error: self.post_message(self.Failed(error))
            )
            self._hearing.start()
        self._take()

    def on_unmount(self) -> None:
        """End the thread."""
        if self._hearing is not None:
            self._hearing.end()

    @property
    def lines(self) -> EventList:
        """The list."""
        return self.query_one(EventList)

    # News.

    @on(Heard)
    def _heard(self, message: Heard) -> None:
        """Take what was heard, and what comes in the next moment with it: nobody reads faster."""
        message.stop()
        if self._due is None:
            self._due = self.set_timer(_MOMENT if is_seen(self) else _WHILE, self._take)

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        message.stop()
        self.notify(printable(f"listening to events: {message.error}"), severity="error", markup=False)

    def _take(self) -> None:
        self._due = None
        if self._hearing is None:
            return
        self._waiting += self._hearing.take()
        del self._waiting[:-MOST]
        if not self.paused:
            found, self._waiting = self._waiting, []
            if self._hearing.begun:
                self.lines.note = "Nothing has happened yet." if not self.lines.record.heard else "No event matches."
            self.lines.add(found)
        self._say()

    @on(EventList.Moved)
    def _moved(self, message: EventList.Moved) -> None:
        message.stop()
        self._say()

    def _say(self) -> None:
        """Say in the title how the log is shown, at the foot what is special about its source."""
        self.border_title = Content(" · ".join(self._title()))
        about = "" if self._hearing is None else self._hearing.about
        self.border_subtitle = Content(printable(about))
        entry = self.lines.entry
        if entry is not self._detailed:
            self._detailed = entry
            self.query_one("#event-detail", Static).update("" if entry is None else printable(sentence(entry.told)))

    def _title(self) -> Iterator[str]:
        log = self.lines.record
        yield self._base
        if log.choice.filter is not None:
            yield f"/ {printable(self._filter)}"
        if log.choice.ours:
            yield "mine"
        if log.choice.threads:
            yield "threads"
        if log.choice.filter is not None or log.choice.ours:
            yield f"{len(log.shown)} of {len(log)}"
        else:
            yield f"{len(log.shown)}"
        if log.lost:
            yield "some lost"
        if self.paused:
            yield f"paused, {len(self._waiting)} new"
        elif not self.lines.follows:
            yield "standing: End follows"

    # Actions.

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one(FilterLine).open()
        # What is typed right behind the slash is for the line: so the focus is there at once, and not in a while.
        self.app.stylesheet.update(self, animate=False)
        self.screen.set_focus(self.query_one(Input))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave a slash to a filter being typed."""
        return not (action == "filter" and isinstance(self.screen.focused, Input))

    @on(FilterLine.Filtered)
    def _filtered(self, message: FilterLine.Filtered) -> None:
        message.stop()
        self._filter = message.text
        # What it reads is what parsed() made: a filter over events.
        wanted = parsed(message.text)
        if wanted != self.lines.record.choice.filter:
            self._choose(filter=wanted)

    @on(FilterLine.Left)
    def _left(self, message: FilterLine.Left) -> None:
        message.stop()
        self.lines.focus()

    def action_ours(self) -> None:
        """Show only what is of our launches, or all again."""
        self._choose(ours=not self.lines.record.choice.ours)

    def action_threads(self) -> None:
        """Show births and ends of threads too, or not."""
        self._choose(threads=not self.lines.record.choice.threads)

    def _choose(self, **changes: object) -> None:
        self.lines.note = "No event matches."
        self.lines.choose(replace(self.lines.record.choice, **changes))  # type: ignore[arg-type]
        self._say()

    def action_pause(self) -> None:
        """Let the log stand still, or go on with what came meanwhile."""
        self.paused = not self.paused
        self._take()

    def action_clear(self) -> None:
        """Forget all events."""
        self.lines.note = "Nothing has happened since."
        self.lines.clear()
        self._say()

    @on(EventList.Chosen)
    def _chosen(self, message: EventList.Chosen) -> None:
        message.stop()
        told = message.entry.told
        if told.event.what == LOST:
            return
        pid = told.event.pid
        start = start_now(pid)
        if start is None:
            self.notify(f"Process {pid} has ended.", severity="warning")
        elif started_ns(start) > told.event.when_ns + TICK_NS:
            self.notify(f"Process {pid} has ended; another has its number now.", severity="warning")
        else:
            self._go_to((pid, start))

    def _go_to(self, identity: Identity) -> None:
        """Go to a process in the tree; one that the tree does not have yet, when there is a newer picture."""
        frame = self._desk.frame
        record = None if frame is None else frame.snapshot.records.get(identity[0])
        if frame is None or (record is not None and record.identity == identity):
            self.post_message(GoTo(identity, "tree"))
        else:
            self._going = identity
            self._desk.collector.refresh_now()

    def _framed(self, frame: Frame) -> None:
        going, self._going = self._going, None
        if going is not None:
            self.post_message(GoTo(going, "tree"))


def sentence(told: Told) -> str:
    """Word an event in full, without the time."""
    _, pid, name, words = cells(told)
    return words if told.event.what == LOST else f"{pid} {name} {words}"


def start_now(pid: int) -> int | None:
    """The start time of whoever has this pid now; None where nobody has."""
    try:
        return start_time_of(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
