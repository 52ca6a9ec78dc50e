"""Which hierarchies a child's group is made in: those that can limit what is to be limited, and freeze and end it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spawner.cgroups.hierarchies import Hierarchy
from spawner.cgroups.settings import controllers
from spawner.oci import Resources

_VERSION_1 = {"memory": "memory", "pids": "pids", "cpu": "cpu", "io": "blkio"}


@dataclass(frozen=True, slots=True)
class Seat:
    """A hierarchy to make a group in; ``controllers`` are those whose limits are set there, by version 2's names."""

    hierarchy: Hierarchy
    controllers: tuple[str, ...] = ()


def choose(hierarchies: Iterable[Hierarchy], resources: Resources) -> tuple[tuple[Seat, ...], tuple[str, ...]]:
    """The hierarchies to use, version 2 first, and the controllers that are needed and nowhere to be had.

    Version 2 wherever it is mounted, for its cgroup.kill and cgroup.freeze; without it version 1's freezer, in which
    what is frozen cannot even be killed. Of version 1 else only what limits something, with cpuacct, which counts what
    cpu limits: each further hierarchy is one more that must be ours to write to.
    """
    known = sorted(hierarchies, key=lambda hierarchy: (not hierarchy.unified, hierarchy.key))
    wanted: dict[str, list[str]] = {hierarchy.key: [] for hierarchy in known if hierarchy.unified}
    missing = []
    for name in controllers(resources):
        for hierarchy in known:
            if (name if hierarchy.unified else _VERSION_1[name]) in hierarchy.controllers:
                wanted.setdefault(hierarchy.key, []).append(name)
                break
        else:
            missing.append(name)
    beside = set() if any(hierarchy.unified for hierarchy in known) else {"freezer"}
    if resources.cpus is not None:
        beside.add("cpuacct")
    for hierarchy in known:
        if not hierarchy.unified and hierarchy.controllers & beside:
            wanted.setdefault(hierarchy.key, [])
    seats = tuple(Seat(hierarchy, tuple(wanted[hierarchy.key])) for hierarchy in known if hierarchy.key in wanted)
    return seats, tuple(missing)
