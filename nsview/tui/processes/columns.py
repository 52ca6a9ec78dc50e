"""The columns of the process table: their headings, widths and texts, and which of them fit a width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from nsview.host.cells import HEADING
from nsview.host.columns.kinds import (
    BYTES,
    CAPABILITIES,
    COUNT,
    DURATION,
    FLAG,
    MASK,
    MOMENT,
    NAMESPACE,
    NUMBER,
    PERCENT,
    PIDS,
    RATE,
    STATE,
    USER,
    WORD,
)
from nsview.host.snapshot import TICKS_PER_SECOND
from nsview.tui.cell_text import amount, duration, fitted, percent
from nsview.tui.processes.rows import Row
from nsview.tui.processes.scene import TABLE_COLUMNS


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, its width in cells, its text for a row, its name in filters and sorts.

    ``leaves``: the column is shown only if it leaves so many cells to the command; None: it is always shown.
    Those that leave least are the first to be given room. ``text`` is None where the table has to ask for it.
    """

    name: str
    title: str
    width: int
    text: Callable[[Row], str] | None
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
    if row.thread:
        return "  "
    return _ownership(row) + ("✝" if row.gone else "❄" if row.detail.frozen else "+" if row.born else " ")


def _ownership(row: Row) -> str:
    if row.marked:
        return "◎"
    if row.tagged:
        return "◉" if row.own else "◈"
    return "●" if row.own else " "


def _pid(row: Row, width: int) -> str:
    """Word its pids from ours to its own as ``5709/72/1``; the ends alone where not all are known or fit."""
    record, pids = row.record, row.detail.pids
    if row.thread and record.comm == "…":
        return "…"
    if pids is not None and len(text := "/".join(map(str, pids))) <= width:
        return text
    if record.inner_pid is not None and record.inner_pid != record.pid:
        return f"{record.pid}/{record.inner_pid}"
    return str(record.pid)


def _cpu_time(row: Row) -> str:
    return duration((row.record.utime + row.record.stime) / TICKS_PER_SECOND)


def _of_process(text: Callable[[Row], str]) -> Callable[[Row], str]:
    """Leave the lines of threads empty: it is a process's."""
    return lambda row: "" if row.thread else text(row)


def namespace_cells(row: Row) -> str:
    """Return the eight cells of ``mnpUuiCT``."""
    return row.cells


_PID = Column("pid", "PID", 8, lambda row: _pid(row, 8))
_WIDE_PID = replace(_PID, width=14, text=lambda row: _pid(row, 14))

COLUMNS: tuple[Column, ...] = (
    Column("", "", 2, _marks, gap="", right=False),
    _PID,
    Column("user", "USER", 8, lambda row: row.user, leaves=28, right=False),
    Column("state", "S", 1, lambda row: "X" if row.gone else row.record.state, leaves=16),
    Column("cpu", "CPU%", 5, lambda row: percent(row.cpu), leaves=20),
    Column("rss", "RSS", 5, _of_process(lambda row: amount(row.record.rss)), leaves=20),
    Column("time", "TIME+", 8, _cpu_time, leaves=34),
    Column("threads", "THR", 4, _of_process(lambda row: amount(row.record.threads)), leaves=36),
    Column("switches", "CTX/s", 5, _of_process(lambda row: amount(row.switches)), leaves=40),
    Column("faults", "FLT/s", 5, _of_process(lambda row: amount(row.faults)), leaves=42),
    Column("ns", HEADING, 8, namespace_cells, gap="  ", right=False),
)
"""In the order of the screen; the command takes what is left."""

OWN = {column.name: column for column in COLUMNS if column.leaves is not None}
"""Those that are shown where there is room, or as a person chooses."""

NUMBERED = Column("ns", "  ".join(HEADING), 24, namespace_cells, gap=" ", right=False)
"""The namespace column where there is room for the number of each namespace beside its letter."""

NUMBERED_LEAVES = 44
_WIDE_PID_LEAVES = 60
_LEFT_AT_LEAST = 16
"""Cells for the command beside columns that a person chose."""

_WIDTHS = {
    kind.name: width
    for kind, width in (
        (NUMBER, 7),
        (COUNT, 8),
        (BYTES, 6),
        (RATE, 6),
        (PERCENT, 5),
        (DURATION, 7),
        (MOMENT, 8),
        (STATE, 1),
        (USER, 8),
        (FLAG, 3),
        (MASK, 10),
        (NAMESPACE, 10),
        (PIDS, 14),
        (CAPABILITIES, 20),
        (WORD, 7),
    )
}
_TEXT_WIDTH = 20


@lru_cache(maxsize=256)
def chosen_column(name: str) -> Column:
    """Return a column of all lists as one of the table; KeyError when there is none of this name."""
    if name in OWN:
        return OWN[name]
    column = TABLE_COLUMNS[name]
    width = max(len(column.title), _WIDTHS.get(column.kind.name, _TEXT_WIDTH))
    return Column(name, column.title, width, None, right=column.kind.right)


def fit(width: int, chosen: tuple[str, ...] | None = None) -> Layout:
    """Choose the columns for a table ``width`` cells wide; ``chosen``: these as far as they fit, not what suits."""
    return _fit(width, chosen)


@lru_cache(maxsize=64)
def _fit(width: int, chosen: tuple[str, ...] | None) -> Layout:
    free = width - sum(_cost(column) for column in COLUMNS if column.leaves is None)
    columns, free = _automatic(free) if chosen is None else _as_chosen(free, chosen)
    extra = _cost(NUMBERED) - _cost(COLUMNS[-1])
    numbered = free - extra >= NUMBERED_LEAVES
    if numbered:
        columns = [*columns[:-1], NUMBERED]
        free -= extra
    if free - (_WIDE_PID.width - _PID.width) >= _WIDE_PID_LEAVES:
        columns[columns.index(_PID)] = _WIDE_PID
        free -= _WIDE_PID.width - _PID.width
    return Layout(tuple(columns), max(0, free), numbered)


def _automatic(free: int) -> tuple[list[Column], int]:
    taken = set()
    for column in sorted(OWN.values(), key=lambda column: column.leaves or 0):
        if free - _cost(column) >= (column.leaves or 0):
            taken.add(column.name)
            free -= _cost(column)
    return [column for column in COLUMNS if column.leaves is None or column.name in taken], free


def _as_chosen(free: int, chosen: Sequence[str]) -> tuple[list[Column], int]:
    taken = []
    for column in map(chosen_column, chosen):
        if free - _cost(column) >= _LEFT_AT_LEAST:
            taken.append(column)
            free -= _cost(column)
    before, after = COLUMNS[:2], COLUMNS[-1]
    return [*before, *taken, after], free


def _cost(column: Column) -> int:
    return column.width + len(column.gap)
