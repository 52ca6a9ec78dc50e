"""The columns of the process table: their headings, widths and texts, and which of them fit a width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from nsview.host.cells import HEADING
from nsview.host.snapshot import TICKS_PER_SECOND
from nsview.tui.cell_text import amount, duration, fitted, percent
from nsview.tui.processes.rows import Row


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, its width in cells, its text for a row.

    ``leaves``: the column is shown only if it leaves so many cells to the command; None: it is always shown.
    Those that leave least are the first to be given room.
    """

    title: str
    width: int
    text: Callable[[Row], str]
    leaves: int | None = None
    right: bool = True
    gap: str = " "


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns for one width; ``command`` cells are left; ``numbered``: with :data:`NUMBERED`."""

    columns: tuple[Column, ...]
    command: int
    numbered: bool


def aligned(text: str, column: Column) -> str:
    """Return ``text`` at exactly the column's width; one that is too long loses its end to ``…``."""
    return fitted(text, column.width, column.right)


def _marks(row: Row) -> str:
    first = "●" if row.own else "◈" if row.marked else " "
    return first + ("✝" if row.gone else "+" if row.born else " ")


def _pid(row: Row) -> str:
    record = row.record
    if record.inner_pid is not None and record.inner_pid != record.pid:
        return f"{record.pid}/{record.inner_pid}"
    return str(record.pid)


def _cpu_time(row: Row) -> str:
    return duration((row.record.utime + row.record.stime) / TICKS_PER_SECOND)


def namespace_cells(row: Row) -> str:
    """Return the eight cells of ``mnpUuiCT``."""
    return row.cells


COLUMNS: tuple[Column, ...] = (
    Column("", 2, _marks, gap="", right=False),
    Column("PID", 8, _pid),
    Column("USER", 8, lambda row: row.user, leaves=28, right=False),
    Column("S", 1, lambda row: "X" if row.gone else row.record.state, leaves=16),
    Column("CPU%", 5, lambda row: percent(row.cpu), leaves=20),
    Column("RSS", 5, lambda row: amount(row.record.rss), leaves=20),
    Column("TIME+", 8, _cpu_time, leaves=34),
    Column("THR", 4, lambda row: amount(row.record.threads), leaves=36),
    Column("CTX/s", 5, lambda row: amount(row.switches), leaves=40),
    Column("FLT/s", 5, lambda row: amount(row.faults), leaves=42),
    Column(HEADING, 8, namespace_cells, gap="  ", right=False),
)
"""In the order of the screen; the command takes what is left."""

NUMBERED = Column("  ".join(HEADING), 24, namespace_cells, gap=" ", right=False)
"""The namespace column where there is room for the number of each namespace beside its letter."""

NUMBERED_LEAVES = 44


@lru_cache(maxsize=64)
def fit(width: int) -> Layout:
    """Choose the columns for a table ``width`` cells wide."""
    free = width - sum(_cost(column) for column in COLUMNS if column.leaves is None)
    chosen = set()
    for column in sorted(COLUMNS, key=lambda column: column.leaves or 0):
        if column.leaves is not None and free - _cost(column) >= column.leaves:
            chosen.add(column.title)
            free -= _cost(column)
    columns = tuple(column for column in COLUMNS if column.leaves is None or column.title in chosen)
    extra = _cost(NUMBERED) - _cost(COLUMNS[-1])
    numbered = free - extra >= NUMBERED_LEAVES
    if numbered:
        columns = (*columns[:-1], NUMBERED)
        free -= extra
    return Layout(columns, max(0, free), numbered)


def _cost(column: Column) -> int:
    return column.width + len(column.gap)
