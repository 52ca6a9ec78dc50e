"""Regular expressions of a filter."""

from __future__ import annotations

import re
from collections.abc import Callable

LONGEST = 256
"""Characters a regular expression may have."""


def searcher(regex: str, any_case: bool = False) -> Callable[[str], object]:
    """Return a function that is true for texts in which ``regex`` is found; ValueError when it is none."""
    if len(regex) > LONGEST:
        raise ValueError(f"a regular expression has at most {LONGEST} characters")
    try:
        return re.compile(regex, re.IGNORECASE if any_case else 0).search
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"no regular expression: {error}") from None
