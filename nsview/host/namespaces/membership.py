"""Who is in which namespace, from a snapshot alone: members, those who await it, the leader. Cheap: every second."""

from __future__ import annotations

import os
from collections.abc import Mapping

from nsview.host.namespaces.namespace import PID, TIME, Namespace
from nsview.host.namespaces.relations import Relations, explore, recall, related
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import ProcessRecord, Snapshot
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
    """Return the namespaces of the processes, without relations. Pure."""
    members: dict[int, list[int]] = {}
    awaited: dict[int, list[int]] = {}
    kinds: dict[int, NamespaceKind] = {}
    for record in snapshot.records.values():
        for kind, inode in zip(KINDS, record.ns, strict=True):
            if inode is not None:
                kinds[inode] = kind
                members.setdefault(inode, []).append(record.pid)
        for kind, inode in ((PID, record.pid_for_children), (TIME, record.time_for_children)):
            if inode is not None and inode != record.namespace(kind.name):
                kinds[inode] = kind
                awaited.setdefault(inode, []).append(record.pid)
    found = {}
    for inode, kind in kinds.items():
        pids = tuple(members.get(inode, ()))
        leader = _leader(kind, inode, pids, snapshot.records, tree)
        started = None if leader is None else snapshot.records[leader].start_time
        found[inode] = Namespace(kind, inode, pids, leader, started, tuple(awaited.get(inode, ())))
    return found


def _leader(
    kind: NamespaceKind,
    inode: int,
    members: tuple[int, ...],
    records: Mapping[int, ProcessRecord],
    tree: ProcessTree,
) -> int | None:
    """Return the oldest of the members whose parent is elsewhere."""
    at = KINDS.index(kind)
    tops = (pid for pid in members if (up := tree.parent(pid)) is None or records[up].ns[at] != inode)
    return min(tops, key=lambda pid: (records[pid].start_time, pid), default=None)


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
            fd = process.open(name)
    except ProcessGoneError:
        return None
    if fd is None or os.fstat(fd).st_ino == inode:
        return fd
    os.close(fd)  # it has moved on since the snapshot
    return None
