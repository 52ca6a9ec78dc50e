"""What a filter means: its parts as functions of a row that answer yes, no, or None (cannot be told). Pure.

Unknown values match nothing, neither what is asked nor its contrary: the logic is Kleene's, in which "not" of
unknown is unknown, and "and" and "or" are known as soon as one side decides.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nsview.host.columns.column import Column
from nsview.host.columns.kinds import itself
from nsview.host.filtering.error import FilterError
from nsview.host.filtering.regex import searcher
from nsview.host.filtering.syntax import (
    And,
    Comparison,
    Expression,
    Literal,
    Not,
    Or,
    Pattern,
    Reference,
    Unknown,
    Word,
)

Test = Callable[[Any], bool | None]
Refer = Callable[[str], Callable[[Any], Any]]
"""From a reference's word (parent, init, self, a pid) to a function from a row to the row meant, or None."""

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def test_of(
    expression: Expression, text: str, columns: Mapping[str, Column[Any]], refer: Refer | None
) -> tuple[Test, int]:
    """Return the function of a row, and what it costs at most; FilterError where a value is none for its
    column.
    """
    return _Compiler(text, columns, refer).test(expression)


def comparisons(expression: Expression) -> Iterator[Comparison]:
    """Yield every comparison in an expression."""
    match expression:
        case Comparison():
            yield expression
        case Not(term):
            yield from comparisons(term)
        case And(terms) | Or(terms):
            for term in terms:
                yield from comparisons(term)


class _Compiler:
    def __init__(self, text: str, columns: Mapping[str, Column[Any]], refer: Refer | None) -> None:
        self.text = text
        self.columns = columns
        self.refer = refer
        self.main = sorted((c for c in dict.fromkeys(columns.values()) if c.main), key=lambda column: column.cost)

    def test(self, expression: Expression) -> tuple[Test, int]:
        match expression:
            case Comparison():
                return self.comparison(expression), self.cost(expression)
            case Word(text):
                return self.anywhere(_contains(text)), self.main_cost
            case Pattern(regex, any_case, at):
                return self.anywhere(self.regex(regex, any_case, at)), self.main_cost
            case Not(term):
                test, cost = self.test(term)
                return _contrary(test), cost
            case And(terms) | Or(terms):
                # The cheap terms first: they spare the dear ones most of their work.
                parts = sorted(map(self.test, terms), key=lambda part: part[1])
                tests = [test for test, _ in parts]
                cost = max((cost for _, cost in parts), default=0)
                return (_every(tests) if isinstance(expression, And) else _any(tests)), cost

    @property
    def main_cost(self) -> int:
        return max((column.cost for column in self.main), default=0)

    def cost(self, comparison: Comparison) -> int:
        cost = self.columns[comparison.column].cost
        if isinstance(comparison.operand, Reference) and comparison.operand.of is not None:
            cost = max(cost, self.columns[comparison.operand.of].cost)
        return cost

    def anywhere(self, found: Callable[[str], object]) -> Test:
        return _any([_searched(column, found) for column in self.main])

    def regex(self, regex: str, any_case: bool, at: int) -> Callable[[str], object]:
        try:
            return searcher(regex, any_case)
        except ValueError as error:
            raise FilterError(self.text, at, str(error), "escape what is meant as itself with a backslash") from None

    def comparison(self, comparison: Comparison) -> Test:
        column, sign, operand = self.columns[comparison.column], comparison.operator, comparison.operand
        at = comparison.operand_at
        if isinstance(operand, Unknown):
            return self.unknown(column, sign, at)
        if sign in ("~", "!~", ":"):
            if not isinstance(operand, Literal):
                raise FilterError(self.text, at, f"{sign} takes a text", "quote it")
            found = _contains(operand.text, column.kind.cased) if sign == ":" else self.regex(operand.text, False, at)
            test = _searched(column, found)
            return _contrary(test) if sign == "!~" else test
        if sign in _ORDER and not column.kind.ordered:
            remedy = f"compare it with =, !=, ~, !~ or :, which take {column.kind.takes}"
            raise FilterError(self.text, comparison.at, f"{column.name} has no less and more", remedy)
        if isinstance(operand, Reference):
            return self.referring(column, sign, operand, at)
        try:
            wanted = column.kind.read(operand.text)
        except ValueError as error:
            message = f"{operand.text!r} is no value of {column.name}: {error}"
            raise FilterError(self.text, at, message) from None
        return _against(column, sign, wanted)

    def unknown(self, column: Column[Any], sign: str, at: int) -> Test:
        value = column.value
        if sign == "=":
            return lambda row: value(row) is None
        if sign == "!=":
            return lambda row: value(row) is not None
        raise FilterError(self.text, at, f"what is unknown is not compared by {sign}", "write =? or !=?; or quote it")

    def referring(self, column: Column[Any], sign: str, reference: Reference, at: int) -> Test:
        if self.refer is None:
            raise FilterError(self.text, at, "rows are not compared with one another here", "write a value")
        other = column if reference.of is None else self.columns[reference.of]
        if other.kind is not column.kind:
            message = f"{column.name} and {other.name} are different kinds of things ({column.kind.name}, "
            raise FilterError(self.text, at, f"{message}{other.kind.name})", "compare it with one of its own kind")
        meant = self.refer(reference.who)
        value, its, holds = column.value, other.value, _relation(column, sign)

        def test(row: Any) -> bool | None:
            own = value(row)
            if own is None or (row_meant := meant(row)) is None or (wanted := its(row_meant)) is None:
                return None
            return holds(own, wanted)

        return test


def _relation(column: Column[Any], sign: str) -> Callable[[Any, Any], bool | None]:
    if sign in _ORDER:
        return _ORDER[sign]
    equal = column.kind.equal
    if equal is operator.eq:
        return operator.eq if sign == "=" else operator.ne
    return equal if sign == "=" else lambda own, wanted: None if (e := equal(own, wanted)) is None else not e


def _against(column: Column[Any], sign: str, wanted: Any) -> Test:
    value, holds = column.value, _relation(column, sign)

    def test(row: Any) -> bool | None:
        own = value(row)
        return None if own is None else holds(own, wanted)

    return test


def _searched(column: Column[Any], found: Callable[[str], object]) -> Test:
    value, text = column.value, column.kind.searched or column.kind.text
    if text is itself:

        def test(row: Any) -> bool | None:
            own = value(row)
            return None if own is None else bool(found(own))

    else:

        def test(row: Any) -> bool | None:
            own = value(row)
            return None if own is None else bool(found(text(own)))

    return test


def _contains(wanted: str, cased: bool = False) -> Callable[[str], bool]:
    """Find a text; capitals count only if it has one, or where they always do."""
    if cased or wanted != wanted.lower():
        return lambda text: wanted in text
    return lambda text: wanted in text.lower()


def _contrary(test: Test) -> Test:
    def contrary(row: Any) -> bool | None:
        answer = test(row)
        return None if answer is None else not answer

    return contrary


def _every(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def every(row: Any) -> bool | None:
        result: bool | None = True
        for test in tests:
            answer = test(row)
            if answer is None:
                result = None
            elif not answer:
                return False
        return result

    return every


def _any(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def some(row: Any) -> bool | None:
        result: bool | None = False
        for test in tests:
            answer = test(row)
            if answer:
                return True
            if answer is None:
                result = None
        return result

    return some
