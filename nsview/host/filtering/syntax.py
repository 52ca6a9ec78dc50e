"""What a filter says: its parts as values, and each printed as the language has it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

KEYWORDS = frozenset(("and", "or", "not", "AND", "OR", "NOT"))
REFERENCES = ("parent", "init", "self")
REFERENCE = re.compile(r"(parent|init|self|[1-9][0-9]{0,6})(?:\.([A-Za-z_][A-Za-z0-9_.]*))?", re.ASCII)
"""Whose value: a word or a pid; and of which column, where it is not the same."""

_PLAIN = re.compile(r"[^\s()|&!\"'=<>~:?@/≠≤≥][^\s()|&]*")
_ESCAPED = re.compile(r"[\\\"]")


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it was written; ``exact``: in quotes, for it would have been a reference without."""

    text: str
    exact: bool = False

    def __str__(self) -> str:
        """Quote it where it would be read as something else."""
        return quoted(self.text) if self.exact or not _PLAIN.fullmatch(self.text) else self.text


@dataclass(frozen=True, slots=True)
class Reference:
    """The value of another row: ``who`` is parent, init, self or a pid; ``of`` another column's name."""

    who: str
    of: str | None = None

    def __str__(self) -> str:
        """Print it so that it is a reference for any column."""
        return f"@{self.who}" + ("" if self.of is None else f".{self.of}")


@dataclass(frozen=True, slots=True)
class Unknown:
    """The value that nobody knows."""

    def __str__(self) -> str:
        """Print it."""
        return "?"


Operand = Literal | Reference | Unknown


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column against a value; ``operator`` is one of ``= != < <= > >= ~ !~ :``.

    ``at`` and ``operand_at`` are where both began in the text.
    """

    column: str
    operator: str
    operand: Operand
    at: int = field(default=0, compare=False)
    operand_at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        """Print it."""
        if isinstance(self.operand, Literal) and self.operator in ("~", "!~"):
            return f"{self.column}{self.operator}{quoted(self.operand.text)}"
        return f"{self.column}{self.operator}{self.operand}"


@dataclass(frozen=True, slots=True)
class Word:
    """A text that a main column contains."""

    text: str

    def __str__(self) -> str:
        """Print it, quoted: so it is never a column or an operator."""
        return quoted(self.text)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression that is found in a main column; ``any_case``: capitals do not count."""

    regex: str
    any_case: bool = False
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        """Print it between slashes."""
        return "/" + _slashes_escaped(self.regex) + ("/i" if self.any_case else "/")


@dataclass(frozen=True, slots=True)
class Not:
    """What does not match."""

    term: Expression

    def __str__(self) -> str:
        """Print it."""
        return f"!{_inner(self.term)}"


@dataclass(frozen=True, slots=True)
class And:
    """What matches every term; none: everything."""

    terms: tuple[Expression, ...]

    def __str__(self) -> str:
        """Print it."""
        return " ".join(map(_inner, self.terms))


@dataclass(frozen=True, slots=True)
class Or:
    """What matches any term."""

    terms: tuple[Expression, ...]

    def __str__(self) -> str:
        """Print it."""
        return " or ".join(map(_inner, self.terms))


Expression = Comparison | Word | Pattern | Not | And | Or


def quoted(text: str) -> str:
    """Put a text in quotes, in which a backslash takes away the meaning of a quote and of a backslash."""
    return '"' + _ESCAPED.sub(lambda found: "\\" + found[0], text) + '"'


def _inner(term: Expression) -> str:
    return f"({term})" if isinstance(term, And | Or) else str(term)


def _slashes_escaped(regex: str) -> str:
    """Escape the slashes that are not, so that the first bare one is the end."""
    return re.sub(r"\\.|/", lambda found: "\\/" if found[0] == "/" else found[0], regex, flags=re.DOTALL)
