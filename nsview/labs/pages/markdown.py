"""Pieces of GitHub's Markdown, in which whatever a value is made of stays text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from nsview.host.text import printable

_MARKS = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What would begin or end something; ``_`` between letters is a letter in GitHub's Markdown."""
_BEGINNINGS = re.compile(r"^(\s*)([-+](?=\s)|#|=|\d+(?=[.)](?:\s|$)))")
"""What at the beginning of a line would make a list or a heading of it."""
_NO_PART_OF_A_SLUG = re.compile(r"[^\w\- ]")


def text(value: str) -> str:
    """Return ``value`` so that it is read as it is written: in a paragraph, a list's item or a table's cell."""
    marked = _MARKS.sub(r"\\\g<0>", escape(printable(value), quote=False))
    return _BEGINNINGS.sub(_escaped_beginning, marked)


def _escaped_beginning(found: re.Match[str]) -> str:
    space, begins = found.groups()
    return f"{space}{begins}\\" if begins.isdigit() else f"{space}\\{begins}"


def attribute(value: str) -> str:
    """Return ``value`` for an attribute of an HTML tag."""
    return escape(printable(value))


def anchor(name: str) -> str:
    """Return a place that a link may lead to."""
    return f'<a id="{attribute(name)}"></a>'


def anchored(name: str, words: str) -> str:
    """Return words that are a place, and a link to it for whoever wants to cite it."""
    return f'<a id="{attribute(name)}" href="#{attribute(name)}">{words}</a>'


def picture(alternative: str, path: str) -> str:
    """Return a picture, with what it shows in words."""
    return f"![{text(alternative)}]({path})"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Return the lines of a table of cells that are Markdown already; ``right``: which columns are numbers."""
    lines = [_row(heads), _row(["---:" if index in right else "---" for index in range(len(heads))])]
    return lines + [_row(row) for row in rows]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return _NO_PART_OF_A_SLUG.sub("", heading.lower()).replace(" ", "-")
