"""The launches of this session: who they are, how they stand, and which one is in front."""

from __future__ import annotations

from collections.abc import Iterator

from nsview.host.model import Identity
from nsview.tui.launching.launcher import Launched


class Launches:
    """Launches by their number, in the order they were made; ``chosen`` is the number of the one in front."""

    def __init__(self) -> None:
        self._launched: dict[int, Launched] = {}
        self.chosen: int | None = None

    def __len__(self) -> int:
        return len(self._launched)

    def __iter__(self) -> Iterator[Launched]:
        return iter(self._launched.values())

    def __contains__(self, number: int) -> bool:
        return number in self._launched

    def __getitem__(self, number: int) -> Launched:
        return self._launched[number]

    def put(self, launched: Launched) -> None:
        """Take in a launch, or how it stands now."""
        self._launched[launched.number] = launched

    def drop(self, number: int) -> None:
        """Forget a launch; the newest of the others comes to the front."""
        del self._launched[number]
        if self.chosen == number:
            self.chosen = max(self._launched, default=None)

    @property
    def front(self) -> Launched | None:
        """The launch in front."""
        return None if self.chosen is None else self._launched[self.chosen]

    def of(self, identity: Identity) -> Launched | None:
        """Return the launch of a process, if it is one."""
        return next((one for one in self if one.identity == identity), None)

    def neighbour(self, by: int) -> int | None:
        """Return the number of the launch so many places after the one in front, around the end."""
        numbers = [*self._launched]
        if not numbers:
            return None
        place = 0 if self.chosen is None else numbers.index(self.chosen)
        return numbers[(place + by) % len(numbers)]

    @property
    def ended(self) -> int:
        """How many have ended."""
        return sum(one.exit is not None for one in self)
