"""Parents and owners: asked of the kernel once per namespace, up to those no process is in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from nsview.host.namespaces import nsfs
from nsview.host.namespaces.namespace import PID, USER, Namespace
from spawner.namespaces import KINDS, NamespaceKind

_ORDER = {kind: index for index, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class Relations:
    """What the kernel says of one namespace; None is unknown, or for the parent: there is none."""

    kind: NamespaceKind
    inode: int
    id: int | None
    parent: int | None
    owner: int | None
    owner_uid: int | None


def explore(fd: int, known: dict[int, Relations]) -> None:
    """Ask a namespace for its parent and owner, then those for theirs, up to the top; the answers go to ``known``."""
    kind = nsfs.kind_of(fd)
    if kind is None:
        return
    with ExitStack() as opened:
        pending = [(fd, kind)]
        while pending:
            fd, kind = pending.pop()
            inode = os.fstat(fd).st_ino
            if inode in known:
                continue
            parent = nsfs.related(fd, nsfs.NS_GET_PARENT, opened) if kind in (PID, USER) else None
            owner = nsfs.related(fd, nsfs.NS_GET_USERNS, opened)
            uid = nsfs.owner_uid(fd if kind is USER else owner)
            known[inode] = Relations(kind, inode, nsfs.id_of(fd), _inode(parent), _inode(owner), uid)
            pending += [(other, its) for other, its in ((parent, kind), (owner, USER)) if other is not None]


def recall(inode: int, earlier: Mapping[int, Namespace], known: dict[int, Relations]) -> None:
    """Take the relations from an earlier result, and those of the parents and owners it led to, if they were told."""
    pending = [inode]
    while pending:
        ns = earlier.get(pending.pop())
        if ns is None or ns.inode in known or (ns.id, ns.parent, ns.owner, ns.owner_uid) == (None,) * 4:
            continue
        known[ns.inode] = Relations(ns.kind, ns.inode, ns.id, ns.parent, ns.owner, ns.owner_uid)
        pending += [other for other in (ns.parent, ns.owner) if other is not None]


def related(found: Iterable[Namespace], known: Mapping[int, Relations]) -> dict[int, Namespace]:
    """Join namespaces with their relations, and add the parents and owners that were not among them. Pure.

    The result is by inode, in KINDS order and then by inode.
    """
    every = {ns.inode: ns for ns in found}
    for inode, facts in known.items():
        every.setdefault(inode, Namespace(facts.kind, inode, ()))
    children = _below({inode: facts.parent for inode, facts in known.items()})
    owned = _below({inode: facts.owner for inode, facts in known.items() if facts.owner != facts.parent})
    complete = {}
    for ns in sorted(every.values(), key=lambda ns: (_ORDER[ns.kind], ns.inode)):
        facts = known.get(ns.inode) or Relations(ns.kind, ns.inode, None, None, None, None)
        complete[ns.inode] = replace(
            ns,
            id=facts.id,
            parent=facts.parent,
            owner=facts.owner,
            owner_uid=facts.owner_uid,
            depth=_depth(ns.inode, known) if ns.has_parents else None,
            keepers=replace(ns.keepers, children=children.get(ns.inode, ()), owned=owned.get(ns.inode, ())),
        )
    return complete


def _below(above: Mapping[int, int | None]) -> dict[int, tuple[int, ...]]:
    """By inode: who names it, ascending."""
    below: dict[int, list[int]] = {}
    for inode in sorted(above):
        other = above[inode]
        if other is not None:
            below.setdefault(other, []).append(inode)
    return {inode: tuple(others) for inode, others in below.items()}


def _depth(inode: int, known: Mapping[int, Relations]) -> int | None:
    """How many ancestors we see; None when it could not be asked."""
    if inode not in known:
        return None
    depth = 0
    while (facts := known.get(inode)) is not None and facts.parent is not None:
        inode = facts.parent
        depth += 1
    return depth


def _inode(fd: int | None) -> int | None:
    return None if fd is None else os.fstat(fd).st_ino
