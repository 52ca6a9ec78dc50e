"""A new group's place: beside us or further up, and its controllers enabled there for as long as it lasts."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass

from spawner.cgroups import control
from spawner.cgroups.owner import Owner, owner_of, record
from spawner.cgroups.seats import Seat
from spawner.errors import LaunchError

LABEL = "make cgroup"

_UNUSED = {
    "memory": (("memory.max", "max"), ("memory.high", "max"), ("memory.min", "0"), ("memory.low", "0")),
    "pids": (("pids.max", "max"),),
    "cpu": (("cpu.max", "max 100000"), ("cpu.weight", "100")),
    "io": (("io.max", ""),),
}
"""What the files of a controller say that limits nothing."""

_NEXT = (errno.EBUSY, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENODEV, errno.EOPNOTSUPP, errno.EAGAIN)
"""What version 2 answers where there is no place for the group, though there may be one further up."""

_enabling = threading.Lock()
_users: dict[str, int] = {}
"""How many groups of this process are in a group, where a controller was enabled for the first of them."""
_enabled: dict[str, set[str]] = {}
_found: dict[str, frozenset[str]] = {}
"""The groups that were there before."""


def _forget() -> None:
    global _enabling
    _enabling = threading.Lock()
    for noted in (_users, _enabled, _found):
        noted.clear()  # the parent's to undo


os.register_at_fork(after_in_child=_forget)


@dataclass(frozen=True, slots=True)
class Place:
    """A group that was made: its ``directory``, and the hierarchy and controllers it is there for."""

    seat: Seat
    directory: str

    @property
    def path(self) -> str:
        """Where it is in its hierarchy, as /proc/PID/cgroup says it."""
        return self.seat.hierarchy.path_of(self.directory)


def make(seat: Seat, leaf: str, owner: Owner) -> Place:
    """Make a group for a seat. LaunchError or OSError, and nothing made, where it cannot be."""
    hierarchy = seat.hierarchy
    if not hierarchy.unified:
        return Place(seat, _made(hierarchy.own, leaf, owner))
    refusals = []
    for parent in hierarchy.above():
        try:
            return Place(seat, _made_with(parent, seat.controllers, leaf, owner))
        except OSError as error:
            if isinstance(error, LaunchError) or error.errno not in _NEXT:
                raise
            refusals.append((parent, error))
    raise _nowhere(seat, refusals)


def _made(parent: str, leaf: str, owner: Owner) -> str:
    directory = os.path.join(parent, leaf)
    try:
        os.mkdir(directory)
    except FileExistsError as error:
        raise _exists(directory) from error
    try:
        record(directory, owner)
    except BaseException:
        os.rmdir(directory)
        raise
    return directory


def _made_with(parent: str, controllers: tuple[str, ...], leaf: str, owner: Owner) -> str:
    """Version 2: a group in which these controllers work, and processes may be."""
    if os.path.isdir(os.path.join(parent, leaf)):
        raise _exists(os.path.join(parent, leaf))
    available = (control.read(parent, "cgroup.controllers") or "").split()
    if lacking := [name for name in controllers if name not in available]:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), f"{parent}: {' '.join(lacking)}")
    _enable(parent, controllers)
    try:
        directory = _made(parent, leaf, owner)
        try:
            kind = (control.read(directory, "cgroup.type") or "").strip()
            if kind != "domain":  # below a threaded group there is no place for a process
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), directory)
        except BaseException:
            os.rmdir(directory)
            raise
    except BaseException:
        _disable(parent)
        raise
    return directory


def _enable(parent: str, controllers: tuple[str, ...]) -> None:
    with _enabling:
        on = (control.read(parent, "cgroup.subtree_control") or "").split()
        off = [name for name in controllers if name not in on]
        if off:
            if control.has(parent, "cgroup.events") and control.read(parent, "cgroup.procs"):
                # The kernel would take some controllers (pids, cpu) even so, and make all groups below threaded ones.
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), parent)
            found = frozenset(_groups(parent))
            control.write(parent, "cgroup.subtree_control", " ".join(f"+{name}" for name in off))
            _enabled.setdefault(parent, set()).update(off)
            _found.setdefault(parent, found)
        if parent in _enabled:
            _users[parent] = _users.get(parent, 0) + 1


def _groups(directory: str) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def _disable(parent: str) -> None:
    """One group less: with the last one, what was enabled for them is off again, unless somebody else uses it."""
    with _enabling:
        if parent not in _enabled:
            return
        _users[parent] -= 1
        if _users[parent] > 0:
            return
        names, found = _enabled.pop(parent), _found.pop(parent)
        del _users[parent]
        now = _groups(parent)
        if not found.issuperset(now):
            return
        unused = [name for name in names if not any(_uses(os.path.join(parent, group), name) for group in now)]
        try:
            if unused:
                control.write(parent, "cgroup.subtree_control", " ".join(f"-{name}" for name in unused))
        except OSError as error:
            if error.errno != errno.EBUSY:  # a group there has passed it on to groups of its own
                raise


def _uses(directory: str, controller: str) -> bool:
    said = ((control.read(directory, file), idle) for file, idle in _UNUSED[controller])
    return any(text is not None and text.strip() != idle for text, idle in said)


def leave(place: Place) -> None:
    """The group of a place was removed."""
    if place.seat.hierarchy.unified:
        _disable(os.path.dirname(place.directory))


def _exists(directory: str) -> LaunchError:
    owner, inside = owner_of(directory), len(control.processes(directory))
    frozen = control.number(control.read(directory, "cgroup.freeze")) or control.read(directory, "freezer.state")
    said = [
        f"made by {owner}" if owner else "not made by us",
        f"{inside} process{'' if inside == 1 else 'es'} in it",
        *(["frozen"] if frozen in (1, "FROZEN\n", "FREEZING\n") else []),
    ]
    return LaunchError(
        LABEL,
        errno=errno.EEXIST,
        path=directory,
        cause=f"there is such a group already ({', '.join(said)}), whose limits and processes are not ours to change",
        remedy="choose another name" + ("" if inside else ", or remove it with rmdir"),
    )


def _nowhere(seat: Seat, refusals: list[tuple[str, OSError]]) -> LaunchError:
    said = "; ".join(f"{parent}: {_REFUSED.get(error.errno or 0, error.strerror)}" for parent, error in refusals)
    last = refusals[-1][1]
    if any(error.errno in (errno.EACCES, errno.EPERM) for _parent, error in refusals):
        remedy = "run as root, or in a group that is yours: systemd-run --user --scope -p Delegate=yes nsview"
    elif any(error.errno == errno.EROFS for _parent, error in refusals):
        remedy = "in a container, mount the cgroup file system writable"
    else:
        remedy = "start nsview in a group of its own below one that has these controllers and no processes"
    limited = f" with {', '.join(seat.controllers)}" if seat.controllers else ""
    return LaunchError(
        LABEL,
        errno=last.errno,
        path=refusals[0][0],
        cause=f"no place for a group{limited} in the version 2 hierarchy ({said})",
        remedy=remedy,
    )


_REFUSED = {
    errno.EBUSY: "it has processes of its own, so it may not share controllers out (no internal processes, cgroups(7))",
    errno.EACCES: "not ours to write to",
    errno.EPERM: "not ours to write to",
    errno.EROFS: "mounted read-only",
    errno.ENODEV: "it is not given a controller that is needed",
    errno.EOPNOTSUPP: "a threaded group",
    errno.EAGAIN: "as many or as deep groups as it may have",
}
