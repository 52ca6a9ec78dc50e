"""Words for how a launch stands and how a process ended, as bar, table, notices and panels all say it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from spawner import Exit
from spawner.signals import signal_name

if TYPE_CHECKING:
    from nsview.tui.launching.launched import Launched


def ending(end: Exit) -> str:
    """Word how a process ended: ``exited 3``, ``killed by SIGKILL``."""
    if end.signal is not None:
        return f"killed by {signal_name(end.signal)}{' (core dumped)' if end.core else ''}"
    return "ended" if end.code is None else f"exited {end.code}"


def launch_ending(launched: Launched) -> str:
    """Word how a launch ended: as :func:`ending` does, and whether that was for want of memory; empty if it has not."""
    end = launched.exit
    if end is None:
        return ""
    kills = launched.oom_kills or 0
    if kills and end.signal == signal.SIGKILL:
        return f"OOM-killed (SIGKILL{'' if kills == 1 else f', and {kills - 1} more in its cgroup'})"
    return ending(end) + (f", {kills} OOM-killed in its cgroup" if kills else "")


_STOPPED = {"T": "stopped", "t": "stopped by a tracer"}


def condition(launched: Launched, state: str = "") -> str:
    """Word how a launch stands; ``state`` is its state's letter (proc_pid_stat(5)), where that was seen."""
    if launched.exit is not None:
        return launch_ending(launched)
    if launched.held is not None:
        return f"held before {launched.plan.steps[launched.held].label}"
    return _STOPPED.get(state, "running")
