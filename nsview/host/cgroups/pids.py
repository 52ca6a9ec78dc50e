"""Which processes cgroup.procs can tell us of: its numbers are of our pid namespace, whatever /proc is of.

Version 2 writes 0 for a process without a number there, version 1 leaves it out (cgroup_procs_show(),
kernel/cgroup/cgroup.c; pidlist_array_load(), kernel/cgroup/cgroup-v1.c).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

_INITIAL = 0xEFFFFFFC
"""PROC_PID_INIT_INO, include/linux/proc_ns.h."""


@dataclass(frozen=True, slots=True)
class Sight:
    """``all_seen``: we are in the initial pid namespace, in which every process has a number. ``as_in_proc``: the
    numbers are those of /proc, which may be mounted from outside of our pid namespace.
    """

    all_seen: bool
    as_in_proc: bool

    def numbers(self, pids: Iterable[int]) -> tuple[int, ...]:
        """Return the pids as /proc has them: 0 for each that it has under another number."""
        return tuple(pids) if self.as_in_proc else (0,) * len(tuple(pids))

    def unseen(self, pids: Iterable[int], version: int) -> int | None:
        """Return how many processes of a group have no number for us; None where version 1 leaves them out."""
        return tuple(pids).count(0) if self.all_seen or version == 2 else None


def our_sight() -> Sight:
    """Return what this process sees; the least where /proc does not tell."""
    try:
        inode = os.stat("/proc/self/ns/pid").st_ino
        number = int(os.readlink("/proc/self"))
    except (FileNotFoundError, PermissionError):
        return Sight(False, False)
    return Sight(inode == _INITIAL, number == os.getpid())
