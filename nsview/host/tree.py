"""The process tree of one snapshot: who is whose child, in an order that does not jump."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

from nsview.host.snapshot import ProcessRecord

_DEEPEST_DRAWN = 48


@dataclass(frozen=True, slots=True, eq=False)
class TreeRow:
    """One line of a drawn tree: the process, its depth, and whether it is its parent's last child."""

    record: ProcessRecord
    depth: int
    is_last: bool
    above: TreeRow | None

    @property
    def branches(self) -> str:
        """The lines left of the name, as ``│  └─ ``; empty for a root."""
        return _branches(self._lasts())

    def _lasts(self) -> Iterator[bool]:
        row = self
        while row.above is not None:
            yield row.is_last
            row = row.above


def _branches(lasts: Iterator[bool]) -> str:
    """Draw the lines left of a name; of it and of all above it but the root: is it its parent's last child?"""
    pieces: list[str] = []
    for is_last in lasts:
        if not pieces:
            pieces.append("└─ " if is_last else "├─ ")
        elif len(pieces) == _DEEPEST_DRAWN:
            pieces.append("⋯ ")
            break
        else:
            pieces.append("   " if is_last else "│  ")
    return "".join(reversed(pieces))


class ProcessTree:
    """Parents, children and order of a snapshot's processes.

    Children are ordered by start time, then pid: a new process appears below its siblings and nothing else
    moves. A process whose parent is not in the snapshot is a root; several roots are a legal state (pid
    namespaces, kernel threads, no permission). ``roots`` and ``children`` hold pids.
    """

    def __init__(self, records: Mapping[int, ProcessRecord]) -> None:
        """Build the tree of ``records``, keyed by pid (Snapshot.records)."""
        self.records = records
        self.children: dict[int, list[int]] = {}
        self.roots: list[int] = []
        self._opened: set[int] = set()
        self._drawn: dict[tuple[int, bool | None], str] = {}
        may_circle = False
        for start_time, pid, ppid in sorted(map(_KIN, records.values())):
            parent = records.get(ppid)
            if parent is None or parent.start_time > start_time or ppid == pid:  # as true_parent(), without its calls
                self.roots.append(pid)
                continue
            siblings = self.children.get(ppid)
            if siblings is None:
                siblings = self.children[ppid] = []
            siblings.append(pid)
            may_circle |= parent.start_time == start_time and ppid > pid
        if may_circle:
            self._open_circles()

    def parent(self, pid: int) -> int | None:
        """Return the pid of the parent when it is in the snapshot."""
        record = true_parent(self.records[pid], self.records)
        return None if record is None or pid in self._opened else record.pid

    def ancestors(self, pid: int) -> Iterator[int]:
        """Yield parent, grandparent and so on."""
        seen = {pid}
        parent = self.parent(pid)
        while parent is not None and parent not in seen:
            yield parent
            seen.add(parent)
            parent = self.parent(parent)

    def descendants(self, pid: int) -> Iterator[int]:
        """Yield everything below, in the order drawn."""
        pids = iter(self.order((pid,)))
        next(pids)
        return pids

    def order(self, roots: Iterable[int] | None = None, folded: Container[int] = ()) -> list[int]:
        """Return the pids in the order drawn, depth first, leaving out what is below a ``folded`` one."""
        children = self.children
        stack = [*(self.roots if roots is None else roots)]
        stack.reverse()
        found = []
        while stack:
            pid = stack.pop()
            found.append(pid)
            below = children.get(pid)
            if below and pid not in folded:
                stack.extend(reversed(below))
        return found

    def branches(self, pid: int, below: bool | None = None) -> str:
        """Return the lines left of a process's name, as TreeRow has them.

        ``below``: those of what is drawn below the process itself, before its children; True for the last below it.
        """
        drawn = self._drawn.get((pid, below))
        if drawn is None:
            lasts = self._lasts(pid)
            drawn = self._drawn[pid, below] = _branches(lasts if below is None else chain((below,), lasts))
        return drawn

    def _lasts(self, pid: int) -> Iterator[bool]:
        for above in self.ancestors(pid):
            yield self.children[above][-1] == pid
            pid = above

    def walk(self, roots: Iterable[int] | None = None, folded: frozenset[int] = frozenset()) -> Iterator[TreeRow]:
        """Yield the rows of the drawn tree, depth first, leaving out what is below a ``folded`` pid."""
        records, children = self.records, self.children
        stack: list[TreeRow] = []
        tops = list(self.roots if roots is None else roots)
        stack.extend(TreeRow(records[pid], 0, True, None) for pid in reversed(tops))
        while stack:
            row = stack.pop()
            yield row
            pid = row.record.pid
            below = children.get(pid)
            if not below or pid in folded:
                continue
            depth, last = row.depth + 1, below[-1]
            stack.extend(TreeRow(records[child], depth, child == last, row) for child in reversed(below))

    def _open_circles(self) -> None:
        """Make roots of what no root reaches.

        A reused pid can close a circle: 5 names 6 as parent, 6 ends, and its number goes to a child of 5
        before it is read. Start times rule that out unless both started in the same clock tick.
        """
        seen = {*self.order()}
        for _, pid, ppid in sorted(map(_KIN, self.records.values())):
            if pid in seen:
                continue
            self.children[ppid].remove(pid)
            if not self.children[ppid]:
                del self.children[ppid]
            self.roots.append(pid)
            self._opened.add(pid)
            seen.update(self.order((pid,)))


_KIN = itemgetter(*map(ProcessRecord._fields.index, ("start_time", "pid", "ppid")))
"""What a tree is made of; they stand by age."""


def true_parent(record: ProcessRecord, records: Mapping[int, ProcessRecord]) -> ProcessRecord | None:
    """Return the record of the parent, or None when it is not in ``records``.

    A process with the parent's number that started later than the child has only inherited the number.
    """
    parent = records.get(record.ppid)
    if parent is None or parent.start_time > record.start_time or parent.pid == record.pid:
        return None
    return parent
