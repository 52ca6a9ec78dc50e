"""Signals a person may send, and sending one to a process that is certainly the one meant."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import dataclass

from nsview.host.model import Identity

OFFERED: tuple[tuple[str, str], ...] = (
    ("SIGTERM", "asks it to end"),
    ("SIGKILL", "ends it at once; it cannot refuse"),
    ("SIGINT", "as ctrl+c does"),
    ("SIGHUP", "as when its terminal goes away"),
    ("SIGQUIT", "ends it, with a core dump"),
    ("SIGSTOP", "stops it; it cannot refuse"),
    ("SIGCONT", "lets it go on"),
    ("SIGTSTP", "asks it to stop, as ctrl+z does"),
    ("SIGUSR1", "whatever the program makes of it"),
    ("SIGUSR2", "whatever the program makes of it"),
    ("SIGALRM", "as when its alarm goes off"),
    ("SIGCHLD", "as when a child of it ends"),
    ("SIGWINCH", "as when its window changes size"),
)
"""Name and meaning, in the order in which they are offered."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to signal. ``number`` is set if it is a launch of ours, which has a pidfd already."""

    identity: Identity
    name: str
    number: int | None = None


def send(identity: Identity, signo: int) -> None:
    """Signal the process that has this pid *and* this start time; raises OSError (ESRCH when it is gone).

    A pidfd stands for the process it was opened for, so what was checked after opening is what is signalled.
    """
    pid, start_time = identity
    pidfd = os.pidfd_open(pid)
    try:
        try:
            started = start_time_of(pid)
        except FileNotFoundError:
            raise ProcessLookupError(errno.ESRCH, f"process {pid} is gone") from None
        if started != start_time:
            raise ProcessLookupError(errno.ESRCH, f"pid {pid} is another process now")
        signal.pidfd_send_signal(pidfd, signo)
    finally:
        os.close(pidfd)


def start_time_of(pid: int) -> int:
    """Return a process's start time in clock ticks since boot (proc_pid_stat(5), field 22); raises OSError."""
    with open(f"/proc/{pid}/stat", errors="replace") as stat:
        return int(stat.read().rpartition(") ")[2].split()[19])
