"""Tables as text: columns as wide as they need, or narrowed until the lines fit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nsview.host.columns import Column as HostColumn
from nsview.host.text import cut, width

UNKNOWN = "?"
_NARROWEST = 4
_ENOUGH, _AMPLE = 12, 26
"""Cells that a text needs to say something, before others are left out for its sake; and one that always stays."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: numbers stand ``right``; those that ``gives`` marks are cut when lines are too long.

    Where nothing is cut, no cell makes the column wider than ``spills``: a longer one pushes its line aside.
    On a screen that is too narrow for all columns, those of the highest ``rank`` are left out first; 0 never is.
    """

    title: str
    right: bool = False
    gives: bool = False
    spills: int | None = None
    rank: int = 0


def show(value: object) -> str:
    """Return the text of a value, ``?`` where it is unknown."""
    return UNKNOWN if value is None else str(value)


def lines(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], header: bool = True, room: int | None = None
) -> Iterable[str]:
    """Yield the lines of a listing, none longer than ``room`` columns unless that is None. Pure."""
    rows = list(rows)
    every = [[column.title for column in columns], *rows] if header else rows
    sizes = [[width(text) for text in row] for row in every]
    widths = [max(column, default=0) for column in zip(*sizes, strict=True)] or [0] * len(columns)
    if room is None:
        widths = [min(wide, column.spills or wide) for column, wide in zip(columns, widths, strict=True)]
    else:
        _narrow(columns, widths, room)
    for row, size in zip(every, sizes, strict=True):
        yield _line(columns, row, size, widths, room)


def fitting(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """Return how wide each column is to be for a screen ``room`` columns wide, 0 for one that is left out. Pure.

    ``widths`` are those of the widest cells. Columns without any text, and by their ranks those that find no room,
    are left out; then what is too wide is narrowed. One blank stands between two columns.
    """
    wide = [max(have, width(column.title)) if have else 0 for column, have in zip(columns, widths, strict=True)]
    least = [
        min(have, _ENOUGH if column.rank else _AMPLE) if column.gives else have
        for column, have in zip(columns, wide, strict=True)
    ]
    for at in sorted(range(len(columns)), key=lambda at: columns[at].rank, reverse=True):
        if not columns[at].rank or sum(least) + sum(map(bool, least)) - 1 <= room:
            break
        wide[at] = least[at] = 0
    kept = [at for at, have in enumerate(wide) if have]
    narrowed = [wide[at] for at in kept]
    _narrow([columns[at] for at in kept], narrowed, room)
    for at, have in zip(kept, narrowed, strict=True):
        wide[at] = have
    return wide


def heading(columns: Iterable[HostColumn[Any]]) -> list[Column]:
    """Return the columns of a list (nsview.host.columns) as a table has them."""
    return [Column(column.title, column.kind.right, column.kind.gives) for column in columns]


def _narrow(columns: Sequence[Column], widths: list[int], room: int) -> None:
    """Lower the widest of the columns that give, all to one level, until the line fits."""
    giving = [at for at, column in enumerate(columns) if column.gives]
    fixed = sum(widths) + len(widths) - 1 - sum(widths[at] for at in giving)
    level = max((widths[at] for at in giving), default=0)
    while level > _NARROWEST and fixed + sum(min(widths[at], level) for at in giving) > room:
        level -= 1
    for at in giving:
        widths[at] = min(widths[at], level)


def _line(
    columns: Sequence[Column], row: Sequence[str], sizes: Sequence[int], widths: Sequence[int], room: int | None
) -> str:
    cells = []
    for column, text, size, wide in zip(columns, row, sizes, widths, strict=True):
        if size > wide and room is not None:
            text = cut(text, wide)
            size = width(text)
        space = " " * (wide - size)
        cells.append(space + text if column.right else text + space)
    line = " ".join(cells).rstrip()
    return line if room is None else cut(line, room)
