"""Children of launches that have not come to their program: the kernel alone knows them, launch() has not returned."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from spawner import thread


def kill(parent: int, known: Iterable[int]) -> None:
    """Kill the children of a thread of ours, and of those of the engine, but for those that are ``known``.

    From /proc/self/task/TID/children (proc(5), CONFIG_PROC_CHILDREN); without that file none is found.
    """
    for pid in set(_children(parent)) - {*known}:
        with suppress(ProcessLookupError):
            pidfd = os.pidfd_open(pid)
            try:
                if pid in _children(parent):  # so the descriptor is of our child, not of who got its number since
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            finally:
                os.close(pidfd)


def _children(parent: int) -> Iterator[int]:
    for task in (parent, *thread.native_ids()):
        with suppress(FileNotFoundError):  # the thread is gone, or the kernel has no such file
            yield from map(int, Path(f"/proc/self/task/{task}/children").read_text().split())
