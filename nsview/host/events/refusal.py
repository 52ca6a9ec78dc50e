"""Why the kernel does not tell us its events, and what a person can do about it."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping


class SourceRefusedError(OSError):
    """The kernel's events are not to be had: ``reason`` in plain words, ``remedy`` where there is one."""

    def __init__(self, number: int, reason: str, remedy: str | None = None) -> None:
        """Keep what to say."""
        super().__init__(number, reason)
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        """Say it in one line."""
        return self.reason


_FIRST_NAMESPACES = "run in the machine's first user, pid and network namespaces"
_PRIVILEGE = ("needs CAP_NET_ADMIN in the machine's first user namespace", "run with sudo")

REASONS: Mapping[int, tuple[str, str | None]] = {
    errno.EPERM: _PRIVILEGE,
    errno.EACCES: _PRIVILEGE,
    errno.ECONNREFUSED: ("not told in a child network namespace", _FIRST_NAMESPACES),
    errno.ETIMEDOUT: ("not told in a child user or pid namespace: no answer came", _FIRST_NAMESPACES),
    errno.EINVAL: ("not told in a child user or pid namespace", _FIRST_NAMESPACES),
    errno.EPROTONOSUPPORT: ("not in this kernel", "use a kernel built with CONFIG_PROC_EVENTS"),
    errno.ENOENT: ("not in this kernel", "use a kernel built with CONFIG_TASKSTATS"),
}
"""What each answer to asking for events means (drivers/connector/cn_proc.c, kernel/taskstats.c)."""


def refusal(error: OSError) -> SourceRefusedError:
    """Return what an answer of the kernel's means."""
    number = error.errno or errno.EIO
    reason, remedy = REASONS.get(number, (error.strerror or str(error), None))
    if (reason, remedy) == _PRIVILEGE and os.geteuid() == 0:
        remedy = _FIRST_NAMESPACES  # sudo would give no more
    return SourceRefusedError(number, reason, remedy)
