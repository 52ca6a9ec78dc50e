"""The lines of a tree in a listing: left of the name, whichever column has it."""

from __future__ import annotations

from collections.abc import Sequence

from nsview.host.columns import Column
from nsview.host.columns.process_row import ProcessRow
from nsview.host.tree import ProcessTree

NAMES = ("comm", "command")


def drawn(columns: Sequence[Column[ProcessRow]], row: ProcessRow, branches: str) -> list[str]:
    """Return a row's cells with the lines of the tree before its name."""
    return [
        branches + column.text(row) if branches and column.name in NAMES else column.text(row) for column in columns
    ]


def order_siblings(tree: ProcessTree, rows: Sequence[ProcessRow]) -> None:
    """Put the children of each process, and the roots, in the order of ``rows``."""
    place = {row.record.pid: at for at, row in enumerate(rows)}
    last = len(place)
    for siblings in (tree.roots, *tree.children.values()):
        siblings.sort(key=lambda pid: place.get(pid, last))
