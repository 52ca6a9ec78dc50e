"""Two processes to compare."""

from __future__ import annotations

from dataclasses import dataclass

from nsview.host.model import Identity


@dataclass(frozen=True, slots=True)
class Pair:
    """Two processes to compare: as a rule a parent and its child."""

    parent: Identity
    child: Identity

    @property
    def swapped(self) -> Pair:
        """The same two, the other way round."""
        return Pair(self.child, self.parent)
