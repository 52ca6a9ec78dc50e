"""A launch in other words, to be copied or written to a file: `nsview run`, unshare, bwrap, docker, C and the like."""

from __future__ import annotations

import asyncio
import time
from itertools import accumulate
from pathlib import Path
from typing import ClassVar

from textual import events, on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Static

from nsview.equivalents import FORMATS, Caller, Equivalent, Format
from nsview.host.text import printable
from nsview.places import invoker, write
from nsview.tui.launching.launched import Launched
from nsview.tui.launching.panel import LaunchPanel
from spawner import Spec, SpecError

_FOOT = "Enter copies (OSC 52) · w writes a file · ← → language · Esc leaves"
_SHEBANG = {"sh": "#!/bin/bash\n", "py": "#!/usr/bin/env python3\n"}


class FormatBar(Static):
    """One line with the formats; the chosen one is in brackets. A click chooses."""

    DEFAULT_CSS = "FormatBar { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }"

    class Chosen(Message):
        """A format was clicked on."""

        def __init__(self, place: int) -> None:
            """Say which."""
            super().__init__()
            self.place = place

    def show(self, chosen: int) -> None:
        """Show which is chosen."""
        self.update(Content("").join(_shown(place, place == chosen) for place in range(len(FORMATS))))

    def on_click(self, event: events.Click) -> None:
        """Choose the format clicked on."""
        ends = accumulate(len(_shown(place, False)) for place in range(len(FORMATS)))
        place = next((place for place, end in enumerate(ends) if event.x < end), None)
        if place is not None:
            self.post_message(self.Chosen(place))


def _shown(place: int, chosen: bool) -> Content:
    text = f"{place + 1} {FORMATS[place].name}"
    return Content.styled(f"[{text}]", "bold") if chosen else Content.styled(f" {text} ", "$text-muted")


class CopyAs(ModalScreen[None]):
    """Shows a Spec in one language after the other, what it cannot say above."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Leave", id="copy-as.leave"),
        Binding("right,tab", "turn(1)", "Next", show=False, id="copy-as.next", priority=True),
        Binding("left,shift+tab", "turn(-1)", "Previous", show=False, id="copy-as.previous", priority=True),
        Binding("enter,y", "copy", "Copy", id="copy-as.copy"),
        Binding("w", "write", "Write", id="copy-as.write"),
        *(
            Binding(str(place + 1), f"pick({place})", each.title, show=False, id=f"copy-as.{each.name}", priority=True)
            for place, each in enumerate(FORMATS)
        ),
    ]

    DEFAULT_CSS = """
    CopyAs { align: center middle; }
    CopyAs > #copy-as {
        width: 96%;
        max-width: 132;
        height: 94%;
        border: round $primary;
        background: $surface;
        padding: 0 1;
    }
    CopyAs .title { text-style: bold; }
    CopyAs .foot { color: $text-muted; }
    CopyAs #copy-short { height: auto; max-height: 35%; }
    CopyAs #copy-short Static { color: $text-warning; }
    CopyAs #copy-box { height: 1fr; background: $boost; padding: 0 1; scrollbar-size: 1 1; }
    CopyAs #copy-text { width: auto; text-wrap: nowrap; }
    """

    def __init__(self, spec: Spec, what: str, chosen: int = 0) -> None:
        """``what`` names the launch."""
        super().__init__()
        self._spec = spec
        self._what = what
        self._chosen = chosen
        self.found: Equivalent | None = None
        """What is shown; None while it is being written, or where it cannot be."""

    def compose(self) -> ComposeResult:
        """Say what it is, offer the languages, show the text below what it does not say."""
        with Vertical(id="copy-as"):
            yield Static(f"{self._what}, in other words", classes="title", markup=False)
            yield FormatBar()
            with VerticalScroll(id="copy-short", can_focus=False):
                yield Static("", id="copy-left-out", markup=False)
            with ScrollableContainer(id="copy-box"):
                yield Static("", id="copy-text", markup=False)
            yield Static(_FOOT, classes="foot", markup=False)

    @property
    def format(self) -> Format:
        """The language that is chosen."""
        return FORMATS[self._chosen]

    def on_mount(self) -> None:
        """Begin with the first language."""
        self.query_one("#copy-box").focus()
        self.action_pick(self._chosen)

    def action_pick(self, place: int) -> None:
        """Show another language."""
        self._chosen = place
        self.query_one(FormatBar).show(place)
        self._write()

    def action_turn(self, by: int) -> None:
        """Show the next language, or the one before."""
        self.action_pick((self._chosen + by) % len(FORMATS))

    @work(exclusive=True)
    async def _write(self) -> None:
        self.found = None
        form = self.format
        try:
            # C asks this machine for its plan first, which may take a while.
            found = await asyncio.to_thread(form.write, self._spec, Caller.here())
        except SpecError as error:
            self._show("", [printable(str(problem)) for problem in error.problems])
            return
        self.found = found
        self._show(found.text, [f"Not said: {line}" for line in found.left_out] + [*found.notes])

    def _show(self, text: str, above: list[str]) -> None:
        shown = "\n".join(printable(line) for line in text.expandtabs().split("\n"))
        self.query_one("#copy-text", Static).update(shown)
        left_out = self.query_one("#copy-left-out", Static)
        left_out.update("\n".join(f"! {printable(line)}" for line in above))
        self.query_one("#copy-short").display = bool(above)
        self.query_one("#copy-box").scroll_home(animate=False)

    # What is done with it.

    def action_copy(self) -> None:
        """Copy the text: without comments, which not every shell takes when they are typed."""
        if self.found is None:
            return
        self.app.copy_to_clipboard(self.found.text)
        self.notify(f"Copied: {self.format.title}, {len(self.found.text)} characters")
        self.dismiss(None)

    def action_write(self) -> None:
        """Write the text, with what it does not say, to a new file in the invoking user's home directory."""
        if self.found is None:
            return
        content = _SHEBANG.get(self.format.ending, "") + self.found.commented(self.format.comment)
        try:
            path = keep(content, self.format.ending)
        except OSError as error:
            where = error.filename or "the home directory"
            self.notify(f"Not written: {printable(str(where))}: {error.strerror}", severity="error", markup=False)
            return
        self.notify(f"Written to {printable(str(path))}", markup=False)
        self.dismiss(None)

    @on(FormatBar.Chosen)
    def _clicked(self, message: FormatBar.Chosen) -> None:
        message.stop()
        self.action_pick(message.place)


def keep(content: str, ending: str, now: float | None = None) -> Path:
    """Write a launch into the home directory, under a name that no file has yet; return where. Raises OSError."""
    stem = time.strftime("nsview-launch-%Y%m%d-%H%M%S", time.localtime(now))
    home = invoker().home
    for attempt in range(100):
        path = home / (f"{stem}.{ending}" if not attempt else f"{stem}-{attempt}.{ending}")
        try:
            write(path, content.encode("utf-8", "surrogateescape"), anew=True)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(17, "a hundred launches of this second are there", str(home))


def copy_launch(app: App[None], panel: LaunchPanel, front: Launched | None) -> None:
    """Show the launch in front, or where there is none what the panel says, in other words."""
    if front is not None:
        app.push_screen(CopyAs(front.spec, f"{front.pid} {printable(front.title)}"))
    elif panel.outlook.spec is None or panel.outlook.problems:
        app.notify("Nothing to copy: the launch panel says why.", severity="warning")
    else:
        app.push_screen(CopyAs(panel.outlook.spec, "What the launch panel says"))
