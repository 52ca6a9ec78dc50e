"""The columns of the list of namespaces: titles, widths and texts, and which of them fit a width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from nsview.host.columns.column import by_name
from nsview.host.columns.namespaces import NAMESPACE_COLUMNS, NamespaceRow

_HOST = by_name(NAMESPACE_COLUMNS)


@dataclass(frozen=True, slots=True)
class ListColumn:
    """A column; ``leaves``: it is shown only if it leaves so many cells to the name. None: it is always shown."""

    title: str
    width: int
    text: Callable[[NamespaceRow], str]
    leaves: int | None = None
    right: bool = True


def _of(name: str) -> Callable[[NamespaceRow], str]:
    return _HOST[name].text


def _maker(row: NamespaceRow) -> str:
    """Return the uid alone: names may take a directory service some time."""
    uid = row.namespace.owner_uid
    return "?" if uid is None else str(uid)


def _command(row: NamespaceRow) -> str:
    return "-" if row.leader is None else row.leader.comm


OWNER = "OWNER"
"""Drawn by the list, which numbers namespaces."""
HELD_BY = "HELD BY"

COLUMNS: tuple[ListColumn, ...] = (
    ListColumn("INODE", 10, _of("ns")),
    ListColumn("PROCS", 5, _of("nprocs")),
    ListColumn("LEADER", 7, _of("pid"), leaves=9),
    ListColumn(HELD_BY, 12, _of("held"), leaves=14, right=False),
    ListColumn(OWNER, 5, _of("owner"), leaves=16),
    ListColumn("UID", 10, _maker, leaves=18),
    ListColumn("ID", 10, _of("id"), leaves=20),
    ListColumn("COMMAND", 15, _command, leaves=24, right=False),
)
"""After the namespace itself, and before its name, which takes what is left."""


@lru_cache(maxsize=64)
def fit(width: int) -> tuple[tuple[ListColumn, ...], int]:
    """Choose columns for ``width`` cells right of the namespace's own; return them, and the cells left to the name."""
    free = width - sum(column.width + 1 for column in COLUMNS if column.leaves is None)
    chosen = set()
    for column in sorted(COLUMNS, key=lambda column: column.leaves or 0):
        if column.leaves is not None and free - column.width - 1 >= column.leaves:
            chosen.add(column.title)
            free -= column.width + 1
    columns = tuple(column for column in COLUMNS if column.leaves is None or column.title in chosen)
    if free >= _ROOMY + _MORE:
        columns = tuple(replace(each, width=each.width + _MORE) if each.title == HELD_BY else each for each in columns)
        free -= _MORE
    return columns, max(0, free)


_ROOMY, _MORE = 40, 20
"""Cells of the name from which on others are given to what keeps the namespace, which may be much; and how many."""
