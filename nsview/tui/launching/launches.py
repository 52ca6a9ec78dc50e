"""The launches of this session: who they are, how they stand, and which one is in front."""

from __future__ import annotations

from collections.abc import Iterator

from nsview.host.model import Identity
from nsview.tui.launching.holding import Hold, Mark, Stops, mark_of, places
from nsview.tui.launching.launched import Launched
from spawner import Plan


class Launches:
    """Launches by their number, in the order they were made; ``chosen`` is the number of the one in front.

    ``breakpoints`` are the steps before which a child that can be held stops, in this launch and all later ones.
    """

    def __init__(self) -> None:
        self._launched: dict[int, Launched] = {}
        self.chosen: int | None = None
        self.breakpoints: frozenset[Mark] = frozenset()
        self.stop_at_once = False
        """Whether the next launch shall be held before its first step."""

    def toggle_breakpoint(self, plan: Plan, index: int) -> bool:
        """Have children stop before this step of a plan, or not any more; return whether they do now."""
        mark = mark_of(plan, index)
        self.breakpoints ^= {mark}
        return mark in self.breakpoints

    @property
    def stops(self) -> Stops | None:
        """What finds the breakpoints in a plan; None where there are none."""
        marks = self.breakpoints
        return (lambda plan: places(plan, marks)) if marks else None

    def take_holds(self, hold: Hold | None) -> tuple[Hold | None, Stops | None]:
        """Return what the next launch is to be held before, ``hold`` at the latest, and where it stops on the way."""
        at_once, self.stop_at_once = self.stop_at_once, False
        if not at_once:
            return hold, self.stops
        return hold or (lambda _plan: 0), lambda _plan: (0,)

    def next_stop(self, launched: Launched) -> int | None:
        """Return the step before which a held child stops next if it runs on; None: it runs its program."""
        if launched.held is None:
            return None
        stops = {*places(launched.plan, self.breakpoints), launched.goal}
        return min((index for index in stops if index is not None and index > launched.held), default=None)

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
