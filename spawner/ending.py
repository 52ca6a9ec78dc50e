"""How processes end: seeing it, hastening it, wording it."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress

from spawner import _native
from spawner.plan import Plan

WALL = 0x40000000
"""__WALL: wait for children with any exit signal, waitpid(2)."""


def killed_by(plan: Plan, answer: tuple[int, int, tuple[int, ...]] | None) -> int | None:
    """The signal that ended the child by this answer of waitid, or, as its reaper tells it, the process below."""
    if answer is None:
        return None
    code, status, _ = answer
    if code in (os.CLD_KILLED, os.CLD_DUMPED):
        return status
    return status - 128 if plan.init and status > 128 else None


def end_child(pidfd: int) -> None:
    """Kill a child and reap it; a child of somebody else (CLONE_PARENT) is killed and seen to be dead."""
    with suppress(ProcessLookupError):  # dead already
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    try:
        _native.waitid(pidfd, os.WEXITED | WALL)
    except ChildProcessError:
        wait_readable(pidfd)


def wait_readable(pidfd: int) -> None:
    """Wait until the process of a pidfd has ended."""
    readable(pidfd, None)


def readable(pidfd: int, timeout: int | None = 0) -> bool:
    """Whether the process of a pidfd ends within ``timeout`` milliseconds (None: wait for it)."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(timeout))
