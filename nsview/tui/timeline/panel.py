"""The timeline panel: what a launch did, step by step, each with its nanoseconds."""

from __future__ import annotations

import errno
from collections.abc import Hashable
from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Static

from nsview.host.text import printable
from nsview.tui.cell_text import fitted
from nsview.tui.desk import Desk
from nsview.tui.launching.launcher import Launched
from nsview.tui.line_list import LineList
from nsview.tui.timeline.waterfall import Bar, bars, duration, total
from spawner import Event

NOTHING = "Launch a program: every system call of its birth is listed here with the time it took."

_TIME = 9
"""Cells of a column of times: eight and a blank."""

_ROOMY = 60
"""Cells from which on there is a column for when a step began; with fewer, the bars need them more."""


class Waterfall(LineList):
    """Steps as lines: label, when, how long, and a bar that shows both."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "waterfall--header",
        "waterfall--label",
        "waterfall--time",
        "waterfall--bar",
        "waterfall--slow",
        "waterfall--failed",
        "waterfall--wait",
        "waterfall--cursor",
    }

    DEFAULT_CSS = """
    Waterfall {
        height: 1fr;
        & > .waterfall--header { text-style: bold; background: $panel; color: $foreground; }
        & > .waterfall--label { color: $foreground; }
        & > .waterfall--time { color: $text-muted; }
        & > .waterfall--bar { color: $text-primary; }
        & > .waterfall--slow { color: $text-warning; }
        & > .waterfall--failed { color: $text-muted; text-style: italic; }
        & > .waterfall--wait { color: $text-muted; }
        & > .waterfall--cursor {
            background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground;
        }
        &:focus > .waterfall--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
        }
        &:ansi > .waterfall--header { text-style: bold underline; }
        &:ansi > .waterfall--cursor { text-style: underline; }
        &:nocolor:focus > .waterfall--cursor { text-style: reverse; }
    }
    """

    class EventHighlighted(Message):
        """The cursor is on another step, or on none."""

        def __init__(self, index: int | None) -> None:
            super().__init__()
            self.index = index

    def __init__(self) -> None:
        super().__init__()
        self.note = NOTHING
        self.events: tuple[Event, ...] = ()
        self.slowest = 0

    def show(self, events: tuple[Event, ...], place: int | None = None) -> None:
        """Show these events, the cursor on the one at ``place``, or on the slowest."""
        self.events = events
        self.slowest = max((event.duration_ns or 0 for event in events), default=0)
        self._strips.clear()
        self.lines_changed()
        self.refresh()
        if place is None:
            place = next((i for i, event in enumerate(events) if event.duration_ns == self.slowest), None)
        self.move_cursor(place)

    @property
    def line_count(self) -> int:
        """Number of steps done."""
        return len(self.events)

    def line_key(self, index: int) -> Hashable:
        """Name all that a line shows; it depends on the other events too, so show() empties the cache."""
        return index, self.events[index].start_ns

    def cursor_moved(self) -> None:
        """Tell which step is under the cursor now."""
        self.post_message(self.EventHighlighted(self.cursor_line))

    def header_strip(self, width: int) -> Strip:
        """Draw the headings."""
        at = f"{'at':>8} " if width >= _ROOMY else ""
        text = f"{fitted('step', self._label_width(width))} {at}{'took':>8} "
        return Strip([Segment(fitted(text, width), self.look("waterfall--header"))], width)

    def line_strip(self, index: int, width: int, cursor: bool) -> Strip:
        """Draw a step."""
        event = self.events[index]
        took = event.duration_ns or 0
        label = self._label_width(width)
        roomy = width >= _ROOMY
        room = width - label - 1 - _TIME * (1 + roomy)
        failed = event.result is not None and event.result < 0
        look = "waterfall--failed" if failed else "waterfall--slow" if took == self.slowest else "waterfall--bar"
        segments = [
            Segment(
                fitted(event.label, label) + " ",
                self.look("waterfall--failed" if failed else "waterfall--label"),
            ),
            Segment(f"{duration(event.start_ns):>8} " if roomy else "", self.look("waterfall--time")),
            Segment(f"{duration(event.duration_ns):>8} ", self.look(look)),
        ]
        if room > 2:
            bar = bars(self.events, room - 1)[index]
            segments += [
                Segment(" " * bar.start, self.look("waterfall--bar")),
                Segment("█" * bar.length, self.look(look)),
                Segment(fitted(_waited(bar, took), room - bar.start - bar.length), self.look("waterfall--wait")),
            ]
        if cursor:
            style = self.look("waterfall--cursor")
            segments = [Segment(text, (own or style) + style) for text, own, _ in segments]
        return Strip(segments).adjust_cell_length(width)

    def _label_width(self, width: int) -> int:
        longest = max((len(event.label) for event in self.events), default=4)
        return max(4, min(longest, 24, width - 2 * _TIME - 1))


def _waited(bar: Bar, took: int) -> str:
    return f" after {duration(bar.waited_ns)}" if bar.waited_ns > 1_000_000 and bar.waited_ns > 10 * took else ""


class Timeline(Vertical):
    """The waterfall, under a line that sums up and above one that explains the step under the cursor."""

    HELP = """
    # Timeline

    The system calls of the newest launch, in the child's own order: when each began after the call of launch(),
    and how long it took, in nanoseconds by the kernel's monotonic clock. The slowest stands out. Pauses, as while
    a child is held, are drawn short. The lines at the foot show the step under the cursor as strace would, and why
    it is there.
    """

    DEFAULT_CSS = """
    Timeline {
        & > #timeline-sum { height: 1; color: $text-muted; padding: 0 1; }
        & > #timeline-step { height: auto; min-height: 1; max-height: 4; padding: 0 1; background: $panel; }
    }
    """

    def __init__(self, desk: Desk | None = None, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._desk = desk
        self._launched: Launched | None = None

    def compose(self) -> ComposeResult:
        """Lay out the three parts."""
        yield Static("", id="timeline-sum", markup=False)
        yield Waterfall()
        yield Static("", id="timeline-step", markup=False)

    def on_mount(self) -> None:
        """Follow the launch in front."""
        if self._desk is not None:
            self._desk.on_launch.subscribe(self, self.show)

    def show(self, launched: Launched | None) -> None:
        """Show the timeline of a launch."""
        self._launched = launched
        events = () if launched is None else launched.timeline
        self.query_one("#timeline-sum", Static).update("" if launched is None else _summary(launched))
        held = launched is not None and launched.held is not None
        self.query_one(Waterfall).show(events, len(events) - 1 if held else None)
        if not events:
            self.query_one("#timeline-step", Static).update("")

    def on_waterfall_event_highlighted(self, message: Waterfall.EventHighlighted) -> None:
        """Explain the step under the cursor."""
        message.stop()
        launched = self._launched
        if launched is None or message.index is None or message.index >= len(launched.timeline):
            return
        event = launched.timeline[message.index]
        text = Content(printable(f"{event.text} = {_worded(event.result)}"))
        if event.index is not None and (why := launched.plan.steps[event.index].why):
            text = text + Content.styled(f"\n{why}", "dim")
        self.query_one("#timeline-step", Static).update(text)


def _summary(launched: Launched) -> str:
    parts = [f"{launched.pid} {launched.title}", f"{launched.plan.mechanism}"]
    parts.append(f"{len(launched.timeline)} steps in {duration(total(launched.timeline))}")
    return printable(" · ".join(parts))


def _worded(result: int | None) -> str:
    """Word a result as strace does: ``0``, ``-1 ENOENT``; ``?`` if it is unknown."""
    if result is None:
        return "?"
    return f"-1 {errno.errorcode.get(-result, -result)}" if result < 0 else str(result)
