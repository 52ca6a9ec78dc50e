"""Stable colours for namespace instances: twelve hues, given in the order in which instances are first seen.

A hue only helps the eye to find members of one instance; the letter always carries the meaning, so nothing is
lost with NO_COLOR or where two hues fall on one of a terminal's sixteen colours.
"""

from __future__ import annotations

from functools import cache
from math import cos, radians, sin

from textual.color import Color, Lab, lab_to_rgb

HUES = 12

# Steps of five twelfths of the circle: neighbours in the order are far apart in hue.
_ANGLES = tuple((30 + 150 * step) % 360 for step in range(HUES))

# All of a 16-colour terminal's colours but black, white and the greys, which texts and backgrounds use.
_ANSI = tuple(
    Color.parse(f"ansi_{brightness}{name}")
    for brightness in ("", "bright_")
    for name in ("cyan", "magenta", "yellow", "green", "blue", "red")
)


@cache
def hues(dark: bool, ansi: bool) -> tuple[Color, ...]:
    """Return the twelve colours for a theme.

    ``dark``: the theme's background is dark. ``ansi``: the theme leaves colours to the terminal. The true
    colours have one lightness in CIE L*a*b*, so that all of them stand out alike from the background.
    """
    if ansi:
        return _ANSI
    lightness, chroma = (74.0, 48.0) if dark else (42.0, 44.0)
    return tuple(
        lab_to_rgb(Lab(lightness, chroma * cos(radians(angle)), chroma * sin(radians(angle)))).clamped
        for angle in _ANGLES
    )


class Ordinals:
    """Numbers the instances of each kind of namespace from 1, in the order in which they are first asked for.

    Number the machine's initial namespaces first, so that 1 is theirs.
    """

    def __init__(self) -> None:
        """Begin with none seen."""
        self._seen: dict[tuple[int, int], int] = {}
        self._last: dict[int, int] = {}

    def number(self, kind: int, inode: int) -> int:
        """Return the number of the instance ``inode`` of the kind at this index of ``mnpUuiCT``."""
        known = self._seen.get((kind, inode))
        if known is None:
            known = self._seen[kind, inode] = self._last[kind] = self._last.get(kind, 0) + 1
        return known


def hue(number: int) -> int:
    """Return the index into :func:`hues` for an instance's number; numbers twelve apart share a hue."""
    return (number - 1) % HUES
