"""How a person wants the table: which processes, in which order, compared with whom. Values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from nsview.host.columns.kinds import BYTES, COUNT, DURATION, PERCENT, RATE
from nsview.host.columns.process_row import ProcessRow
from nsview.host.filter import Filter
from nsview.host.model import Identity
from nsview.tui.processes.scene import TABLE_COLUMNS


class Reference(Enum):
    """The process whose namespaces a row's are compared with; the value is the heading's word for it."""

    PARENT = "parent"
    INIT = "pid 1"
    SELF = "nsview"
    MARKED = "marked"


@dataclass(frozen=True, slots=True)
class Sort:
    """By which column rows stand, and whether the other way round than is natural for it."""

    column: str = "start"
    inverted: bool = False

    @property
    def descending(self) -> bool:
        """Tell whether the largest is the first: natural for amounts and shares, not for names and numbers."""
        return (TABLE_COLUMNS[self.column].kind in _LARGEST_FIRST or self.column in _COUNTS) != self.inverted

    @property
    def arrow(self) -> str:
        """The direction in one cell."""
        return "▼" if self.descending else "▲"

    def by(self, column: str) -> Sort:
        """Sort by this column; by the same again, the other way round."""
        return Sort(column, not self.inverted) if column == self.column else Sort(column)


_LARGEST_FIRST = (BYTES, COUNT, DURATION, PERCENT, RATE)
_COUNTS = ("threads", "fds", "depth", "oom")
BY_START = Sort()


@dataclass(frozen=True, slots=True)
class View:
    """What is wanted of the table. Tree and flat list are sorted each in its own way, so that a list sorted by CPU
    time never shuffles the tree.

    ``order`` is by identity: as rows stood when their order was frozen. ``folded`` are shut, all others open; with
    ``folds_others`` it is the contrary. ``follow`` is shown whatever else is said.
    """

    reference: Reference = Reference.PARENT
    tree: bool = True
    marked: Identity | None = None
    tagged: frozenset[Identity] = frozenset()
    filter: Filter[ProcessRow] | None = None
    flat_sort: Sort = BY_START
    tree_sort: Sort = BY_START
    order: Mapping[Identity, int] | None = None
    follow: Identity | None = None
    threads: bool = False
    kernel: bool = False
    folded: frozenset[Identity] = frozenset()
    folds_others: bool = False
    boundaries: bool = False
    audit: bool = False

    @property
    def sort(self) -> Sort:
        """The sort of what is shown, tree or list."""
        return self.tree_sort if self.tree else self.flat_sort

    def sorted_by(self, sort: Sort) -> View:
        """Sort what is shown, tree or list; its order is no longer frozen."""
        return replace(self, tree_sort=sort, order=None) if self.tree else replace(self, flat_sort=sort, order=None)

    def next_reference(self) -> View:
        """Compare with the next reference: parent, pid 1, nsview, and the marked process if there is one."""
        choices = [choice for choice in Reference if choice is not Reference.MARKED or self.marked is not None]
        place = choices.index(self.reference) if self.reference in choices else -1
        return replace(self, reference=choices[(place + 1) % len(choices)])

    def toggle_tree(self) -> View:
        """Show a flat list in place of the tree, or the other way."""
        return replace(self, tree=not self.tree, order=None)

    def mark(self, identity: Identity | None) -> View:
        """Mark a process and compare with it; marking it again, or None, takes the mark away."""
        if identity is None or identity == self.marked:
            left = Reference.PARENT if self.reference is Reference.MARKED else self.reference
            return replace(self, marked=None, reference=left)
        return replace(self, marked=identity, reference=Reference.MARKED)

    def tag(self, identity: Identity) -> View:
        """Tag a process, or take its tag away."""
        return replace(self, tagged=self.tagged ^ {identity})

    def tag_all(self, identities: Iterable[Identity]) -> View:
        """Tag all of these; if all are tagged already, take their tags away."""
        those = frozenset(identities)
        return replace(self, tagged=self.tagged - those if those <= self.tagged else self.tagged | those)

    def is_folded(self, identity: Identity) -> bool:
        """Tell whether what is below a process is hidden."""
        return (identity in self.folded) != self.folds_others

    def fold(self, identity: Identity, folded: bool) -> View:
        """Hide what is below a process, or show it."""
        listed = folded != self.folds_others
        return replace(self, folded=self.folded | {identity} if listed else self.folded - {identity})

    def fold_all(self, but: Iterable[Identity]) -> View:
        """Hide what is below every process but these; if that is so already, show everything."""
        if self.folds_others:
            return replace(self, folded=frozenset(), folds_others=False)
        return replace(self, folded=frozenset(but), folds_others=True)


AS_TREE = View()
"""The view at the start: a tree, each process compared with its parent."""
