"""Bounds on what a program's output can make the terminal emulator do.

The output of a launched program is anybody's. bittty 0.1 takes counts and sizes as they come (``ESC [ 9999999 b``
keeps it busy for minutes, ``ESC [ 8 ; 9999 ; 9999 t`` makes a hundred million cells), answers with text the
program chose (window title, font, clipboard: it would be typed into the shell), and keeps some lists for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bittty import Board, Operation

from nsview.tui.terminal.pty_stream import PtyStream

STRING_MOST = 1 << 16
"""Characters of an unfinished control string before it is given up."""

_SIZE_REPORTS = frozenset({14, 16, 18, 19})
"""The only XTWINOPS served: reports of sizes. No resizing from inside, no window control, no echoed titles."""

STACK_MOST = 16
"""How deep the stacks of styles, colours and keyboard flags may get; xterm's have 10."""

_REFUSED = ("OSC_CLIPBOARD", "OSC_FONT", "OSC_NOTIFY", "OSC_SHELL_MARK", "OSC_POINTER_SHAPE", "DECSCPP")

_NO_CONTROLS: dict[int, int | str | None] = {
    **{code: None for code in range(0xA0) if code < 0x20 or code >= 0x7F},
    0x1B: 0x1B,
    0x07: "\x1b\\",
}
"""Of control characters a reply keeps ESC, and the end of a string, which BEL may be: ST is the same to programs."""

_STACKS: dict[str, Callable[[Board], list[Any]]] = {
    "XTPUSHSGR": lambda board: board.style.stack,
    "XTPUSHCOLORS": lambda board: board.palette.stack,
    "KITTY_PUSH": lambda board: board.keyboard.kitty_stack,
}

Handler = Callable[[Operation], None]


def bound(board: Board) -> None:
    """Replace the board's dangerous handlers; call it before anything is fed."""
    registry: dict[str, Handler] = board.registry

    def at_most(handler: Handler, most: Callable[[], int]) -> Handler:
        def bounded(operation: Operation) -> None:
            count = min(operation.args[0], most())
            handler(Operation(operation.name, (count,), operation.raw))

        return bounded

    for name in ("CHT", "CBT"):
        registry[name] = at_most(registry[name], lambda: board.width)
    registry["REP"] = at_most(registry["REP"], lambda: board.width * board.height)
    registry["XTWINOPS"] = _only(registry["XTWINOPS"], lambda params: params[0] in _SIZE_REPORTS)
    registry["DECFRA"] = _only(registry["DECFRA"], lambda params: 32 <= (params[0] or 0) <= 255)
    for name, stack in _STACKS.items():
        registry[name] = _while_room(registry[name], partial(stack, board))
    for name in _REFUSED:
        registry[name] = _nothing
    # The size is the widget's: DECCOLM and DECSCPP would have another number of columns.
    board.blitter.set_column_mode = _nothing


def _only(handler: Handler, allowed: Callable[[tuple[Any, ...]], bool]) -> Handler:
    def bounded(operation: Operation) -> None:
        params = tuple(operation.args[0])
        if params and allowed(params):
            handler(operation)

    return bounded


def _while_room(handler: Handler, stack: Callable[[], list[Any]]) -> Handler:
    def bounded(operation: Operation) -> None:
        if len(stack()) < STACK_MOST:
            handler(operation)

    return bounded


def _nothing(_operation: object) -> None:
    """Swallow the operation."""


class Wire:
    """The board's connection to a stream.

    Keys and pastes pass as they are. What the board answers by itself while it is being fed loses its control
    characters but ESC: a reply with a line feed in it would be a command typed into the shell.
    """

    def __init__(self, stream: PtyStream) -> None:
        self.stream = stream
        self.answering = False

    def write(self, data: str) -> None:
        """Send text to the program."""
        self.stream.write(data.translate(_NO_CONTROLS) if self.answering else data)

    def write_bytes(self, data: bytes) -> None:
        """Send bytes to the program."""
        self.stream.write_bytes(data)

    def resize(self, rows: int, cols: int) -> None:
        """Tell the pty its size."""
        self.stream.resize(rows, cols)

    def feed(self, board: Board, text: str) -> None:
        """Give the parser output; a control string that never ends, or one it trips over, is given up."""
        self.answering = True
        try:
            board.parser.feed(text)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            # The parser is other people's and the text anybody's: a sequence it cannot stand must not end the UI.
            board.parser.reset()
        finally:
            self.answering = False
        if len(board.parser.buffer) > STRING_MOST:
            board.parser.reset()
