"""The embedded terminal on a real pty: what a program writes is shown, what is typed arrives, nobody gets hurt."""

from __future__ import annotations

import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from screen import lines_of, until
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input

from nsview.tui.terminal.bounds import STACK_MOST
from nsview.tui.terminal.pty_stream import PENDING_MOST, PtyStream
from nsview.tui.terminal.terminal import ChildTerminal


class TerminalApp(App[None]):
    """A terminal above an input."""

    CSS = "ChildTerminal { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.ended = 0
        self.bells = 0

    def compose(self) -> ComposeResult:
        yield ChildTerminal()
        yield Input()

    def on_child_terminal_left(self) -> None:
        self.left += 1

    def on_child_terminal_ended(self) -> None:
        self.ended += 1

    def on_child_terminal_bell_changed(self) -> None:
        self.bells += 1


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


def wheel(terminal: ChildTerminal, *, up: bool) -> None:
    """Turn the wheel one notch over the terminal's fifth column and fourth line."""
    kind = events.MouseScrollUp if up else events.MouseScrollDown
    terminal.post_message(kind(terminal, 4, 3, 0, 0, 0, False, False, False))


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


async def test_alternate_screen_is_blank_each_time() -> None:
    async with attached() as (terminal, program, _pilot):
        program.write("\x1b[?1049h\x1b[5;5Hfirst\x1b[?1049l\x1b[?1049h\x1b[Hsecond")
        await shown(terminal, "second")
        assert "first" not in terminal.text()


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
        await until(lambda: terminal.app.left)
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
    "columns": "\x1b[132$|\x1b[?40h\x1b[?3h",
    "stacks": "\x1b[#P\x1b[#{\x1b[>1u" * 10_000,
    "bells": "\a" * 100_000,
    "titles": "\x1b]0;evil\x07" * 10_000,
    "scrolling": "\x1b[999999999S\x1b[999999999T",
    "erasing": "\x1b[2J" * 5_000,
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


async def test_shift_page_up_looks_back_and_typing_returns() -> None:
    async with attached() as (terminal, program, pilot):
        program.write("".join(f"line {number}\r\n" for number in range(100)))
        await shown(terminal, "line 99")
        height = terminal.size.height
        await pilot.press("shift+pageup")
        assert terminal.looking.back == height - 1
        lines = lines_of(terminal)
        first = 100 - (height - 1) - (height - 1)
        assert f" {height - 1} of {len(terminal.history)} lines back, any key returns " in lines[0]
        assert [line.split()[1] for line in lines[1:5]] == [str(first + 1 + y) for y in range(4)]
        assert sum(line.rstrip().endswith("▐") for line in lines) == len(terminal.looking.thumb(height))
        program.write("more\r\n")  # it stays where it is while more comes
        await until(lambda: terminal.looking.back == height)
        assert lines_of(terminal)[1] == lines[1]
        await pilot.press("x")
        await typed(program, b"x")
        assert not terminal.looking.active
        assert "more" in "\n".join(lines_of(terminal))


@pytest.mark.parametrize(
    ("keys", "back"),
    [
        (("shift+up", "shift+up"), 2),
        (("shift+up", "shift+up", "shift+down"), 1),
        (("shift+home",), "all"),
        (("shift+home", "shift+end"), 0),
        (("shift+pageup", "shift+pagedown"), 0),
    ],
)
async def test_keys_look_back(keys: tuple[str, ...], back: int | str) -> None:
    async with attached() as (terminal, program, pilot):
        program.write("line\r\n" * 100)
        await until(lambda: len(terminal.history) > 50)
        await pilot.press(*keys)
        assert terminal.looking.back == (len(terminal.history) if back == "all" else back)
        assert program.read() == b""


async def test_escape_while_looking_back_returns_and_is_not_sent() -> None:
    async with attached() as (terminal, program, pilot):
        program.write("line\r\n" * 100)
        await until(lambda: len(terminal.history) > 50)
        await pilot.press("shift+up", "escape")
        assert not terminal.looking.active
        await pilot.press("x")
        await typed(program, b"x")


async def test_wheel_looks_back() -> None:
    async with attached() as (terminal, program, _pilot):
        program.write("line\r\n" * 100)
        await until(lambda: len(terminal.history) > 50)
        wheel(terminal, up=True)
        await until(lambda: terminal.looking.back == 3)
        wheel(terminal, up=False)
        await until(lambda: terminal.looking.back == 0)


async def test_wheel_is_arrows_in_the_alternate_screen_and_a_report_where_asked_for() -> None:
    async with attached() as (terminal, program, _pilot):
        program.write("\x1b[?1049hinside")
        await shown(terminal, "inside")
        wheel(terminal, up=True)
        await typed(program, b"\x1b[A" * 3)
        program.write("\x1b[?1000h\x1b[?1006hmouse")
        await shown(terminal, "mouse")
        wheel(terminal, up=False)
        await typed(program, b"\x1b[<65;5;4M")


async def test_alternate_screen_ends_looking_back_and_has_the_keys() -> None:
    async with attached() as (terminal, program, pilot):
        program.write("line\r\n" * 100)
        await until(lambda: len(terminal.history) > 50)
        await pilot.press("shift+up")
        program.write("\x1b[?1049hinside")
        await until(lambda: not terminal.looking.active)
        await pilot.press("shift+pageup")
        await typed(program, b"\x1b[5;2~")


async def test_mouse_is_reported_where_the_program_asks_for_it() -> None:
    async with attached() as (terminal, program, pilot):
        await pilot.mouse_down(terminal, offset=(3, 2))
        await pilot.mouse_up(terminal, offset=(3, 2))
        program.write("\x1b[?1002h\x1b[?1006hready")
        await shown(terminal, "ready")
        assert program.read() == b""
        await pilot.mouse_down(terminal, offset=(3, 2))
        await pilot.hover(terminal, offset=(9, 4))
        await pilot.mouse_up(terminal, offset=(9, 4))
        await typed(program, b"\x1b[<0;4;3M\x1b[<32;10;5M\x1b[<0;10;5m")


async def test_drag_that_leaves_the_terminal_ends_there() -> None:
    async with attached() as (terminal, program, pilot):
        program.write("\x1b[?1002h\x1b[?1006hready")
        await shown(terminal, "ready")
        await pilot.mouse_down(terminal, offset=(3, 2))
        await pilot.mouse_up(offset=(5, 23))
        height = terminal.size.height
        await typed(program, f"\x1b[<0;4;3M\x1b[<32;6;{height}M\x1b[<0;6;{height}m".encode())


async def test_drag_selects_and_copies_also_from_the_history() -> None:
    async with attached() as (terminal, program, pilot):
        program.write("".join(f"line {number}\r\n" for number in range(100)))
        await shown(terminal, "line 99")
        await pilot.press("shift+home")
        await pilot.mouse_down(terminal, offset=(5, 2))
        await pilot.hover(terminal, offset=(6, 4))
        await pilot.mouse_up(terminal, offset=(6, 4))
        await until(lambda: terminal.app.clipboard)
        assert terminal.app.clipboard.startswith("2\nline 3\nline")


async def test_bell_is_noted_once_until_something_is_typed() -> None:
    async with attached() as (terminal, program, pilot):
        app = terminal.app
        assert isinstance(app, TerminalApp)
        program.write("\a" * 1000 + "rung")
        await shown(terminal, "rung")
        await until(lambda: app.bells)
        assert terminal.rung
        await pilot.press("x")
        assert not terminal.rung
        await until(lambda: app.bells == 2)


async def test_indexed_colours_keep_their_numbers_and_redefined_ones_do_not() -> None:
    async with attached() as (terminal, program, _pilot):
        program.write("\x1b[38;5;200ma\x1b[31mb\x1b[38;2;1;2;3mc\x1b[m\x1b]4;1;#102030\x07")
        await shown(terminal, "abc")
        styles = [segment.style for segment in terminal.render_line(0)][:3]
        colours = [style.color for style in styles if style is not None]
        assert [colour.number for colour in colours if colour is not None] == [200, None, None]
        assert [colour.triplet for colour in colours if colour is not None] == [(255, 0, 215), (16, 32, 48), (1, 2, 3)]


async def test_reply_to_a_question_of_colour_is_ended() -> None:
    async with attached() as (_terminal, program, _pilot):
        program.write("\x1b]11;?\x07")
        await typed(program, b"\x1b]11;rgb:0000/0000/0000\x1b\\")


async def test_stacks_of_the_terminal_are_bounded() -> None:
    async with attached() as (terminal, program, _pilot):
        program.write("\x1b[#P\x1b[#{\x1b[>1u" * 100 + "pushed")
        await shown(terminal, "pushed")
        board = terminal.board
        stacks = (board.palette.stack, board.style.stack, board.keyboard.kitty_stack)
        assert [len(stack) for stack in stacks] == [STACK_MOST] * 3


async def test_typing_at_a_program_that_does_not_read_is_bounded() -> None:
    async with attached() as (terminal, _program, _pilot):
        assert terminal._wire is not None
        stream = terminal._wire.stream
        for _ in range(3):
            stream.write_bytes(b"x" * (PENDING_MOST // 2))
        assert len(stream._pending) <= PENDING_MOST
        assert isinstance(stream, PtyStream)
