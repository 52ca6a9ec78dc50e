"""A group and the descriptors through which a child gets into it."""

from __future__ import annotations

import os
from collections.abc import Iterable

from spawner.cgroups import group
from spawner.cgroups.group import Group
from spawner.cgroups.hierarchies import Hierarchy
from spawner.cgroups.seats import Seat
from spawner.oci import Resources
from spawner.opened import above_stdio

FD_SLOT = "cgroup_fd"
"""What clone3 is given with CLONE_INTO_CGROUP."""

PATHS_SLOT = "cgroup_paths"


def procs_slot(seat: Seat) -> str:
    """The slot of the cgroup.procs that a child writes itself into."""
    return f"cgroup.procs {seat.hierarchy.key}"


def worded(paths: Iterable[tuple[str, str]]) -> str:
    """Groups by hierarchy, as one line for people."""
    return " ".join(f"{key or 'v2'}:{path}" for key, path in paths)


class Entrance:
    """A group with what a child needs to enter it (``Prepared``)."""

    def __init__(self, made: Group, slots: dict[str, int | bytes], descriptors: list[int]) -> None:
        self.group = made
        self._slots = slots
        self._descriptors = descriptors

    @property
    def slots(self) -> dict[str, int | bytes]:
        """The descriptors, and the paths by which /proc/PID/cgroup will name the groups."""
        return self._slots

    def lend(self) -> list[int]:
        """The descriptors, which the child has copies of once it is made."""
        return self._descriptors

    def undo(self) -> None:
        """End what is in the group and remove it."""
        self.group.undo()


def prepare(
    name: str | None, seats: tuple[Seat, ...], resources: Resources, known: tuple[Hierarchy, ...], *, into: bool
) -> Entrance:
    """Make a group and open it. ``into``: the call that makes the child puts it into the group of version 2."""
    made = group.make(name, seats, resources, known)
    slots: dict[str, int | bytes] = {}
    descriptors: list[int] = []
    try:
        for each in made.places:
            if into and each.seat.hierarchy.unified:
                slot, path, how = FD_SLOT, each.directory, os.O_PATH | os.O_DIRECTORY
            else:
                slot, path, how = procs_slot(each.seat), os.path.join(each.directory, "cgroup.procs"), os.O_WRONLY
            descriptors.append(above_stdio(os.open(path, how | os.O_CLOEXEC)))
            slots[slot] = descriptors[-1]
        paths = worded((each.seat.hierarchy.key, each.path) for each in made.places)
        slots[PATHS_SLOT] = os.fsencode(paths)
    except BaseException:
        for fd in descriptors:
            os.close(fd)
        made.undo()
        raise
    return Entrance(made, slots, descriptors)
