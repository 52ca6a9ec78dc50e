"""The terminal of a launched program: textual-tty's widget on a pty that we made."""

from __future__ import annotations

import time

from bittty import TerminalCaps, constants
from textual import events
from textual.message import Message
from textual.timer import Timer
from textual_tty import Terminal

from nsview.tui.terminal.bounds import Wire, bound
from nsview.tui.terminal.pty_stream import FRAME, PtyStream

LEAVE_WITHIN = 0.25
"""Seconds between two Esc that leave the terminal. A single Esc goes to the program after that, or before the
next key: sent at once, the first of two would stay in the program's input."""

_ALT = 2
_MODIFIER = {"shift": 1, "alt": _ALT, "meta": _ALT, "ctrl": 4}
"""xterm's modifier bits; its parameter is one more than their sum."""

_SENT = {
    "enter": "\r",
    "tab": "\t",
    "shift+tab": "\x1b[Z",
    "escape": "\x1b",
    "space": " ",
    "ctrl+space": "\0",
    "ctrl+at": "\0",
    "ctrl+backslash": "\x1c",
    "ctrl+circumflex_accent": "\x1e",
    "ctrl+underscore": "\x1f",
}
"""Keys that the board does not know by name."""


class ChildTerminal(Terminal):  # type: ignore[misc]  # textual-tty has no types
    """Shows one program's pty and types into it.

    ``attach`` connects it to a pty master; the widget's size becomes the pty's. Two Esc post ``Left``. ``Ended`` is
    posted when the last process has closed its side; what it wrote stays to be read.
    """

    DEFAULT_CSS = """
    ChildTerminal {
        width: 1fr;
        height: 1fr;
    }
    """

    class Left(Message):
        """The person wants the keys back."""

    class Ended(Message):
        """Nobody holds the other side of the pty any more."""

        def __init__(self, terminal: ChildTerminal) -> None:
            self.terminal = terminal
            super().__init__()

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(command="", id=id, classes=classes)
        bound(self.board)
        self._wire: Wire | None = None
        self._paint: Timer | None = None
        self._painted = 0.0
        self._escape: Timer | None = None

    # Life ----------------------------------------------------------------

    def attach(self, fd: int) -> None:
        """Show the pty whose master is ``fd``, and close that when it ends or the widget goes."""
        self.detach()
        stream = PtyStream(fd, self.feed, self._end)
        self._wire = Wire(stream)
        self.board.host.attach(self._wire)
        stream.resize(self.board.height, self.board.width)

    def detach(self) -> None:
        """Let go of the pty."""
        if self._wire is not None:
            self._wire.stream.close()
            self.board.host.detach()
            self._wire = None

    @property
    def attached(self) -> bool:
        """Whether a program can still be typed to."""
        return self._wire is not None and not self._wire.stream.closed

    def text(self) -> str:
        """Return what is on the screen, trailing blanks left out."""
        text: str = self.board.capture_text()
        return text

    def _end(self) -> None:
        self.detach()
        self.post_message(self.Ended(self))

    async def on_mount(self, event: events.Mount | None = None) -> None:
        """Take the place of the base class's, which would start a shell and two 60 Hz timers."""
        if event is not None:
            event.prevent_default()
        self._chrome.set_caps(TerminalCaps(color_depth="truecolor", background=self.background_colors[1].rgb))

    def on_unmount(self, event: events.Unmount | None = None) -> None:
        """Let go of the pty with the widget."""
        if event is not None:
            event.prevent_default()
        self.detach()

    # Output --------------------------------------------------------------

    def feed(self, data: str) -> None:
        """Show output. Paints at most once per ``FRAME``, and only when there is something to paint."""
        if self._wire is None or not data:
            return
        self._wire.feed(self.board, data)
        self._dirty = True
        if self._paint is None:
            wait = max(0.001, self._painted + FRAME - time.monotonic())
            self._paint = self.set_timer(wait, self._tick)

    def _tick(self) -> None:
        self._paint = None
        self._painted = time.monotonic()
        self._sync = False  # a program that never ends its synchronised update must not freeze its screen
        super()._tick()

    def _blink(self) -> None:
        """The cursor does not blink: that would be two repaints a second for nothing."""

    # Size ----------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        """Make the board, and through it the pty, as large as the widget."""
        event.prevent_default()
        if not event.size.width or not event.size.height:
            return
        self.board.resize(event.size.width, event.size.height)
        if self._wire is not None:
            self._wire.resize(event.size.height, event.size.width)
        self.refresh()

    # Input ---------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        """Type the key into the program; a second Esc at once after the first leaves."""
        event.stop()
        event.prevent_default()
        escaped = self._take_escape()
        if event.key != "escape":
            if escaped:
                self._send_escape()
            self._type(event)
        elif escaped:
            self.post_message(self.Left())
        else:
            self._escape = self.set_timer(LEAVE_WITHIN, self._send_escape)

    def _take_escape(self) -> bool:
        """Take back an Esc that has not been sent yet; tell whether there was one."""
        held, self._escape = self._escape, None
        if held is not None:
            held.stop()
        return held is not None

    def _send_escape(self) -> None:
        self._escape = None
        self.board.input_key("\x1b")

    def _type(self, event: events.Key) -> None:
        *mods, base = event.key.split("+")
        bits = sum({_MODIFIER.get(mod, 0) for mod in mods})
        board = self.board
        if event.key in _SENT:
            board.input(_SENT[event.key])
        elif base == "backspace":
            board.input_key(constants.BS)  # BS or DEL, as the program has chosen (DECBKM)
        elif base[0] == "f" and base[1:].isdigit():
            board.input_fkey(int(base[1:]), bits + 1)
        elif bits & _ALT and len(character := event.character or base) == 1:
            board.input(f"\x1b{character}")
        elif event.is_printable and event.character:
            board.input_key(event.character)
        else:
            board.input_key(base, bits + 1)

    def on_paste(self, event: events.Paste) -> None:
        """Paste into the program: as one bracketed piece if it asked for that, its own end mark taken out."""
        event.prevent_default()
        event.stop()
        self.board.input_paste(event.text.replace("\x1b[201~", ""))

    def on_click(self, event: events.Click) -> None:
        """Do not follow links: the program chose them, and the browser would run as us."""
        event.prevent_default()
