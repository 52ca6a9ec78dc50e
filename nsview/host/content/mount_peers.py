"""Peer groups across mount namespaces: where a mount made here appears as well (mount_namespaces(7))."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nsview.host.content.mount_info import Mount
from nsview.host.content.mount_table import MountTable


@dataclass(frozen=True, slots=True)
class Place:
    """A mount in one of several tables: ``namespace`` is the inode of its mount namespace."""

    namespace: int
    mount: Mount


@dataclass(frozen=True, slots=True)
class PeerGroup:
    """``peers`` give mounts to each other and to ``slaves``, which give nothing back. Both by namespace and path."""

    number: int
    peers: tuple[Place, ...]
    slaves: tuple[Place, ...]

    @property
    def namespaces(self) -> frozenset[int]:
        """The mount namespaces that have a part in it."""
        return frozenset(place.namespace for place in (*self.peers, *self.slaves))


def peer_groups(tables: Mapping[int, MountTable]) -> dict[int, PeerGroup]:
    """Return the peer groups of the tables, which are keyed by the inode of their namespace, by number. Pure.

    The numbers are the kernel's and the same in every namespace. A group may have more members in namespaces that
    no table is of, or outside of a viewer's root.
    """
    peers: dict[int, list[Place]] = {}
    slaves: dict[int, list[Place]] = {}
    for namespace in sorted(tables):
        for mount in sorted(tables[namespace].mounts.values(), key=lambda mount: (mount.point, mount.id)):
            if mount.shared is not None:
                peers.setdefault(mount.shared, []).append(Place(namespace, mount))
            if mount.master is not None:
                slaves.setdefault(mount.master, []).append(Place(namespace, mount))
    return {
        number: PeerGroup(number, tuple(peers.get(number, ())), tuple(slaves.get(number, ())))
        for number in sorted({*peers, *slaves})
    }
