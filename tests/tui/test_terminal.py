"""The embedded terminal on a real pty: what a program writes is shown, what is typed arrives, nobody gets hurt."""

from __future__ import annotations

import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from screen import until
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input

from nsview.tui.terminal.pty_stream import PENDING_MOST, PtyStream
from nsview.tui.terminal.terminal import ChildTerminal


class TerminalApp(App[None]):
    """A terminal above an input."""

    CSS = "ChildTerminal { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.ended = 0

    def compose(self) -> ComposeResult:
        yield ChildTerminal()
        yield Input()

    def on_child_terminal_left(self) -> None:
        self.left += 1

    def on_child_terminal_ended(self) -> None:
        self.ended += 1


class Program:
    """The program's end of the terminal: what it reads and writes."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        os.set_blocking(fd, False)

    def write(self, text: str | bytes) -> None:
        os.write(self.fd, text if isinstance(text, bytes) else text.encode())

    def read(self) -> bytes:
        try:
            return os.read(self.fd, 65536)
        except BlockingIOError:
            return b""

    @property
    def size(self) -> tuple[int, int]:
        columns, rows = os.get_terminal_size(self.fd)
        return rows, columns


@asynccontextmanager
async def attached(size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[ChildTerminal, Program, Pilot[None]]]:
    """Run a terminal on a pty whose other end is ours; nothing interprets what is typed."""
    master, slave = os.openpty()
    tty.setraw(slave)
    app = TerminalApp()
    try:
        async with app.run_test(size=size) as pilot:
            terminal = app.query_one(ChildTerminal)
            terminal.attach(master)
            terminal.focus()
            await until(lambda: terminal.has_focus)
            yield terminal, Program(slave), pilot
    finally:
        os.close(slave)


async def typed(program: Program, wanted: bytes) -> None:
    """Wait until exactly this was typed."""
    got = b""

    def there() -> bool:
        nonlocal got
        got += program.read()
        return len(got) >= len(wanted)

    await until(there)
    assert got == wanted


async def shown(terminal: ChildTerminal, text: str) -> None:
    """Wait until the text is on the screen."""
    await until(lambda: text in terminal.text())


async def test_output_is_shown_with_its_colours() -> None:
    async with attached() as (terminal, program, _pilot):
        program.write("plain \x1b[1;31mred\x1b[m\r\nnext \u65e5\u672c")
        await shown(terminal, "next \u65e5\u672c")
        await until(lambda: any(segment.text == "red" for segment in terminal.render_line(0)))
        (red,) = (segment for segment in terminal.render_line(0) if segment.text == "red")
        assert red.style is not None
        assert red.style.bold
        assert red.style.color is not None
        assert red.style.color.triplet is not None
        assert red.style.color.triplet.red > red.style.color.triplet.blue


async def test_characters_split_between_two_reads_are_put_together() -> None:
    async with attached() as (terminal, program, _pilot):
        raw = "é".encode()
        program.write(b"x" + raw[:1])
        await shown(terminal, "x")
        program.write(raw[1:] + b"y")
        await shown(terminal, "xéy")


async def test_alternate_screen_gives_back_what_was_there() -> None:
    async with attached() as (terminal, program, _pilot):
        program.write("before\x1b[?1049h\x1b[Hinside")
        await shown(terminal, "inside")
        assert "before" not in terminal.text()
        program.write("\x1b[?1049l")
        await shown(terminal, "before")
        assert "inside" not in terminal.text()


@pytest.mark.parametrize(
    ("key", "sent"),
    [
        ("a", b"a"),
        ("A", b"A"),
        ("space", b" "),
        ("enter", b"\r"),
        ("tab", b"\t"),
        ("shift+tab", b"\x1b[Z"),
        ("backspace", b"\x7f"),
        ("delete", b"\x1b[3~"),
        ("up", b"\x1b[A"),
        ("ctrl+left", b"\x1b[1;5D"),
        ("home", b"\x1b[H"),
        ("pagedown", b"\x1b[6~"),
        ("f1", b"\x1bOP"),
        ("f5", b"\x1b[15~"),
        ("ctrl+c", b"\x03"),
        ("ctrl+d", b"\x04"),
        ("ctrl+z", b"\x1a"),
        ("ctrl+r", b"\x12"),
        ("ctrl+backslash", b"\x1c"),
        ("ctrl+space", b"\0"),
        ("alt+x", b"\x1bx"),
        ("é", "é".encode()),
        ("|", b"|"),
    ],
)
async def test_key_is_sent_as_xterm_does(key: str, sent: bytes) -> None:
    async with attached() as (_terminal, program, pilot):
        await pilot.press(key)
        await typed(program, sent)


async def test_single_escape_reaches_the_program_in_its_place() -> None:
    async with attached() as (terminal, program, pilot):
        await pilot.press("escape")
        await typed(program, b"\x1b")
        for key, character in (("escape", "\x1b"), ("x", "x")):
            terminal.post_message(events.Key(key, character))
        await typed(program, b"\x1bx")


async def test_two_escapes_leave_and_send_nothing() -> None:
    async with attached() as (terminal, program, pilot):
        for _ in range(2):  # at once: pilot.press() waits, and may wait too long for two to be one
            terminal.post_message(events.Key("escape", "\x1b"))
        await until(lambda: terminal.app.left)  # type: ignore[attr-defined]
        await pilot.press("x")
        await typed(program, b"x")


async def test_paste_is_bracketed_where_the_program_asks_for_it() -> None:
    async with attached() as (terminal, program, _pilot):
        terminal.post_message(events.Paste("one\ntwo"))
        await typed(program, b"one\ntwo")
        program.write("\x1b[?2004hready")
        await shown(terminal, "ready")
        terminal.post_message(events.Paste("evil\x1b[201~rm"))
        await typed(program, b"\x1b[200~evilrm\x1b[201~")


async def test_pty_has_the_size_of_the_widget() -> None:
    async with attached() as (terminal, program, pilot):
        await until(lambda: program.size == (terminal.size.height, terminal.size.width))
        await pilot.resize_terminal(100, 30)
        await until(lambda: program.size == (terminal.size.height, 100))


async def test_end_of_the_program_is_told_and_its_last_words_stay() -> None:
    master, slave = os.openpty()
    app = TerminalApp()
    async with app.run_test():
        terminal = app.query_one(ChildTerminal)
        terminal.attach(master)
        os.write(slave, b"last words")
        os.close(slave)
        await until(lambda: app.ended)
        assert "last words" in terminal.text()
        assert not terminal.attached
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(master)


async def test_flood_leaves_time_for_everything_else() -> None:
    async with attached() as (_terminal, program, pilot):
        lines = b"flooded\r\n" * 100_000
        written = 0
        while written < 200_000:
            with suppress(BlockingIOError):  # what was not read waits, and its writer with it
                written += os.write(program.fd, lines[written : written + 65536])
            await pilot.pause(0)
        await pilot.press("x")
        await typed(program, b"x")


HOSTILE = {
    "repeat": "a\x1b[999999999b",
    "tabs": "\x1b[999999999I\x1b[999999999Z",
    "resize": "\x1b[8;99999;99999t",
    "lines": "\x1b[99999t",
    "fill": "\x1b[999999999;1;1;9;9$x",
    "unfinished string": "\x1b]0;" + "x" * 300_000,
    "unfinished control": "\x1b[" + "1;" * 100_000,
    "title report": "\x1b]0;rm -rf /\x07\x1b[21t\x1b[20t",
    "clipboard": "\x1b]52;c;aGVsbG8=\x07\x1b]52;c;?\x07",
    "notification": "\x1b]9;[bold red]x[/nothing]\x07",
    "newline in a reply": "\x1bP$qrm -rf /\r\n\x1b\\",
    "font": "\x1b]50;evil\x07\x1b]50;?\x07",
    "never ends its update": "\x1b[?2026h",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_output_neither_stops_nor_resizes_nor_types(name: str) -> None:
    async with attached() as (terminal, program, _pilot):
        text = HOSTILE[name].encode()
        while text:
            try:
                text = text[os.write(program.fd, text) :]
            except BlockingIOError:
                await _pilot.pause(0)
        program.write("\x18\x1b\\\x1bc still alive")
        await shown(terminal, "still alive")
        assert (terminal.board.width, terminal.board.height) == terminal.size
        assert not set(program.read()) & set(b"\r\n")


async def test_typing_at_a_program_that_does_not_read_is_bounded() -> None:
    async with attached() as (terminal, _program, _pilot):
        stream = terminal._wire.stream
        for _ in range(3):
            stream.write_bytes(b"x" * (PENDING_MOST // 2))
        assert len(stream._pending) <= PENDING_MOST
        assert isinstance(stream, PtyStream)
