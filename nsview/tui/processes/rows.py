"""From a history of snapshots to the rows of the process table: order, tree, marks. Values in, values out.

:class:`Rows` puts a history (nsview.host.history) in the order of a :class:`View`. A row's own values are
worked out when the row is asked for, so only rows in view cost anything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import overload

from nsview.host.cells import cells, initial_reference, parent_reference
from nsview.host.history import History
from nsview.host.model import Identity
from nsview.host.snapshot import Namespaces, ProcessRecord
from nsview.host.tree import ProcessTree, TreeRow, true_parent

_NOTHING: Mapping[Identity, None] = MappingProxyType({})
_NOBODY: Mapping[int, str] = MappingProxyType({})


class Reference(Enum):
    """The process whose namespaces a row's are compared with; the value is the heading's word for it."""

    PARENT = "parent"
    INIT = "pid 1"
    SELF = "nsview"
    MARKED = "marked"


@dataclass(frozen=True, slots=True)
class View:
    """How a person wants the table: compared with whom, as a tree or flat, and which process is marked."""

    reference: Reference = Reference.PARENT
    tree: bool = True
    marked: Identity | None = None

    def next_reference(self) -> View:
        """Compare with the next reference: parent, pid 1, nsview, and the marked process if there is one."""
        choices = [choice for choice in Reference if choice is not Reference.MARKED or self.marked is not None]
        place = choices.index(self.reference) if self.reference in choices else -1
        return replace(self, reference=choices[(place + 1) % len(choices)])

    def toggle_tree(self) -> View:
        """Show a flat list in place of the tree, or the other way."""
        return replace(self, tree=not self.tree)

    def mark(self, identity: Identity | None) -> View:
        """Mark a process and compare with it; marking it again, or None, takes the mark away."""
        if identity is None or identity == self.marked:
            left = Reference.PARENT if self.reference is Reference.MARKED else self.reference
            return replace(self, marked=None, reference=left)
        return replace(self, marked=identity, reference=Reference.MARKED)


AS_TREE = View()
"""The view at the start: a tree, each process compared with its parent."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    ``user`` is the name of the owner, the number where it has no name. ``branch`` is the tree's lines left
    of the name; ``cells`` the eight of ``mnpUuiCT``. Rates are per second and ``cpu`` is in percent of one
    core; None where one snapshot alone cannot tell. ``exit`` says how one of our own launches ended.
    """

    record: ProcessRecord
    user: str
    branch: str
    cells: str
    cpu: float | None
    faults: float | None
    switches: float | None
    born: bool
    gone: bool
    own: bool
    marked: bool
    exit: str | None

    @property
    def identity(self) -> Identity:
        """The process's pid and start time."""
        return self.record.identity


class Rows(Sequence[Row]):
    """The table's rows in their order; ``rows[i]`` is worked out when asked for. Immutable.

    ``launches``: our own children, each with how it ended, None while it runs. ``users``: names by uid.
    Siblings stand by start time (flat, all processes do), so rows keep their order while values change. A
    process gone of late keeps its row, unless its pid is in use again.
    """

    def __init__(
        self,
        history: History | None = None,
        view: View = AS_TREE,
        launches: Mapping[Identity, str | None] = _NOTHING,
        users: Mapping[int, str] = _NOBODY,
    ) -> None:
        """Put the processes in order; without a history there are none."""
        self.history = history
        self.view = view
        self._launches = launches
        self._users = users
        self._records = {} if history is None else _in_sight(history)
        self._drawn: Sequence[TreeRow] | None = None
        if view.tree:
            self._drawn = [*ProcessTree(self._records).walk()]
            self._order = [row.record for row in self._drawn]
        else:
            self._order = sorted(self._records.values(), key=lambda record: (record.start_time, record.pid))
        self._lines = {record.identity: line for line, record in enumerate(self._order)}

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self._row(line) for line in range(*index.indices(len(self)))]
        return self._row(index)

    def initial_namespaces(self) -> Namespaces | None:
        """Return the machine's own namespaces as seen from here; None while they are unknown."""
        first = initial_reference(self._records)
        return None if first is None else first.ns

    def identity_at(self, line: int) -> Identity:
        """Return who is on a line."""
        return self._order[line].identity

    def line_of(self, identity: Identity) -> int | None:
        """Return the line a process is on, None if it has none."""
        return self._lines.get(identity)

    def record_of(self, identity: Identity) -> ProcessRecord | None:
        """Return the last that is known of a process in the table."""
        line = self._lines.get(identity)
        return None if line is None else self._order[line]

    def parent_of(self, identity: Identity) -> Identity | None:
        """Return the parent of a process in the table, None if either is not in it."""
        record = self.record_of(identity)
        parent = None if record is None else true_parent(record, self._records)
        return None if parent is None else parent.identity

    def is_gone(self, identity: Identity) -> bool:
        """Tell whether a process is gone, in this table's eyes."""
        live = None if self.history is None else self.history.newest.records.get(identity[0])
        return live is None or live.identity != identity

    def _row(self, line: int) -> Row:
        record = self._order[line]
        identity = record.identity
        history = self.history
        assert history is not None, "rows without a history are empty"
        change = history.change(record)
        return Row(
            record=record,
            user="?" if record.uid is None else self._users.get(record.uid, str(record.uid)),
            branch=self._branch(line),
            cells=cells(record, self._reference(record)),
            cpu=change.cpu,
            faults=change.faults_per_second,
            switches=change.switches_per_second,
            born=identity in history.born,
            gone=self.is_gone(identity),
            own=identity in self._launches,
            marked=identity == self.view.marked,
            exit=self._launches.get(identity),
        )

    def _branch(self, line: int) -> str:
        boundary = crosses_boundary(self._order[line], self._records)
        if self._drawn is None:
            return "◆ " if boundary else ""
        branch = self._drawn[line].branches
        return f"{branch[:-2]}◆ " if boundary and branch else branch

    def _reference(self, record: ProcessRecord) -> ProcessRecord | None:
        match self.view.reference:
            case Reference.PARENT:
                return parent_reference(record, self._records)
            case Reference.INIT:
                return initial_reference(self._records)
            case Reference.SELF:
                return self._records.get(os.getpid())
            case Reference.MARKED:
                return None if self.view.marked is None else self.record_of(self.view.marked)


def crosses_boundary(record: ProcessRecord, records: Mapping[int, ProcessRecord]) -> bool:
    """Tell whether a process is known to be in another namespace than its parent, of any kind."""
    parent = true_parent(record, records)
    if parent is None or record.ns == parent.ns:
        return False
    return any(a != b for a, b in zip(record.ns, parent.ns, strict=True) if a is not None and b is not None)


def _in_sight(history: History) -> dict[int, ProcessRecord]:
    """Return the living and those gone of late; where a pid is used again, the living."""
    records = {pid: departed.record for pid, departed in history.gone.items()}
    records.update(history.newest.records)
    return records
