"""Texts of exactly so many cells, and numbers worded in few."""

from __future__ import annotations

import re

from rich.cells import cell_len, set_cell_size


def fitted(text: str, width: int, right: bool = False) -> str:
    """Return ``text`` at exactly ``width`` cells; one that is too long loses its end to ``…``."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 0 else ""
    return " " * (width - length) + text if right else text + " " * (width - length)


def breakable(call: str) -> str:
    """Part the flags of a traced call by blanks, so that a line may end after each; strings stay as they are."""
    return _STRING_OR_BAR.sub(lambda found: " | " if found[0] == "|" else found[0], call)


_STRING_OR_BAR = re.compile(r'"(?:[^"\\]|\\.)*"|\|')


def amount(number: float | None) -> str:
    """Word a number of bytes, or of anything else, in at most five cells; ``?`` if it is unknown."""
    if number is None:
        return "?"
    unit = 0
    while number >= 999.5 and unit < len(_UNITS) - 1:
        number /= 1024
        unit += 1
    return f"{number:.1f}{_UNITS[unit]}" if unit and number < 9.95 else f"{number:.0f}{_UNITS[unit]}"


_UNITS = ("", "K", "M", "G", "T", "P", "E")


def percent(share: float | None) -> str:
    """Word a share of one core, in percent, in at most five cells; ``?`` if it is unknown."""
    if share is None:
        return "?"
    return f"{share:.1f}" if share < 999.95 else f"{share:.0f}"


def duration(seconds: float) -> str:
    """Word a time used, as ``1:02.34`` (minutes) or ``12h05m``, in at most eight cells."""
    minutes, rest = divmod(seconds, 60)
    if minutes < 1000:
        return f"{minutes:.0f}:{rest:05.2f}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:.0f}h{minutes:02.0f}m"
