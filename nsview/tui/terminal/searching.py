"""Looking for a text among a terminal's lines. Pure: capitals count only where some are typed, as in less and vim."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.cells import cell_len


def occurrences(line: str, wanted: str) -> list[tuple[int, int]]:
    """Return where the text is in the line: first column and the one after, in cells."""
    if not wanted:
        return []
    if wanted == wanted.lower():
        folded = line.lower()
        line = folded if len(folded) == len(line) else line  # a few letters have no small one of the same length
    found: list[tuple[int, int]] = []
    at = line.find(wanted)
    while at >= 0:
        first = cell_len(line[:at])
        found.append((first, first + cell_len(line[at : at + len(wanted)])))
        at = line.find(wanted, at + len(wanted))
    return found


def find(text_of: Callable[[int], str], numbers: Iterable[int], wanted: str) -> int | None:
    """Return the first of these lines, by their numbers, that has the text."""
    return next((number for number in numbers if occurrences(text_of(number), wanted)), None)
