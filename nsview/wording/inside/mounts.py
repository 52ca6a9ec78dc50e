"""The mounts of a mount namespace, worded: as a tree, with what hides them and who else gets them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

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


def mounts_inside(fd: int | None, process: PinnedProcess | None, snapshot: Snapshot) -> Inside:
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
    if table is None:
        unknown: dict[str, object] = {"seen_from": None, "mounts": None, "peer_groups": None, "unknown_because": why}
        return Inside((Section("mounts", COLUMNS, (), because(why)),), unknown)
    inode = _inode(fd, process)
    tables = mounts_by_namespace(snapshot)
    if inode is not None:
        tables[inode] = table
    groups = _concerning(table, peer_groups(tables))
    document: dict[str, object] = {
        "seen_from": "process" if whole is None else "namespace",
        "mounts": [mount_object(mount, table) for mount in table.mounts.values()],
        "peer_groups": [_group_object(group) for group in groups.values()],
        "unknown_because": why,
    }
    section = Section("mounts", COLUMNS, tuple(_rows(table, inode, groups)), _notes(whole, seen, process, why))
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
        root = "" if mount.root == "/" else f"[{mount.root}]"
        over = table.covers.get(mount.id)
        shared = [groups[number] for number in (mount.shared, mount.master) if number is not None]
        elsewhere = sorted(frozenset[int]().union(*(group.namespaces for group in shared)) - {inode})
        yield (
            str(mount.id),
            "  " * depth + printable(mount.point),
            printable(mount.fs_type),
            printable(mount.source + root) or '""',
            printable(",".join(mount.options)),
            mount.propagation,
            "" if over is None else str(over),
            " ".join(map(str, elsewhere)),
        )


def _notes(
    whole: MountTable | None, seen: MountTable | None, process: PinnedProcess | None, why: str | None
) -> tuple[str, ...]:
    if process is None or seen is None:
        return ()
    if whole is None:
        return (f"as process {process.pid} sees them from its root; for all of them: {why}",)
    outside = len(whole.mounts.keys() - seen.mounts.keys())
    return (f"process {process.pid} cannot reach {outside} of these from its root",) if outside else ()


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
