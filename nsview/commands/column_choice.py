"""Choosing from a table of columns: which are shown, what the rows are sorted by, which rows match a filter."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from nsview.commands import listing
from nsview.host.columns import Column, by_name
from nsview.host.filter import Filter, FilterError, Refer, parse
from nsview.host.text import printable

Row = TypeVar("Row")

OPTIONS = ("-o", "--columns", "--sort")
"""Options whose value may begin with a hyphen."""
WORDS = "filter"
"""Where the words that are no options go (nsview.cli)."""


class ChoiceError(ValueError):
    """A column, a sort key or a filter that there is not; ``pointer`` shows the place in a filter."""

    def __init__(self, message: str, pointer: str = "") -> None:
        """Keep both."""
        self.pointer = pointer
        super().__init__(message)


def add_options(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the filter and the options that every list has."""
    parser.add_argument(WORDS, nargs="*", metavar="FILTER", help="only rows that match, as 'user=root rss>10M'")
    parser.add_argument(
        "-o",
        "--columns",
        action="append",
        default=[],
        metavar="NAME,…",
        help=f"show these columns; +NAME adds one to the usual ({default}), -NAME takes one away; help lists them all",
    )
    parser.add_argument(
        "--sort", action="append", default=[], metavar="[-]NAME,…", help="sort by these; - from the most"
    )
    parser.add_argument("--no-header", dest="header", action="store_false", help="leave out the line of titles")
    parser.add_argument("--json", action="store_true", help="print JSON, version 1 (docs/json.md)")


def prepare(words: Sequence[str]) -> list[str]:
    """Join ``--sort -rss`` into one word, for argparse would take ``-rss`` for an option."""
    joined: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            return [*joined, word, *left]
        if word in OPTIONS:
            value = next(left, None)
            if value is None:
                return [*joined, word]
            word = f"{'--columns' if word == '-o' else word}={value}"
        joined.append(word)
    return joined


def columns_of(choices: Iterable[str], usual: Sequence[str], table: Sequence[Column[Row]]) -> list[Column[Row]]:
    """Return the columns of ``-o``, in the order shown: names, or changes to the usual; ChoiceError."""
    named = by_name(table)
    chosen = [named[name] for name in usual]
    begun = False
    for word in (word for choice in choices for word in choice.split(",")):
        column = _known(word.lstrip("+-"), table)
        if word.startswith("-"):
            if column not in chosen:
                raise ChoiceError(f"column {column.name} is not shown, and cannot be taken away")
            chosen.remove(column)
            continue
        if not word.startswith("+") and not begun:
            chosen, begun = [], True
        if column not in chosen:
            chosen.append(column)
    if not chosen:
        raise ChoiceError("no column is left to show")
    return chosen


def sorted_by(rows: Iterable[Row], keys: Iterable[tuple[Column[Row], bool]]) -> list[Row]:
    """Return the rows sorted by columns (True: from the most); what is unknown comes last."""
    result = list(rows)
    for column, most_first in reversed(list(keys)):
        known, unknown = [], []
        order = column.kind.order
        for row in result:
            value = column.value(row)
            if value is None:
                unknown.append(row)
            else:
                known.append((order(value), row))
        known.sort(key=lambda pair: pair[0], reverse=most_first)
        result = [row for _, row in known] + unknown
    return result


def sort_keys(choices: Iterable[str], table: Sequence[Column[Row]]) -> list[tuple[Column[Row], bool]]:
    """Return the columns of ``--sort``, each with whether it goes from the most down; ChoiceError."""
    words = [word for choice in choices for word in choice.split(",")]
    return [(_known(word.removeprefix("-").removeprefix("+"), table), word.startswith("-")) for word in words]


def filter_of(words: Sequence[str], table: Sequence[Column[Row]], refer: Refer | None = None) -> Filter[Row]:
    """Return the filter of the command line's words; ChoiceError."""
    try:
        return parse(" ".join(words), table, refer)
    except FilterError as error:
        raise ChoiceError(str(error), error.pointer()) from None


def refuse(command: str, error: ChoiceError) -> int:
    """Tell what is wrong with a choice, and the exit status of bad input."""
    print(f"nsview {command}: {printable(str(error))}", file=sys.stderr)
    for line in error.pointer.splitlines():
        print(f"  {line}", file=sys.stderr)
    return 2


def asks_for_help(choices: Iterable[str]) -> bool:
    """Tell whether ``-o help`` was asked."""
    return "help" in choices


def write_help(table: Sequence[Column[Any]]) -> None:
    """List all columns with what they are and what a filter compares them with."""
    rows = [
        (column.name, " ".join(column.aliases), column.help, f"{column.kind.name}: {column.kind.takes}")
        for column in table
    ]
    titles = ("NAME", "ALSO", "WHAT IT IS", "IN A FILTER")
    listing.write([listing.Column(title, gives=at > 1) for at, title in enumerate(titles)], rows)


def _known(name: str, table: Sequence[Column[Row]]) -> Column[Row]:
    column = by_name(table).get(name)
    if column is None:
        from difflib import get_close_matches  # only for people who mistyped

        close = get_close_matches(name, by_name(table), n=3)
        meant = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ChoiceError(f"there is no column {name!r}{meant}; '--columns help' lists them all")
    return column
