"""The clock of a child that enters a time namespace before execve: read there, so that its times can be told in ours.

The status page has CLOCK_MONOTONIC as the child sees it, which setns(2) into a time namespace moves at once
(timens_commit() in kernel/time/namespace.c). By execve it would be moved when the last time is taken.
"""

from __future__ import annotations

from spawner.draft import AT_FDCWD, O_READ, Draft
from spawner.plan import Bearing, Out, Result

_SIZE = 128


def moved(draft: Draft, by: Result) -> None:
    """Read the offsets that hold after the step ``by``."""
    opened = draft.add(
        "open clock offsets",
        "openat",
        draft.proc_directory or AT_FDCWD,
        "self/timens_offsets" if draft.proc_directory else "/proc/self/timens_offsets",
        O_READ,
        0,
        phase="time",
        why="by how much the times below are ahead of ours",
        path="/proc/self/timens_offsets",
        bearing=Bearing.TOLERATE_ALL,
    )
    read = draft.add(
        "read clock offsets",
        "read",
        opened,
        Out(_SIZE),
        _SIZE,
        phase="time",
        only_if=opened,
        bearing=Bearing.TOLERATE_ALL,
    )
    draft.add("close clock offsets", "close", opened, phase="time", only_if=opened)
    draft.clocks.append((by.step, read.step))
