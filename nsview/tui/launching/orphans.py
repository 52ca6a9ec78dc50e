"""Descendants of launched programs whose own parents are gone: adopted, reaped, and killed in the end.

As a child subreaper (PR_SET_CHILD_SUBREAPER, prctl(2)) we become the parent of every orphan below us, so none of
them can slip away to process 1. A launched program has a session of its own, and so has all that it starts: a
child of ours in another session, which we did not launch, is such an orphan.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Collection, Iterator
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt(on: bool = True) -> None:
    """Begin, or cease, to become the parent of orphans; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def found(launched: Collection[int]) -> Iterator[int]:
    """Yield the pids of adopted orphans: children in another session that are not in ``launched``."""
    ours = os.getsid(0)
    for pid in _children():
        if pid not in launched and _session(pid) not in (None, ours):
            yield pid


def reap(launched: Collection[int]) -> None:
    """Reap the adopted orphans that have ended."""
    for pid in found(launched):
        os.waitpid(pid, os.WNOHANG)


def end(launched: Collection[int] = ()) -> int:
    """Kill and reap adopted orphans until none is left, their own orphans included; return how many."""
    ended = 0
    while pids := [*found(launched)]:
        for pid in pids:
            # No race with reuse of the pid: it is our child, so the number is ours until we have reaped it.
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
        ended += len(pids)
    return ended


def _children() -> Iterator[int]:
    """Yield our children; needs CONFIG_PROC_CHILDREN, as every distribution has it."""
    for tid in os.listdir("/proc/self/task"):
        try:
            text = Path("/proc/self/task", tid, "children").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield from map(int, text.split())


def _session(pid: int) -> int | None:
    try:
        stat = Path("/proc", str(pid), "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(") ")[2].split()[3])
