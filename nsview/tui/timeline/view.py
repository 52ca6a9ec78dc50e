"""What a waterfall shows, as values: lines of pieces, each a text with the name of its look. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

from nsview.tui.cell_text import fitted

Piece = tuple[str, str]
"""A text and its look: a component class of the waterfall without its prefix."""

TIME = 9
"""Cells of a column of times: eight and a blank."""

ROOMY = 60
"""Cells from which on there are columns that a narrow list has no room for."""


class View(Protocol):
    """Lines under a header, drawn at any width."""

    note: str
    """What is said where there are no lines."""

    @property
    def count(self) -> int:
        """Number of lines."""
        ...

    def key(self, index: int) -> Hashable:
        """Name a line for as long as the same is shown: the cursor stays on it."""
        ...

    def header(self, width: int) -> Sequence[Piece]:
        """Draw the headings."""
        ...

    def line(self, index: int, width: int) -> Sequence[Piece]:
        """Draw a line."""
        ...


class Nothing:
    """No lines, and a sentence in their place."""

    count = 0

    def __init__(self, note: str) -> None:
        self.note = note

    def key(self, index: int) -> Hashable:
        """There is none."""
        raise IndexError(index)

    def header(self, width: int) -> Sequence[Piece]:
        """Draw an empty header."""
        return ((fitted("", width), "header"),)

    def line(self, index: int, width: int) -> Sequence[Piece]:
        """There is none."""
        raise IndexError(index)
