"""The mounts of a mount namespace, worded: as a tree, with what hides them and who else gets them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nsview.host.content.entered import NotEnteredError
from nsview.host.content.mount_info import Mount
from nsview.host.content.mount_peers import PeerGroup, Place, peer_groups
from nsview.host.content.mount_table import MountTable
from nsview.host.content.mounts import mounts_by_namespace, mounts_in, mounts_of
from nsview.host.process import PinnedProcess
from nsview.host.snapshot import Snapshot
from nsview.host.text import printable
from nsview.wording.inside.section import NOT_OPENED, Inside, Section, because
from nsview.wording.table import Column

COLUMNS = (
    Column("ID", right=True),
    Column("MOUNT POINT", gives=True),
    Column("TYPE"),
    Column("SOURCE", gives=True),
    Column("OPTIONS", gives=True),
    Column("PROPAGATION", gives=True),
    Column("HIDDEN BY", right=True),
    Column("ALSO IN", gives=True),
)


@dataclass(frozen=True, slots=True)
class ReadMounts:
    """The mounts of a mount namespace: ``whole`` is all of them, ``seen`` those that ``process``, a member, can reach.

    ``tables`` are those of all mount namespaces that can be read, by inode, this one's among them; ``groups`` the
    peer groups that concern its mounts. Where ``whole`` is None, ``why`` says what is in the way.
    """

    inode: int | None
    whole: MountTable | None
    seen: MountTable | None
    process: int | None
    why: str | None
    tables: Mapping[int, MountTable]
    groups: Mapping[int, PeerGroup]

    @property
    def table(self) -> MountTable | None:
        """The most that could be read."""
        return self.seen if self.whole is None else self.whole


def read_mounts(fd: int | None, process: PinnedProcess | None, snapshot: Snapshot) -> ReadMounts:
    """Read the mounts of the mount namespace of a descriptor: all if we may, else those that a member sees.

    ``process`` is a member, if there is one. The snapshot is for peers in other mount namespaces.
    """
    why = NOT_OPENED if fd is None else None
    seen = None if process is None else mounts_of(process)
    whole = None
    if fd is not None:
        try:
            whole = mounts_in(fd)
        except NotEnteredError as error:
            why = error.reason
    table = seen if whole is None else whole
    inode = _inode(fd, process)
    pid = None if process is None else process.pid
    if table is None:
        return ReadMounts(inode, whole, seen, pid, why, {}, {})
    tables = mounts_by_namespace(snapshot)
    if inode is not None:
        tables[inode] = table
    return ReadMounts(inode, whole, seen, pid, why, tables, _concerning(table, peer_groups(tables)))


def mounts_inside(fd: int | None, process: PinnedProcess | None, snapshot: Snapshot) -> Inside:
    """Read them, as read_mounts() does, and word them."""
    read = read_mounts(fd, process, snapshot)
    table = read.table
    if table is None:
        unknown: dict[str, object] = {"seen_from": None, "mounts": None, "peer_groups": None}
        unknown["unknown_because"] = read.why
        return Inside((Section("mounts", COLUMNS, (), because(read.why)),), unknown)
    document: dict[str, object] = {
        "seen_from": "process" if read.whole is None else "namespace",
        "mounts": [mount_object(mount, table) for mount in table.mounts.values()],
        "peer_groups": [_group_object(group) for group in read.groups.values()],
        "unknown_because": read.why,
    }
    section = Section("mounts", COLUMNS, tuple(_rows(table, read.inode, read.groups)), reach_notes(read))
    return Inside((section,), document)


def _inode(fd: int | None, process: PinnedProcess | None) -> int | None:
    if fd is not None:
        return os.fstat(fd).st_ino
    return None if process is None else process.namespace("mnt")


def mount_object(mount: Mount, table: MountTable) -> dict[str, object]:
    """A mount as JSON has it (docs/json.md)."""
    return {
        "id": mount.id,
        "unique_id": mount.unique_id,
        "parent": mount.parent,
        "device": f"{mount.device[0]}:{mount.device[1]}",
        "root": printable(mount.root),
        "point": printable(mount.point),
        "options": [printable(option) for option in mount.options],
        "propagation": mount.propagation,
        "shared": mount.shared,
        "master": mount.master,
        "propagate_from": mount.propagate_from,
        "unbindable": mount.unbindable,
        "type": printable(mount.fs_type),
        "source": printable(mount.source),
        "super_options": [printable(option) for option in mount.super_options],
        "hidden_by": table.covers.get(mount.id),
    }


def _rows(table: MountTable, inode: int | None, groups: Mapping[int, PeerGroup]) -> Iterator[tuple[str, ...]]:
    for depth, mount in table.walk():
        over = table.covers.get(mount.id)
        elsewhere = also_in(mount, inode, groups)
        yield (
            str(mount.id),
            "  " * depth + printable(mount.point),
            printable(mount.fs_type),
            source_text(mount),
            printable(",".join(mount.options)),
            mount.propagation,
            "" if over is None else str(over),
            " ".join(map(str, elsewhere)),
        )


def source_text(mount: Mount) -> str:
    """Word what is mounted: its source, and which directory of it."""
    root = "" if mount.root == "/" else f"[{mount.root}]"
    return printable(mount.source + root) or '""'


def also_in(mount: Mount, inode: int | None, groups: Mapping[int, PeerGroup]) -> list[int]:
    """Return the other mount namespaces that what is mounted below this mount goes to or comes from."""
    shared = [groups[number] for number in (mount.shared, mount.master) if number is not None]
    return sorted(frozenset[int]().union(*(group.namespaces for group in shared)) - {inode})


def reach_notes(read: ReadMounts) -> tuple[str, ...]:
    """Say what is not shown, or what the process cannot reach."""
    if read.process is None or read.seen is None:
        return ()
    if read.whole is None:
        return (f"as process {read.process} sees them from its root; for all of them: {read.why}",)
    outside = len(read.whole.mounts.keys() - read.seen.mounts.keys())
    return (f"process {read.process} cannot reach {outside} of these from its root",) if outside else ()


def _concerning(table: MountTable, groups: Mapping[int, PeerGroup]) -> dict[int, PeerGroup]:
    numbers = {number for mount in table.mounts.values() for number in (mount.shared, mount.master)}
    return {number: group for number, group in groups.items() if number in numbers}


def _group_object(group: PeerGroup) -> dict[str, object]:
    def places(each: Sequence[Place]) -> list[dict[str, object]]:
        return [
            {"namespace": place.namespace, "mount": place.mount.id, "point": printable(place.mount.point)}
            for place in each
        ]

    return {"number": group.number, "peers": places(group.peers), "slaves": places(group.slaves)}
