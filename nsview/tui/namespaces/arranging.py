"""The list of namespaces as a person wants it: one kind or all, flat or as a tree, those that a filter leaves. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from nsview.host.columns.namespaces import NamespaceRow, rows_of
from nsview.host.filter import Filter
from nsview.host.namespaces import Namespace
from nsview.host.namespaces.ancestry import RELATIONS, drawn
from nsview.host.snapshot import ProcessRecord
from spawner.namespaces import BY_LETTER, NamespaceKind


class Shape(Enum):
    """How the namespaces stand: the value is the word for it."""

    FLAT = "flat"
    PARENT = "parent tree"
    OWNER = "owner tree"

    def next(self) -> Shape:
        """Return the one after this."""
        return _AFTER[self]


_AFTER = {Shape.FLAT: Shape.PARENT, Shape.PARENT: Shape.OWNER, Shape.OWNER: Shape.FLAT}
_ABOVE = {Shape.PARENT: RELATIONS["parent"], Shape.OWNER: RELATIONS["owner"]}


@dataclass(frozen=True, slots=True)
class View:
    """Which kind (by its letter; None: all), in which shape, and which of them (None: no filter)."""

    letter: str | None = None
    shape: Shape = Shape.FLAT
    wanted: Filter[NamespaceRow] | None = None

    @property
    def kind(self) -> NamespaceKind | None:
        """The kind."""
        return None if self.letter is None else BY_LETTER[self.letter]

    def only(self, letter: str | None) -> View:
        """Show another kind."""
        return replace(self, letter=letter)

    def next_shape(self) -> View:
        """Show them in the next shape."""
        return replace(self, shape=self.shape.next())

    def those(self, wanted: Filter[NamespaceRow] | None) -> View:
        """Show others."""
        return replace(self, wanted=wanted)


@dataclass(frozen=True, slots=True)
class Line:
    """A namespace, and the lines of the tree left of it."""

    branches: str
    row: NamespaceRow


def arranged(found: Mapping[int, Namespace], records: Mapping[int, ProcessRecord], view: View) -> tuple[Line, ...]:
    """Return the lines of the list, in the order of ``found``."""
    rows = rows_of((one for one in found.values() if view.kind in (None, one.kind)), records)
    if view.wanted is not None:
        rows = view.wanted.select(rows)
    above = _ABOVE.get(view.shape)
    if above is None:
        return tuple(Line("", row) for row in rows)
    by_inode = {row.namespace.inode: row for row in rows}
    return tuple(
        Line(branches, by_inode[namespace.inode])
        for branches, namespace in drawn([row.namespace for row in rows], above)
    )


def counts(found: Mapping[int, Namespace]) -> Counter[str]:
    """Return how many there are of each kind, by its letter."""
    return Counter(one.kind.letter for one in found.values())
