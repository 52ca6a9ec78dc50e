"""A screen as tmux gives it with its escapes, read into cells: text and how it looks, colours as SGR has them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_SGR = re.compile(r"\x1b\[([0-9;:]*)m")
_OTHER = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[()].|\x1b\].*?(?:\x07|\x1b\\)|[\x0e\x0f]")
_ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 5: "blink", 7: "reverse", 8: "conceal", 9: "strike"}
_OFF = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 25: ("blink",), 27: ("reverse",), 29: ("strike",)}


@dataclass(frozen=True)
class Cell:
    """One character. Colours: ``3`` one of 16 by its number, ``5;200`` one of 256, ``2;1;2;3``; empty: the default."""

    text: str
    foreground: str = ""
    background: str = ""
    looks: frozenset[str] = frozenset()


def cells_of(screen: str) -> list[list[Cell]]:
    """Read a screen; a style goes on into the next line, as tmux writes it."""
    rows: list[list[Cell]] = []
    look = Cell("")
    for line in screen.split("\n"):
        row: list[Cell] = []
        at = 0
        while at < len(line):
            if found := _SGR.match(line, at):
                look = _looking(look, [int(word or 0) for word in re.split("[;:]", found[1])])
                at = found.end()
            elif found := _OTHER.match(line, at):
                at = found.end()
            else:
                row.append(replace(look, text=line[at]))
                at += 1
        rows.append(row)
    return rows


def _looking(look: Cell, numbers: list[int]) -> Cell:
    rest = list(numbers)
    while rest:
        number = rest.pop(0)
        if number == 0:
            look = Cell("")
        elif number in _ON:
            look = replace(look, looks=look.looks | {_ON[number]})
        elif number in _OFF:
            look = replace(look, looks=look.looks.difference(_OFF[number]))
        elif number in (38, 48):
            count = 1 if rest[0] == 5 else 3
            colour = ";".join(map(str, rest[: count + 1]))
            del rest[: count + 1]
            if colour.startswith("5;") and int(colour[2:]) < 16:
                colour = colour[2:]  # the same colour, written the long way
            look = replace(look, **{"foreground" if number == 38 else "background": colour})
        elif number in (39, 49):
            look = replace(look, **{"foreground" if number == 39 else "background": ""})
        else:
            for first, plus, name in ((30, 0, "foreground"), (40, 0, "background"), (90, 8, "foreground")):
                if first <= number < first + 8:
                    look = replace(look, **{name: str(number - first + plus)})
            if 100 <= number < 108:
                look = replace(look, background=str(number - 100 + 8))
    return look
