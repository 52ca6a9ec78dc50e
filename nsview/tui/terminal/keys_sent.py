"""What a key sends to a program: xterm's sequences, by Textual's names of keys."""

from __future__ import annotations

from bittty import Board, constants
from textual import events

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


def send(event: events.Key, board: Board) -> None:
    """Type the key into the board's program."""
    *mods, base = event.key.split("+")
    bits = sum({_MODIFIER.get(mod, 0) for mod in mods})
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
