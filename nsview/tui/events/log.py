"""The log of events: the newest so many, and which of them are shown. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from nsview.host.events.event import LOST
from nsview.host.events.story import Told
from nsview.host.filter import Filter

MOST = 10_000
"""Events that are kept; with them some ten megabytes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in the log: its number, counted from the first ever heard, and whether it is of a launch of ours."""

    number: int
    told: Told
    ours: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """Which events are shown. That some were lost is always shown: the log would lie without it."""

    filter: Filter[Told] | None = None
    ours: bool = False
    threads: bool = False

    def shows(self, entry: Entry) -> bool:
        """Tell whether an event is among them."""
        told = entry.told
        if told.event.what == LOST:
            return True
        if (self.ours and not entry.ours) or not (self.threads or told.is_of_process):
            return False
        return self.filter is None or bool(self.filter.matches(told))


class Log:
    """The newest events; ``shown`` are the newest of those that the choice shows, the oldest first.

    What is shown is kept for its own sake: a storm of other events does not push it out.
    """

    def __init__(self, most: int = MOST) -> None:
        """Begin with none."""
        self.choice = Choice()
        self.shown: deque[Entry] = deque(maxlen=most)
        self.heard = 0
        """How many there have been, with those forgotten."""
        self.lost = 0
        """How many of them were losses."""
        self._kept: deque[Entry] = deque(maxlen=most)

    def __len__(self) -> int:
        """Number of events that are kept."""
        return len(self._kept)

    def add(self, entries: Iterable[Entry]) -> int:
        """Add events; return how many were dropped off the beginning of what is shown."""
        dropped = 0
        for entry in entries:
            self._kept.append(entry)
            self.heard += 1
            self.lost += entry.told.event.what == LOST
            if self.choice.shows(entry):
                dropped += len(self.shown) == self.shown.maxlen
                self.shown.append(entry)
        return dropped

    def choose(self, choice: Choice) -> None:
        """Show others."""
        self.choice = choice
        known = {entry.number: entry for entry in (*self.shown, *self._kept)}
        self.shown = deque(
            (known[number] for number in sorted(known) if choice.shows(known[number])), self.shown.maxlen
        )

    def clear(self) -> None:
        """Forget all events."""
        self._kept.clear()
        self.shown.clear()

    def place(self, number: int) -> int | None:
        """Return the place of an event among those shown, or of the next that is; None where there is none."""
        return next((at for at, entry in enumerate(self.shown) if entry.number >= number), None)
