"""From text to the parts of a filter: recursive descent, each error with its place. Pure.

filter     = either
either     = every { ("or" | "|") every }
every      = denied { ["and" | "&"] denied }
denied     = { "not" | "!" } one
one        = "(" either ")" | "/" regex "/" ["i"] | name operator value | text
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from nsview.host.columns.column import Column
from nsview.host.filtering.error import FilterError
from nsview.host.filtering.syntax import (
    KEYWORDS,
    REFERENCE,
    REFERENCES,
    And,
    Comparison,
    Expression,
    Literal,
    Not,
    Operand,
    Or,
    Pattern,
    Reference,
    Unknown,
    Word,
)

Term = TypeVar("Term", bound=Expression)

LONGEST = 4096
"""Characters a filter may have."""
DEEPEST = 50
"""Parentheses and negations that may stand in one another."""

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.%-]*", re.ASCII)
_OPERATOR = re.compile(r"==|!=|!~|=~|<=|>=|[=<>~:≠≤≥]")
_WORD_OPERATOR = re.compile(r"(and|or|not)(?![^\s()!/\"'])", re.IGNORECASE)
_SAME = {"==": "=", "=~": "~", "≠": "!=", "≤": "<=", "≥": ">="}
_SEARCHES = ("~", "!~")
_SLASHED = re.compile(r"/((?:[^/\\]|\\.|/(?!i?(?:[\s)|&]|$)))+)/(i?)(?=[\s)|&]|$)", re.DOTALL)


def read(text: str, columns: Mapping[str, Column[Any]]) -> Expression:
    """Return the parts of a filter over ``columns`` (by name and alias); FilterError when it is none."""
    if len(text) > LONGEST:
        raise FilterError(text, LONGEST, f"a filter has at most {LONGEST} characters", "leave something out")
    return _Parser(text, columns).filter()


class _Parser:
    def __init__(self, text: str, columns: Mapping[str, Column[Any]]) -> None:
        self.text = text
        self.columns = columns
        self.at = 0
        self.depth = 0

    def filter(self) -> Expression:
        self.skip()
        if self.ended():
            return And(())
        expression = self.either()
        if not self.ended():
            self.refuse("a ')' without its '('", "take it away, or quote it")
        return expression

    def either(self) -> Expression:
        terms = [self.every()]
        while self.takes("or", "||", "|"):
            terms.append(self.every())
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def every(self) -> Expression:
        terms = [self.denied()]
        while not self.ended() and self.text[self.at] not in ")|" and not self.sees("or"):
            self.takes("and", "&&", "&")
            terms.append(self.denied())
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def denied(self) -> Expression:
        begin = self.at
        if (self.sees("!") and _OPERATOR.match(self.text, self.at) is None and self.takes("!")) or self.takes("not"):
            return Not(self.deeper(begin, self.denied))
        return self.one()

    def one(self) -> Expression:
        begin = self.at
        if self.ended() or self.sees("or") or self.sees("and") or self.text[begin] in ")|&":
            self.refuse("a term is missing here", "write one, as comm=sh")
        if self.takes("("):
            inside = self.deeper(begin, self.either)
            if not self.takes(")"):
                self.refuse("this '(' is not closed", "write ')' where it ends", begin)
            return inside
        if self.text[begin] in "\"'":
            return self.after(Word(self.string()))
        if slashed := _SLASHED.match(self.text, begin):
            self.at = slashed.end()
            return self.after(Pattern(slashed[1].replace("\\/", "/"), bool(slashed[2]), begin))
        if operator := _OPERATOR.match(self.text, begin):
            self.refuse(f"a column is missing before '{operator[0]}'", "write its name, or quote the text you look for")
        return self.comparison() or self.after(Word(self.word(ends="|&")))

    def comparison(self) -> Comparison | None:
        begin = self.at
        name = _NAME.match(self.text, begin)
        if name is None:
            return None
        self.at = name.end()
        self.skip()
        found = _OPERATOR.match(self.text, self.at)
        if found is None or (found[0] == ":" and self.at > name.end()):
            self.at = begin
            return None
        column = self.columns.get(name[0])
        if column is None:
            self.refuse(f"there is no column {name[0]!r}", self.meant(name[0]), begin)
        operator = _SAME.get(found[0], found[0])
        self.at = found.end()
        self.skip()
        if self.ended() or self.text[self.at] in ")|&":
            self.refuse(
                f"a value is missing after {name[0]}{found[0]}", f"it takes {column.kind.takes}, or ? (unknown)"
            )
        place = self.at
        operand = self.operand(column, operator)
        return self.after(Comparison(column.name, operator, operand, begin, place))

    def operand(self, column: Column[Any], operator: str) -> Operand:
        if self.text[self.at] in "\"'":
            text = self.string()
            would_refer = column.kind.refers and operator not in (*_SEARCHES, ":")
            return Literal(text, would_refer and REFERENCE.fullmatch(text) is not None)
        begin = self.at
        if operator in _SEARCHES:
            return Literal(self.word(ends=""))
        word = self.word(ends="|&")
        if word == "?":
            return Unknown()
        marked = word.startswith("@")
        reference = REFERENCE.fullmatch(word.removeprefix("@"))
        if operator != ":" and reference and (marked or column.kind.refers):
            return self.reference(column, reference[1], reference[2], begin + marked + len(reference[1]) + 1)
        if marked:
            whose = ", ".join(f"@{who}" for who in REFERENCES)
            self.refuse(f"{word!r} names no process", f"it is {whose} or @PID; quote it for the text", begin)
        return Literal(word)

    def reference(self, column: Column[Any], who: str, of: str | None, at: int) -> Reference:
        if of is None:
            return Reference(who)
        # 4711.pid is its pid namespace where namespaces are compared, and its pid where pids are.
        meant = [found for name in (of, f"ns.{of}") if (found := self.columns.get(name)) is not None]
        if not meant:
            self.refuse(f"there is no column {of!r}", self.meant(of), at)
        alike = [other for other in meant if other.kind is column.kind]
        return Reference(who, (alike or meant)[0].name)

    def string(self) -> str:
        """Read what is in quotes; in double ones a backslash takes away the next character's meaning."""
        begin, quote = self.at, self.text[self.at]
        pieces = []
        self.at += 1
        while not self.ended() and self.text[self.at] != quote:
            if quote == '"' and self.text[self.at] == "\\" and self.text[self.at + 1 : self.at + 2] in ("\\", '"'):
                self.at += 1
            pieces.append(self.text[self.at])
            self.at += 1
        if self.ended():
            self.refuse(f"this {quote} is not closed", f"write {quote} where the text ends", begin)
        self.at += 1
        return "".join(pieces)

    def word(self, ends: str) -> str:
        """Read up to a blank, one of ``ends`` or a ')' whose '(' is not in the word."""
        begin, opened = self.at, 0
        while not self.ended():
            char = self.text[self.at]
            if char.isspace() or char in ends or (char == ")" and not opened):
                break
            opened += (char == "(") - (char == ")")
            self.at += 1
        return self.text[begin : self.at]

    def deeper(self, begin: int, inside: Callable[[], Expression]) -> Expression:
        self.depth += 1
        if self.depth > DEEPEST:
            self.refuse(f"more than {DEEPEST} parentheses and negations in one another", "make it simpler", begin)
        expression = inside()
        self.depth -= 1
        return expression

    def sees(self, sign: str) -> bool:
        if sign in KEYWORDS:
            found = _WORD_OPERATOR.match(self.text, self.at)
            return found is not None and found[0] in (sign, sign.upper())
        return self.text.startswith(sign, self.at)

    def takes(self, *signs: str) -> bool:
        """Go past the first of ``signs`` that stands here, and the blanks after it."""
        for sign in signs:
            if self.sees(sign):
                self.at += len(sign)
                self.skip()
                return True
        return False

    def after(self, term: Term) -> Term:
        self.skip()
        return term

    def skip(self) -> None:
        blank = _SPACE.match(self.text, self.at)
        self.at = blank.end() if blank else self.at

    def ended(self) -> bool:
        return self.at >= len(self.text)

    def meant(self, name: str) -> str:
        from difflib import get_close_matches  # only for people who mistyped

        close = get_close_matches(name, self.columns, n=3)
        known = ", ".join(dict.fromkeys(column.name for column in self.columns.values()))
        guess = f"did you mean {' or '.join(close)}? " if close else ""
        return f"{guess}The columns are {known}. Quote what is no column"

    def refuse(self, message: str, remedy: str, at: int | None = None) -> NoReturn:
        raise FilterError(self.text, self.at if at is None else at, message, remedy)
