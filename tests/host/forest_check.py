"""Holds what nsview found of a forest against what made it, against a slow reading, and against lsns(8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from forest import Facts
from forest_reading import Slow

from nsview.host.namespaces import Namespace

Found = Mapping[int, Namespace]


def differences(facts: Facts, found: Found, slow: Slow, listed: list[dict[str, object]]) -> list[str]:
    """Say, one a line, where they do not agree on the namespaces of the forest."""
    inodes = {hold.inode for hold in facts.alive()}
    made = facts.last_made()
    inodes |= _above(inodes, {inode: (one.parent, one.owner) for inode, one in made.items()})
    return [
        *_with_maker(facts, found, inodes),
        *_with_slow(facts, found, slow, inodes),
        *_with_lsns(found, listed, inodes & made.keys()),
    ]


def _above(inodes: set[int], related: Mapping[int, tuple[int | None, int]]) -> set[int]:
    above: set[int] = set()
    pending = list(inodes)
    while pending:
        for other in related.get(pending.pop(), ()):
            if other is not None and other not in above:
                above.add(other)
                pending.append(other)
    return above


def _with_maker(facts: Facts, found: Found, inodes: set[int]) -> Iterator[str]:
    for inode in inodes - found.keys():
        yield f"the forest has {inode}, we do not"
    for hold in facts.alive():
        if (ns := found.get(hold.inode)) is not None and hold.holder not in _holders(ns, hold.how):
            yield f"{hold} is missing; we have {sorted(_holders(ns, hold.how))}"
    for made in facts.last_made().values():
        if (ns := found.get(made.inode)) is not None and made.inode in inodes:
            known = (ns.kind.proc, ns.parent, ns.owner, ns.owner_uid)
            if ns.depth is None and ns.has_parents:
                yield f"{made}: not asked"
            if known != (made.kind, made.parent, made.owner, 0):
                yield f"{made} is {known} to us"


def _holders(ns: Namespace, how: str) -> set[tuple[object, ...]]:
    kept = ns.keepers
    return {
        "member": {(pid,) for pid in ns.members},
        "awaited": {(pid,) for pid in ns.awaited_by},
        "task": {tuple(task) for task in kept.tasks},
        "awaiting_task": {tuple(task) for task in kept.awaiting_tasks},
        "fd": {(one.pid, one.fd) for one in kept.descriptors},
        "socket": {(one.pid, one.fd) for one in kept.sockets},
        "mount": {tuple(mount) for mount in kept.bind_mounts},
    }[how]


def _with_slow(facts: Facts, found: Found, slow: Slow, inodes: set[int]) -> Iterator[str]:
    """Compare everything about these namespaces, but what strangers that look at them hold for a moment."""
    for inode in sorted(inodes):
        ns, reading = found.get(inode), slow.get(inode)
        if ns is None or reading is None:
            yield f"{inode}: we have {ns}, the slow reading {reading}"
            continue
        kept, ours = ns.keepers, facts.pids
        pairs: dict[str, tuple[set[object], set[object]]] = {
            "members": (set(ns.members) & ours, reading.members & ours),  # type: ignore[dict-item]
            "awaited": (set(ns.awaited_by) & ours, reading.awaited & ours),  # type: ignore[dict-item]
            "tasks": _of(ours, kept.tasks, reading.tasks),
            "awaiting tasks": _of(ours, kept.awaiting_tasks, reading.awaiting_tasks),
            "descriptors": _of(ours, kept.descriptors, reading.fds),
            "sockets": _of(ours, kept.sockets, reading.sockets),
            "mounts": ({tuple(mount) for mount in kept.bind_mounts}, set(reading.mounts)),
        }
        for name, (mine, theirs) in pairs.items():
            if mine != theirs:
                yield f"{inode} {ns.kind.proc}, {name}: only we {mine - theirs}, only the slow reading {theirs - mine}"
        if (ns.parent, ns.owner, ns.owner_uid) != (reading.related or (None, None, None)):
            yield f"{inode}: {(ns.parent, ns.owner, ns.owner_uid)} is {reading.related} to the slow reading"


def _of(pids: set[int], mine: object, theirs: object) -> tuple[set[object], set[object]]:
    one, other = ({tuple(row) for row in rows if row[0] in pids} for rows in (mine, theirs))  # type: ignore[attr-defined]
    return one, other


def _with_lsns(found: Found, listed: list[dict[str, object]], inodes: set[int]) -> Iterator[str]:
    """Compare what it knows: the namespaces of processes, how many, parents and owners."""
    rows = {row["ns"]: row for row in listed if row["ns"] in inodes}
    for inode in sorted(inodes & found.keys()):
        ns, row = found[inode], rows.get(inode)
        if row is None:
            if ns.members:
                yield f"{inode}: {len(ns.members)} processes to us, none to lsns"
            continue
        if (row["type"], row["nprocs"]) != (ns.kind.proc, len(ns.members)):
            yield f"{inode}: {ns.kind.proc} with {len(ns.members)} processes is {row} to lsns"
        if (row["pns"] or None, row["ons"] or None) != (ns.parent, ns.owner):
            yield f"{inode}: parent {ns.parent}, owner {ns.owner} is {row} to lsns"
