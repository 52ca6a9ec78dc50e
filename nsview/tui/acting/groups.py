"""The control groups one process is in that can be acted on: found by nsview.host.cgroups, acted on by spawner."""

from __future__ import annotations

import os
from dataclasses import dataclass

from nsview.host.cgroups.directory import Directory
from nsview.host.cgroups.hierarchies import Hierarchy, hierarchies
from nsview.host.cgroups.paths import DELETED, groups_of, joined
from nsview.host.model import Identity
from nsview.host.process import PinnedProcess
from spawner.cgroups import control
from spawner.cgroups import hierarchies as engine
from spawner.cgroups.group import Group
from spawner.cgroups.place import Place
from spawner.cgroups.seats import Seat


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """A group below the root of one hierarchy. ``pids`` were in it, groups below included, when it was found."""

    hierarchy: Hierarchy
    path: str
    directory: str
    pids: frozenset[int]

    @property
    def label(self) -> str:
        """What a person may call it: hierarchy and path."""
        return f"{self.hierarchy.label} {self.path}"

    @property
    def freezes(self) -> bool:
        """Whether it can be frozen: version 2's cgroup.freeze, or version 1's freezer."""
        if self.hierarchy.version == 2:
            return control.has(self.directory, "cgroup.freeze")
        return "freezer" in (self.hierarchy.controllers or ()) and control.has(self.directory, "freezer.state")

    @property
    def kills(self) -> bool:
        """Whether the kernel kills all of it at once: version 2's cgroup.kill, Linux 5.14."""
        return control.has(self.directory, "cgroup.kill")

    def processes(self) -> tuple[int, ...]:
        """Who is in it now, groups below included; those without a number here are left out."""
        return processes_in(self.directory)

    def taken(self) -> Group:
        """Return it as the engine acts on groups."""
        own = self.hierarchy
        assert own.mount is not None, "a group that was found is mounted"
        known = engine.Hierarchy(own.key, own.controllers or frozenset(), own.mount, own.root, own.own)
        return Group((Place(Seat(known), self.directory),))


def processes_in(directory: str) -> tuple[int, ...]:
    """Return who is in a group and those below. A threaded group has threads; their processes are the domain's."""
    found: dict[int, None] = {}
    pending = [directory]
    while pending:
        with Directory(pending.pop()) as group:
            found.update(dict.fromkeys(group.pids() or ()))
            pending += [joined(group.path, name) for name in group.groups]
    found.pop(0, None)
    return tuple(found)


def found_groups(identity: Identity) -> tuple[FoundGroup, ...]:
    """Return the groups of a process that are not a hierarchy's root: the smallest first, of equals version 2.

    ProcessGoneError when the process is gone. A group that we cannot reach or read is left out.
    """
    with PinnedProcess(*identity) as process:
        text = process.read("cgroup")
    paths = {} if text is None else groups_of(text)
    found = []
    for hierarchy in hierarchies():
        path = paths.get(hierarchy.key)
        if path is None or path == hierarchy.root or path.endswith(DELETED):
            continue
        directory = hierarchy.directory(path)
        if directory is None or not os.access(directory, os.R_OK | os.X_OK):
            continue
        pids = frozenset(processes_in(directory))
        if identity[0] in pids:
            found.append(FoundGroup(hierarchy, path, directory, pids))
    return tuple(sorted(found, key=lambda group: (len(group.pids), -group.hierarchy.version, group.hierarchy.key)))
