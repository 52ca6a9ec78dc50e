"""Every namespace that has a process, or a descendant that has one: members, leader, parent and owner."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from nsview.host.process import ORDINARY, PinnedProcess, ProcessGoneError
from nsview.host.snapshot import ProcessRecord, Snapshot
from nsview.host.tree import ProcessTree
from spawner.namespaces import BY_NAME, KINDS, NamespaceKind

NS_GET_USERNS = 0xB701
NS_GET_PARENT = 0xB702
NS_GET_OWNER_UID = 0xB704
"""linux/nsfs.h; ioctl_nsfs(2)."""

_PID, _TIME, _USER = BY_NAME["pid"], BY_NAME["time"], BY_NAME["user"]
_TOPS = {
    "pid": 0xEFFFFFFC,
    "user": 0xEFFFFFFD,
}  # PROC_PID_INIT_INO, PROC_USER_INIT_INO: include/linux/proc_ns.h


@dataclass(frozen=True, slots=True)
class Namespace:
    """One namespace.

    ``members`` are the pids of its processes, ``awaited_by`` those of processes whose next children will be
    born in it (pid and time namespaces). ``leader`` is the topmost process in the tree, the oldest where
    there are several; None when no process is inside. ``parent`` (pid and user namespaces) and ``owner``
    (its user namespace) are inodes; ``owner_uid`` is who made a user namespace, or the owner of another
    kind's. None is unknown: unreadable, outside our own namespaces, or for ``parent`` the initial one.
    """

    kind: NamespaceKind
    inode: int
    members: tuple[int, ...]
    leader: int | None = None
    leader_start_time: int | None = None
    awaited_by: tuple[int, ...] = ()
    parent: int | None = None
    owner: int | None = None
    owner_uid: int | None = None

    @property
    def has_parents(self) -> bool:
        """True for the kinds that form a hierarchy: pid and user namespaces."""
        return self.kind in (_PID, _USER)

    @property
    def is_top(self) -> bool:
        """True for the initial pid and user namespace, which have no parent: their inodes are fixed."""
        return self.inode == _TOPS.get(self.kind.name)


@dataclass(frozen=True, slots=True)
class _Relations:
    inode: int
    parent: int | None
    owner: int | None
    owner_uid: int | None


def namespaces_of(
    snapshot: Snapshot,
    tree: ProcessTree | None = None,
    known: Mapping[int, Namespace] | None = None,
) -> dict[int, Namespace]:
    """Return every namespace the snapshot's processes are in, by inode, in KINDS order and then by inode.

    Parents and owners are asked of the kernel once per namespace and never per process. ``known``, an earlier
    result, spares that for the namespaces it has. A parent or owner without a process is found too, with no
    members.
    """
    tree = tree or ProcessTree(snapshot.records)
    found = _members(snapshot, tree)
    relations: dict[int, _Relations] = {}
    kinds = {namespace.inode: namespace.kind for namespace in found.values()}
    for namespace in found.values():
        if known is not None and _is_same(known.get(namespace.inode), namespace):
            _recall(namespace.inode, known, relations, kinds)
            continue
        fd = _open(namespace, snapshot)
        if fd is not None:
            _explore(fd, namespace.kind, relations, kinds)
    for inode in list(relations):
        found.setdefault(inode, Namespace(kinds[inode], inode, ()))
    complete = [
        replace(ns, parent=facts.parent, owner=facts.owner, owner_uid=facts.owner_uid)
        if (facts := relations.get(ns.inode))
        else ns
        for ns in found.values()
    ]
    order = {kind: index for index, kind in enumerate(KINDS)}
    complete.sort(key=lambda ns: (order[ns.kind], ns.inode))
    return {ns.inode: ns for ns in complete}


def _members(snapshot: Snapshot, tree: ProcessTree) -> dict[int, Namespace]:
    members: dict[int, list[int]] = {}
    awaited: dict[int, list[int]] = {}
    kinds: dict[int, NamespaceKind] = {}
    for record in snapshot.records.values():
        for kind, inode in zip(KINDS, record.ns, strict=True):
            if inode is not None:
                kinds[inode] = kind
                members.setdefault(inode, []).append(record.pid)
        for kind, inode in ((_PID, record.pid_for_children), (_TIME, record.time_for_children)):
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
    tops = (pid for pid in members if (up := tree.parent(pid)) is None or records[up].namespace(kind.name) != inode)
    return min(tops, key=lambda pid: (records[pid].start_time, pid), default=None)


def _is_same(earlier: Namespace | None, now: Namespace) -> bool:
    """Inodes are used again; a leader that has stayed shows that the namespace has."""
    return (
        earlier is not None
        and now.leader is not None
        and (earlier.leader, earlier.leader_start_time) == (now.leader, now.leader_start_time)
    )


def _recall(
    inode: int,
    known: Mapping[int, Namespace],
    relations: dict[int, _Relations],
    kinds: dict[int, NamespaceKind],
) -> None:
    """Take the relations from an earlier result, and those of the parents and owners it led to."""
    pending = [inode]
    while pending:
        earlier = known.get(pending.pop())
        if earlier is None or earlier.inode in relations:
            continue
        kinds.setdefault(earlier.inode, earlier.kind)
        relations[earlier.inode] = _Relations(earlier.inode, earlier.parent, earlier.owner, earlier.owner_uid)
        pending += [other for other in (earlier.parent, earlier.owner) if other is not None]


def _open(namespace: Namespace, snapshot: Snapshot) -> int | None:
    """Open the namespace through one of its processes."""
    proc = namespace.kind.proc
    candidates = [(pid, f"ns/{proc}") for pid in (namespace.leader, *namespace.members[:3]) if pid is not None]
    candidates += [(pid, f"ns/{proc}_for_children") for pid in namespace.awaited_by[:3]]
    for pid, name in candidates:
        try:
            with PinnedProcess(pid, snapshot.records[pid].start_time) as process:
                fd = process.open(name)
        except ProcessGoneError:
            continue
        if fd is None:
            continue
        if os.fstat(fd).st_ino == namespace.inode:
            return fd
        os.close(fd)  # it has moved on since the snapshot
    return None


def _explore(fd: int, kind: NamespaceKind, relations: dict[int, _Relations], kinds: dict[int, NamespaceKind]) -> None:
    """Ask the namespace for its parent and owner, then those for theirs, up to the top; closes ``fd``."""
    with ExitStack() as opened:
        opened.callback(os.close, fd)
        pending = [(fd, kind)]
        while pending:
            fd, kind = pending.pop()
            inode = os.fstat(fd).st_ino
            kinds.setdefault(inode, kind)
            if inode in relations:
                continue
            parent = _related(fd, NS_GET_PARENT, opened) if kind in (_PID, _USER) else None
            owner = _related(fd, NS_GET_USERNS, opened)
            uid = _owner_uid(fd if kind is _USER else owner)
            relations[inode] = _Relations(inode, _inode(parent), _inode(owner), uid)
            pending += [(other, its) for other, its in ((parent, kind), (owner, _USER)) if other is not None]


def _inode(fd: int | None) -> int | None:
    return None if fd is None else os.fstat(fd).st_ino


def _related(fd: int, request: int, opened: ExitStack) -> int | None:
    """Return a descriptor of the parent or owner, None when there is none or it is outside our scope
    (EPERM).
    """
    try:
        related: int = fcntl.ioctl(fd, request)
    except OSError as error:
        if error.errno in ORDINARY or error.errno in (errno.EINVAL, errno.ENOTTY):
            return None
        raise
    opened.callback(os.close, related)  # the kernel opens it with O_CLOEXEC (fs/nsfs.c)
    return related


def _owner_uid(fd: int | None) -> int | None:
    if fd is None:
        return None
    try:
        answer = fcntl.ioctl(fd, NS_GET_OWNER_UID, bytes(4))
    except OSError as error:
        if error.errno in ORDINARY or error.errno in (errno.EINVAL, errno.ENOTTY):
            return None
        raise
    uid: int = struct.unpack("=I", answer)[0]
    return uid
