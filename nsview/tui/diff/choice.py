"""Which two a person means to compare: by what is tagged, marked, and under the cursor. Pure."""

from __future__ import annotations

from collections.abc import Collection

from nsview.host.model import Identity
from nsview.tui.diff.pair import Pair

HOW = "Mark a process (m) and go to the other, or tag two (Space): then D compares them."


def chosen(tagged: Collection[Identity], marked: Identity | None, cursor: Identity | None) -> Pair | None:
    """Return the two that are tagged, the older first; else the marked or the tagged one, and who is under the
    cursor. None where that is not two.
    """
    if len(tagged) == _TWO:
        older, younger = sorted(tagged, key=lambda identity: (identity[1], identity[0]))
        return Pair(older, younger)
    others = [one for one in (marked, *(tagged if len(tagged) == 1 else ())) if one not in (None, cursor)]
    return Pair(others[0], cursor) if cursor is not None and others and others[0] is not None else None


_TWO = 2
