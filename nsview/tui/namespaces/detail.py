"""All that is told of one namespace as lines: titles, rows and notes of sections, folded where they are many. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from textwrap import wrap
from typing import NamedTuple

from nsview.host.text import width
from nsview.wording.inside.section import Lead, Section
from nsview.wording.table import Column

FEW = 8
"""Rows that a folded section shows; one more would not be worth a line that says so."""


@dataclass(frozen=True, slots=True)
class Table:
    """A section with the widths of its widest cells; ``shown`` of its rows are, the others are folded away.

    ``total`` is how many rows there are, which need not all have been made. ``notes`` are its own, wrapped.
    """

    section: Section
    widths: tuple[int, ...]
    shown: int
    total: int
    notes: tuple[str, ...]

    @property
    def columns(self) -> Sequence[Column]:
        """Its columns."""
        return self.section.columns


class Part(Enum):
    """What a line is of a section."""

    TITLE = auto()
    COLUMNS = auto()
    ROW = auto()
    MORE = auto()
    NOTE = auto()


class Line(NamedTuple):
    """A line: which table, which part of it, and the row or note."""

    table: int
    part: Part
    at: int = 0


@dataclass(frozen=True, slots=True)
class Detail:
    """The tables and the lines that show them."""

    tables: tuple[Table, ...] = ()
    lines: tuple[Line, ...] = ()

    def lead(self, line: int) -> Lead | None:
        """Return where a line leads."""
        table, part, at = self.lines[line]
        leads = self.tables[table].section.leads
        return leads[at] if part is Part.ROW and at < len(leads) else None

    def cells(self, line: int) -> Sequence[str]:
        """Return the texts of a line that is a row; of another, none."""
        table, part, at = self.lines[line]
        return self.tables[table].section.rows[at] if part is Part.ROW else ()

    def title(self, line: int) -> str:
        """Return the title of the section a line is of."""
        return self.tables[self.lines[line].table].section.title

    def named(self, name: str) -> int | None:
        """Return the first line one of whose cells is this name."""
        return next((line for line in range(len(self.lines)) if name in self.cells(line)), None)

    def place_of(self, before: Detail, line: int) -> int | None:
        """Find again what was on a line of the detail before: the same row, else one that begins alike."""
        if line >= len(before.lines):
            return None
        title, cells, part = before.title(line), before.cells(line), before.lines[line].part
        alike = [at for at, each in enumerate(self.lines) if each.part is part and self.title(at) == title]
        if part is not Part.ROW:
            return alike[0] if alike else None
        same = [at for at in alike if self.cells(at) == cells]
        begun = [at for at in alike if self.cells(at)[:1] == cells[:1]]
        return next(iter(sorted(same or begun, key=lambda at: abs(at - line))), None)

    def next_section(self, line: int, by: int) -> int | None:
        """Return the first line of the section after the one a line is of, or before."""
        table = self.lines[line].table + by
        return next((at for at, each in enumerate(self.lines) if each.table == table), None)


def is_whole(title: str, total: int, unfolded: frozenset[str]) -> bool:
    """Tell whether a section shows all of its rows."""
    return title in unfolded or not title or total <= FEW + 1


def table_of(
    section: Section, unfolded: frozenset[str] = frozenset(), room: int = 76, total: int | None = None
) -> Table:
    """Measure a section, which shows a few rows alone unless its title is among those ``unfolded``.

    Notes are wrapped to ``room`` cells. ``total`` is given where rows that are not shown were not made.
    """
    total = len(section.rows) if total is None else total
    whole = is_whole(section.title, total, unfolded)
    rows = section.rows if whole else section.rows[:FEW]
    sizes = zip(*([width(cell) for cell in row] for row in rows), strict=True)
    widths = tuple(max(column) for column in sizes) or (0,) * len(section.columns)
    notes = tuple(line for note in section.notes for line in wrap(note, max(20, room)))
    return Table(section, widths, len(rows), total, notes)


def detail_of(tables: Iterable[Table]) -> Detail:
    """Put the lines of tables below one another; those without rows and notes are left out."""
    every = tuple(tables)
    lines: list[Line] = []
    for number, table in enumerate(every):
        section = table.section
        if not section.rows and not section.notes:
            continue
        if section.title:
            lines.append(Line(number, Part.TITLE))
        if section.rows and any(column.title for column in section.columns):
            lines.append(Line(number, Part.COLUMNS))
        lines += [Line(number, Part.ROW, at) for at in range(table.shown)]
        if table.shown < table.total:
            lines.append(Line(number, Part.MORE))
        lines += [Line(number, Part.NOTE, at) for at in range(len(table.notes))]
    return Detail(every, tuple(lines))
