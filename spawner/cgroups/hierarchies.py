"""Where the control group hierarchies are mounted, and our own group in each (cgroups(7)).

A machine has up to a dozen hierarchies: one for each controller of version 1, or for several together, and the one of
version 2. Which have which controllers differs from machine to machine, so it is read and never assumed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

_ESCAPED = re.compile(rb"\\([0-7]{3})")
UNIFIED = ""
"""The key of the version 2 hierarchy, as /proc/PID/cgroup has it."""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One hierarchy that is mounted and has our own group in it.

    ``key`` is what /proc/PID/cgroup calls it: its controllers ("cpu,cpuacct"), its name ("name=systemd"), or nothing
    for version 2. ``controllers`` may limit something here; in version 2 those of the mount's root. ``root`` is the
    group that is mounted at ``mount``, ``path`` our own group, both as seen from our cgroup namespace.
    """

    key: str
    controllers: frozenset[str]
    mount: str
    root: str
    path: str

    @property
    def unified(self) -> bool:
        """Whether it is the hierarchy of version 2."""
        return self.key == UNIFIED

    @property
    def own(self) -> str:
        """The directory of our own group."""
        return os.path.join(self.mount, os.path.relpath(self.path, self.root)) if self.path != self.root else self.mount

    def path_of(self, directory: str) -> str:
        """The path of a group within the hierarchy, as /proc/PID/cgroup shows it to us, from its directory."""
        inside = os.path.relpath(directory, self.mount)
        return self.root if inside == "." else os.path.join(self.root, inside)

    def above(self) -> tuple[str, ...]:
        """The directories of our own group and of each above it, as far as they are mounted."""
        directories = [self.own]
        while directories[-1] != self.mount:
            directories.append(os.path.dirname(directories[-1]))
        return tuple(directories)


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted hierarchy: ``options`` are the superblock's, among them version 1's controllers."""

    version: int
    point: str
    root: str
    options: frozenset[str]


def parse_mounts(mountinfo: bytes) -> tuple[Mount, ...]:
    """The mounts of cgroup file systems in /proc/PID/mountinfo that no later mount covers (proc_pid_mountinfo(5))."""
    rows = [line.split(b" ") for line in mountinfo.split(b"\n") if line]
    parents = {fields[0]: fields[1] for fields in rows}
    found: dict[str, tuple[bytes, Mount]] = {}
    for fields in rows:
        kind, _source, options = fields[fields.index(b"-") + 1 :][:3]
        root, point = (os.fsdecode(_ESCAPED.sub(_unescaped, field)) for field in fields[3:5])
        for other, (number, _mount) in tuple(found.items()):
            if f"{other}/".startswith(f"{point.rstrip('/')}/") and not _is_on(number, fields[0], parents):
                del found[other]
        if kind in (b"cgroup", b"cgroup2"):
            version = 2 if kind == b"cgroup2" else 1
            found[point] = fields[0], Mount(version, point, root, frozenset(os.fsdecode(options).split(",")))
    return tuple(mount for _number, mount in found.values())


def _is_on(mount: bytes, below: bytes, parents: Mapping[bytes, bytes]) -> bool:
    """Whether a mount stands on another, directly or not, by their numbers."""
    seen = set()
    while mount in parents and mount not in seen:
        seen.add(mount)  # the root's parent may be itself
        mount = parents[mount]
        if mount == below:
            return True
    return False


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1], 8)])


def parse_groups(text: str) -> dict[str, str]:
    """The group of a process in each hierarchy by key, from the text of /proc/PID/cgroup."""
    lines = (line.split(":", 2) for line in text.split("\n"))
    return {fields[1]: fields[2] for fields in lines if len(fields) == 3}


def combine(
    mounts: Iterable[Mount], groups: Mapping[str, str], unified: Mapping[str, frozenset[str]]
) -> tuple[Hierarchy, ...]:
    """The hierarchies in which our own group is mounted; ``unified`` has version 2's controllers by mount point."""
    found: dict[str, Hierarchy] = {}
    for mount in mounts:
        for key, path in groups.items():
            names = frozenset(key.split(",")) if key != UNIFIED else frozenset()
            if key in found or (mount.version == 2) != (key == UNIFIED) or not names <= mount.options:
                continue
            if _reaches(mount.root, path):
                controllers = unified.get(mount.point, frozenset()) if key == UNIFIED else names
                found[key] = Hierarchy(key, controllers, mount.point, mount.root, path)
    return tuple(found.values())


def _reaches(root: str, path: str) -> bool:
    """Whether a group is at or below another. One outside of our cgroup namespace begins with "/.."."""
    if path == root:
        return True
    return path.startswith("/" if root == "/" else f"{root}/") and not path.startswith("/..")


def hierarchies() -> tuple[Hierarchy, ...]:
    """The hierarchies of this process, now; none where /proc is not there to tell."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            mountinfo = file.read()
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            groups = file.read()
    except FileNotFoundError:
        return ()
    points = [mount.point for mount in _mounts(mountinfo) if mount.version == 2]
    return _hierarchies(mountinfo, groups, tuple((point, _available(point)) for point in points))


# Both change seldom, and reading them is asked for at every launch into a group.
_mounts = lru_cache(maxsize=2)(parse_mounts)


@lru_cache(maxsize=2)
def _hierarchies(
    mountinfo: bytes, groups: str, unified: tuple[tuple[str, frozenset[str]], ...]
) -> tuple[Hierarchy, ...]:
    return combine(_mounts(mountinfo), parse_groups(groups), dict(unified))


def _available(directory: str) -> frozenset[str]:
    try:
        with open(os.path.join(directory, "cgroup.controllers"), encoding="ascii") as file:
            return frozenset(file.read().split())
    except (FileNotFoundError, PermissionError):  # covered, or not for us to use
        return frozenset()
