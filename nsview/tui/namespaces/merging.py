"""Two sources of namespaces in one: who is where, told every second, and the full search, some seconds old. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nsview.host.namespaces import Namespace
from spawner.namespaces import KINDS

_ORDER = {kind: index for index, kind in enumerate(KINDS)}


def merged(members: Mapping[int, Namespace], searched: Mapping[int, Namespace]) -> dict[int, Namespace]:
    """Return all that is known to exist, by inode in KINDS order and then by inode.

    ``members`` is what namespaces_of() says now, ``searched`` what discover() said before. Of the search stays what
    keeps a namespace alive beside its processes, and the namespaces that something but a process kept alive: those
    that processes alone did have ended if no process is in them any more. ``name`` is None where it is to be made
    anew: the leader is another.
    """
    found = {inode: _with_keepers(now, searched.get(inode)) for inode, now in members.items()}
    for inode, before in searched.items():
        if inode not in found:
            name = before.name if before.leader is None else None
            left = replace(before, members=(), leader=None, leader_start_time=None, awaited_by=(), name=name)
            if left.held_by:
                found[inode] = left
    return dict(sorted(found.items(), key=lambda item: (_ORDER[item[1].kind], item[0])))


def _with_keepers(now: Namespace, before: Namespace | None) -> Namespace:
    """Inodes are used again: another id, or another kind, is another namespace."""
    if before is None or before.kind is not now.kind or before.id != now.id:
        return now
    both = {
        name: tuple(sorted({*getattr(now.keepers, name), *getattr(before.keepers, name)}))
        for name in ("children", "owned")
    }
    led_by_the_same = (before.leader, before.leader_start_time) == (now.leader, now.leader_start_time)
    return replace(now, keepers=replace(before.keepers, **both), name=before.name if led_by_the_same else None)
