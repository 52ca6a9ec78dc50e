"""The hierarchies of control groups: which there are, what each controls, and where it is mounted (cgroups(7)).

The kernel has one hierarchy of version 2 and up to a dozen of version 1, with one controller each or several, or none
but a name. Any of them may be mounted anywhere, more than once, in part, or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nsview.host.cgroups.paths import below, groups_of, joined, outward
from nsview.host.content.mount_info import Mount
from nsview.host.content.mounts import mounts_of
from nsview.host.process import ORDINARY, PinnedProcess, ProcessGoneError

UNIFIED = ""
"""The key of version 2's hierarchy, as in /proc/PID/cgroup."""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One hierarchy.

    ``key`` is what /proc/PID/cgroup calls it: ``cpu,cpuacct``, ``name=systemd``, or nothing for version 2.
    ``controllers`` are those it has; of version 2 those that its topmost mounted group can use, None when that
    cannot be told. ``mount`` is the directory where the group ``root`` is mounted, None when none is that we
    could reach. ``own`` is our own group. Paths of groups are as we see them from our cgroup namespace.
    """

    key: str
    controllers: frozenset[str] | None
    mount: str | None
    root: str
    own: str

    @property
    def version(self) -> int:
        """1 or 2."""
        return 2 if self.key == UNIFIED else 1

    @property
    def label(self) -> str:
        """What a person may call it: ``v2``, or its key."""
        return self.key or "v2"

    def directory(self, path: str) -> str | None:
        """Return the directory of the group at ``path``, None when it is outside of what is mounted."""
        rest = None if self.mount is None else below(path, self.root)
        return None if self.mount is None or rest is None else joined(self.mount, rest)

    def path_of(self, directory: str) -> str | None:
        """Return the path of the group with this directory, None when it is not below the mount."""
        rest = None if self.mount is None else below(directory, self.mount)
        return None if rest is None else joined(self.root, rest)


def hierarchies() -> tuple[Hierarchy, ...]:
    """Return all hierarchies of the machine, version 2 first and then by key; none where /proc does not tell."""
    try:
        with PinnedProcess(int(os.readlink("/proc/self"))) as process:  # not os.getpid(): see pids.py
            table, groups = mounts_of(process), process.read("cgroup")
    except (FileNotFoundError, ProcessGoneError):  # /proc is of a pid namespace that we are not in, or not there
        return ()
    if groups is None:
        return ()
    mounts = () if table is None else table.visible
    return combine(mounts, groups_of(groups), available_in)


def available_in(directory: str) -> frozenset[str] | None:
    """Return the controllers of a group of version 2, None when they cannot be read."""
    try:
        with open(os.path.join(directory, "cgroup.controllers"), encoding="ascii") as file:
            return frozenset(file.read().split())
    except OSError as error:
        if error.errno in ORDINARY:
            return None
        raise


def combine(mounts: Iterable[Mount], groups: Mapping[str, str], available: object = None) -> tuple[Hierarchy, ...]:
    """Join visible mounts with our own groups by hierarchy; ``available(directory)`` tells version 2's controllers.

    Of several mounts of one hierarchy that counts which shows most of it.
    """
    mounted = [mount for mount in mounts if mount.fs_type in ("cgroup", "cgroup2")]
    found = []
    for key, own in groups.items():
        fitting = [mount for mount in mounted if _is_of(mount, key)]
        mount = min(fitting, key=lambda mount: (outward(mount.root), mount.point), default=None)
        point = None if mount is None else mount.point
        if key == UNIFIED:
            controllers = available(point) if callable(available) and point is not None else None
        else:
            controllers = frozenset() if key.startswith("name=") else frozenset(key.split(","))
        found.append(Hierarchy(key, controllers, point, "/" if mount is None else mount.root, own))
    return tuple(sorted(found, key=lambda hierarchy: hierarchy.key))


def _is_of(mount: Mount, key: str) -> bool:
    """A mount of version 1 has the controllers, or the name, among the options of its file system."""
    if key == UNIFIED:
        return mount.fs_type == "cgroup2"
    return mount.fs_type == "cgroup" and {key, *key.split(",")} & set(mount.super_options) >= set(key.split(","))
