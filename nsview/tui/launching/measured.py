"""What labs have measured on this machine, for the launch panel: read now and then, for a lab may have run since."""

from __future__ import annotations

from time import monotonic

from nsview.advice.costs import LABS
from nsview.labs.kept import Found, find

PERIOD = 5.0
"""Seconds for which what was read is good enough: a form changes with every key."""


class Measured:
    """Reads the files of measurements. For one thread, which may wait for a disk."""

    def __init__(self) -> None:
        self._found: tuple[Found, ...] = ()
        self._read_at: float | None = None

    def newest(self) -> tuple[Found, ...]:
        """What there is of each lab that advice cites."""
        now = monotonic()
        if self._read_at is None or now - self._read_at >= PERIOD:
            self._found, self._read_at = tuple(map(find, LABS)), now
        return self._found
