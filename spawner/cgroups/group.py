"""A child's control group: made with its limits, frozen and thawed, read, ended and removed."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from spawner.cgroups import control, place
from spawner.cgroups.hierarchies import Hierarchy
from spawner.cgroups.owner import ourselves, unique_name
from spawner.cgroups.place import LABEL, Place
from spawner.cgroups.seats import Seat
from spawner.cgroups.settings import settings
from spawner.cgroups.sweep import remove_tree, sweep
from spawner.errors import LaunchError
from spawner.oci import Resources

_NOT_EMPTY = (errno.EBUSY, errno.ENOTEMPTY)
_sweeping = threading.Lock()
_swept = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What a group has used so far; None where no controller of it tells.

    ``memory`` and ``memory_peak`` in bytes, ``pids`` in tasks, ``cpu`` in microseconds of processor time, ``oom_kills``
    the processes that the kernel ended for want of memory.
    """

    memory: int | None = None
    memory_peak: int | None = None
    pids: int | None = None
    cpu: int | None = None
    oom_kills: int | None = None


class Group:
    """The group of one child, which is one directory in each hierarchy used.

    freeze(), thaw() and kill() are for everything in it. What it has used can still be asked when it is removed.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        self.places = tuple(places)
        self._left = list(self.places)
        self._last: Usage | None = None

    def __repr__(self) -> str:
        return f"<Group {' '.join(each.directory for each in self.places)}>"

    @property
    def paths(self) -> dict[str, str]:
        """The directory in each hierarchy, by what /proc/PID/cgroup calls that ("" is version 2)."""
        return {each.seat.hierarchy.key: each.directory for each in self.places}

    @property
    def removed(self) -> bool:
        """Whether it is gone."""
        return not self._left

    def add(self, made: Place) -> None:
        """One more directory."""
        self.places = (*self.places, made)
        self._left.append(made)

    @property
    def processes(self) -> tuple[int, ...]:
        """Who is in it, groups below included, as our pid namespace numbers them; 0 for one it cannot see."""
        return tuple({pid: None for each in self.places for pid in control.processes(each.directory)})

    # ---- what it has used ----

    @property
    def usage(self) -> Usage:
        """Its use now, or at the end."""
        if self._last is not None:
            return self._last
        cpuacct = self._number("cpuacct", 1, "cpuacct.usage")
        cpu = self._number("", 2, "cpu.stat", "usage_usec")  # there without any controller
        oom = self._number("memory", 2, "memory.events", "oom_kill")
        memory = self._number("memory", 2, "memory.current")
        peak = self._number("memory", 2, "memory.peak")
        return Usage(
            memory=_first(memory, self._number("memory", 1, "memory.usage_in_bytes")),
            memory_peak=_first(peak, self._number("memory", 1, "memory.max_usage_in_bytes")),
            pids=_first(self._number("pids", 2, "pids.current"), self._number("pids", 1, "pids.current")),
            cpu=_first(cpu, None if cpuacct is None else cpuacct // 1000),
            oom_kills=_first(oom, self._number("memory", 1, "memory.oom_control", "oom_kill")),
        )

    @property
    def oom_kills(self) -> int | None:
        """How many of its processes the kernel has ended for want of memory; None where that is not counted."""
        return self.usage.oom_kills

    def _number(self, controller: str, version: int, file: str, key: str = "") -> int | None:
        """A number from a file of a controller ("": of none), where a hierarchy of that version has it."""
        for each in self.places:
            hierarchy = each.seat.hierarchy
            if hierarchy.unified != (version == 2) or (controller and controller not in hierarchy.controllers):
                continue
            if (value := control.number(control.read(each.directory, file), key)) is not None:
                return value
        return None

    # ---- freeze and thaw ----

    @property
    def frozen(self) -> bool | None:
        """Whether everything in it stands still; None where nothing tells."""
        freezer = self._freezer
        if freezer is None:
            return None
        directory, unified = freezer
        if unified:
            return control.number(control.read(directory, "cgroup.events"), "frozen") == 1
        return (control.read(directory, "freezer.state") or "").strip() == "FROZEN"

    @property
    def _freezer(self) -> tuple[str, bool] | None:
        """Where it is frozen: by version 2 where the kernel can, for what is frozen there can still be killed."""
        for each in self.places:
            if control.has(each.directory, "cgroup.freeze"):
                return each.directory, True
        return next(((each.directory, False) for each in self.places if _is_freezer(each)), None)

    def freeze(self) -> None:
        """Let everything in it stand still. OSError: EOPNOTSUPP where nothing can, EAGAIN where something will not."""
        self._become(frozen=True)

    def thaw(self) -> None:
        """Let everything in it go on. OSError as for freeze()."""
        self._become(frozen=False)

    def _become(self, *, frozen: bool) -> None:
        freezer = self._freezer
        if freezer is None:
            raise OSError(errno.EOPNOTSUPP, "nothing can freeze this group: no freezer and no cgroup.freeze")
        directory, unified = freezer
        if unified:
            control.write(directory, "cgroup.freeze", str(int(frozen)))
            wanted = int(frozen)
            done = control.becomes(
                directory, "cgroup.events", lambda text: control.number(text, "frozen") in (wanted, None)
            )
        else:
            done = _set_freezer(directory, "FROZEN" if frozen else "THAWED")
        if not done:
            raise OSError(errno.EAGAIN, f"not {'frozen' if frozen else 'thawed'} in time", directory)

    # ---- the end ----

    def let_die(self) -> None:
        """Thaw what version 1 has frozen: it does not even die of SIGKILL before."""
        for each in self.places:
            if _is_freezer(each) and (control.read(each.directory, "freezer.state") or "THAWED").strip() != "THAWED":
                _set_freezer(each.directory, "THAWED")

    def kill(self) -> None:
        """Send SIGKILL to everything in it, groups below included."""
        killed = False
        for each in self.places:
            if control.has(each.directory, "cgroup.kill"):
                control.write(each.directory, "cgroup.kill", "1")
                killed = True
        if killed:
            self.let_die()
        else:
            self._kill_one_by_one()

    def _kill_one_by_one(self) -> None:
        """Frozen meanwhile where that can be done, so that nothing forks away from us."""
        refused: OSError | None = None
        if self._freezer is not None:
            try:
                self.freeze()
            except OSError as error:  # it is killed without
                refused = error if error.errno != errno.EAGAIN else None
        for each in self.places:
            control.end_all(each.directory)
        if self._freezer is not None:
            self.thaw()
        if refused is not None:
            raise refused

    def undo(self) -> None:
        """End what is still in it and remove it. Does nothing the second time. OSError: EBUSY if something stays."""
        if self._last is None:
            self._last = self.usage
        errors: list[OSError] = []
        for each in reversed(tuple(self._left)):
            try:
                self._remove(each)
                self._left.remove(each)
                place.leave(each)
            except OSError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _remove(self, each: Place) -> None:
        end = time.monotonic() + control.DEADLINE
        while os.path.isdir(each.directory):
            try:
                remove_tree(each.directory)
            except FileNotFoundError:  # a group below has gone by itself
                continue
            except OSError as error:
                if error.errno not in _NOT_EMPTY or time.monotonic() >= end:
                    raise
                self.kill()
                control.end_all(each.directory)  # who has left our group in one hierarchy may be in it in another
                control.wait_until_empty(each.directory)


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _is_freezer(each: Place) -> bool:
    return "freezer" in each.seat.hierarchy.controllers


def _set_freezer(directory: str, state: str) -> bool:
    """Tell version 1, again and again: it says FREEZING until the last task stands still (freezer-subsystem)."""

    def told(text: str | None) -> bool:
        if text is None or text.strip() == state:
            return True
        control.write(directory, "freezer.state", state)
        return False

    control.write(directory, "freezer.state", state)
    return control.becomes(directory, "freezer.state", told)


# ---- making one ----


def make(name: str | None, seats: Iterable[Seat], resources: Resources, known: Iterable[Hierarchy]) -> Group:
    """Make a group with its limits, each read back. LaunchError or OSError, and nothing left, where that fails.

    What killed processes of ours left in the ``known`` hierarchies is removed when this process makes its first.
    """
    _sweep_once(known)
    owner = ourselves()
    leaf = name or unique_name(owner)
    group = Group(())
    try:
        for seat in seats:
            made = place.make(seat, leaf, owner)
            group.add(made)
            _limit(made, resources)
    except BaseException:
        group.undo()
        raise
    return group


def _sweep_once(known: Iterable[Hierarchy]) -> None:
    global _swept
    with _sweeping:
        if not _swept:
            sweep(known)
            _swept = True


def _limit(made: Place, resources: Resources) -> None:
    directory = made.directory
    for setting in settings(resources, unified=made.seat.hierarchy.unified):
        if setting.controller not in made.seat.controllers:
            continue
        if setting.optional and not control.has(directory, setting.file):
            continue
        control.write(directory, setting.file, setting.text)
        said = setting.found(control.read(directory, setting.file) or "")
        if said != setting.wanted:
            raise LaunchError(
                LABEL,
                path=os.path.join(directory, setting.file),
                cause=f"{setting.wanted} was asked for, the kernel says {said or 'nothing'}",
            )
