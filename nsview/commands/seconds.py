"""A time in seconds as an option takes it."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

DAY = 86400.0
TEN_YEARS = 3650 * DAY


def seconds(most: float, words: str, least: float = 0.0) -> Callable[[str], float]:
    """Make a type for argparse: more than 0, from ``least`` to ``most``; ``words`` say what another text is."""

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if found > 0 and least <= found <= most:
            return found
        raise argparse.ArgumentTypeError(f"{text!r} is {words}")

    return read
