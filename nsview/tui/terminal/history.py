"""Lines that have scrolled off a terminal's screen: a bounded ring, every line by its number since the start."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

LINES = 5_000
"""How many lines are kept; the oldest go first."""

Cell = tuple[Any, str]
"""bittty's: a style and the text of one cell, which is empty in the second column of a wide character."""

_style, _text = itemgetter(0), itemgetter(1)


class Line(NamedTuple):
    """A line: runs of one style, and whether it went on in the next one because the screen was full.

    The texts of a run are its cells': one string where each is one character (as nearly always), else a tuple.
    """

    runs: tuple[tuple[Any, str | tuple[str, ...]], ...]
    wrapped: bool

    @property
    def cells(self) -> list[Cell]:
        """The line as a screen has it; what was blank at its end is left out."""
        return [(style, text) for style, texts in self.runs for text in texts]

    @property
    def text(self) -> str:
        """The line's text; what was blank at its end is left out."""
        return "".join("".join(texts) for _style, texts in self.runs)


def line_of(cells: Sequence[Cell], blank: Cell, wrapped: bool = False) -> Line:
    """Pack a row of a screen; ``blank`` is what its untouched cells are."""
    end = len(cells)
    if cells and (last := cells[-1]) == blank:
        while end and (cells[end - 1] is last or cells[end - 1] == blank):  # nearly always one object: cheap to tell
            end -= 1
    return Line(tuple((style, _packed([*map(_text, run)])) for style, run in groupby(cells[:end], _style)), wrapped)


def _packed(texts: list[str]) -> str | tuple[str, ...]:
    text = "".join(texts)
    return text if len(text) == len(texts) and "" not in texts else tuple(texts)


class History:
    """The lines kept. Line ``start`` is the oldest, ``end`` is the number that the next one to come will have.

    Numbers count on when the oldest are dropped, so a line keeps its own for as long as it is there.
    """

    def __init__(self, most: int = LINES) -> None:
        self._lines: deque[Line] = deque(maxlen=most)
        self.end = 0

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def start(self) -> int:
        """The number of the oldest line kept."""
        return self.end - len(self._lines)

    def __getitem__(self, number: int) -> Line:
        if not self.start <= number < self.end:
            raise IndexError(number)
        return self._lines[number - self.start]

    def add(self, line: Line) -> None:
        """Keep one more."""
        self._lines.append(line)
        self.end += 1

    def take_back(self) -> Line:
        """Give back the newest line; raises IndexError where there is none."""
        line = self._lines.pop()
        self.end -= 1
        return line

    def clear(self) -> None:
        """Forget all lines."""
        self._lines.clear()
