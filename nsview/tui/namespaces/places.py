"""Where a person is in the inspector: in the list, with the process under the tree's cursor, in one namespace.

Pure: a stack of places of which the last is shown.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InList:
    """The list of all namespaces."""


@dataclass(frozen=True, slots=True)
class Linked:
    """The namespaces of the process under the tree's cursor, whoever that is; ``letter``: the kind that is told of."""

    letter: str = "m"


@dataclass(frozen=True, slots=True)
class Inside:
    """One namespace, by its inode, that was gone to."""

    inode: int


Place = InList | Linked | Inside

_MOST = 64
"""Places that are remembered."""


@dataclass(frozen=True, slots=True)
class Way:
    """The places that led here."""

    places: tuple[Place, ...] = (InList(), Linked())

    @property
    def here(self) -> Place:
        """The place that is shown."""
        return self.places[-1]

    def to(self, place: Place) -> Way:
        """Go to a place, unless that is this one."""
        return self if place == self.here else Way((self.places[0], *self.places[1:][1 - _MOST :], place))

    def back(self) -> Way:
        """Go back to the place before, in the end to the list."""
        return Way(self.places[:-1]) if len(self.places) > 1 else Way((InList(),))

    def instead(self, place: Place) -> Way:
        """Be at another place, from which the way back is the same."""
        return Way((*self.places[:-1], place))
