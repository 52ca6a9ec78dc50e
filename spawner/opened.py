"""Descriptors on a list, by the line that opens them, until they are closed: none is lost to a handler that raises."""

from __future__ import annotations

import fcntl
import os


def close(opened: list[int], fd: int) -> None:
    """Close a descriptor and take it off the list of those to be closed.

    Both within one call, so that no signal handler raises between them (Python runs those between its own
    instructions): closed twice it might be somebody else's.
    """
    at = opened.index(fd)
    next(map(os.close, map(opened.pop, (at,))))


def close_all(opened: list[int]) -> None:
    """Close all of them, the newest first."""
    while opened:
        close(opened, opened[-1])


def lift(opened: list[int]) -> int:
    """Move the newest descriptor on the list out of 0 to 2, where a caller that runs without stdio gets them, and
    answer it; dup3 would hit it there.
    """
    low = opened[-1]
    if low <= 2:
        opened.append(fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 3))
        close(opened, low)
    return opened[-1]


def above_stdio(fd: int) -> int:
    """Move a descriptor that nobody else will close out of 0 to 2."""
    return lift([fd])
