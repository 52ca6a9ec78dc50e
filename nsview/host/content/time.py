"""The offsets of a time namespace's clocks (time_namespaces(7))."""

from __future__ import annotations

from dataclasses import dataclass

from nsview.host.process import PinnedProcess

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TimeOffsets:
    """What is added to the machine's own clocks, in nanoseconds."""

    monotonic_ns: int
    boottime_ns: int


def read_offsets(process: PinnedProcess, namespace: int) -> TimeOffsets | None:
    """Return the offsets of the time namespace with this inode, from a process whose *children* will be in it.

    /proc/PID/timens_offsets tells of those (kernel/time/namespace.c: proc_timens_show_offsets()), which is the
    process's own namespace only from its next execve or fork on. None when it tells of another or of none.
    """
    text = process.read("timens_offsets")
    if process.namespace("time_for_children") != namespace:
        return None
    return parse_offsets(text)


def parse_offsets(text: bytes | None) -> TimeOffsets | None:
    """Return what a timens_offsets file says. Pure; its nanoseconds only ever add."""
    if not text:
        return None
    rows = (line.split() for line in text.decode("ascii").splitlines())
    found = {clock: int(seconds) * _SECOND + int(nanoseconds) for clock, seconds, nanoseconds in rows}
    return TimeOffsets(found["monotonic"], found["boottime"])
