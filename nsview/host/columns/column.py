"""A column: one thing there is to know about each row of a list. Lists, filters, sorting and JSON read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nsview.host.columns.kinds import Kind

Row = TypeVar("Row")

FREE, READ, DEAR = 0, 1, 2
"""Costs: the row has it; a file is read for each row; reading makes the kernel walk something long."""


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column of a table over rows of one type.

    ``value(row)`` is the value of ``kind``, None where it is unknown. ``name`` is how filters and ``-o`` call
    it, ``aliases`` what else they may; ``title`` heads it in a list; ``help`` is one line. ``cost`` orders the
    terms of a filter, and what costs is read only where it is shown or asked for. Bare words and ``/regex/``
    of a filter look into the columns that are ``main``.
    """

    name: str
    title: str
    kind: Kind
    value: Callable[[Row], Any]
    help: str = ""
    cost: int = FREE
    main: bool = False
    aliases: tuple[str, ...] = ()

    def text(self, row: Row) -> str:
        """Return the value as it is shown, ``?`` where it is unknown."""
        value = self.value(row)
        return "?" if value is None else self.kind.text(value)

    def json(self, row: Row) -> object:
        """Return the value as JSON has it, None where it is unknown."""
        value = self.value(row)
        return None if value is None else self.kind.json(value)


def by_name(columns: Iterable[Column[Row]]) -> Mapping[str, Column[Row]]:
    """Return the columns by name and alias."""
    table: dict[str, Column[Row]] = {}
    for column in columns:
        for name in (column.name, *column.aliases):
            table[name] = column
    return table
