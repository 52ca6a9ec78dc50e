"""Who is in which namespace, from a snapshot alone: members, those who await it, the leader. Cheap: every second."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import chain

from nsview.host.namespaces.namespace import PID, TIME, Namespace
from nsview.host.namespaces.relations import Relations, explore, recall, related
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import Namespaces, ProcessRecord, Snapshot
from nsview.host.tree import ProcessTree
from spawner.namespaces import KINDS, NamespaceKind

_TRIED = 3


def namespaces_of(
    snapshot: Snapshot,
    tree: ProcessTree | None = None,
    known: Mapping[int, Namespace] | None = None,
) -> dict[int, Namespace]:
    """Return every namespace the snapshot's processes are in, by inode, in KINDS order and then by inode.

    Parents and owners are asked of the kernel once per namespace and never per process. ``known``, an earlier
    result, spares that for the namespaces it has. A parent or owner without a process is found too, with no
    members. What only threads, descriptors, sockets or mounts hold is found by discover().
    """
    relations: dict[int, Relations] = {}
    found = members_of(snapshot, tree or ProcessTree(snapshot.records))
    for namespace in found.values():
        if known is not None and _is_same(known.get(namespace.inode), namespace):
            recall(namespace.inode, known, relations)
        if namespace.inode not in relations and (fd := open_by_process(namespace, snapshot)) is not None:
            try:
                explore(fd, relations)
            finally:
                os.close(fd)
    return related(found.values(), relations)


def members_of(snapshot: Snapshot, tree: ProcessTree) -> dict[int, Namespace]:
    """Return the namespaces of the processes, without relations. Pure.

    Most processes are where their parents are: those are taken together, and only the others looked at one by one.
    """
    records = snapshot.records
    together: dict[Namespaces, list[int]] = {}
    tops: list[tuple[ProcessRecord, Namespaces | None]] = []
    awaited: dict[int, list[int]] = {}
    kinds: dict[int, NamespaceKind] = {}
    for record in records.values():
        ns = record.ns
        together.setdefault(ns, []).append(record.pid)
        up = tree.parent(record.pid)
        above = None if up is None else records[up].ns
        if above != ns:
            tops.append((record, above))
        for kind, inode, own in ((PID, record.pid_for_children, ns[2]), (TIME, record.time_for_children, ns[7])):
            if inode is not None and inode != own:
                kinds[inode] = kind
                awaited.setdefault(inode, []).append(record.pid)
    members: dict[int, list[list[int]]] = {}
    for where, pids in together.items():
        for kind, inode in zip(KINDS, where, strict=True):
            if inode is not None:
                kinds[inode] = kind
                members.setdefault(inode, []).append(pids)
    leaders = _leaders(tops)
    found = {}
    for inode, kind in kinds.items():
        parts = members.get(inode, [])
        inside = tuple(parts[0]) if len(parts) == 1 else tuple(sorted(chain.from_iterable(parts)))
        started, leader = leaders.get(inode, (None, None))
        found[inode] = Namespace(kind, inode, inside, leader, started, tuple(awaited.get(inode, ())))
    return found


def _leaders(tops: Iterable[tuple[ProcessRecord, Namespaces | None]]) -> dict[int, tuple[int, int]]:
    """Return start time and pid, by namespace, of the oldest process whose parent is elsewhere.

    ``tops`` are the processes that differ from their parent in some namespace, and where that is.
    """
    leaders: dict[int, tuple[int, int]] = {}
    for record, above in tops:
        age = record.start_time, record.pid
        for at, inode in enumerate(record.ns):
            if inode is not None and (above is None or above[at] != inode):
                leaders[inode] = min(leaders.get(inode, age), age)
    return leaders


def _is_same(earlier: Namespace | None, now: Namespace) -> bool:
    """Inodes are used again; a leader that has stayed shows that the namespace has."""
    return (
        earlier is not None
        and now.leader is not None
        and (earlier.leader, earlier.leader_start_time) == (now.leader, now.leader_start_time)
    )


def open_by_process(namespace: Namespace, snapshot: Snapshot) -> int | None:
    """Open the namespace through one of its processes; the descriptor is the caller's to close."""
    proc = namespace.kind.proc
    candidates = [(pid, f"ns/{proc}") for pid in (namespace.leader, *namespace.members[:_TRIED]) if pid is not None]
    candidates += [(pid, f"ns/{proc}_for_children") for pid in namespace.awaited_by[:_TRIED]]
    for pid, name in candidates:
        fd = open_checked(pid, snapshot.records[pid].start_time, name, namespace.inode)
        if fd is not None:
            return fd
    return None


def open_checked(pid: int, start_time: int, name: str, inode: int) -> int | None:
    """Open /proc/PID/``name``; None when it is not, or no longer, the file with this inode."""
    try:
        with PinnedProcess(pid, start_time) as process:
            fd = process.open(name, os.O_NONBLOCK | os.O_NOCTTY)  # a descriptor may be of a FIFO by now
    except ProcessGoneError:
        return None
    if fd is None or os.fstat(fd).st_ino == inode:
        return fd
    os.close(fd)  # it has moved on since the snapshot
    return None
