"""The process tree of one snapshot: who is whose child, in an order that does not jump."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

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
        if self.above is None:
            return ""
        pieces = ["└─ " if self.is_last else "├─ "]
        row = self.above
        while row.above is not None:
            if len(pieces) == _DEEPEST_DRAWN:
                pieces.append("⋯ ")
                break
            pieces.append("   " if row.is_last else "│  ")
            row = row.above
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
        may_circle = False
        for record in sorted(records.values(), key=_age):
            parent = true_parent(record, records)
            siblings = self.roots if parent is None else self.children.setdefault(parent.pid, [])
            siblings.append(record.pid)
            may_circle |= parent is not None and _age(parent) > _age(record)
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
        rows = self.walk((pid,))
        next(rows)
        for row in rows:
            yield row.record.pid

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
        seen = {row.record.pid for row in self.walk()}
        for record in sorted(self.records.values(), key=_age):
            if record.pid in seen:
                continue
            self.children[record.ppid].remove(record.pid)
            self.roots.append(record.pid)
            self._opened.add(record.pid)
            seen.update(row.record.pid for row in self.walk((record.pid,)))


def _age(record: ProcessRecord) -> tuple[int, int]:
    return record.start_time, record.pid


def true_parent(record: ProcessRecord, records: Mapping[int, ProcessRecord]) -> ProcessRecord | None:
    """Return the record of the parent, or None when it is not in ``records``.

    A process with the parent's number that started later than the child has only inherited the number.
    """
    parent = records.get(record.ppid)
    if parent is None or parent.start_time > record.start_time or parent.pid == record.pid:
        return None
    return parent
