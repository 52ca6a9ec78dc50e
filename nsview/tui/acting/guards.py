"""Whom one does not act on without being told what that means: nsview itself, pid 1, kernel threads, our ancestors."""

from __future__ import annotations

from collections.abc import Container
from enum import Enum

from nsview.host.model import Identity
from nsview.host.snapshot import ProcessRecord


class Guard(Enum):
    """What is special about a process; the value is what it is called."""

    SELF = "nsview itself"
    INIT = "pid 1"
    KERNEL = "a kernel thread"
    ANCESTOR = "what runs nsview"


class Kind(Enum):
    """What an act does to a process, as far as the guards go."""

    END = "end"
    """It ends or stops it: signals, killing, freezing."""
    CHANGE = "change"
    """It goes on, otherwise than before: nice, affinity, limits."""


REFUSED: dict[tuple[Guard, Kind], str] = {
    (Guard.SELF, Kind.END): "that is nsview itself: q ends it, and everything it launched, in order",
    (Guard.KERNEL, Kind.END): "a kernel thread takes no signals and is in no group that can be frozen",
}
"""What is not done to one process even when asked for, and why."""

WARNED: dict[Guard, str] = {
    Guard.SELF: "This is nsview itself: the screen may become slow, or end.",
    Guard.INIT: "This is pid 1: when it ends, so does everything in its pid namespace.",
    Guard.KERNEL: "This is a kernel thread: others depend on it without showing it.",
    Guard.ANCESTOR: "nsview runs below it: when it ends or stops, you may lose this terminal.",
}
"""What is said before it is done to one process. Of several, those guarded are left out."""


def guard_of(record: ProcessRecord, me: Identity, ancestors: Container[int]) -> Guard | None:
    """Return what is special about a process, if anything is. Pure. ``ancestors`` are pids of ours."""
    if record.identity == me:
        return Guard.SELF
    if record.pid == 1:
        return Guard.INIT
    if record.is_kernel_thread:
        return Guard.KERNEL
    return Guard.ANCESTOR if record.pid in ancestors else None
