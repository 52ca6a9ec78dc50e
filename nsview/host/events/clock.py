"""Two clocks: events have CLOCK_MONOTONIC, start times are ticks of CLOCK_BOOTTIME (which runs in a suspend too)."""

from __future__ import annotations

import os
import time

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
"""Nanoseconds of a tick of /proc/PID/stat."""


def asleep_ns() -> int:
    """Return how far CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()


def started_ns(start_time: int, asleep: int | None = None) -> int:
    """Return the start time of /proc/PID/stat as CLOCK_MONOTONIC; it is up to a tick before the real one."""
    return start_time * TICK_NS - (asleep_ns() if asleep is None else asleep)
