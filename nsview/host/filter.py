"""The filter language: which rows of a list are wanted, in terms over any of its columns. Pure.

``user=root cpu>5 ns.net!=init /regex/``: docs/filter.md has the language. The same for every list, on the
command line and in the UI, for rows of any type: what they have is said by their columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from nsview.host.columns.column import Column, by_name
from nsview.host.filtering.error import FilterError
from nsview.host.filtering.meaning import Refer, comparisons, test_of
from nsview.host.filtering.parser import read
from nsview.host.filtering.syntax import And, Expression, Reference

__all__ = ["Filter", "FilterError", "Refer", "parse"]

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Filter(Generic[Row]):
    """A filter, compiled. ``str()`` prints it; parsing that gives an equal one.

    ``matches(row)`` is True, False, or None where it cannot be told, which is no match. ``cost`` is the
    highest of the columns it reads (nsview.host.columns), ``columns`` are the names of those compared,
    ``references`` whom they are compared with (parent, init, self, pids as text).
    """

    expression: Expression
    matches: Callable[[Row], bool | None]
    cost: int
    columns: frozenset[str]
    references: frozenset[str]

    def __str__(self) -> str:
        """Print it in the language."""
        return str(self.expression)

    def __eq__(self, other: object) -> bool:
        """Compare what is asked."""
        return isinstance(other, Filter) and self.expression == other.expression

    def __hash__(self) -> int:
        """Go by what is asked."""
        return hash(self.expression)

    @property
    def is_empty(self) -> bool:
        """True for the filter that every row matches because it asks nothing."""
        return self.expression == And(())

    def select(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows that match, in their order."""
        return list(filter(self.matches, rows))


def parse(text: str, columns: Iterable[Column[Row]], refer: Refer | None = None) -> Filter[Row]:
    """Read a filter over rows with these columns; FilterError, with the place and a remedy, when it is none.

    ``refer`` says whom references mean: ``refer("parent")(row)`` is the row of the parent, or None. It is
    asked once for each reference of the filter; without it there are none.
    """
    named = by_name(columns)
    expression = read(text, named)
    test, cost = test_of(expression, text, named, refer)
    parts = list(comparisons(expression))
    whose = frozenset(part.operand.who for part in parts if isinstance(part.operand, Reference))
    return Filter(expression, test, cost, frozenset(part.column for part in parts), whose)
