"""What is told first of a namespace: its leader, its parents and owners up to the initial one, what keeps it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nsview.host.columns.namespaces import NamespaceRow, maker_text
from nsview.host.namespaces import WAYS, Namespace
from nsview.host.namespaces.ancestry import RELATIONS, Relation
from nsview.wording.inside.section import Lead, Section
from nsview.wording.table import Column, show

_COLUMNS = (Column(""), Column("", gives=True))
_Row = tuple[tuple[str, str], Lead | None]


def reference(namespace: Namespace) -> str:
    """Return how the kernel writes a namespace in /proc/PID/ns, as ``net:[4026531840]``."""
    return f"{namespace.kind.proc}:[{namespace.inode}]"


def about(row: NamespaceRow, found: Mapping[int, Namespace], here: bool = True) -> Section:
    """Return the facts, each a name and a value; those of other namespaces and of the leader lead there.

    ``here``: it is among those found now; else it is gone, or not found yet.
    """
    rows = list(_rows(row, found, here))
    return Section("", _COLUMNS, [words for words, _ in rows], leads=[lead for _, lead in rows])


def _rows(row: NamespaceRow, found: Mapping[int, Namespace], here: bool) -> Iterator[_Row]:
    namespace, leader = row.namespace, row.leader
    if not here:
        yield ("gone", "nothing keeps it alive any more"), None
    elif namespace.name is not None and (leader is None or namespace.name != leader.comm):
        yield ("name", namespace.name), None
    if leader is not None:
        yield ("leader", f"{leader.pid} {leader.comm}"), Lead("process", leader.pid)
    if namespace.has_parents:
        yield from _chain("parent", namespace, RELATIONS["parent"], found)
    # The parent of a user namespace is its owner (user_namespaces(7)).
    if namespace.kind.name != "user":
        yield from _chain("owner", namespace, RELATIONS["owner"], found)
    number = "" if namespace.id is None else f"; its id is {namespace.id}"
    yield ("made by", f"uid {show(maker_text(namespace))}{number}"), None
    if here:
        yield ("alive by", _ways(namespace)), None
    yield ("isolates", namespace.kind.isolates), None


def _chain(word: str, namespace: Namespace, above: Relation, found: Mapping[int, Namespace]) -> Iterator[_Row]:
    """Yield those above: the nearest first, then its parents, up to the initial one."""
    if namespace.is_top and namespace.has_parents:
        yield (word, "none: it is the machine's initial one"), None
        return
    inode = above(namespace)
    if inode is None:
        yield (word, "? outside of our own, or not to be read"), None
    seen = {namespace.inode}
    while inode is not None and inode not in seen:
        seen.add(inode)
        other = found.get(inode)
        if other is None:
            yield (word, f"[{inode}]"), None
            return
        yield (word, _described(other)), Lead("namespace", inode)
        inode, word = other.parent, "above it"


def _described(other: Namespace) -> str:
    if other.is_top:
        return f"{reference(other)}, the initial one"
    if other.kind.name == "user":
        return f"{reference(other)} of uid {show(other.owner_uid)}"
    return reference(other) + ("" if other.name is None else f" {other.name}")


def _ways(namespace: Namespace) -> str:
    amounts = [(way.word, len(way.found(namespace))) for way in WAYS]
    return ", ".join(f"{word} {amount}" for word, amount in amounts if amount) or "?"
